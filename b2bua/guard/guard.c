/* guard.c - the thread: offences in, bans out. */
#include "guard/guard_int.h"

#define GUARD_MAILBOX 1024
#define GUARD_TICK_MS 5000
#define GUARD_TEXT_MAX 64 /* bytes kept of method, user and User-Agent */

/* Any thread: what the loop keeps of the time is its own thread's. */
struct policy_now guard_now(const struct guard *g)
{
    const struct clock *clock = guard_clock(g);

    return (struct policy_now){.mono_ms = clock_now_ms(clock), .wall_ms = clock_wall_ms(clock)};
}

/* --- what workers say --- */

struct parcel { /* an offence on its way; its slices point into bytes */
    struct guard_offence o;
    char bytes[];
};

static struct sl parcel_put(char **to, struct sl s, size_t max)
{
    struct sl kept = sl_head(s, max);

    if (kept.n != 0) {
        memcpy(*to, kept.p, kept.n);
    }
    kept.p = *to;
    *to += kept.n;
    return kept;
}

static struct parcel *parcel_new(const struct guard_offence *o)
{
    struct parcel *p = mem_alloc(sizeof(*p) + 3 * GUARD_TEXT_MAX + POLICY_EVIDENCE_MAX);
    char *to;

    if (p == NULL) {
        return NULL;
    }
    to = p->bytes;
    p->o = *o;
    p->o.method = parcel_put(&to, o->method, GUARD_TEXT_MAX);
    p->o.user = parcel_put(&to, o->user, GUARD_TEXT_MAX);
    p->o.user_agent = parcel_put(&to, o->user_agent, GUARD_TEXT_MAX);
    p->o.evidence = parcel_put(&to, o->evidence, POLICY_EVIDENCE_MAX);
    return p;
}

static void drop_parcel(void *owner, struct loop_msg *m)
{
    (void)owner;
    mem_free(m->ptr);
}

static void guard_note(struct guard *g, const struct guard_offence *o)
{
    struct policy_offence po = {
        .event = o->event, .proof = o->proof, .source = o->source, .evidence = o->evidence};
    struct policy_now now = guard_now(g);
    enum policy_change change = POLICY_NO_CHANGE;
    const struct policy_ban *ban = NULL;
    int err = policy_bans_note(g->bans, g->cfg->policy, &po, &now, &change, &ban);

    if (err != 0) {
        log_error(NULL, "a ban could not be kept: %s", strerror(err));
    }
    if (ban != NULL) {
        stat_inc(change == POLICY_SILENCED ? STAT_BAN_SILENCED
                 : change == POLICY_SHUT   ? STAT_BAN_SHUT
                                           : STAT_BAN_MADE);
        guard_log_ban(ban, ban->dry_run ? "would be banned" : "banned");
        guard_keep(g, ban);
    }
}

static void on_offence(void *owner, struct loop_msg *m)
{
    struct guard *g = owner;
    struct parcel *p = m->ptr;

    pthread_mutex_lock(&g->lock);
    if (policy_is_protected(g->cfg->policy, &p->o.source)) {
        char text[ADDR_TEXT_MAX];

        stat_inc(STAT_BAN_SUPPRESSED); /* no line that another tool could ban it by */
        log_info(NULL, "offence of a protected source is not held against it: %s from %s",
                 policy_event_words[p->o.event], addr_text(&p->o.source, text));
    } else {
        stat_inc(STAT_OFFENCE);
        guard_log_offence(&p->o, policy_has_proven(g->gate, &p->o.source, loop_now_ms(g->loop)));
        guard_note(g, &p->o);
    }
    pthread_mutex_unlock(&g->lock);
    mem_free(p);
}

void guard_report(struct guard *g, const struct guard_offence *o)
{
    struct parcel *p = parcel_new(o);

    if (p == NULL ||
        loop_post(g->loop, &(struct loop_msg){.fn = on_offence, .ptr = p, .drop = drop_parcel}) !=
            0) {
        mem_free(p);
        stat_inc(STAT_QUEUE_FULL);
    }
}

static void on_good(void *owner, struct loop_msg *m)
{
    struct guard *g = owner;

    pthread_mutex_lock(&g->lock);
    policy_bans_forgive(g->bans, m->ptr);
    pthread_mutex_unlock(&g->lock);
    mem_free(m->ptr);
}

void guard_good(struct guard *g, const struct addr *source)
{
    struct addr *copy = mem_alloc(sizeof(*copy));

    if (copy == NULL) {
        return;
    }
    *copy = *source;
    if (loop_post(g->loop, &(struct loop_msg){.fn = on_good, .ptr = copy, .drop = drop_parcel}) !=
        0) {
        mem_free(copy);
    }
}

/* --- the thread --- */

static void on_tick(void *arg)
{
    struct guard *g = arg;
    struct policy_now now = guard_now(g);

    pthread_mutex_lock(&g->lock);
    policy_bans_tick(g->bans, &now, guard_forget, g);
    pthread_mutex_unlock(&g->lock);
    timer_start(g->loop, &g->tick, GUARD_TICK_MS);
}

