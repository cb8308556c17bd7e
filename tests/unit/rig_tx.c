/* rig_tx.c - see rig_tx.h. */
#include "rig_tx.h"

#define TXRIG_START_MS 1000000
#define TXRIG_WALL_MS 1795244888123

static int txrig_send(void *arg, struct flow *flow, struct sl bytes)
{
    struct txrig *r = arg;
    struct txrig_sent *s = &r->sent[r->n_sent % TXRIG_SENT_MAX];

    if (r->send_err != 0 && r->n_sent >= r->send_fail_after) {
        return r->send_err;
    }
    mem_free(s->p);
    s->n = 0;
    s->p = mem_strndup(bytes.p, bytes.n);
    if (s->p == NULL) {
        return ENOMEM;
    }
    if (flow_is_reliable(flow) && flow->conn_slot == FLOW_NO_CONN) {
        flow->conn_slot = 7; /* as if it had been dialled */
        flow->conn_gen = 1;
    }
    s->n = bytes.n;
    s->flow = *flow;
    s->at_ms = txrig_now_ms(r);
    r->n_sent++;
    return 0;
}

static int txrig_init_flow(struct txrig *r, enum sip_transport transport)
{
    r->flow = (struct flow){.transport = (uint8_t)transport, .conn_slot = FLOW_NO_CONN};
    if (addr_parse_hostport(SL("192.0.2.9:5060"), 0, &r->flow.remote) != 0) {
        return EBADMSG;
    }
    return addr_parse_hostport(SL("192.0.2.1:5060"), 0, &r->flow.local);
}

int txrig_up(struct txrig *r, enum sip_transport transport, uint32_t max)
{
    struct loop_params loop = {.virt = &r->clock, .mailbox = 64};
    struct tx_table_params params;
    int err;

    *r =
        (struct txrig){.live = mem_live(), .ops = {.send = txrig_send}, .start_ms = TXRIG_START_MS};
    stat_reset();
    clock_init_virtual(&r->clock, TXRIG_START_MS, TXRIG_WALL_MS);
    err = txrig_init_flow(r, transport);
    err = err == 0 ? crypto_init() : err;
    err = err == 0 ? loop_new(&r->loop, &loop) : err;
    err = err == 0 ? token_ring_random(&r->ring) : err;
    err = err == 0 ? sip_pool_new(&r->pool) : err;
    if (err == 0) {
        params = (struct tx_table_params){.loop = r->loop,
                                          .net = &r->ops,
                                          .net_arg = r,
                                          .ring = r->ring,
                                          .node = 3,
                                          .worker = 1,
                                          .timers = {500, 4000, 5000},
                                          .max = max};
        err = tx_table_new(&r->tab, &params);
    }
    if (err != 0) {
        (void)txrig_down(r);
    }
    return err;
}

int64_t txrig_down(struct txrig *r)
{
    tx_table_free(&r->tab);
    loop_free(&r->loop);
    sip_pool_free(&r->pool);
    token_ring_free(&r->ring);
    for (size_t i = 0; i < TXRIG_SENT_MAX; i++) {
        mem_free(r->sent[i].p);
        r->sent[i].p = NULL;
    }
    return mem_live() - r->live;
}

int64_t txrig_now_ms(const struct txrig *r)
{
    return clock_now_ms(&r->clock) - r->start_ms;
}

void txrig_at_ms(struct txrig *r, int64_t at_ms)
{
    loop_advance(r->loop, at_ms - txrig_now_ms(r));
}

struct sl txrig_sent(const struct txrig *r, size_t i)
{
    return sl_make(r->sent[i % TXRIG_SENT_MAX].p, r->sent[i % TXRIG_SENT_MAX].n);
}

struct sl txrig_last(const struct txrig *r)
{
    return r->n_sent != 0 ? txrig_sent(r, r->n_sent - 1) : SL_NULL;
}

bool txrig_last_is(const struct txrig *r, const char *start)
{
    return sl_starts(txrig_last(r), sl_str(start));
}

struct tx_counts txrig_counts(const struct txrig *r)
{
    struct tx_counts c;

    tx_table_counts(r->tab, &c);
    return c;
}

uint32_t txrig_alive(const struct txrig *r)
{
    struct tx_counts c = txrig_counts(r);

    return c.ict + c.nict + c.ist + c.nist;
}

const struct txrig_event *txrig_last_event(const struct txrig *r)
{
    static const struct txrig_event none = {.err = -1};

    return r->n_events != 0 ? &r->events[(r->n_events - 1) % TXRIG_EVENTS_MAX] : &none;
}

struct sip_msg *txrig_parse(struct txrig *r, const char *text, size_t n)
{
    struct sip_msg *m = NULL;
    struct sip_bad bad = {0};

    if (sip_msg_parse(r->pool, sl_make(text, n), &m, &bad) != 0) {
        sip_msg_unref(&m);
    }
    return m;
}

struct sip_msg *txrig_msg(struct txrig *r, const char *fmt, ...)
{
    char mem[4096];
    struct buf b;
    va_list ap;

