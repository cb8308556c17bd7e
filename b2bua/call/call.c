/* call.c - the table of calls of one worker, and the two deaths of calls and legs. */
#include "call/call_int.h"

#define CALL_ARENA_CHUNK 1000 /* a kilobyte with its head, as allocators have it */

#define CALL_SLOTS_MAX 1000000u
#define CALL_ID_N_MAX 1023u /* ids of one worker and ms */
#define CALL_RING_MS 60000  /* RFC 3261 13.3.1.1: what rings says so once a minute */

int call_table_new(struct call_table **tp, const struct call_table_params *p)
{
    struct call_table *t = mem_zalloc(sizeof(*t));

    if (t == NULL) {
        return ENOMEM;
    }
    t->p = *p;
    /* Behind that whole ms: it may be another worker's id, and ours may have higher counts there.
     */
    t->last_id = p->store != NULL ? store_last_id(p->store) | CALL_ID_N_MAX : 0;
    slots_init(&t->slots, CALL_SLOTS_MAX);
    hmap_init(&t->by_id, 0);
    hmap_init(&t->asked, 0);
    list_init(&t->all);
    call_moved_init(t);
    list_init(&t->messages);
    pool_init(&t->calls, sizeof(struct call), 1024);
    pool_init(&t->legs, sizeof(struct leg), 2048);
    buf_init(&t->out, SIP_MSG_MAX);
    buf_init(&t->body, SDP_BODY_MAX);
    buf_init(&t->padded, SDP_BODY_MAX);
    buf_init(&t->json, 1u << 18);
    t->room = mem_zalloc(sizeof(*t->room));
    if (t->room == NULL) {
        mem_free(t);
        return ENOMEM;
    }
    *tp = t;
    return 0;
}

void call_table_free(struct call_table **tp)
{
    struct call_table *t = *tp;

    *tp = NULL;
    if (t == NULL) {
        return;
    }
    LIST_FOR_EACH_SAFE(it, &t->all)
    {
        struct call *c = CONTAINER_OF(it, struct call, node);

        if (c->state != CALL_ENDED) {
            call_end(c, "system", "shutdown", 0);
        }
    }
    timer_stop(t->p.loop, &t->moved);
    call_messages_drop(t);
    probes_free(t);
    call_table_bury(t);
    config_unref(&t->cfg);
    slots_free(&t->slots);
    hmap_free(&t->by_id);
    hmap_free(&t->asked);
    pool_drain(&t->calls);
    pool_drain(&t->legs);
    buf_free(&t->out);
    buf_free(&t->body);
    buf_free(&t->padded);
    buf_free(&t->json);
    mem_free(t->room);
    mem_free(t);
}

void call_table_set_config(struct call_table *t, struct config *c)
{
    struct config *old = t->cfg;

    t->cfg = config_ref(c);
    probes_apply(t);
    if (old != NULL) {
        call_moved_begin(t, old);
    }
    config_unref(&old);
}

void call_table_set_ring(struct call_table *t, const struct token_ring *ring)
{
    t->p.ring = ring;
}

/* Sortable by start time, unique per node and worker: ms << 22 | node << 16 | worker << 10 | n. */
static uint64_t next_id(struct call_table *t, int64_t wall_ms)
{
    uint64_t who = ((uint64_t)(t->cfg->node_id & 63) << 16) | ((uint64_t)(t->p.worker & 63) << 10);
    int64_t ms = wall_ms - STORE_ID_EPOCH_MS; /* a clock that nobody has set yet stands at 1970 */
    uint64_t id = ((uint64_t)(ms > 0 ? ms : 1) << STORE_ID_SHIFT) | who;
    uint64_t last_ms = t->last_id >> STORE_ID_SHIFT, n = t->last_id & CALL_ID_N_MAX;

    if (t->last_id != 0 && last_ms >= id >> STORE_ID_SHIFT) { /* same ms, or the clock went back */
        id = n < CALL_ID_N_MAX ? (last_ms << STORE_ID_SHIFT) | who | (n + 1)
                               : ((last_ms + 1) << STORE_ID_SHIFT) | who;
    }
    t->last_id = id;
    return id;
}