static void *guard_main(void *arg)
{
    struct guard *g = arg;

    (void)pthread_setname_np(pthread_self(), "guard");
    if (stat_thread_init() != 0) {
        log_warn(NULL, "the guard counts into the shared block");
    }
    loop_run(g->loop);
    return NULL;
}

static bool on_fill(const struct policy_ban *ban, void *arg)
{
    struct guard *g = arg;

    if (ban->firewall && !policy_bans_is_covered(g->bans, ban, clock_wall_ms(guard_clock(g)))) {
        firewall_ban(g->firewall, ban);
    }
    return true;
}

static void guard_fill_firewall(void *arg)
{
    struct guard *g = arg;

    policy_bans_each(g->bans, 0, clock_wall_ms(guard_clock(g)), on_fill, g);
}

int guard_new(struct guard **gp, const struct guard_params *p)
{
    struct guard *g = mem_zalloc(sizeof(*g));
    int err;

    if (g == NULL) {
        return ENOMEM;
    }
    pthread_mutex_init(&g->lock, NULL);
    g->cfg = config_ref(p->cfg);
    g->store = p->store;
    g->gate = p->gate;
    g->virt = p->virt;
    clock_init_real(&g->clock);
    timer_init(&g->tick, on_tick, g);
    err = policy_bans_new(&g->bans, p->gate);
    if (err == 0) {
        err = loop_new(
            &g->loop, &(struct loop_params){.virt = p->virt, .mailbox = GUARD_MAILBOX, .owner = g});
    }
    if (err == 0) {
        err = firewall_new(&g->firewall, &(struct firewall_params){.loop = g->loop,
                                                                   .clock = guard_clock(g),
                                                                   .lock = &g->lock,
                                                                   .node = p->cfg->node_name,
                                                                   .is_json = p->cfg->log_json,
                                                                   .fill = guard_fill_firewall,
                                                                   .arg = g});
    }
    if (err != 0) {
        guard_free(&g);
        return err;
    }
    timer_start(g->loop, &g->tick, GUARD_TICK_MS);
    *gp = g;
    return 0;
}

/* Asks of all bans again what the new configuration says. Under the lock. */
static void guard_recheck(struct guard *g)
{
    struct policy_now now = guard_now(g);

    policy_bans_recheck(g->bans, g->cfg->policy, &now, guard_forget, g);
    firewall_want(g->firewall, g->virt == NULL && g->cfg->def.security.bans.firewall);
}

int guard_run(struct guard *g)
{
    int err;

    guard_recheck(g);
    err = pthread_create(&g->thread, NULL, guard_main, g);
    g->running = err == 0;
    return err;
}

void guard_free(struct guard **gp)
{
    struct guard *g = *gp;

    *gp = NULL;
    if (g == NULL) {
        return;
    }
    if (g->running) {
        loop_stop(g->loop);
        pthread_join(g->thread, NULL);
    }
    if (g->loop != NULL) {
        timer_stop(g->loop, &g->tick);
    }
    firewall_free(&g->firewall);
    loop_free(&g->loop);
    policy_bans_free(&g->bans);
    config_unref(&g->cfg);
    pthread_mutex_destroy(&g->lock);
    mem_free(g);
}

void guard_advance(struct guard *g, int64_t ms)
{
    loop_advance(g->loop, ms);
}

void guard_set_config(struct guard *g, struct config *cfg)
{
    struct config *old;

    if (g == NULL) {
        return;
    }
    pthread_mutex_lock(&g->lock);
    old = g->cfg;
    g->cfg = config_ref(cfg);
    guard_recheck(g);
    pthread_mutex_unlock(&g->lock);
    config_unref(&old);
}

/* --- the operator --- */

int guard_add(struct guard *g, const struct prefix *at, int64_t for_ms, struct sl reason,
              uint64_t *id)
{
    struct policy_order order = {.at = *at, .for_ms = for_ms, .reason = reason};
    struct policy_now now = guard_now(g);
    const struct policy_ban *ban = NULL;
    int err;

    pthread_mutex_lock(&g->lock);
    err = policy_bans_add(g->bans, g->cfg->policy, &order, &now, &ban);
    if (err == 0) {
        *id = ban->id;
        guard_log_ban(ban, "banned by the operator");
        guard_keep(g, ban);
    }
    pthread_mutex_unlock(&g->lock);
    return err;
}

int guard_remove(struct guard *g, uint64_t id, struct json *j)
{
    const struct policy_ban *ban;
    int err = ENOENT;

    pthread_mutex_lock(&g->lock);
    ban = policy_bans_by_id(g->bans, id);
    if (ban != NULL) {
        guard_log_let_go(ban);
        json_obj(j);
        guard_put_ban_members(g, j, ban);
        json_kcstr(j, "status", "removed");
        json_obj_end(j);
        guard_forget(ban, g);
        err = policy_bans_remove(g->bans, id) ? 0 : ENOENT;
    }
    pthread_mutex_unlock(&g->lock);
    return err;
}

