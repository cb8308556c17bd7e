/* call_nat.c - far ends behind address translation. Users are always spoken to by their flow; a
 * peer is, too, when its Contact names a private address and its messages come from a public one,
 * or when the configuration says so. */
#include "call/call_int.h"

/* By its own routes a peer behind proxies is reached; without them its Contact is all there is. */
static bool is_behind(const struct dialog *d)
{
    struct sip_uri uri;
    struct addr contact;

    if (d->n_routes != 0 || d->target == NULL || sip_uri_parse(sl_str(d->target), &uri) != 0 ||
        addr_parse(uri.host, 0, &contact) != 0 || addr_eq_ip(&contact, &d->flow.remote)) {
        return false;
    }
    return addr_is_private(&contact) && !addr_is_private(&d->flow.remote);
}

void leg_note_nat(struct leg *l)
{
    const struct policy_peer *p = l->party.kind == POLICY_PEER
                                      ? &policy_def(l->call->cfg->policy)->peers[l->party.peer]
                                      : NULL;

    if (p == NULL || p->nat == POLICY_NAT_OFF) {
        return;
    }
    l->dlg.pin_flow = p->nat == POLICY_NAT_ON || is_behind(&l->dlg);
}
