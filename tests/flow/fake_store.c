/* fake_store.c - the posting side of store/store.h: every record is kept as it came. */
#include "fakes.h"

struct store fake_store;

void fake_store_reset(void)
{
    uint64_t last_id = fake_store.last_id; /* of the run before: the test's to take back */

    memset(&fake_store, 0, sizeof(fake_store));
    fake_store.last_id = last_id;
}

static void text(char *dst, size_t cap, struct sl s)
{
    size_t n = s.n < cap - 1 ? s.n : cap - 1;

    if (n != 0) {
        memcpy(dst, s.p, n);
    }
    dst[n] = '\0';
}
#define TEXT(row, from, field) text((row)->field, sizeof((row)->field), (from)->field)

/* The real one copies to the heap: it can fail, and the tests let it. */
static bool memory_is_out(void)
{
    void *p = mem_alloc(1);

    mem_free(p);
    return p == NULL;
}

static void keep_detail(struct fake_call *row, const struct store_call *c)
{
    TEXT(row, c, detail);
    row->ladder_n = c->ladder.n < sizeof(row->ladder) ? c->ladder.n : sizeof(row->ladder);
    if (row->ladder_n != 0) {
        memcpy(row->ladder, c->ladder.p, row->ladder_n);
    }
}

int store_put_call(struct store *s, const struct store_call *c)
{
    struct fake_call *row = &s->calls[s->n_calls % FAKE_CALLS_MAX];

    if (memory_is_out()) {
        s->n_lost++;
        return ENOMEM;
    }
    *row = (struct fake_call){.id = c->id,
                              .state = c->state,
                              .start_ms = c->start_ms,
                              .ring_ms = c->ring_ms,
                              .answer_ms = c->answer_ms,
                              .end_ms = c->end_ms,
                              .end_code = c->end_code,
                              .config_version = c->config_version};
    TEXT(row, c, source);
    TEXT(row, c, target);
    TEXT(row, c, calling);
    TEXT(row, c, called);
    TEXT(row, c, route);
    TEXT(row, c, end_by);
    TEXT(row, c, end_reason);
    TEXT(row, c, a_remote);
    TEXT(row, c, b_remote);
    keep_detail(row, c);
    s->n_calls++;
    return 0;
}

int store_put_asked(struct store *s, const struct store_asked *a)
{
    if (memory_is_out()) {
        return ENOMEM;
    }
    text(s->asked, sizeof(s->asked), a->asked);
    s->asked_id = a->id;
    s->n_asked++;
    return 0;
}

uint64_t store_last_id(const struct store *s)
{
    return s->last_id;
}

bool store_is_full(const struct store *s)
{
    return s->is_full;
}

static struct fake_binding *find_binding(struct store *s, struct sl user, struct sl contact)
{
    for (size_t i = 0; i < FAKE_BINDINGS_MAX; i++) {
        struct fake_binding *row = &s->bindings[i];

        if (row->used && sl_eq(sl_str(row->user), user) && sl_eq(sl_str(row->contact), contact)) {
            return row;
        }
    }
    return NULL;
}

static struct fake_binding *free_binding(struct store *s)
{
    for (size_t i = 0; i < FAKE_BINDINGS_MAX; i++) {
        if (!s->bindings[i].used) {
            return &s->bindings[i];
        }
    }
    return NULL;
}

int store_put_binding(struct store *s, const struct store_binding *b)
{
    struct fake_binding *row = find_binding(s, b->user, b->contact);

    row = row != NULL ? row : free_binding(s);
    if (memory_is_out() || row == NULL) {
        s->n_lost++;
        return ENOMEM;
    }
    *row = (struct fake_binding){
        .used = true, .cseq = b->cseq, .expires_ms = b->expires_ms, .updated_ms = b->updated_ms};
    TEXT(row, b, user);
    TEXT(row, b, contact);
    TEXT(row, b, instance);
    TEXT(row, b, call_id);
    TEXT(row, b, user_agent);
    TEXT(row, b, flow);
    TEXT(row, b, received);
    TEXT(row, b, transport);
    TEXT(row, b, listener);
    s->n_put++;
    return 0;
}

int store_del_binding(struct store *s, struct sl user, struct sl contact)
{
    struct fake_binding *row = find_binding(s, user, contact);

    if (memory_is_out()) {
        s->n_lost++;
        return ENOMEM;
    }
    s->n_del++;
    if (row != NULL) {
        row->used = false;
    }
    return 0;
}

/* --- for the tests --- */

const struct fake_call *fake_store_last(void)
{
    return fake_store.n_calls != 0 ? &fake_store.calls[(fake_store.n_calls - 1) % FAKE_CALLS_MAX]
                                   : NULL;
}

const struct fake_call *fake_store_ended(uint64_t id, unsigned *n)
{
    const struct fake_call *found = NULL;
    size_t kept = fake_store.n_calls < FAKE_CALLS_MAX ? fake_store.n_calls : FAKE_CALLS_MAX;

    *n = 0;
    for (size_t i = 0; i < kept; i++) {
        const struct fake_call *row = &fake_store.calls[i];

        if (row->id == id && row->state == STORE_CALL_ENDED) {
            found = row;
            (*n)++;
        }
    }
    return found;
}

size_t fake_store_rows(void)
{
    size_t n = 0;

    for (size_t i = 0; i < FAKE_BINDINGS_MAX; i++) {
        n += fake_store.bindings[i].used ? 1 : 0;
    }
    return n;
}

bool fake_store_row(size_t i, struct store_binding *out)
{
    const struct fake_binding *row = &fake_store.bindings[i];

    *out = (struct store_binding){.user = sl_str(row->user),
                                  .contact = sl_str(row->contact),
                                  .instance = sl_str(row->instance),
                                  .call_id = sl_str(row->call_id),
                                  .cseq = row->cseq,
                                  .user_agent = sl_str(row->user_agent),
                                  .expires_ms = row->expires_ms,
                                  .updated_ms = row->updated_ms,
                                  .flow = sl_str(row->flow),
                                  .received = sl_str(row->received),
                                  .transport = sl_str(row->transport),
                                  .listener = sl_str(row->listener)};
    return row->used;
}

int store_put_ban(struct store *s, const struct store_ban *b)
{
    struct buf w;

    if (memory_is_out()) {
        s->n_lost++;
        return ENOMEM;
    }
    s->n_bans_put++;
    buf_init_fixed(&w, s->last_ban, sizeof(s->last_ban) - 1);
    buf_putf(&w, "%.*s %.*s", SL_ARG(b->prefix), SL_ARG(b->event));
    s->last_ban[w.n] = '\0';
    return 0;
}

int store_del_ban(struct store *s, struct sl prefix)
{
    (void)prefix;
    s->n_bans_del++;
    return 0;
}

/* The bans of an earlier run are no business of these tests. */
int store_reader_open(struct store_reader **rp, const char *path)
{
    (void)rp;
    (void)path;
    return ENOENT;
}

void store_reader_close(struct store_reader **rp)
{
    *rp = NULL;
}

int store_read_bans(struct store_reader *r, struct sl after, uint32_t limit, store_ban_fn *fn,
                    void *arg)
{
    (void)r, (void)after, (void)limit, (void)fn, (void)arg;
    return ENOENT;
}