/* Until the caller has waited long enough: for us, or for itself (RFC 3261 13.3.1). */
static int64_t setup_left_ms(const struct call *c, bool *is_expiry)
{
    int64_t limit_ms = c->cfg->setup_ms;
    uint32_t expires_s = 0;

    *is_expiry = c->invite != NULL &&
                 sl_u32(sip_hdr_value(c->invite, HDR_EXPIRES), UINT32_MAX, &expires_s) == 0 &&
                 (int64_t)expires_s * 1000 < limit_ms;
    if (*is_expiry) {
        limit_ms = (int64_t)expires_s * 1000;
    }
    return c->start_ms + limit_ms - loop_now_ms(c->t->p.loop);
}

static void await_answer(struct call *c, int64_t left_ms)
{
    timer_start(c->t->p.loop, &c->timer, left_ms < CALL_RING_MS ? left_ms : CALL_RING_MS);
}

/* It may have been lost, and proxies on the way give up on what stays silent for three minutes.
 * Where media plays already, a 180 would have the caller's telephone ring over it. */
static void ring_again(struct call *c)
{
    bool is_playing = c->b != NULL && c->b->early_sdp != NULL;

    if (c->last_1xx != 0 && leg_respond(c->a, is_playing ? 183 : c->last_1xx, SL_NULL) != 0) {
        log_debug(&c->log, "1xx could not be repeated");
    }
}

static void on_call_timer(void *arg)
{
    struct call *c = arg;
    bool is_expiry;
    int64_t left_ms;

    if (c->state == CALL_ANSWERED) {
        call_end(c, "timeout", "maximum call duration reached", 0);
        return;
    }
    left_ms = setup_left_ms(c, &is_expiry);
    if (left_ms > 0) {
        await_answer(c, left_ms);
        ring_again(c);
        return;
    }
    call_reject_a(c, is_expiry ? 487 : 408, "timeout",
                  is_expiry ? "the caller's INVITE expired" : "set-up took too long");
}

struct call *call_new(struct call_table *t, struct sip_msg *invite)
{
    struct call *c = pool_get(&t->calls);
    bool is_expiry;

    if (c == NULL) {
        return NULL;
    }
    c->t = t;
    if (slots_add(&t->slots, c, &c->slot, &c->gen) != 0) {
        pool_put(&t->calls, c);
        return NULL;
    }
    c->cfg = config_ref(t->cfg);
    c->start_ms = loop_now_ms(t->p.loop);
    c->start_wall = loop_wall_ms(t->p.loop);
    c->id = next_id(t, c->start_wall);
    arena_init(&c->arena, CALL_ARENA_CHUNK, 64u << 10);
    list_init(&c->forks);
    list_init(&c->relays);
    list_push_back(&t->all, &c->node);
    c->log.kind = "call";
    store_id_text(c->id, c->log.id);
    timer_init(&c->timer, on_call_timer, c);
    c->invite = sip_msg_ref(invite);
    await_answer(c, setup_left_ms(c, &is_expiry));
    t->n_alive++;
    t->by_state[CALL_SETUP]++;
    if (hmap_insert(&t->by_id, &c->by_id, hmap_hash(&t->by_id, &c->id, sizeof(c->id))) != 0) {
        c->state = CALL_SETUP; /* still reachable by its legs; only the API cannot find it */
    }
    return c;
}

void call_set_state(struct call *c, enum call_state s)
{
    if (c->state == s || c->state == CALL_ENDED) {
        return;
    }
    c->t->by_state[c->state]--;
    c->state = s;
    if (s != CALL_ENDED) {
        c->t->by_state[s]++;
    }
}

/* One that is set meanwhile makes no call longer. */
int64_t call_wall_ms(const struct call *c)
{
    return c->start_wall + loop_now_ms(c->t->p.loop) - c->start_ms;
}

static bool id_eq(const struct hnode *n, const void *key)
{
    return CONTAINER_OF(n, struct call, by_id)->id == *(const uint64_t *)key;
}

struct call *call_find(struct call_table *t, uint64_t id)
{
    struct hnode *n = hmap_find(&t->by_id, hmap_hash(&t->by_id, &id, sizeof(id)), id_eq, &id);

    return n != NULL ? CONTAINER_OF(n, struct call, by_id) : NULL;
}

/* --- legs --- */

