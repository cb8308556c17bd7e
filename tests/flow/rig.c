/* rig.c - see rig.h: the house, its clock and its wires. */
#include "rig.h"

#include <fcntl.h>
#include <stdlib.h>

#define RIG_START_MS 1000000
#define RIG_STEP_MS 20         /* two workers: how far one may run ahead */
#define RIG_LAST_WAIT_MS 72000 /* twice 64*T1 and a little */

const char rig_yaml[] =
    "node: {name: rig, id: 5, log: {level: debug}}\n"
    "listeners:\n"
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"
    "            rtp: {ports: 20000-20999}}\n"
    "  inside: {address: 10.1.1.1, sip: {udp: 5060, tcp: 5060}, rtp: {ports: 30000-30999}}\n"
    "peers:\n"
    "  pbx: {listener: inside, sources: [10.1.1.20/32, 10.1.1.21/32],\n"
    "        targets: [\"sip:10.1.1.20:5070\", \"sip:10.1.1.21:5070\"]}\n"
    "  carrier: {listener: outside, sources: [192.0.2.30/32], targets: [\"sip:192.0.2.30:5060\"]}\n"
    "users:\n"
    "  domain: example.test\n"
    "  listener: outside\n"
    "  accounts:\n"
    "    - {name: \"1001\", password: one}\n"
    "    - {name: \"1002\", password: two}\n"
    "    - {name: \"1003\", password: three}\n"
    "routes:\n"
    "  - {name: internal, from: [users, carrier], match: {called: \"1???\"}, to: users}\n"
    "  - {name: closed, match: {called: \"900*\"}, refuse: {status: 603, reason: Closed}}\n"
    "  - {name: outbound, from: [users, pbx], match: {called: \"+*\"}, to: [carrier]}\n"
    "  - {name: inbound, from: carrier, match: {called: \"+*\"}, to: [pbx]}\n";

static struct rig rig_only;

/* --- wires --- */

static struct rig *rig_of(const struct worker *w)
{
    return CONTAINER_OF(w->b, struct rig, b);
}

static int rig_blocked(const struct rig *r, const struct addr *to)
{
    for (size_t i = 0; i < r->n_blocks; i++) {
        if (addr_eq(&r->blocks[i].to, to)) {
            return r->blocks[i].err;
        }
    }
    return 0;
}

int rig_side_of(const struct rig *r, const struct addr *at)
{
    for (size_t i = 0; i < r->n_seats; i++) {
        if (addr_eq(&r->seats[i].at, at)) {
            return r->seats[i].side;
        }
    }
    return -1;
}

/* Numbers of listeners that a worker has had are known to its sockets. */
static void rig_note_sockets(struct rig *r, const struct worker *w)
{
    for (unsigned i = 0; i < CONFIG_SLOTS_MAX; i++) {
        if (worker_serves(w, (uint8_t)i)) {
            r->sockets[w->index] |= (uint64_t)1 << i;
        }
    }
}

static int rig_send(void *arg, struct flow *flow, struct sl bytes)
{
    struct worker *w = arg;
    struct rig *r = rig_of(w);
    struct rig_sent *s = &r->sent[r->n_sent];
    int side = rig_side_of(r, &flow->remote);
    int err = rig_blocked(r, &flow->remote);

    if (err != 0) {
        return err;
    }
    assert_true(r->n_sent < RIG_SENT_MAX && bytes.n < RIG_TEXT_MAX);
    rig_note_sockets(r, w);
    assert_true((r->sockets[w->index] >> flow->listener & 1) != 0);
    if (flow_is_reliable(flow) && flow->conn_slot == FLOW_NO_CONN) {
        flow->conn_slot = r->next_conn++;
        flow->conn_gen = 1;
        flow->worker = w->index;
        flow->dialled = true;
    }
    memcpy(s->text, bytes.p, bytes.n);
    s->text[bytes.n] = '\0';
    s->n = bytes.n;
    s->flow = *flow;
    s->at_ms = clock_now_ms(&r->clocks[w->index]) - RIG_START_MS;
    s->is_taken = sl_eq(bytes, SL("\r\n\r\n")); /* a keepalive wants no answer */
    r->n_sent++;
    if (side >= 0) {
        leak_note(r, (unsigned)side, bytes, true);
    }
    return 0;
}

