/* io.c - bytes and timers of one transaction. Nothing here knows a state, so that the four machines
 * can share it. */
#include "tx/tx_int.h"

int tx_keep(struct tx *tx, struct sl bytes)
{
    char *p = bytes.n != 0 && bytes.n <= SIP_MSG_MAX ? mem_alloc(bytes.n) : NULL;

    if (p == NULL) {
        return bytes.n > SIP_MSG_MAX ? EMSGSIZE : ENOMEM;
    }
    memcpy(p, bytes.p, bytes.n);
    mem_free(tx->bytes);
    tx->bytes = p;
    tx->n_bytes = (uint32_t)bytes.n;
    return 0;
}

void tx_drop_bytes(struct tx *tx)
{
    mem_free(tx->bytes);
    tx->bytes = NULL;
    tx->n_bytes = 0;
}

/* On UDP a full queue is a lost packet: retransmissions repair both alike. */
static bool tx_is_transient(const struct tx *tx, int err)
{
    return !tx_is_reliable(tx) && (err == ENOBUFS || err == ENOMEM || err == EAGAIN);
}

void tx_send(struct tx *tx, struct sl bytes)
{
    const struct tx_table_params *p = &tx->tab->p;
    struct flow away = tx->flow; /* a server's flow stays as the request came */
    int err;

    if (!tx_is_client(tx)) {
        addr_set_port(&away.remote, tx->u.s.answer_port);
    }
    err = p->net->send(p->net_arg, &away, bytes);
    if (tx_is_client(tx)) {
        tx->flow = away;
    }
    if (err != 0 && !tx_is_transient(tx, err)) {
        tx_fail_later(tx, err);
    }
}

void tx_resend(struct tx *tx)
{
    if (tx->bytes != NULL) {
        stat_inc(STAT_SIP_RETRANS_TX);
        tx_send(tx, tx_bytes(tx));
    }
}

void tx_fail_later(struct tx *tx, int err)
{
    if (tx->is_linked) { /* a callback may have ended it meanwhile; a grave has no timers */
        tx->err = err;
        tx_leave_linger(tx);
        timer_start(tx->tab->p.loop, &tx->t.resend, 0);
    }
}

void tx_start_resend(struct tx *tx, uint32_t ms)
{
    tx->interval_ms = ms;
    if (tx->err == 0 && tx->is_linked) {
        tx_leave_linger(tx);
        timer_start(tx->tab->p.loop, &tx->t.resend, ms);
    }
}

void tx_double_resend(struct tx *tx, uint32_t ceiling_ms)
{
    uint32_t twice = tx->interval_ms < UINT32_MAX / 2 ? tx->interval_ms * 2 : UINT32_MAX;

    tx_start_resend(tx, twice < ceiling_ms ? twice : ceiling_ms);
}

void tx_stop_resend(struct tx *tx)
{
    tx->err = 0;
    timer_stop(tx->tab->p.loop, &tx->t.resend);
}

void tx_start_life(struct tx *tx, uint32_t ms, enum tx_event ev)
{
    if (tx->is_linked) {
        tx->life_ev = (uint8_t)ev;
        timer_start(tx->tab->p.loop, &tx->life, ms);
    }
}

static void on_resend(void *arg);

/* Only absorbs: nobody waits for this end, and at 1,000 calls a second there are 4,000 of them. */
static void tx_start_linger(struct tx *tx, uint32_t ms)
{
    if (tx->is_linked) {
        tx->life_ev = TX_EV_EXPIRE;
        timer_start_lazy(tx->tab->p.loop, &tx->life, ms);
    }
}

void tx_linger(struct tx *tx, uint32_t ms)
{
    if (ms == 0 && tx->is_linked && tx->err == 0) {
        tx_feed(tx, TX_EV_EXPIRE, &(struct tx_in){0});
    } else if (ms != 0) { /* else a transport error is on its way and ends it */
        tx_start_linger(tx, ms);
        tx_queue_linger(tx);
    }
}

void tx_queue_linger(struct tx *tx)
{
    if (!tx->is_lingering && tx->is_linked && !timer_is_armed(&tx->t.resend)) {
        tx->is_lingering = true;
        list_push_back(&tx->tab->linger, &tx->t.linger);
    }
}

void tx_leave_linger(struct tx *tx)
{
    if (tx->is_lingering) {
        tx->is_lingering = false;
        list_del(&tx->t.linger);
        timer_init(&tx->t.resend, on_resend, tx); /* its memory was the queue's */
    }
}

static void on_resend(void *arg)
{
    struct tx *tx = arg;
    struct tx_in in = {.err = tx->err};

    tx->err = 0;
    tx_feed(tx, in.err != 0 ? TX_EV_TP_ERR : TX_EV_RESEND, &in);
}

static void on_life(void *arg)
{
    struct tx *tx = arg;

    tx_feed(tx, (enum tx_event)tx->life_ev, &(struct tx_in){0});
}

void tx_init_timers(struct tx *tx)
{
    timer_init(&tx->t.resend, on_resend, tx);
    timer_init(&tx->life, on_life, tx);
}

void tx_act_nothing(struct tx *tx, const struct tx_in *in)
{
    (void)tx;
    (void)in;
}

void tx_act_resend(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    tx_resend(tx);
}

void tx_act_end(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    tx_end(tx);
}
