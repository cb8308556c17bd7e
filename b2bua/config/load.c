/* load.c - from a file to a snapshot, and the life of a snapshot. */
#include "config/schema_int.h"
#include "config/tls_int.h"

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

/* Made from b2bua/config/default.yaml when the program is built. */
extern const unsigned char embed_default_yaml[];
extern const size_t embed_default_yaml_len;

#define CONFIG_SIP_MESSAGE_MAX 65535u /* what a datagram and the parser can hold */

struct config_box { /* what lies around a snapshot */
    struct config c;
    atomic_uint refs;
    struct arena arena;
    struct cfg_secret *secrets;
    struct cfg_pattern *patterns;
    struct cfg_tls_ref *tls;
    struct config *base; /* a copy: of which everything but the policy is; else NULL */
    uint64_t slots;      /* places taken for listeners */
};

static atomic_uint config_loads; /* successful ones, of the process */

static struct config_box *config_box(struct config *c)
{
    return CONTAINER_OF(c, struct config_box, c);
}

struct config *config_ref(struct config *c)
{
    atomic_fetch_add_explicit(&config_box(c)->refs, 1, memory_order_relaxed);
    return c;
}

static void config_free(struct config_box *box)
{
    if (box->base != NULL) { /* what a copy shares is the original's to free */
        box->c.egress = NULL;
        box->c.def.n_tables = 0;
    }
    policy_egress_free(&box->c.egress);
    policy_free(&box->c.policy);
    cfg_slots_release(&box->c, box->slots);
    for (size_t i = 0; i < box->c.def.n_tables; i++) {
        policy_table_free(&box->c.def.tables[i].table);
    }
    for (struct cfg_pattern *p = box->patterns; p != NULL; p = p->next) {
        policy_pattern_free(&p->p);
    }
    cfg_tls_free(box->tls);
    for (struct cfg_secret *s = box->secrets; s != NULL; s = s->next) {
        mem_wipe(s->p, s->n);
    }
    config_unref(&box->base);
    arena_free(&box->arena);
    mem_free(box);
}

void config_unref(struct config **cp)
{
    struct config *c = *cp;

    *cp = NULL;
    if (c != NULL &&
        atomic_fetch_sub_explicit(&config_box(c)->refs, 1, memory_order_acq_rel) == 1) {
        config_free(config_box(c));
    }
}

/* Compiling writes into these: the copy needs its own. */
static void *config_own(struct arena *a, const void *array, size_t bytes)
{
    void *own = arena_alloc(a, bytes + 1);

    if (own != NULL && bytes != 0) {
        memcpy(own, array, bytes);
    }
    return own;
}

static int config_copy_def(struct config_box *box)
{
    struct policy_def *def = &box->c.def;

    def->peers = config_own(&box->arena, def->peers, def->n_peers * sizeof(*def->peers));
    def->destinations = config_own(&box->arena, def->destinations,
                                   def->n_destinations * sizeof(*def->destinations));
    if (def->peers == NULL || def->destinations == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; i < def->n_peers; i++) {
        struct policy_peer *peer = &def->peers[i];

        peer->targets =
            config_own(&box->arena, peer->targets, peer->n_targets * sizeof(*peer->targets));
        if (peer->targets == NULL) {
            return ENOMEM;
        }
    }
    return 0;
}

static struct config_box *config_box_new(void)
{
    struct config_box *box = mem_zalloc(sizeof(*box));

    if (box != NULL) {
        atomic_init(&box->refs, 1);
        arena_init(&box->arena, 4096, 0);
    }
    return box;
}

int config_copy(struct config **cp, struct config *of)
{
    struct config_box *box = config_box_new();
    struct config *c;
    int err;

    if (box == NULL) {
        return ENOMEM;
    }
    c = &box->c;
    *c = *of;
    c->policy = NULL;
    box->base = config_ref(of);
    err = config_copy_def(box);
    if (err == 0) {
        err = policy_compile(&c->policy, &c->def, NULL);
    }
    if (err != 0) {
        config_unref(&c);
        return err;
    }
    policy_copy_counts(c->policy, of->policy);
    *cp = c;
    return 0;
}

bool config_is_mine(const struct config *c)
{
    struct config_box *box = config_box((struct config *)(uintptr_t)c);

    return atomic_load_explicit(&box->refs, memory_order_acquire) == 1;
}

static uint32_t config_cpus(void)
{
    cpu_set_t set;
    int n = 1;

    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        n = CPU_COUNT(&set);
    }
    return n < 1 ? 1 : n > CFG_WORKERS_MAX ? CFG_WORKERS_MAX : (uint32_t)n;
}