static void rig_hold(void *arg, const struct flow *flow, int delta)
{
    (void)flow;
    rig_of(arg)->holds += delta;
}

void rig_block(struct rig *r, const char *to, int err)
{
    assert_true(r->n_blocks < RIG_BLOCKS_MAX);
    assert_int_equal(addr_parse_hostport(sl_str(to), 0, &r->blocks[r->n_blocks].to), 0);
    for (size_t i = 0; i < r->n_blocks; i++) {
        if (addr_eq(&r->blocks[i].to, &r->blocks[r->n_blocks].to)) {
            r->blocks[i].err = err;
            return;
        }
    }
    r->blocks[r->n_blocks++].err = err;
}

static uint64_t leaks_found(void)
{
    return stat_sum(STAT_LEAK_MASKED) + stat_sum(STAT_LEAK_REFUSED) + stat_sum(STAT_LEAK_REPORTED);
}

/* --- building --- */

static int rig_make_tables(struct rig *r, struct worker *w)
{
    const struct config *cfg = r->b.cfg;
    int err = tx_table_new(&w->tab, &(struct tx_table_params){.loop = w->loop,
                                                              .net = &r->ops,
                                                              .net_arg = w,
                                                              .ring = w->ring,
                                                              .node = w->node,
                                                              .worker = w->index,
                                                              .timers = {500, 4000, 5000},
                                                              .max = cfg->max_transactions});

    if (err == 0) {
        err = media_new(&w->media, &(struct media_params){.loop = w->loop,
                                                          .worker = w->index,
                                                          .n_workers = (uint8_t)r->b.n_workers});
    }
    if (err == 0) {
        err = registrar_new(&w->registrar,
                            &(struct registrar_params){.loop = w->loop,
                                                       .tab = w->tab,
                                                       .auth = r->b.auth,
                                                       .store = &fake_store,
                                                       .worker = w->index,
                                                       .n_workers = (uint8_t)r->b.n_workers,
                                                       .publish = worker_publish,
                                                       .net = &r->ops,
                                                       .net_arg = w,
                                                       .via = worker_via,
                                                       .look = worker_look,
                                                       .hold = rig_hold,
                                                       .told = worker_told,
                                                       .arg = w});
    }
    return err;
}

static int rig_make_worker(struct rig *r, uint8_t i)
{
    struct worker *w = mem_zalloc(sizeof(*w));
    int err;

    if (w == NULL) {
        return ENOMEM;
    }
    r->b.workers[i] = w;
    w->b = &r->b;
    w->index = i;
    w->node = r->b.cfg->node_id;
    clock_init_virtual(&r->clocks[i], RIG_START_MS, RIG_WALL_MS);
    err = loop_new(&w->loop,
                   &(struct loop_params){.virt = &r->clocks[i], .mailbox = 256, .owner = w});
    err = err == 0 ? token_ring_clone(&w->ring, r->b.ring) : err;
    err = err == 0 ? sip_pool_new(&w->pool) : err;
    err = err == 0 ? rig_make_tables(r, w) : err;
    if (err == 0) {
        err = call_table_new(&w->calls,
                             &(struct call_table_params){.loop = w->loop,
                                                         .tab = w->tab,
                                                         .net = &r->ops,
                                                         .net_arg = w,
                                                         .media = w->media,
                                                         .registrar = w->registrar,
                                                         .auth = r->b.auth,
                                                         .store = &fake_store,
                                                         .ring = w->ring,
                                                         .worker = w->index,
                                                         .n_workers = (uint8_t)r->b.n_workers,
                                                         .hold = rig_hold,
                                                         .hold_arg = w,
                                                         .proven = worker_proven,
                                                         .offence = worker_offence,
                                                         .in_work = worker_in_work,
                                                         .callout = &fake_callout});
    }
    if (err == 0) {
        worker_overload_init(w);
        worker_apply_config(w, r->b.cfg);
    }
    return err;
}