struct leg *leg_new(struct call *c, uint8_t side)
{
    struct call_table *t = c->t;
    struct leg *l = c->n_legs < CALL_LEGS_MAX ? pool_get(&t->legs) : NULL;

    if (l == NULL) {
        return NULL;
    }
    l->call = c;
    l->index = c->n_legs++;
    l->side = side;
    l->user = -1;
    l->attempt = UINT8_MAX;
    list_init(&l->node);
    timer_init(&l->retry, NULL, l);
    timer_init(&l->rekey, NULL, l);
    leg_update_init(l);
    session_init(l);
    leg_tell_init(l);
    timer_init(&l->reliable.timer, NULL, l);
    l->log = (struct log_ctx){.kind = "leg", .id = {(char)('a' + l->index % 26)}, .up = &c->log};
    leg_make_token(l, TOKEN_CONTACT, l->contact);
    sdp_face_init(&l->face, ((uint64_t)crypto_random_u32() << 20) | (crypto_random_u32() >> 12));
    if (side != 0) {
        list_push_back(&c->forks, &l->node);
    }
    t->n_legs++;
    return l;
}

void call_forget_text(char **textp, size_t *n)
{
    if (*textp != NULL) {
        mem_wipe(*textp, *n);
    }
    mem_free(*textp);
    *textp = NULL;
    *n = 0;
}

static void close_tx(struct tx **txp)
{
    if (*txp != NULL) {
        tx_close(*txp);
        tx_unref(txp);
    }
}

void leg_free(struct leg **lp)
{
    struct leg *l = *lp;

    *lp = NULL;
    if (l == NULL) {
        return;
    }
    leg_hold(l, false);
    leg_target_leave(l);
    timer_stop(l->call->t->p.loop, &l->retry);
    leg_tell_stop(l);
    leg_rekey_stop(l);
    leg_digits_drop(l);
    leg_update_drop(l);
    session_stop(l);
    reliable_drop(l);
    nego_free(&l->nego);
    if (l->target_counted) {
        policy_peer_release(l->call->cfg->policy, l->party.peer);
        l->target_counted = false;
    }
    close_tx(&l->srv);
    close_tx(&l->cli);
    close_tx(&l->bye);
    dialog_deinit(&l->dlg);
    call_forget_text(&l->ack, &l->ack_n);
    call_forget_text(&l->early_sdp, &l->early_n);
    digest_free(&l->digest);
    list_del(&l->node);
    l->call->t->n_legs--;
    pool_put(&l->call->t->legs, l);
}

void leg_hold(struct leg *l, bool on)
{
    struct call_table *t = l->call->t;

    if (l->held == on || !flow_is_reliable(&l->dlg.flow) || t->p.hold == NULL) {
        return;
    }
    l->held = on;
    t->p.hold(t->p.hold_arg, &l->dlg.flow, on ? 1 : -1);
}

void leg_set_flow(struct leg *l, const struct flow *flow)
{
    bool held = l->held;

    if (flow_same(&l->dlg.flow, flow)) {
        l->dlg.flow.cipher = flow->cipher; /* the handshake may have ended since */
        l->dlg.flow.certified = flow->certified;
        return;
    }
    leg_hold(l, false);
    l->dlg.flow = *flow;
    if (held) {
        leg_hold(l, true);
    }
}

/* --- deaths --- */

static void release_limits(struct call *c)
{
    LIST_FOR_EACH(it, &c->forks)
    {
        struct leg *l = CONTAINER_OF(it, struct leg, node);

        if (l->target_counted) {
            policy_peer_release(c->cfg->policy, l->party.peer);
            l->target_counted = false;
        }
    }
    policy_ended(c->cfg->policy, &c->verdict, loop_now_ms(c->t->p.loop));
    if (c->verdict.told.n_near != 0) { /* what it has spent; the refusal was told before */
        c->verdict.told.is_over = false;
        call_tell_limits(c->cfg->policy, &c->verdict, &c->log);
    }
}

static void sessions_drop(struct call *c)
{
    if (c->a != NULL) {
        leg_update_drop(c->a);
        session_stop(c->a);
        reliable_drop(c->a);
    }
    LIST_FOR_EACH(it, &c->forks)
    {
        struct leg *l = CONTAINER_OF(it, struct leg, node);

        leg_update_drop(l);
        session_stop(l);
    }
}

