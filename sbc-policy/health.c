/* health.c - the state of targets: kept in the book by what they are, so that a reload that keeps a
 * target keeps what is known of it. The lock guards only who is on the shelf. */
#include "policy_int.h"

#include "health_int.h"

enum { PROBE_UNKNOWN, PROBE_UP, PROBE_DOWN };
#define PROBE_STATE_BITS 2
#define HEALTH_KEY_MAX (2 * POLICY_NAME_MAX + ADDR_TEXT_MAX + 8)

struct policy_health {
    struct hnode node;
    size_t refs; /* policies that speak of it; under the lock */
    char key[HEALTH_KEY_MAX];
    size_t key_n;
    _Atomic bool drained;
    _Atomic uint32_t probe; /* state, and probes in a row against it; written by its prober */
    _Atomic int64_t probe_due_ms;
    _Atomic int64_t since_ms;
    _Atomic uint64_t probes, probes_lost;
    char pad[64]; /* below: written by every worker that calls there */
    _Atomic uint64_t circuit;
    _Atomic uint64_t share; /* calls tried and answered lately, 32 bits each */
    _Atomic uint32_t waiting;
    _Atomic uint64_t calls, answered, failed;
    char pad_after[64];
};

int policy_healths_init(struct policy_healths *h)
{
    hmap_init(&h->map, 0);
    return pthread_mutex_init(&h->lock, NULL) != 0 ? ENOMEM : 0;
}

static bool policy_health_drop(struct hnode *node, void *arg)
{
    struct policy_healths *h = arg;

    hmap_remove(&h->map, node);
    mem_free(CONTAINER_OF(node, struct policy_health, node));
    return true;
}

void policy_healths_free(struct policy_healths *h)
{
    hmap_each(&h->map, policy_health_drop, h);
    hmap_free(&h->map);
    pthread_mutex_destroy(&h->lock);
}

/* t NULL: the peer as a whole. The listener by its name: its number changes when another one, or a
 * transport of it, comes or goes. */
static int policy_health_key(struct buf *b, const struct policy_def *def,
                             const struct policy_peer *peer, const struct policy_uri_target *t)
{
    buf_puts(b, peer->name);
    if (t != NULL) {
        BUF_LIT(b, "\n");
        if (peer->listener < def->n_listeners && def->listeners[peer->listener] != NULL) {
            buf_puts(b, def->listeners[peer->listener]);
        }
        buf_putf(b, "\n%u ", t->transport);
        addr_put(b, &t->addr);
    }
    return buf_err(b);
}

static bool policy_health_is(const struct hnode *node, const void *key)
{
    const struct policy_health *e = CONTAINER_OF(node, struct policy_health, node);

    return sl_eq(sl_make(e->key, e->key_n), *(const struct sl *)key);
}

static int policy_health_get(struct policy_healths *h, const struct policy_def *def,
                             const struct policy_peer *peer, const struct policy_uri_target *t,
                             struct policy_health **out)
{
    char text[HEALTH_KEY_MAX];
    struct hnode *node;
    struct sl key;
    struct buf b;
    uint64_t hash;
    int err;

    buf_init_fixed(&b, text, sizeof(text));
    err = policy_health_key(&b, def, peer, t);
    if (err != 0) {
        return err;
    }
    key = buf_sl(&b);
    hash = hmap_hash(&h->map, key.p, key.n);
    node = hmap_find(&h->map, hash, policy_health_is, &key);
    if (node == NULL) {
        struct policy_health *e = mem_zalloc(sizeof(*e));

        if (e == NULL) {
            return ENOMEM;
        }
        memcpy(e->key, key.p, key.n);
        e->key_n = key.n;
        err = hmap_insert(&h->map, &e->node, hash);
        if (err != 0) {
            mem_free(e);
            return err;
        }
        node = &e->node;
    }
    *out = CONTAINER_OF(node, struct policy_health, node);
    (*out)->refs++;
    return 0;
}