static struct config *rig_config(struct rig *r, const char *text)
{
    struct config_errors errs = {0};
    struct config *cfg = NULL;
    int err =
        config_build(&cfg,
                     &(struct config_text){
                         .name = "rig", .text = sl_str(text), .book = r->book, .slots = r->slots},
                     &errs);

    for (size_t i = 0; i < errs.n; i++) {
        print_error("%s\n", errs.e[i].text);
    }
    config_errors_free(&errs);
    assert_int_equal(err, 0);
    return cfg;
}

static void rig_quiet_log(void)
{
    static int fd = -1;

    if (fd < 0 && getenv("RIG_LOG") == NULL) {
        fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        log_set_fd(fd);
    }
    log_set_level(LOG_DEBUG); /* so that formatting is tested, too */
}

struct rig *rig_up(const char *text, uint32_t n_workers)
{
    struct rig *r = &rig_only;
    int err;

    rig_quiet_log();
    memset(r, 0, sizeof(*r));
    fake_store_reset();
    memset(&fake_callout, 0, sizeof(fake_callout));
    stat_reset();
    r->live = mem_live();
    r->leaks = leaks_found();
    r->ops.send = rig_send;
    r->next_conn = 9000;
    r->b.n_workers = n_workers;
    err = crypto_init();
    err = err == 0 ? policy_book_new(&r->book) : err;
    err = err == 0 ? config_slots_new(&r->slots) : err;
    err = err == 0 ? token_ring_random(&r->b.ring) : err;
    err = err == 0 ? auth_new(&r->b.auth) : err;
    err = err == 0 ? policy_gate_new(&r->b.gate) : err;
    err = err == 0 ? repeats_new(&r->b.repeats) : err;
    assert_int_equal(err, 0);
    r->b.store = &fake_store;
    r->b.cfg = rig_config(r, text != NULL ? text : rig_yaml);
    clock_init_virtual(&r->guard_clock, RIG_START_MS, RIG_WALL_MS);
    err = guard_new(&r->b.guard, &(struct guard_params){.cfg = r->b.cfg,
                                                        .gate = r->b.gate,
                                                        .store = &fake_store,
                                                        .virt = &r->guard_clock});
    assert_int_equal(err, 0);
    for (uint32_t i = 0; i < n_workers; i++) {
        assert_int_equal(rig_make_worker(r, (uint8_t)i), 0);
    }
    return r;
}

void rig_free(struct rig *r)
{
    for (uint32_t i = 0; i < r->b.n_workers; i++) {
        worker_free(&r->b.workers[i]);
    }
    token_ring_free(&r->b.ring);
    auth_free(&r->b.auth);
    guard_free(&r->b.guard);
    policy_gate_free(&r->b.gate);
    repeats_free(&r->b.repeats);
    config_unref(&r->b.cfg);
    policy_book_free(&r->book);
    config_slots_free(&r->slots);
}

/* --- time --- */

void rig_settle(struct rig *r)
{
    for (int k = 0; k < 4; k++) { /* what one hands over may be handed back */
        for (uint32_t i = 0; i < r->b.n_workers; i++) {
            loop_advance(r->b.workers[i]->loop, 0);
        }
        guard_advance(r->b.guard, 0);
    }
}

