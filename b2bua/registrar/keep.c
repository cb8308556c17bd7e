/* keep.c - keeps the way to devices behind address translation open: something goes there before
 * the translator forgets them (users.keepalive). With OPTIONS the answers teach how long that is:
 * each answered pause is followed by a longer one, the first that is not ends the search. */
#include "dialog/dialog.h"
#include "registrar/registrar_int.h"

#define KEEP_TEXT_MAX 2048
#define KEEP_PINGS_MAX 4 /* of one user at once: slow devices are not asked twice */

struct ping { /* an OPTIONS that waits for its answer */
    struct list node;
    struct reg_user *u;
    struct tx *tx;
    uint32_t pause_ms; /* that went before it */
};

/* It calls itself by another address than the one it is seen by. */
static bool is_behind_nat(const struct binding *b)
{
    struct sip_uri uri;
    struct addr at;

    return sip_uri_parse(b->contact, &uri) != 0 || addr_parse(uri.host, 0, &at) != 0 ||
           !addr_eq_ip(&at, &b->flow.remote);
}

static bool wants_keeping(const struct rec *rec)
{
    return !flow_is_reliable(&rec->b.flow) && is_behind_nat(&rec->b);
}

/* --- OPTIONS --- */

static void ping_free(struct ping *p)
{
    tx_close(p->tx);
    tx_unref(&p->tx);
    list_del(&p->node);
    p->u->n_pings--;
    mem_free(p);
}

/* An answer, whatever it says, came through. */
static void learn(struct reg_user *u, uint32_t pause_ms, bool answered)
{
    const struct policy_users *users = &policy_def(u->r->policy)->users;
    uint32_t longer = pause_ms + pause_ms / 2;

    if (answered) {
        u->keep_good_ms = pause_ms > u->keep_good_ms ? pause_ms : u->keep_good_ms;
        if (!u->keep_known && pause_ms == u->keep_ms) {
            u->keep_ms = longer < users->keepalive_max_ms ? longer : users->keepalive_max_ms;
            reg_keep_start(u); /* from now on: nothing else may go there meanwhile */
        }
        return;
    }
    u->keep_known = true; /* it may also be switched off: then a short pause costs little */
    u->keep_ms =
        u->keep_good_ms != 0 && u->keep_good_ms < pause_ms ? u->keep_good_ms : users->keepalive_ms;
    u->keep_good_ms = u->keep_ms < u->keep_good_ms ? u->keep_ms : u->keep_good_ms;
    reg_keep_start(u);
}

static void on_pong(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct ping *p = arg;

    (void)tx;
    if (err == 0 && rsp->status < 200) {
        return;
    }
    stat_inc(err == 0 ? STAT_NAT_ANSWERED : STAT_NAT_LOST);
    learn(p->u, p->pause_ms, err == 0);
    ping_free(p);
}

static int write_options(struct buf *b, const struct reg_user *u, const struct binding *bd,
                         struct sl branch)
{
    struct registrar *r = u->r;
    char local[300], remote[420], id[32];
    uint8_t raw[16];
    struct buf lb, rb, ib;
    struct arena arena;
    struct dialog d = {0};
    struct addr via;
    int err;

    crypto_random(raw, sizeof(raw));
    buf_init_fixed(&lb, local, sizeof(local));
    buf_init_fixed(&rb, remote, sizeof(remote));
    buf_init_fixed(&ib, id, sizeof(id));
    buf_putf(&lb, "<sip:%s>", policy_def(r->policy)->users.domain);
    BUF_LIT(&rb, "<sip:");
    sip_put_user(&rb, sl_make(u->name, u->name_n));
    buf_putf(&rb, "@%s>", policy_def(r->policy)->users.domain);
    buf_putx(&ib, raw, sizeof(raw));
    r->p.via(r->p.arg, &bd->flow, &via);
    if (addr_family(&via) == AF_UNSPEC) {
        return ENOENT;
    }
    arena_init(&arena, 1024, 8192);
    err = dialog_init_uac(&d, &arena,
                          &(struct dialog_uac){.call_id = buf_sl(&ib),
                                               .local_tag = sl_head(buf_sl(&ib), 16),
                                               .local = buf_sl(&lb),
                                               .remote = buf_sl(&rb),
                                               .target = bd->contact,
                                               .flow = &bd->flow,
                                               .pin_flow = true});
    if (err == 0) {
        dialog_put_request(b, &d,
                           &(struct dialog_request){.method = SIP_OPTIONS,
                                                    .cseq = dialog_next_cseq(&d),
                                                    .branch = branch,
                                                    .via = &via,
                                                    .transport = SIP_UDP});
        BUF_LIT(b, "Accept: application/sdp\r\n");
        sip_put_body(b, SL_NULL, SL_NULL);
        err = buf_err(b);
    }
    if (err == 0 && r->p.look != NULL) {
        err = r->p.look(r->p.arg, &d, b);
    }
    dialog_deinit(&d);
    arena_free(&arena);
    return err;
}

