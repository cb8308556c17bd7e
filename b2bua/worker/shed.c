/* shed.c - what a worker with too much to do no longer does: answer INVITEs once more, and begin
 * new work for those it knows least. Whatever belongs to a dialog is always served. */
#include "worker/worker_int.h"

#define SHED_RETRY_MIN_S 5 /* spread, so that those sent away do not come back together */
#define SHED_RETRY_SPREAD_S 10

/* --- INVITEs in work, of all workers: a repetition is dropped before it is read --- */

#define REPEATS_SLOTS 65536u
#define REPEATS_LIFE_S 32 /* 64*T1 */

struct repeats {
    uint8_t key[16];
    _Atomic uint64_t slot[REPEATS_SLOTS]; /* the hash; its low bits, the slot's number, give way to
                                             the second it was seen in */
};

int repeats_new(struct repeats **rp)
{
    struct repeats *r = mem_zalloc(sizeof(*r));

    if (r == NULL) {
        return ENOMEM;
    }
    crypto_random(r->key, sizeof(r->key));
    *rp = r;
    return 0;
}

void repeats_free(struct repeats **rp)
{
    mem_free(*rp);
    *rp = NULL;
}

static uint64_t hash_of(const struct repeats *r, struct sl bytes)
{
    return siphash13(bytes.p, bytes.n, r->key);
}

static uint16_t second_of(int64_t now_ms)
{
    return (uint16_t)(now_ms / 1000);
}

/* A slot holds one: a newer INVITE pushes an older one out, which is then read once more. */
void worker_in_work(void *arg, const struct flow *flow, const struct sip_msg *req)
{
    struct worker *w = arg;
    struct repeats *r = w->b->repeats;
    uint64_t h;

    if (r == NULL || flow_is_reliable(flow)) {
        return;
    }
    h = hash_of(r, req->text);
    atomic_store_explicit(&r->slot[h % REPEATS_SLOTS],
                          (h & ~(uint64_t)UINT16_MAX) | second_of(loop_now_ms(w->loop)),
                          memory_order_relaxed);
}

static bool is_in_work(const struct repeats *r, struct sl bytes, int64_t now_ms)
{
    uint64_t h = hash_of(r, bytes);
    uint64_t v = atomic_load_explicit(&r->slot[h % REPEATS_SLOTS], memory_order_relaxed);

    return v != 0 && (v ^ h) <= UINT16_MAX &&
           (uint16_t)(second_of(now_ms) - (uint16_t)v) <= REPEATS_LIFE_S;
}

/* --- this worker --- */

static const enum stat_id shed_counters[OVERLOAD_NCLASSES] = {
    [OVERLOAD_STRANGER] = STAT_SHED_STRANGER,
    [OVERLOAD_USER] = STAT_SHED_USER,
    [OVERLOAD_PEER] = STAT_SHED_PEER,
};

static void on_calm(void *arg)
{
    struct worker *w = arg;
    int64_t now_ms = loop_now_ms(w->loop), began_ms = w->overload.began_ms;

    if (overload_calms(&w->overload, now_ms)) {
        log_warn(NULL, "worker %u: overload is over after %lld s, %llu requests were refused",
                 w->index, (long long)(now_ms - began_ms) / 1000,
                 (unsigned long long)w->overload.refused);
        return;
    }
    timer_start(w->loop, &w->calm, OVERLOAD_CALM_MS);
}

void worker_overload_init(struct worker *w)
{
    timer_init(&w->calm, on_calm, w);
}

void worker_overload_config(struct worker *w, const struct config *cfg)
{
    w->overload.limits = (struct overload_limits){.wait_ms = cfg->overload_wait_ms,
                                                  .late_ms = cfg->overload_late_ms,
                                                  .queue = cfg->overload_queue};
}

bool worker_may_read(struct worker *w, const struct flow *flow, struct sl bytes)
{
    int64_t now_ms = loop_now_ms(w->loop);

    overload_look(&w->overload,
                  &(struct overload_seen){.wait_us = w->waited_us,
                                          .late_ms = loop_late_ms(w->loop),
                                          .queue = loop_mail_count(w->loop)},
                  now_ms);
    if (w->b->repeats == NULL || flow_is_reliable(flow) || !sl_starts(bytes, SL("INVITE ")) ||
        !overload_is_pressed(&w->overload, now_ms) || !is_in_work(w->b->repeats, bytes, now_ms)) {
        return true;
    }
    stat_inc(STAT_SIP_DROP_REPEAT);
    return false;
}

