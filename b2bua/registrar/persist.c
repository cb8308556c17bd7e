/* persist.c - bindings as rows. The flow is kept as words, by listener name, so that it still means
 * the same after a restart; a connection does not outlive the process, so only UDP bindings come
 * back. */
#include "registrar/registrar_int.h"

#define FLOW_VERSION "1"

static struct sl listener_name(const struct registrar *r, uint8_t index)
{
    return index < r->n_listeners ? sl_str(r->listeners[index]) : SL_NULL;
}

void reg_store_put(struct registrar *r, const struct rec *rec)
{
    char flow[160], received[ADDR_TEXT_MAX];
    struct buf b;
    static const struct sl transports[] = {
        [SIP_UDP] = {"udp", 3}, [SIP_TCP] = {"tcp", 3}, [SIP_TLS] = {"tls", 3}};
    uint8_t transport = rec->b.flow.transport;

    if (r->p.store == NULL) {
        return;
    }
    buf_init_fixed(&b, flow, sizeof(flow));
    BUF_LIT(&b, FLOW_VERSION " ");
    addr_put(&b, &rec->b.flow.remote);
    buf_putc(&b, ' ');
    addr_put(&b, &rec->b.flow.local);
    buf_putc(&b, ' ');
    buf_putu(&b, rec->b.reg_id);
    if (store_put_binding(
            r->p.store,
            &(struct store_binding){
                .user = rec->b.user,
                .contact = rec->b.contact,
                .instance = rec->b.instance,
                .call_id = rec->call_id,
                .cseq = rec->cseq,
                .user_agent = rec->user_agent,
                .expires_ms = rec->b.expires_ms,
                .updated_ms = rec->updated_ms,
                .flow = buf_sl(&b),
                .received = sl_str(addr_text(&rec->b.flow.remote, received)),
                .transport = transport < COUNT_OF(transports) ? transports[transport] : SL("tcp"),
                .listener = listener_name(r, rec->b.flow.listener)}) != 0) {
        log_error(NULL, "a binding could not be kept: out of memory");
    }
}

void reg_store_del(struct registrar *r, const struct rec *rec)
{
    if (r->p.store != NULL && store_del_binding(r->p.store, rec->b.user, rec->b.contact) != 0) {
        log_error(NULL, "a binding could not be removed from the store: out of memory");
    }
}

/* The number of the flow came later: rows of before end with the local address. */
static bool parse_flow(const struct registrar *r, const struct store_binding *row, struct flow *out,
                       uint32_t *reg_id)
{
    struct sl text = row->flow, version, remote, local, number;
    size_t i = 0;

    while (i < r->n_listeners && !sl_eq(sl_str(r->listeners[i]), row->listener)) {
        i++;
    }
    *out = (struct flow){.transport = SIP_UDP,
                         .listener = (uint8_t)i,
                         .worker = r->p.worker,
                         .conn_slot = FLOW_NO_CONN};
    if (i == r->n_listeners || sl_next(&text, ' ', &version) != 0 ||
        !sl_eq(version, SL(FLOW_VERSION)) || sl_next(&text, ' ', &remote) != 0 ||
        sl_next(&text, ' ', &local) != 0) {
        return false;
    }
    if (sl_next(&text, ' ', &number) != 0 || sl_u32(number, INT32_MAX, reg_id) != 0) {
        *reg_id = 0;
    }
    return addr_parse_hostport(remote, 0, &out->remote) == 0 &&
           addr_parse_hostport(local, 0, &out->local) == 0;
}

/* Rows come in no order that means anything. */
static void put_by_age(struct reg_user *u, struct rec *rec)
{
    size_t i = u->n++;

    for (; i > 0 && u->recs[i - 1]->updated_ms < rec->updated_ms; i--) {
        u->recs[i] = u->recs[i - 1];
    }
    u->recs[i] = rec;
}

static void load_rec(struct registrar *r, const struct rec *tmp)
{
    struct reg_user *u = reg_user_get(r, tmp->b.user);
    struct rec *rec = u != NULL && u->n < REG_BINDINGS_MAX ? binding_rec_new(tmp) : NULL;

    if (rec == NULL) {
        if (u != NULL && u->n == 0) {
            reg_user_set(u, NULL, 0);
        }
        log_warn(NULL, "a stored binding could not be taken back");
        return;
    }
    put_by_age(u, rec);
    r->n_bindings++;
    if (reg_is_owner(r, tmp->b.user)) { /* the earliest expiry sets the timer */
        int64_t wait = tmp->b.expires_ms - loop_wall_ms(r->p.loop);

        if (!timer_is_armed(&u->expiry) || wait < u->expiry.at_ms - loop_now_ms(r->p.loop)) {
            timer_start(r->p.loop, &u->expiry, wait > 0 ? wait + 1 : 1);
        }
        reg_keep_start(u);
    }
}

void registrar_load(struct registrar *r, const struct store_binding *row)
{
    struct rec tmp = {.b = {.user = row->user,
                            .contact = row->contact,
                            .instance = row->instance,
                            .expires_ms = row->expires_ms},
                      .call_id = row->call_id,
                      .cseq = row->cseq,
                      .user_agent = row->user_agent,
                      .updated_ms = row->updated_ms};
    bool known = r->policy != NULL && policy_user_by_name(r->policy, row->user) >= 0;

    bool has_flow = known && parse_flow(r, row, &tmp.b.flow, &tmp.b.reg_id);

    if (has_flow && r->p.auth != NULL) { /* of a connection, too, that is no more */
        auth_note_home(r->p.auth, row->user, &tmp.b.flow.remote, loop_wall_ms(r->p.loop));
    }
    if (has_flow && row->expires_ms > loop_wall_ms(r->p.loop) && sl_eq(row->transport, SL("udp"))) {
        load_rec(r, &tmp);
    } else if (reg_is_owner(r, row->user)) {
        reg_store_del(r, &tmp);
    }
}
