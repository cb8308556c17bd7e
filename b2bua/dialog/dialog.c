/* dialog.c - what identifies a dialog and how it is learned, confirmed and checked
 * (RFC 3261 12.1, 12.2.2). */
#include "dialog/dialog.h"

#define NAME_MAX_BYTES 2048 /* a display name and a URI at their limits fit */

static int dialog_dup(struct dialog *d, struct sl s, struct sl *out)
{
    *out = arena_dup(d->arena, s);
    return s.n != 0 && out->p == NULL ? ENOMEM : 0;
}

/* From or To written anew: display name and URI, no parameters of the peer's. */
static int dialog_dup_name(struct dialog *d, const struct sip_nameaddr *na, struct sl *out)
{
    char mem[NAME_MAX_BYTES];
    struct buf b;

    buf_init_fixed(&b, mem, sizeof(mem));
    sip_put_display(&b, na->display);
    buf_putc(&b, '<');
    buf_putsl(&b, na->uri_text);
    buf_putc(&b, '>');
    return buf_err(&b) != 0 ? EMSGSIZE : dialog_dup(d, buf_sl(&b), out);
}

static int dialog_set_target(struct dialog *d, struct sl uri)
{
    char *copy;

    if (d->target != NULL && sl_eq(sl_str(d->target), uri)) {
        return 0;
    }
    copy = mem_strndup(uri.p, uri.n);
    if (copy == NULL) {
        return ENOMEM;
    }
    mem_free(d->target);
    d->target = copy;
    return 0;
}

/* ENOENT: none. EBADMSG: nothing that a request could be sent to. */
static int dialog_contact(const struct sip_msg *m, struct sl *uri)
{
    struct sip_values it = {0};
    struct sip_nameaddr na;
    struct sl value;
    int err = sip_values_next(m, HDR_CONTACT, &it, &value);

    if (err != 0) {
        return err == ENODATA ? ENOENT : EBADMSG;
    }
    if (sip_nameaddr_parse(value, &na) != 0 || na.is_star ||
        (na.uri.scheme != SIP_SCHEME_SIP && na.uri.scheme != SIP_SCHEME_SIPS)) {
        return EBADMSG;
    }
    *uri = na.uri_text;
    return 0;
}

struct dialog_routes {
    struct sl at[DIALOG_ROUTES_MAX];
    uint8_t n;
};

static int dialog_read_routes(const struct sip_msg *m, struct dialog_routes *out)
{
    struct sip_values it = {0};
    struct sip_nameaddr na;
    struct sl value;
    int err;

    out->n = 0;
    for (err = sip_values_next(m, HDR_RECORD_ROUTE, &it, &value); err == 0;
         err = sip_values_next(m, HDR_RECORD_ROUTE, &it, &value)) {
        if (sip_nameaddr_parse(value, &na) != 0 || na.is_star || !na.bracketed) {
            return EBADMSG;
        }
        if (out->n == DIALOG_ROUTES_MAX) {
            return EMSGSIZE;
        }
        out->at[out->n++] = value;
    }
    return err == ENODATA ? 0 : EBADMSG;
}

/* The UAS keeps the order of Record-Route, the UAC turns it round (12.1.1, 12.1.2). */
static int dialog_set_routes(struct dialog *d, const struct dialog_routes *from, bool reverse)
{
    for (uint8_t i = 0; i < from->n; i++) {
        struct sl route = from->at[reverse ? from->n - 1 - i : i];

        if (i < d->n_routes && sl_eq(d->routes[i], route)) {
            continue; /* repeated answers must not fill the arena */
        }
        if (dialog_dup(d, route, &d->routes[i]) != 0) {
            d->n_routes = 0;
            return ENOMEM;
        }
    }
    d->n_routes = from->n;
    return 0;
}

int dialog_init_uas(struct dialog *d, struct arena *arena, const struct sip_msg *invite,
                    struct sl local_tag, const struct flow *flow)
{
    struct dialog_routes routes;
    struct sl target = SL_NULL;
    int err;

    *d = (struct dialog){.state = DIALOG_EARLY,
                         .arena = arena,
                         .flow = *flow,
                         .remote_cseq = invite->cseq,
                         .has_remote_cseq = true};
    if (dialog_contact(invite, &target) != 0) {
        return EBADMSG;
    }
    err = dialog_read_routes(invite, &routes);
    if (err != 0) {
        return err;
    }
    if (dialog_dup(d, invite->call_id, &d->call_id) != 0 ||
        dialog_dup(d, local_tag, &d->local_tag) != 0 ||
        dialog_dup(d, invite->from_tag, &d->remote_tag) != 0) {
        return ENOMEM;
    }
    err = dialog_dup_name(d, &invite->to, &d->local);
    if (err == 0) {
        err = dialog_dup_name(d, &invite->from, &d->remote);
    }
    if (err == 0) {
        err = dialog_set_routes(d, &routes, false);
    }
    return err != 0 ? err : dialog_set_target(d, target);
}