void call_end(struct call *c, const char *by, const char *reason, uint16_t code)
{
    struct call_table *t = c->t;

    if (c->state == CALL_ENDED) {
        return;
    }
    if (c->state != CALL_ANSWERED && c->a != NULL && c->a->srv != NULL &&
        !tx_server_is_final(c->a->srv) &&
        leg_respond(c->a, code >= 300 ? code : 480, SL_NULL) == 0) {
        c->a->state = LEG_ENDED; /* whoever ends a call, the caller hears of it */
        c->a->dlg.state = DIALOG_ENDED;
        code = code >= 300 ? code : 480;
    }
    c->end_by = by;
    c->end_reason = reason;
    c->end_code = code != 0 ? code : c->end_code;
    c->end_wall = call_wall_ms(c);
    timer_stop(t->p.loop, &c->timer);
    if (c->a != NULL) {
        leg_hang_up(c->a);
    }
    LIST_FOR_EACH_SAFE(it, &c->forks)
    {
        leg_hang_up(CONTAINER_OF(it, struct leg, node));
    }
    call_set_state(c, CALL_ENDED);
    call_post(c);
    relays_drop(c);
    sessions_drop(c);
    c->own = NULL;
    call_drop_offer(c);
    release_limits(c);
    media_session_close(&c->media);
    asked_forget(&c->asked);
    sip_msg_unref(&c->invite);
    hmap_remove(&t->by_id, &c->by_id);
    t->n_alive--;
    t->n_zombies++;
    stat_inc(STAT_CALL_ENDED);
    if (t->p.watch != NULL) {
        t->p.watch->ended(t->p.hold_arg, by, reason, c->end_code);
    }
    log_info(&c->log, "call ended by %s: %s, code %u, route %.*s", by, reason, c->end_code,
             SL_ARG(c->route));
    call_check_done(c);
}

static void call_destroy(void *arg)
{
    struct call *c = arg;
    struct call_table *t = c->t;

    LIST_FOR_EACH_SAFE(it, &c->forks)
    {
        struct leg *l = CONTAINER_OF(it, struct leg, node);

        leg_free(&l);
    }
    leg_free(&c->a);
    arena_free(&c->arena);
    mem_free(c->ladder);
    mem_free(c->attempts);
    mem_free(c->gone);
    config_unref(&c->cfg);
    list_del(&c->node);
    t->n_zombies--;
    pool_put(&t->calls, c);
}

/* A leg that still waits for an answer to our CANCEL, INVITE or BYE. */
static bool leg_is_pending(const struct leg *l)
{
    return l->bye != NULL || (l->cli != NULL && (l->state != LEG_ENDED || l->late));
}

void call_check_done(struct call *c)
{
    if (c->state != CALL_ENDED || c->slot == UINT32_MAX) {
        return;
    }
    if (c->a != NULL && leg_is_pending(c->a)) {
        return;
    }
    LIST_FOR_EACH(it, &c->forks)
    {
        if (leg_is_pending(CONTAINER_OF(it, struct leg, node))) {
            return;
        }
    }
    slots_del(&c->t->slots, c->slot, c->gen);
    c->slot = UINT32_MAX;
    loop_defer(c->t->p.loop, &c->grave, call_destroy, c);
}

/* At the end of the process: zombies are not waited for. */
void call_table_bury(struct call_table *t)
{
    LIST_FOR_EACH_SAFE(it, &t->all)
    {
        struct call *c = CONTAINER_OF(it, struct call, node);

        if (c->slot == UINT32_MAX) { /* the end of the turn would find no table */
            list_del(&c->grave.node);
        } else {
            slots_del(&t->slots, c->slot, c->gen);
            c->slot = UINT32_MAX;
        }
        call_destroy(c);
    }
}

/* --- from outside --- */