/* What is derived, once everything that was written is right. */
static int config_finish(struct config_box *box, struct policy_book *book)
{
    struct config *c = &box->c;
    struct clock clock;
    const char **names = arena_zalloc(&box->arena, (c->n_listeners + 1) * sizeof(*names));
    struct policy_place places[CONFIG_SLOTS_MAX] = {0};
    int err;

    if (names == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; i < c->n_listeners; i++) {
        names[i] = c->listeners[i].name;
        places[i] = (struct policy_place){c->listeners[i].address, c->listeners[i].advertise};
    }
    c->def.listeners = names;
    c->def.n_listeners = c->n_listeners;
    if (c->workers == 0) {
        c->workers = config_cpus();
    }
    if (c->max_message > CONFIG_SIP_MESSAGE_MAX) {
        c->max_message = CONFIG_SIP_MESSAGE_MAX;
    }
    clock_init_real(&clock);
    c->loaded_ms = clock_wall_ms(&clock);
    err = policy_compile(&c->policy, &c->def, book);
    return err == 0 ? policy_egress_build(&c->egress, c->policy, places, c->n_listeners) : err;
}

static void cfg_maps_each(struct cfg *c, void (*fn)(struct hmap *map))
{
    struct hmap *maps[] = {&c->keys,   &c->listeners, &c->profiles,    &c->peers,
                           &c->groups, &c->tables,    &c->callouts,    &c->accounts,
                           &c->routes, &c->sources,   &c->destinations};

    for (size_t i = 0; i < COUNT_OF(maps); i++) {
        fn(maps[i]);
    }
}

static void cfg_map_init(struct hmap *map)
{
    hmap_init(map, 0);
}

/* 0, EBADMSG (errs) or ENOMEM. */
static int config_read(struct config_box *box, const char *name, struct sl text,
                       struct config_errors *errs)
{
    struct cfg c = {.file = name, .config = &box->c, .arena = &box->arena, .errs = errs};

    arena_init(&c.scratch, 4096, 0);
    cfg_maps_each(&c, cfg_map_init);
    cfg_tls_begin(&c);
    if (text.n > CONFIG_FILE_MAX) {
        cfg_error_at(&c, 1, 1, "larger than %u bytes", CONFIG_FILE_MAX);
    } else if (cfg_tree_read(&c, text)) {
        cfg_read_object(&c, &cfg_root, c.root, &box->c);
    }
    cfg_errors_sort(&c);
    cfg_maps_each(&c, hmap_free);
    cfg_tls_end(&c);
    arena_free(&c.scratch);
    box->secrets = c.secrets;
    box->patterns = c.patterns;
    box->tls = c.tls;
    box->slots = c.slots_taken;
    return c.err != 0 ? c.err : errs->n_total != 0 ? EBADMSG : 0;
}

int config_parse(struct config **cp, const char *name, struct sl text, struct policy_book *book,
                 struct config_errors *errs)
{
    return config_build(cp, &(struct config_text){.name = name, .text = text, .book = book}, errs);
}

int config_build(struct config **cp, const struct config_text *t, struct config_errors *errs)
{
    struct config_box *box = config_box_new();
    struct config *c;
    int err;

    *errs = (struct config_errors){.n = 0};
    if (box == NULL) {
        return ENOMEM;
    }
    c = &box->c;
    c->slots = t->slots;
    err = config_read(box, t->name, t->text, errs);
    if (err == 0) {
        err = config_finish(box, t->book);
    }
    if (err == ENOMEM) {
        config_errors_free(errs); /* half a list would mislead */
    }
    if (err != 0) {
        config_unref(&c);
        return err;
    }
    c->version = atomic_fetch_add(&config_loads, 1) + 1;
    *cp = c;
    return 0;
}

int config_read_file(struct buf *b, const char *path, size_t max)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int err = fd < 0 ? errno : 0;
    ssize_t n = 1;

    while (err == 0 && n > 0 && b->n <= max) {
        buf_reserve(b, 16384);
        if (buf_err(b) != 0) {
            err = buf_err(b);
            break;
        }
        n = read(fd, b->p + b->n, 16384);
        if (n < 0 && errno != EINTR) {
            err = errno;
        }
        b->n += n > 0 ? (size_t)n : 0;
        n = n < 0 ? 1 : n;
    }
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

int config_slurp(struct buf *b, const char *path)
{
    int err = config_read_file(b, path, CONFIG_FILE_MAX);

    return err == 0 && b->n > CONFIG_FILE_MAX ? EFBIG : err;
}

int config_load(struct config **cp, const char *path, struct policy_book *book,
                struct config_errors *errs)
{
    struct buf b;
    int err;

    if (path == NULL) {
        return config_parse(cp, "default.yaml", config_default_text(), book, errs);
    }
    *errs = (struct config_errors){.n = 0};
    buf_init(&b, CONFIG_FILE_MAX + 65536);
    err = config_read_file(&b, path, CONFIG_FILE_MAX);
    if (err == 0) {
        err = config_parse(cp, path, buf_sl(&b), book, errs);
    }
    if (b.p != NULL) {
        mem_wipe(b.p, b.cap); /* it may hold passwords */
    }
    buf_free(&b);
    return err;
}

struct sl config_default_text(void)
{
    return sl_make(embed_default_yaml, embed_default_yaml_len);
}