int dialog_init_uac(struct dialog *d, struct arena *arena, const struct dialog_uac *p)
{
    *d = (struct dialog){.state = DIALOG_NONE,
                         .is_uac = true,
                         .arena = arena,
                         .flow = *p->flow,
                         .pin_flow = p->pin_flow};
    if (dialog_dup(d, p->call_id, &d->call_id) != 0 ||
        dialog_dup(d, p->local_tag, &d->local_tag) != 0 ||
        dialog_dup(d, p->local, &d->local) != 0 || dialog_dup(d, p->remote, &d->remote) != 0 ||
        dialog_dup(d, p->target, &d->asked) != 0) {
        return ENOMEM;
    }
    return dialog_set_target(d, p->target);
}

void dialog_deinit(struct dialog *d)
{
    mem_free(d->target);
    *d = (struct dialog){.state = DIALOG_ENDED};
}

/* Another tag than before is another fork: its CSeq space is its own. */
static int dialog_set_remote_tag(struct dialog *d, struct sl tag)
{
    if (sl_eq(d->remote_tag, tag)) {
        return 0;
    }
    d->has_remote_cseq = false;
    return dialog_dup(d, tag, &d->remote_tag);
}

/* The first answers, and those of other forks, which replace what was learned: requests before
 * the 2xx (PRACK, UPDATE) belong to the fork that was heard last. */
static int dialog_learn_new(struct dialog *d, const struct sip_msg *rsp, struct sl target)
{
    struct dialog_routes routes;
    int err = dialog_read_routes(rsp, &routes);

    if (err == 0) {
        err = dialog_set_remote_tag(d, rsp->to_tag);
    }
    if (err == 0) {
        err = dialog_set_routes(d, &routes, true);
    }
    return err == 0 && target.n != 0 ? dialog_set_target(d, target) : err;
}

/* A 2xx that makes no dialog has to be acknowledged and ended all the same, or the callee waits for
 * ever: under the tag that it gave, by the routes that can be read, to its Contact or, without one,
 * to where it was while it rang, or where the INVITE went. */
static void dialog_learn_what_it_says(struct dialog *d, const struct sip_msg *rsp, struct sl target)
{
    bool is_known = sl_eq(d->remote_tag, rsp->to_tag);
    struct dialog_routes routes;

    if (!is_known) {
        d->n_routes = 0;
    }
    if (dialog_set_remote_tag(d, rsp->to_tag) == 0 && dialog_read_routes(rsp, &routes) == 0 &&
        dialog_set_routes(d, &routes, true) != 0) {
        d->n_routes = 0;
    }
    if ((target.n != 0 || !is_known) &&
        dialog_set_target(d, target.n != 0 ? target : d->asked) != 0) {
        return; /* no memory: the one before may do as well */
    }
}

/* After the 2xx only the target may change (12.2.1.2). */
static int dialog_learn_refresh(struct dialog *d, const struct sip_msg *rsp, struct sl target)
{
    if (!sl_eq(d->remote_tag, rsp->to_tag)) {
        return EPROTO;
    }
    return rsp->status >= 200 && target.n != 0 ? dialog_set_target(d, target) : 0;
}

int dialog_learn(struct dialog *d, const struct sip_msg *rsp)
{
    bool is_final = rsp->status >= 200;
    struct sl target = SL_NULL;
    int err;

    if (rsp->status <= 100 || rsp->status >= 300 || (!is_final && rsp->to_tag.n == 0)) {
        return 0;
    }
    err = dialog_contact(rsp, &target);
    if (d->state == DIALOG_CONFIRMED || d->state == DIALOG_ENDED) {
        return dialog_learn_refresh(d, rsp, target);
    }
    err = is_final && (err != 0 || rsp->to_tag.n == 0) ? EBADMSG : dialog_learn_new(d, rsp, target);
    if (err != 0 && is_final) {
        dialog_learn_what_it_says(d, rsp, target);
    }
    if (err == 0) {
        d->state = is_final ? DIALOG_CONFIRMED : DIALOG_EARLY;
    }
    return err;
}

void dialog_confirm(struct dialog *d)
{
    if (d->state != DIALOG_ENDED) {
        d->state = DIALOG_CONFIRMED;
    }
}

/* A CANCEL repeats the To of its INVITE (9.1), which had no tag yet when it was the first one. */
static bool dialog_is_ours(const struct dialog *d, const struct sip_msg *req)
{
    bool to_fits =
        sl_eq(d->local_tag, req->to_tag) || (req->method == SIP_CANCEL && req->to_tag.n == 0);

    return to_fits && d->state != DIALOG_NONE && sl_eq(d->call_id, req->call_id) &&
           sl_eq(d->remote_tag, req->from_tag);
}

static int dialog_refresh_target(struct dialog *d, const struct sip_msg *req)
{
    struct sl target;
    int err = dialog_contact(req, &target);

    if (err == ENOENT) {
        return 0; /* 12.2.2: replaced if present */
    }
    return err != 0 ? err : dialog_set_target(d, target);
}

int dialog_check_request(struct dialog *d, const struct sip_msg *req)
{
    if (!dialog_is_ours(d, req)) {
        return EPROTO;
    }
    if (req->method == SIP_ACK || req->method == SIP_CANCEL) {
        return 0;
    }
    if (d->has_remote_cseq && req->cseq <= d->remote_cseq) {
        return ERANGE;
    }
    d->remote_cseq = req->cseq;
    d->has_remote_cseq = true;
    if (req->method == SIP_INVITE || req->method == SIP_UPDATE) {
        return dialog_refresh_target(d, req);
    }
    return 0;
}