static void policy_health_put(struct policy_healths *h, struct policy_health **ep)
{
    struct policy_health *e = *ep;

    *ep = NULL;
    if (e != NULL && --e->refs == 0) {
        hmap_remove(&h->map, &e->node);
        mem_free(e);
    }
}

#define HEALTH_COPY(field) atomic_store(&to->field, atomic_load(&from->field))

static void policy_health_copy_one(struct policy_health *to, struct policy_health *from)
{
    if (to == NULL || from == NULL) {
        return;
    }
    HEALTH_COPY(drained);
    HEALTH_COPY(probe);
    HEALTH_COPY(probe_due_ms);
    HEALTH_COPY(since_ms);
    HEALTH_COPY(circuit);
    HEALTH_COPY(share);
    HEALTH_COPY(waiting);
}

void policy_health_copy(const struct policy_def *to, const struct policy_def *from)
{
    for (size_t i = 0; i < to->n_peers && i < from->n_peers; i++) {
        policy_health_copy_one(to->peers[i].health, from->peers[i].health);
        for (size_t k = 0; k < to->peers[i].n_targets; k++) {
            policy_health_copy_one(to->peers[i].targets[k].health,
                                   from->peers[i].targets[k].health);
        }
    }
}

int policy_health_attach(struct policy_healths *h, struct policy_def *def)
{
    int err = 0;

    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; err == 0 && i < def->n_peers; i++) {
        struct policy_peer *peer = &def->peers[i];

        err = policy_health_get(h, def, peer, NULL, &peer->health);
        for (size_t k = 0; err == 0 && k < peer->n_targets; k++) {
            err = policy_health_get(h, def, peer, &peer->targets[k], &peer->targets[k].health);
        }
    }
    pthread_mutex_unlock(&h->lock);
    return err;
}

void policy_health_detach(struct policy_healths *h, struct policy_def *def)
{
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < def->n_peers; i++) {
        struct policy_peer *peer = &def->peers[i];

        policy_health_put(h, &peer->health);
        for (size_t k = 0; k < peer->n_targets; k++) {
            policy_health_put(h, &peer->targets[k].health);
        }
    }
    pthread_mutex_unlock(&h->lock);
}

/* --- state --- */

const char *policy_target_state_word(enum policy_target_state s)
{
    static const char *const words[POLICY_TARGET_NSTATES] = {
        [POLICY_TARGET_UP] = "up",           [POLICY_TARGET_TRIAL] = "trial",
        [POLICY_TARGET_SUSPECT] = "suspect", [POLICY_TARGET_DOWN] = "down",
        [POLICY_TARGET_DRAINED] = "drained",
    };

    return words[s];
}

static uint32_t policy_probe_state(const struct policy_health *e)
{
    return atomic_load_explicit(&e->probe, memory_order_relaxed) & ((1u << PROBE_STATE_BITS) - 1);
}

void policy_drain(const struct policy_peer *peer, const struct policy_uri_target *t, bool on)
{
    struct policy_health *e = t != NULL ? t->health : peer->health;

    atomic_store_explicit(&e->drained, on, memory_order_relaxed);
}

bool policy_peer_is_drained(const struct policy_peer *peer)
{
    return peer->drain || (peer->health != NULL &&
                           atomic_load_explicit(&peer->health->drained, memory_order_relaxed));
}

static enum policy_target_state policy_state_of(const struct policy_peer *peer,
                                                const struct policy_health *e,
                                                const struct circuit *c)
{
    static const enum policy_target_state by_circuit[CIRCUIT_NSTATES] = {
        [CIRCUIT_CLOSED] = POLICY_TARGET_UP,
        [CIRCUIT_OPEN] = POLICY_TARGET_SUSPECT,
        [CIRCUIT_TRIAL] = POLICY_TARGET_TRIAL,
    };

    if (policy_peer_is_drained(peer) || atomic_load_explicit(&e->drained, memory_order_relaxed)) {
        return POLICY_TARGET_DRAINED;
    }
    if (peer->probe.present && policy_probe_state(e) == PROBE_DOWN) {
        return POLICY_TARGET_DOWN;
    }
    return by_circuit[c->state];
}