struct page_walk {
    struct guard *g;
    struct json *j;
    struct guard_page *page;
    int64_t wall_ms;
    uint64_t last_id;
    uint32_t n;
};

static bool on_page_ban(const struct policy_ban *ban, void *arg)
{
    struct page_walk *w = arg;

    if (w->n == w->page->limit) {
        w->page->next_id = w->last_id;
        return false;
    }
    w->n++;
    w->last_id = ban->id;
    json_obj(w->j);
    guard_put_ban_members(w->g, w->j, ban);
    json_obj_end(w->j);
    return true;
}

void guard_put_bans(struct guard *g, struct json *j, struct guard_page *page)
{
    struct page_walk w = {.g = g, .j = j, .page = page, .wall_ms = guard_now(g).wall_ms};

    page->next_id = 0;
    pthread_mutex_lock(&g->lock);
    policy_bans_each(g->bans, page->before_id, w.wall_ms, on_page_ban, &w);
    pthread_mutex_unlock(&g->lock);
}

static void put_whole_ban(struct guard *g, struct json *j, const struct policy_ban *ban)
{
    json_obj(j);
    guard_put_ban_members(g, j, ban);
    json_kstr(j, "evidence", ban->evidence);
    json_obj_end(j);
}

int guard_put_ban(struct guard *g, struct json *j, uint64_t id)
{
    const struct policy_ban *ban;

    pthread_mutex_lock(&g->lock);
    ban = policy_bans_by_id(g->bans, id);
    if (ban != NULL) {
        put_whole_ban(g, j, ban);
    }
    pthread_mutex_unlock(&g->lock);
    return ban != NULL ? 0 : ENOENT;
}

uint64_t guard_ban_of(struct guard *g, const struct prefix *at, bool exact)
{
    const struct policy_ban *ban;
    uint64_t id;

    pthread_mutex_lock(&g->lock);
    ban = exact ? policy_bans_at(g->bans, at, guard_now(g).wall_ms)
                : policy_bans_find(g->bans, &at->addr, guard_now(g).wall_ms);
    id = ban != NULL ? ban->id : 0;
    pthread_mutex_unlock(&g->lock);
    return id;
}

static const char *fate_of(const struct guard *g, const struct policy_ban *ban, bool is_protected,
                           bool has_proven)
{
    if (is_protected) {
        return "a peer, a target, an address of ours or an allowed network: never banned";
    }
    if (!g->cfg->def.security.bans.present && ban == NULL) {
        return "no bans are configured: nothing is held against it";
    }
    if (ban != NULL && !ban->dry_run) {
        return has_proven ? "dropped unread, but for the flows of users who proved themselves"
                          : "dropped unread";
    }
    return has_proven ? "flows of users who proved themselves are trusted, others are strangers"
                      : "a stranger: let in within the strangers' budget";
}

void guard_put_address(struct guard *g, struct json *j, const struct addr *ip)
{
    const struct policy_ban_rules *rules;
    struct policy_now now = guard_now(g);
    const struct policy_ban *ban;
    char text[ADDR_TEXT_MAX];
    struct buf b;
    bool is_protected, has_proven;

    buf_init_fixed(&b, text, sizeof(text));
    addr_put_ip(&b, ip);
    pthread_mutex_lock(&g->lock);
    rules = &g->cfg->def.security.bans;
    ban = policy_bans_find(g->bans, ip, now.wall_ms);
    is_protected = policy_is_protected(g->cfg->policy, ip);
    has_proven = policy_has_proven(g->gate, ip, now.mono_ms);
    json_obj(j);
    json_kstr(j, "address", buf_sl(&b));
    json_kcstr(j, "why", fate_of(g, ban, is_protected, has_proven));
    json_kbool(j, "protected", is_protected);
    json_kbool(j, "proven_user", has_proven);
    json_kint(j, "points_unproven", policy_bans_points(g->bans, rules, ip, false, now.mono_ms));
    json_kint(j, "points_proven", policy_bans_points(g->bans, rules, ip, true, now.mono_ms));
    json_kint(j, "threshold", rules->threshold);
    json_key(j, "ban");
    if (ban != NULL) {
        put_whole_ban(g, j, ban);
    } else {
        json_none(j);
    }
    json_obj_end(j);
    pthread_mutex_unlock(&g->lock);
}

static bool on_count(const struct policy_ban *ban, void *arg)
{
    *(size_t *)arg += !ban->dry_run;
    return true;
}

struct guard_firewall guard_firewall(struct guard *g)
{
    struct guard_firewall f;

    pthread_mutex_lock(&g->lock);
    f = firewall_figures(g->firewall);
    pthread_mutex_unlock(&g->lock);
    return f;
}

size_t guard_count(struct guard *g)
{
    size_t n = 0;

    pthread_mutex_lock(&g->lock);
    policy_bans_each(g->bans, 0, guard_now(g).wall_ms, on_count, &n);
    pthread_mutex_unlock(&g->lock);
    return n;
}