static enum overload_class class_of(struct worker *w, const struct flow *flow)
{
    struct policy_knock knock = {
        .source = flow->remote, .listener = flow->listener, .peer = flow_proven(flow)};

    if (policy_peer_of(w->cfg->policy, flow->listener, &flow->remote, knock.peer) >= 0) {
        return OVERLOAD_PEER;
    }
    return policy_classify(w->b->gate, w->cfg->policy, &knock, loop_now_ms(w->loop)) ==
                   POLICY_TRUSTED
               ? OVERLOAD_USER
               : OVERLOAD_STRANGER;
}

static void refuse(struct worker *w, const struct sip_msg *req, const struct flow *flow)
{
    uint8_t r;

    crypto_random(&r, sizeof(r));
    call_answer_overload(w->calls, req, flow, SHED_RETRY_MIN_S + r % (SHED_RETRY_SPREAD_S + 1));
}

bool worker_sheds(struct worker *w, const struct sip_msg *req, const struct flow *flow)
{
    int64_t now_ms = loop_now_ms(w->loop), began_ms = w->overload.began_ms;
    enum overload_class class;

    if ((req->method != SIP_INVITE && req->method != SIP_REGISTER && req->method != SIP_MESSAGE) ||
        !overload_is_pressed(&w->overload, now_ms)) {
        return false;
    }
    class = class_of(w, flow);
    if (!overload_refuses(&w->overload, class, now_ms)) {
        return false;
    }
    if (began_ms == 0) {
        log_warn(NULL,
                 "worker %u: overload: datagrams waited %u ms, timers %lld ms, %u messages wait",
                 w->index, w->overload.worst.wait_us / 1000, (long long)w->overload.worst.late_ms,
                 w->overload.worst.queue);
        timer_start(w->loop, &w->calm, OVERLOAD_CALM_MS);
    }
    stat_inc(shed_counters[class]);
    refuse(w, req, flow);
    return true;
}

/* --- told to the outside --- */

static const char *const level_words[] = {"none", "strangers", "users", "everybody"};

void worker_add_overload(struct ask *sum, const struct ask *a)
{
    const struct overload_seen *from = &a->worst;
    struct overload_seen *to = &sum->worst;

    to->wait_us = from->wait_us > to->wait_us ? from->wait_us : to->wait_us;
    to->late_ms = from->late_ms > to->late_ms ? from->late_ms : to->late_ms;
    to->queue = from->queue > to->queue ? from->queue : to->queue;
    sum->overload_level =
        a->overload_level > sum->overload_level ? a->overload_level : sum->overload_level;
}

static uint64_t refused_of(unsigned class)
{
    return stat_sum(shed_counters[class]);
}

void worker_put_overload(struct json *j, const struct ask *s)
{
    json_key(j, "overload");
    json_obj(j);
    json_kcstr(j, "refused_now", level_words[s->overload_level]);
    json_kint(j, "datagram_wait_ms", s->worst.wait_us / 1000);
    json_kint(j, "timer_lag_ms", s->worst.late_ms);
    json_kint(j, "mailbox", s->worst.queue);
    json_kint(j, "refused_strangers", (int64_t)refused_of(OVERLOAD_STRANGER));
    json_kint(j, "refused_users", (int64_t)refused_of(OVERLOAD_USER));
    json_kint(j, "refused_peers", (int64_t)refused_of(OVERLOAD_PEER));
    json_obj_end(j);
}

void worker_overload_metrics(struct buf *t, const struct ask *s)
{
    buf_putf(t,
             "# HELP postern_overload_level New work refused: 0 none, 1 of strangers, 2 of users "
             "too, 3 of everybody\n# TYPE postern_overload_level gauge\npostern_overload_level "
             "%u\n",
             s->overload_level);
    buf_putf(t,
             "# HELP postern_datagram_wait_seconds Longest wait of a datagram in its socket in the "
             "last seconds\n# TYPE postern_datagram_wait_seconds gauge\n"
             "postern_datagram_wait_seconds %.6f\n",
             (double)s->worst.wait_us / 1e6);
}