void rig_advance(struct rig *r, int64_t ms)
{
    int64_t end_ms = r->now_ms + ms, step = r->b.n_workers > 1 ? RIG_STEP_MS : ms;

    rig_settle(r);
    while (r->now_ms < end_ms) {
        int64_t go = end_ms - r->now_ms < step ? end_ms - r->now_ms : step;

        for (uint32_t i = 0; i < r->b.n_workers; i++) {
            loop_advance(r->b.workers[i]->loop, go);
        }
        guard_advance(r->b.guard, go);
        r->now_ms += go;
        rig_settle(r);
    }
}

void rig_input(struct rig *r, unsigned worker, const struct flow *flow, struct sl bytes)
{
    struct worker *w = r->b.workers[worker];
    bool is_stream = flow_is_reliable(flow);
    struct flow here = *flow;

    if (is_stream || worker_admit(w, &here)) {
        worker_catch_up(w);
        worker_place_flow(w, &here);
        if (!is_stream || worker_admit_message(w, &here)) {
            worker_input(w, &here, bytes, 0);
        }
    }
    if (!r->is_held) {
        rig_settle(r);
    }
}

void rig_reload_on(struct rig *r, const char *text, unsigned worker)
{
    struct config *cfg = rig_config(r, text);

    cfg->version = r->b.cfg->version + 1;
    for (uint32_t i = 0; i < r->b.n_workers; i++) {
        rig_note_sockets(r, r->b.workers[i]);
        worker_expect(r->b.workers[i], cfg);
    }
    guard_set_config(r->b.guard, cfg);
    config_unref(&r->b.cfg);
    r->b.cfg = cfg;
    atomic_store(&r->b.in_force, cfg);
    worker_take_config(r->b.workers[worker], cfg);
}

void rig_reload_rest(struct rig *r)
{
    for (uint32_t i = 0; i < r->b.n_workers; i++) {
        worker_take_config(r->b.workers[i], r->b.cfg);
    }
}

void rig_reload(struct rig *r, const char *text)
{
    rig_reload_on(r, text, 0);
    rig_reload_rest(r);
}

/* --- looking --- */

struct worker *rig_worker(struct rig *r, unsigned i)
{
    return r->b.workers[i];
}

struct call_table *rig_calls(struct rig *r)
{
    return r->b.workers[0]->calls;
}

struct media_session *rig_media(struct rig *r)
{
    return fake_media_session(r->b.workers[0]->media);
}

struct call_counts rig_calls_now(const struct rig *r)
{
    struct call_counts sum = {0};

    for (uint32_t i = 0; i < r->b.n_workers; i++) {
        struct call_counts c;

        call_counts(r->b.workers[i]->calls, &c);
        sum.setup += c.setup;
        sum.ringing += c.ringing;
        sum.answered += c.answered;
        sum.zombies += c.zombies;
        sum.legs += c.legs;
        sum.relays += c.relays;
    }
    return sum;
}

uint32_t rig_tx_now(const struct rig *r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->b.n_workers; i++) {
        struct tx_counts c;

        tx_table_counts(r->b.workers[i]->tab, &c);
        n += c.ict + c.nict + c.ist + c.nist;
    }
    return n;
}

size_t rig_count_sent(const struct rig *r, const char *start)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_sent; i++) {
        n += sl_starts(sl_make(r->sent[i].text, r->sent[i].n), sl_str(start)) ? 1 : 0;
    }
    return n;
}

bool rig_has_untaken(const struct rig *r)
{
    for (size_t i = 0; i < r->n_sent; i++) {
        if (!r->sent[i].is_taken) {
            return true;
        }
    }
    return false;
}

void rig_print_untaken(const struct rig *r)
{
    for (size_t i = 0; i < r->n_sent; i++) {
        const struct rig_sent *s = &r->sent[i];
        char where[ADDR_TEXT_MAX];

        if (!s->is_taken) {
            print_error("  waits since %lld ms for %s: %.60s\n", (long long)s->at_ms,
                        addr_text(&s->flow.remote, where), s->text);
        }
    }
}

/* --- the end --- */