    buf_init_fixed(&b, mem, sizeof(mem));
    va_start(ap, fmt);
    buf_putv(&b, fmt, ap);
    va_end(ap);
    return buf_err(&b) == 0 ? txrig_parse(r, b.p, b.n) : NULL;
}

static struct txrig_event *txrig_new_event(struct txrig *r)
{
    struct txrig_event *e = &r->events[r->n_events++ % TXRIG_EVENTS_MAX];

    *e = (struct txrig_event){.at_ms = txrig_now_ms(r)};
    return e;
}

void txrig_on_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct txrig_event *e = txrig_new_event(arg);

    (void)tx;
    e->err = err;
    e->status = rsp != NULL ? rsp->status : 0;
}

int txrig_client(struct txrig *r, struct tx **txp, enum sip_method method, uint32_t answer_ms)
{
    struct tx_client_params params = {.method = method,
                                      .flow = r->flow,
                                      .on_response = txrig_on_response,
                                      .arg = r,
                                      .answer_ms = answer_ms};
    char mem[1024];
    struct buf b;
    int err = tx_client_new(txp, r->tab, &params);

    if (err != 0) {
        return err;
    }
    buf_init_fixed(&b, mem, sizeof(mem));
    buf_putf(&b,
             "%s sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/%s 192.0.2.1:5060;branch=%.*s;rport\r\n"
             "Max-Forwards: 70\r\nRoute: <sip:192.0.2.9;lr>\r\nFrom: <sip:a@192.0.2.1>;tag=f1\r\n"
             "To: <sip:bob@192.0.2.9>\r\nCall-ID: c%u\r\nCSeq: %u %s\r\nContent-Length: 0\r\n\r\n",
             sip_method_name(method), sip_transport_name((enum sip_transport)r->flow.transport),
             SL_ARG(tx_branch(*txp)), r->cseq, r->cseq + 1, sip_method_name(method));
    r->cseq++;
    err = tx_client_start(*txp, buf_sl(&b));
    if (err != 0) {
        tx_unref(txp);
    }
    return err;
}

bool txrig_answer(struct txrig *r, const struct tx *tx, uint16_t status, const char *cseq_method)
{
    static const char form[] =
        "SIP/2.0 %u X\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=%.*s\r\n"
        "From: <sip:a@192.0.2.1>;tag=f1\r\nTo: <sip:bob@192.0.2.9>;tag=t%u\r\nCall-ID: c0\r\n"
        "CSeq: 1 %s\r\nContent-Length: 0\r\n\r\n";
    const char *method = cseq_method != NULL ? cseq_method : "INVITE";
    struct sip_msg *m = txrig_msg(r, form, status, SL_ARG(tx_branch(tx)), status, method);
    bool taken = m != NULL && tx_feed_response(r->tab, m, &r->flow);

    sip_msg_unref(&m);
    loop_advance(r->loop, 0);
    return taken;
}

void txrig_on_server(struct tx *tx, enum tx_server_event ev, void *arg)
{
    (void)tx;
    txrig_new_event(arg)->what = ev;
}

struct sip_msg *txrig_request(struct txrig *r, const char *method, const char *via,
                              const char *to_tag)
{
    return txrig_msg(r,
                     "%s sip:100@192.0.2.1 SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\n"
                     "From: <sip:bob@192.0.2.9>;tag=theirs\r\nTo: <sip:100@192.0.2.1>%s%s\r\n"
                     "Call-ID: server-call\r\nCSeq: 11 %s\r\nContact: <sip:bob@192.0.2.9>\r\n"
                     "Content-Length: 0\r\n\r\n",
                     method, via, to_tag != NULL ? ";tag=" : "", to_tag != NULL ? to_tag : "",
                     method);
}

int txrig_server(struct txrig *r, struct tx **txp, struct sip_msg *req)
{
    return tx_server_new(txp, r->tab, req, &r->flow, txrig_on_server, r);
}

int txrig_respond(struct txrig *r, struct tx *tx, const struct sip_msg *req, uint16_t status)
{
    struct sip_response rsp = {
        .req = req, .src = &r->flow.remote, .status = status, .to_tag = SL("ours")};
    struct buf b;
    int err;

    buf_init(&b, SIP_MSG_MAX);
    sip_put_response(&b, &rsp);
    sip_put_body(&b, SL_NULL, SL_NULL);
    err = buf_err(&b);
    err = err == 0 ? tx_server_respond(tx, status, buf_sl(&b)) : err;
    buf_free(&b);
    return err;
}

enum tx_match txrig_match(struct txrig *r, const char *method, const char *via, const char *to_tag)
{
    struct sip_msg *m = txrig_request(r, method, via, to_tag);
    struct tx *found = NULL;
    enum tx_match match = m != NULL ? tx_match_request(r->tab, m, &r->flow, &found) : TX_MATCH_NONE;

    sip_msg_unref(&m);
    loop_advance(r->loop, 0);
    return match;
}