void call_flow_gone(struct call_table *t, const struct flow *flow)
{
    if (!flow_is_reliable(flow)) {
        return; /* an ICMP error is no proof that a phone is gone */
    }
    LIST_FOR_EACH_SAFE(it, &t->all)
    {
        struct call *c = CONTAINER_OF(it, struct call, node);
        struct leg *l = c->a;

        /* An answered call goes on: media flows and the peer may come back (RFC 5626 4.2). An
         * INVITE whose own connection is gone can never be answered (RFC 3261 18.2.2). */
        if (l != NULL && c->state < CALL_ANSWERED && l->srv != NULL &&
            flow_same(tx_server_flow(l->srv), flow)) {
            call_end(c, "caller", "connection of the caller is gone", 0);
        }
    }
}

int call_hangup(struct call_table *t, uint64_t id)
{
    struct call *c = call_find(t, id);

    if (c == NULL) {
        return ENOENT;
    }
    if (c->state == CALL_ANSWERED) {
        call_end(c, "admin", "hung up by the operator", 0);
    } else {
        call_reject_a(c, 480, "admin", "hung up by the operator");
    }
    return 0;
}

int call_detail(struct call_table *t, uint64_t id, struct buf *json)
{
    struct call *c = call_find(t, id);
    struct json j;

    if (c == NULL) {
        return ENOENT;
    }
    json_init(&j, json);
    call_put_detail(c, &j, true);
    return buf_err(json);
}

int call_ladder(struct call_table *t, uint64_t id, struct buf *bytes)
{
    struct call *c = call_find(t, id);

    if (c == NULL) {
        return ENOENT;
    }
    ladder_put(c, bytes);
    return buf_err(bytes);
}

void call_counts(const struct call_table *t, struct call_counts *out)
{
    *out = (struct call_counts){.setup = t->by_state[CALL_SETUP],
                                .ringing = t->by_state[CALL_RINGING],
                                .answered = t->by_state[CALL_ANSWERED],
                                .zombies = t->n_zombies,
                                .legs = t->n_legs,
                                .relays = t->n_messages};
}

void call_drain(struct call_table *t)
{
    t->draining = true;
}

void call_drain_end(struct call_table *t)
{
    LIST_FOR_EACH_SAFE(it, &t->all)
    {
        struct call *c = CONTAINER_OF(it, struct call, node);

        if (c->state == CALL_ANSWERED) {
            call_end(c, "system", "drain time is over", 0);
        } else if (c->state != CALL_ENDED) {
            call_reject_a(c, 503, "system", "drain time is over");
        }
    }
}

uint32_t call_finishing(const struct call_table *t)
{
    return t->n_zombies;
}

uint32_t call_alive(const struct call_table *t)
{
    return t->n_alive + t->n_messages;
}

/* --- the books (design invariant 4) --- */

#define ZOMBIE_MAX_MS (5 * 60 * 1000)

uint32_t call_media_sessions(const struct call_table *t)
{
    uint32_t n = 0;

    LIST_FOR_EACH(it, &t->all)
    {
        n += CONTAINER_OF(it, struct call, node)->media != NULL ? 1 : 0;
    }
    return n;
}

static uint32_t audit_call(struct call *c, uint32_t *legs)
{
    uint32_t bad = 0;

    *legs += c->a != NULL ? 1 : 0;
    *legs += (uint32_t)list_len(&c->forks);
    if (c->state != CALL_ENDED && c->a == NULL) {
        log_error(&c->log, "reaper: a call without a caller");
        bad++;
    }
    if (c->state == CALL_ENDED && c->slot != UINT32_MAX &&
        call_wall_ms(c) - c->end_wall > ZOMBIE_MAX_MS) {
        log_error(&c->log, "reaper: ended long ago and still waiting; removed");
        slots_del(&c->t->slots, c->slot, c->gen);
        c->slot = UINT32_MAX;
        loop_defer(c->t->p.loop, &c->grave, call_destroy, c);
        bad++;
    }
    return bad;
}

uint32_t call_audit(struct call_table *t)
{
    uint32_t bad = 0, legs = 0, alive = 0;

    LIST_FOR_EACH_SAFE(it, &t->all)
    {
        struct call *c = CONTAINER_OF(it, struct call, node);

        alive += c->state != CALL_ENDED ? 1 : 0;
        bad += audit_call(c, &legs);
    }
    if (legs != t->n_legs || alive != t->n_alive) {
        log_error(NULL, "reaper: %u legs counted, %u found; %u calls counted, %u found", t->n_legs,
                  legs, t->n_alive, alive);
        bad++;
    }
    return bad;
}