static int ask(struct reg_user *u, const struct binding *bd)
{
    struct ping *p = u->n_pings < KEEP_PINGS_MAX ? mem_zalloc(sizeof(*p)) : NULL;
    char mem[KEEP_TEXT_MAX];
    struct buf b;
    int err;

    if (p == NULL) {
        return ENOBUFS;
    }
    p->u = u;
    p->pause_ms = u->keep_ms;
    err = tx_client_new(
        &p->tx, u->r->p.tab,
        &(struct tx_client_params){
            .method = SIP_OPTIONS, .flow = bd->flow, .on_response = on_pong, .arg = p});
    if (err != 0) {
        mem_free(p);
        return err;
    }
    list_push_back(&u->pings, &p->node);
    u->n_pings++;
    buf_init_fixed(&b, mem, sizeof(mem));
    err = write_options(&b, u, bd, tx_branch(p->tx));
    if (err == 0) {
        err = tx_client_start(p->tx, buf_sl(&b));
    }
    if (err != 0) {
        ping_free(p);
    }
    return err;
}

/* --- the clock --- */

static int keep_one(struct reg_user *u, const struct binding *bd)
{
    struct flow flow = bd->flow;

    if (policy_def(u->r->policy)->users.keepalive == POLICY_KEEP_OPTIONS) {
        return u->r->p.via != NULL ? ask(u, bd) : 0;
    }
    return u->r->p.net->send(u->r->p.net_arg, &flow, SL("\r\n\r\n"));
}

static void on_keep(void *arg)
{
    struct reg_user *u = arg;
    int64_t now_ms = loop_wall_ms(u->r->p.loop);

    for (size_t i = 0; i < u->n; i++) {
        if (wants_keeping(u->recs[i]) && u->recs[i]->b.expires_ms > now_ms) {
            stat_inc(keep_one(u, &u->recs[i]->b) == 0 ? STAT_NAT_SENT : STAT_NAT_FAILED);
        }
    }
    reg_keep_start(u);
}

void reg_keep_init(struct reg_user *u)
{
    timer_init(&u->keep, on_keep, u);
    list_init(&u->pings);
}

/* A fifth of the pause is drawn by lot, so that devices that came together do not stay together;
 * while it is being learned the pause is what it says. */
void reg_keep_start(struct reg_user *u)
{
    const struct policy_users *users;
    bool any = false;
    uint32_t ms;

    if (u->r->policy == NULL || u->r->p.net == NULL) {
        return;
    }
    users = &policy_def(u->r->policy)->users;
    for (size_t i = 0; i < u->n; i++) {
        any = any || wants_keeping(u->recs[i]);
    }
    if (!any || users->keepalive == POLICY_KEEP_OFF) {
        timer_stop(u->r->p.loop, &u->keep);
        return;
    }
    if (u->keep_ms < users->keepalive_ms) {
        u->keep_ms = users->keepalive_ms;
    }
    ms = u->keep_ms;
    if (users->keepalive == POLICY_KEEP_CRLF) {
        ms -= crypto_random_u32() % (ms / 5 + 1);
    }
    timer_start(u->r->p.loop, &u->keep, ms);
}

void reg_keep_stop(struct reg_user *u)
{
    timer_stop(u->r->p.loop, &u->keep);
    LIST_FOR_EACH_SAFE(it, &u->pings)
    {
        ping_free(CONTAINER_OF(it, struct ping, node));
    }
}