/* Without a change nothing is written: a healthy target's line stays shared by all workers. */
static bool policy_circuit_step(struct policy_health *e, enum circuit_event ev,
                                const struct policy_breaker *b, int64_t now_ms,
                                enum policy_news *change)
{
    uint64_t word = atomic_load_explicit(&e->circuit, memory_order_relaxed), next;
    struct circuit was, c;
    bool may;

    do {
        circuit_unpack(word, &was);
        c = was;
        may = circuit_feed(&c, ev, b, now_ms);
        next = circuit_pack(&c);
    } while (next != word &&
             !atomic_compare_exchange_weak_explicit(&e->circuit, &word, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    *change = POLICY_NO_NEWS;
    if (was.state == CIRCUIT_CLOSED && c.state != CIRCUIT_CLOSED) {
        *change = POLICY_BREAKER_OPENED;
    } else if (was.state != CIRCUIT_CLOSED && c.state == CIRCUIT_CLOSED) {
        *change = POLICY_BREAKER_CLOSED;
    }
    return may;
}

static bool policy_wait(struct policy_health *e, uint32_t max)
{
    uint32_t n = atomic_load_explicit(&e->waiting, memory_order_relaxed);

    do {
        if (max != 0 && n >= max) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&e->waiting, &n, n + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

/* One look without a step: what would a call be told? */
static enum policy_welcome policy_target_look(const struct policy_peer *peer,
                                              const struct policy_health *e,
                                              const struct circuit *c, int64_t now_ms)
{
    switch (policy_state_of(peer, e, c)) {
    case POLICY_TARGET_DRAINED:
        return POLICY_WELCOME_CLOSED;
    case POLICY_TARGET_DOWN:
        return peer->last_resort == POLICY_LAST_TRY ? POLICY_WELCOME_LATER : POLICY_WELCOME_CLOSED;
    case POLICY_TARGET_SUSPECT:
    case POLICY_TARGET_TRIAL:
        if (now_ms >= c->until_ms) {
            return POLICY_WELCOME_OK;
        }
        return peer->last_resort == POLICY_LAST_REFUSE ? POLICY_WELCOME_CLOSED
                                                       : POLICY_WELCOME_LATER;
    default:
        return POLICY_WELCOME_OK;
    }
}

enum policy_welcome policy_target_enter(const struct policy_peer *peer,
                                        const struct policy_uri_target *t, bool last,
                                        int64_t now_ms)
{
    struct policy_health *e = t->health;
    enum policy_news change;
    enum policy_welcome welcome;
    struct circuit c;

    circuit_unpack(atomic_load_explicit(&e->circuit, memory_order_relaxed), &c);
    welcome = policy_target_look(peer, e, &c, now_ms);
    if (welcome == POLICY_WELCOME_CLOSED || (welcome == POLICY_WELCOME_LATER && !last)) {
        return welcome;
    }
    if (!policy_wait(e, peer->waiting_max)) {
        return POLICY_WELCOME_BUSY;
    }
    if (!policy_circuit_step(e, CIRCUIT_TAKE, &peer->breaker, now_ms, &change) && !last) {
        policy_target_heard(t); /* another worker began the trial in between */
        return POLICY_WELCOME_LATER;
    }
    return POLICY_WELCOME_OK;
}

void policy_target_heard(const struct policy_uri_target *t)
{
    uint32_t n = atomic_load_explicit(&t->health->waiting, memory_order_relaxed);

    while (n != 0 &&
           !atomic_compare_exchange_weak_explicit(&t->health->waiting, &n, n - 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* --- results --- */

/* True: less than the wanted part of the last calls was answered. What is older weighs half. */
static bool policy_share_is_poor(struct policy_health *e, const struct policy_breaker *b,
                                 bool is_answer)
{
    uint64_t word = atomic_load_explicit(&e->share, memory_order_relaxed);
    uint32_t tried, answered;
    bool is_poor;

    do {
        tried = (uint32_t)(word >> 32) + 1;
        answered = (uint32_t)word + (is_answer ? 1 : 0);
        is_poor =
            tried >= b->seizures && (uint64_t)answered * 100 < (uint64_t)tried * b->answer_ratio;
        if (is_poor) {
            tried = answered = 0;
        } else if (tried >= 2 * b->seizures) {
            tried /= 2;
            answered /= 2;
        }
    } while (!atomic_compare_exchange_weak_explicit(&e->share, &word,
                                                    (uint64_t)tried << 32 | answered,
                                                    memory_order_relaxed, memory_order_relaxed));
    return is_poor;
}

enum policy_news policy_target_result(const struct policy_peer *peer,
                                      const struct policy_uri_target *t,
                                      enum policy_outcome outcome, int64_t now_ms)
{
    static const enum circuit_event events[] = {
        [POLICY_ANSWERED] = CIRCUIT_GOOD, [POLICY_DECLINED] = CIRCUIT_GOOD,
        [POLICY_FAILED] = CIRCUIT_BAD,    [POLICY_ABANDONED] = CIRCUIT_ABANDON,
        [POLICY_ALIVE] = CIRCUIT_GOOD,    [POLICY_UNTRIED] = CIRCUIT_ABANDON,
    };
    struct policy_health *e = t->health;
    bool is_call = outcome != POLICY_UNTRIED && outcome != POLICY_ALIVE;
    enum policy_news change;

    if (is_call) {
        atomic_fetch_add_explicit(&e->calls, 1, memory_order_relaxed);
    }
    if (outcome == POLICY_ANSWERED || outcome == POLICY_FAILED) {
        atomic_fetch_add_explicit(outcome == POLICY_ANSWERED ? &e->answered : &e->failed, 1,
                                  memory_order_relaxed);
    }
    (void)policy_circuit_step(e, events[outcome], &peer->breaker, now_ms, &change);
    if (is_call && change == POLICY_NO_NEWS && peer->breaker.answer_ratio != 0 &&
        policy_share_is_poor(e, &peer->breaker, outcome == POLICY_ANSWERED)) {
        (void)policy_circuit_step(e, CIRCUIT_POOR, &peer->breaker, now_ms, &change);
    }
    return change;
}

enum policy_news policy_target_probed(const struct policy_peer *peer,
                                      const struct policy_uri_target *t, bool is_alive,
                                      int64_t now_ms)
{
    struct policy_health *e = t->health;
    uint32_t word = atomic_load_explicit(&e->probe, memory_order_relaxed);
    uint32_t state = word & ((1u << PROBE_STATE_BITS) - 1), run = word >> PROBE_STATE_BITS;
    uint32_t was = state;

    atomic_fetch_add_explicit(is_alive ? &e->probes : &e->probes_lost, 1, memory_order_relaxed);
    if (is_alive == (state != PROBE_DOWN)) {
        run = 0;
        state = state == PROBE_UNKNOWN ? PROBE_UP : state;
    } else if (++run >= (is_alive ? peer->probe.rise_after : peer->probe.fail_after)) {
        run = 0;
        state = is_alive ? PROBE_UP : PROBE_DOWN;
    }
    if (state != was) {
        atomic_store_explicit(&e->since_ms, now_ms, memory_order_relaxed);
    }
    atomic_store_explicit(&e->probe, run << PROBE_STATE_BITS | state, memory_order_relaxed);
    if (state == PROBE_DOWN && was != PROBE_DOWN) {
        return POLICY_WENT_DOWN;
    }
    return state != PROBE_DOWN && was == PROBE_DOWN ? POLICY_CAME_UP : POLICY_NO_NEWS;
}

int64_t policy_probe_due(const struct policy_uri_target *t)
{
    return atomic_load_explicit(&t->health->probe_due_ms, memory_order_relaxed);
}

void policy_probe_set_due(const struct policy_uri_target *t, int64_t at_ms)
{
    atomic_store_explicit(&t->health->probe_due_ms, at_ms, memory_order_relaxed);
}

void policy_target_report(const struct policy_peer *peer, const struct policy_uri_target *t,
                          int64_t now_ms, struct policy_target_report *out)
{
    const struct policy_health *e = t->health;
    struct circuit c;

    circuit_unpack(atomic_load_explicit(&e->circuit, memory_order_relaxed), &c);
    *out = (struct policy_target_report){
        .state = policy_state_of(peer, e, &c),
        .is_drained = atomic_load_explicit(&e->drained, memory_order_relaxed),
        .is_probed = policy_probe_state(e) != PROBE_UNKNOWN,
        .since_ms = atomic_load_explicit(&e->since_ms, memory_order_relaxed),
        .retry_ms = c.state == CIRCUIT_OPEN && c.until_ms > now_ms ? c.until_ms : 0,
        .failures = c.bad,
        .waiting = atomic_load_explicit(&e->waiting, memory_order_relaxed),
        .calls = atomic_load_explicit(&e->calls, memory_order_relaxed),
        .answered = atomic_load_explicit(&e->answered, memory_order_relaxed),
        .failed = atomic_load_explicit(&e->failed, memory_order_relaxed),
        .probes = atomic_load_explicit(&e->probes, memory_order_relaxed),
        .probes_lost = atomic_load_explicit(&e->probes_lost, memory_order_relaxed)};
}

/* --- a verdict and the health of its peers --- */

/* The best that any of the peer's targets would say to a call. */
static enum policy_welcome policy_peer_look(const struct policy_peer *peer, int64_t now_ms)
{
    enum policy_welcome best = POLICY_WELCOME_CLOSED;

    for (size_t i = 0; i < peer->n_targets; i++) {
        enum policy_welcome welcome;
        struct circuit c;

        circuit_unpack(
            atomic_load_explicit(&peer->targets[i].health->circuit, memory_order_relaxed), &c);
        welcome = policy_target_look(peer, peer->targets[i].health, &c, now_ms);
        best = welcome < best ? welcome : best;
    }
    return peer->n_targets != 0 ? best : POLICY_WELCOME_OK;
}

bool policy_heed(const struct policy *p, struct policy_verdict *v, int64_t now_ms)
{
    struct policy_ref later[POLICY_TARGETS_MAX];
    size_t n = 0, n_later = 0;
    bool is_drained = true;

    for (size_t i = 0; i < v->n_to; i++) {
        const struct policy_ref *to = &v->to[i];
        const struct policy_peer *peer = to->kind == POLICY_PEER ? &p->def->peers[to->peer] : NULL;
        enum policy_welcome welcome =
            peer != NULL ? policy_peer_look(peer, now_ms) : POLICY_WELCOME_OK;

        if (welcome == POLICY_WELCOME_OK) {
            v->to[n++] = *to; /* weights hold among those that are left */
            continue;
        }
        policy_note(v, POLICY_STEP_HEALTH,
                    policy_peer_is_drained(peer)       ? POLICY_DRAINED
                    : welcome == POLICY_WELCOME_CLOSED ? POLICY_DOWN
                                                       : POLICY_LAST,
                    to->peer);
        is_drained = is_drained && policy_peer_is_drained(peer);
        if (welcome == POLICY_WELCOME_LATER) {
            later[n_later++] = *to;
        }
    }
    memcpy(v->to + n, later, n_later * sizeof(later[0]));
    v->n_to = n + n_later;
    if (v->n_to == 0) {
        policy_refuse(v, 503, is_drained ? "All targets are drained" : "All targets are down");
        v->retry_after_s = POLICY_RETRY_DOWN_S;
        return false;
    }
    return true;
}
