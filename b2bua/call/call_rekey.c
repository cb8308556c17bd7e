/* call_rekey.c - new SDES keys for a running call: on demand, after a time, or after a number of
 * packets (RFC 3711 9.2 sets the limits, the operator's policy comes long before). */
#include "call/call_int.h"

#define REKEY_LOOK_MS 5000 /* how often packets are counted */

static bool has_keys(const struct leg *l)
{
    for (unsigned i = 0; i < l->nego.n; i++) {
        if (l->nego.streams[i].security == NEGO_SDES) {
            return true;
        }
    }
    return false;
}

static uint64_t packets_under_key(const struct leg *l)
{
    uint64_t most = 0;

    for (unsigned i = 0; i < l->nego.n; i++) {
        uint64_t n = l->nego.streams[i].security == NEGO_SDES
                         ? media_tx_packets_under_key(l->call->media, i, l->side)
                         : 0;

        most = n > most ? n : most;
    }
    return most;
}

/* What a refusal of the last one leaves to be sent before the next is asked for. */
static bool has_sent_enough(const struct leg *l, uint64_t limit)
{
    uint64_t n = packets_under_key(l);

    return n >= l->refused_packets && n - l->refused_packets >= limit;
}

static void on_rekey(void *arg);

static void arm(struct leg *l)
{
    const struct policy_media_profile *p = leg_profile(l);
    uint32_t after_ms = p->rekey_after_ms;

    if (p->rekey_packets != 0 && (after_ms == 0 || after_ms > REKEY_LOOK_MS)) {
        after_ms = REKEY_LOOK_MS;
    }
    if (after_ms != 0) {
        timer_init(&l->rekey, on_rekey, l);
        timer_start(l->call->t->p.loop, &l->rekey, after_ms);
    }
}

static void on_rekey(void *arg)
{
    struct leg *l = arg;
    const struct policy_media_profile *p = leg_profile(l);
    struct call *c = l->call;
    int64_t age_ms = loop_now_ms(c->t->p.loop) - l->keyed_ms;
    bool is_due =
        (p->rekey_after_ms != 0 && age_ms >= p->rekey_after_ms) ||
        (p->rekey_packets != 0 && c->media != NULL && has_sent_enough(l, p->rekey_packets));

    if (c->state == CALL_ENDED || l->state == LEG_ENDED) {
        return;
    }
    arm(l);
    if (is_due && c->state == CALL_ANSWERED && (l == c->a || l == c->b) && has_keys(l)) {
        call_want_reinvite(l, true);
    }
}

void leg_keyed(struct leg *l)
{
    leg_rekey_stop(l);
    l->keyed_ms = loop_now_ms(l->call->t->p.loop);
    l->refused_packets = 0;
    arm(l);
}

void leg_keys_refused(struct leg *l)
{
    if (l->wants_keys && l->call->media != NULL) {
        l->keyed_ms = loop_now_ms(l->call->t->p.loop);
        l->refused_packets = packets_under_key(l);
    }
}

void leg_rekey_stop(struct leg *l)
{
    timer_stop(l->call->t->p.loop, &l->rekey);
}

int call_rekey(struct call_table *t, uint64_t id, unsigned sides)
{
    struct call *c = call_find(t, id);
    bool has_any = false;

    if (c == NULL) {
        return ENOENT;
    }
    for (unsigned side = 0; side < 2 && c->state == CALL_ANSWERED; side++) {
        struct leg *l = side == 0 ? c->a : c->b;

        if ((sides & 1u << side) != 0 && l != NULL && has_keys(l)) {
            has_any = true;
            call_want_reinvite(l, true);
        }
    }
    return has_any ? 0 : EPROTO;
}