static bool rig_add_row(const struct policy_limit_row *row, void *arg)
{
    static const bool is_level[POLICY_LIMIT_KINDS] = {
        [POLICY_CALLS] = true, [POLICY_EARLY] = true, [POLICY_DEST_PARALLEL] = true};

    *(uint32_t *)arg += is_level[row->hit.kind] ? row->hit.use : 0;
    return true;
}

/* Everything that calls take and must have given back. */
static uint32_t policy_left(const struct rig *r)
{
    const struct policy *p = r->b.cfg->policy;
    uint32_t n = policy_calls_now(p, -1);

    policy_limits_walk(p, -1, 0, r->now_ms + RIG_START_MS, rig_add_row, &n);
    for (size_t i = 0; i < policy_def(p)->n_destinations; i++) {
        n += policy_destination_calls(p, i);
    }

    for (size_t i = 0; i < policy_def(p)->n_peers; i++) {
        n += policy_calls_now(p, (int)i);
    }
    return n;
}

const char *rig_leftovers(struct rig *r)
{
    static char text[256];
    struct call_counts c = rig_calls_now(r);
    struct media_counts m = {0};
    uint32_t bad = 0, sessions = 0, ports = 0;
    struct buf b;

    for (uint32_t i = 0; i < r->b.n_workers; i++) {
        bad += call_audit(r->b.workers[i]->calls);
        media_counts(r->b.workers[i]->media, &m);
        sessions += m.sessions;
        ports += m.ports_used;
    }
    buf_init_fixed(&b, text, sizeof(text) - 1);
    if (c.setup + c.ringing + c.answered + c.zombies + c.legs + c.relays != 0) {
        buf_putf(&b, "calls %u/%u/%u, zombies %u, legs %u, relays %u; ", c.setup, c.ringing,
                 c.answered, c.zombies, c.legs, c.relays);
    }
    if (rig_tx_now(r) + sessions + ports + bad + policy_left(r) != 0) {
        buf_putf(&b, "transactions %u, media %u, ports %u, audit %u, policy %u; ", rig_tx_now(r),
                 sessions, ports, bad, policy_left(r));
    }
    text[b.n] = '\0';
    return text;
}

static void rig_check_records(void)
{
    for (size_t i = 0; i < fake_store.n_calls && i < FAKE_CALLS_MAX; i++) {
        unsigned n;

        (void)fake_store_ended(fake_store.calls[i].id, &n);
        assert_int_equal(n, 1);
    }
}

/* The house's own look must neither see what is not there nor miss what a test has put there. */
static void rig_check_leaks(struct rig *r)
{
    const struct rig_sent *where = NULL;
    const char *id = r->is_leaky ? NULL : leak_find(r, &where);

    if (id != NULL) {
        fail_msg("'%s' of the other side was told:\n%s", id, where->text);
    }
    assert_int_equal(leaks_found() - r->leaks, r->leaks_due);
}

void rig_down(struct rig *r)
{
    uint32_t registered = 0;
    int64_t lost;

    if (!r->is_noisy && rig_has_untaken(r)) {
        rig_print_untaken(r);
        fail_msg("messages were left");
    }
    rig_advance(r, RIG_LAST_WAIT_MS);
    if (!r->is_noisy && rig_has_untaken(r)) {
        rig_print_untaken(r);
        fail_msg("messages came after the end");
    }
    assert_string_equal(rig_leftovers(r), "");
    rig_check_records();
    rig_check_leaks(r);
    for (uint32_t i = 0; i < r->b.n_workers; i++) {
        registered += (uint32_t)registrar_count(r->b.workers[i]->registrar);
    }
    if (registered == 0) {
        assert_int_equal(r->holds, 0);
    }
    rig_free(r);
    lost = mem_live() - r->live;
    assert_int_equal(lost, 0);
}

int rig_setup(void **state)
{
    *state = rig_up(NULL, 1);
    return 0;
}

int rig_teardown(void **state)
{
    rig_down(*state);
    return 0;
}
