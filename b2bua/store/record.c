/* record.c - posting: a record is copied into one heap block and pushed on a lock-free stack.
 * The writer takes the whole stack at once, so nothing is ever popped under a pusher (no ABA). */
#include "store/store_int.h"

#include <unistd.h>

const struct rec_def rec_defs[REC_KINDS] = {
    [REC_CALL] = {"call", call_fields, CALL_FIELDS, sizeof(struct store_call)},
    [REC_BIND] = {"bind", binding_fields, BINDING_FIELDS, sizeof(struct store_binding)},
    [REC_UNBIND] = {"unbind", binding_fields, 2, sizeof(struct store_binding)}, /* the key */
    [REC_BAN] = {"ban", ban_fields, BAN_FIELDS, sizeof(struct store_ban)},
    [REC_UNBAN] = {"unban", ban_fields, 1, sizeof(struct store_ban)},
    [REC_ASKED] = {"asked", asked_fields, ASKED_FIELDS, sizeof(struct store_asked)},
};

static size_t rec_bytes(const struct rec_def *def, const void *src)
{
    size_t n = 0;

    for (size_t i = 0; i < def->n_fields; i++) {
        if (field_is_slice(&def->fields[i])) {
            size_t len =
                ((const struct sl *)(const void *)((const char *)src + def->fields[i].at))->n;

            n = len > STORE_REC_MAX || n > STORE_REC_MAX ? SIZE_MAX / 2 : n + len;
        }
    }
    return n;
}

static void rec_copy(struct rec *r, const struct rec_def *def, const void *src)
{
    char *to = r->bytes;

    memcpy(&r->u, src, def->size);
    for (size_t i = 0; i < def->n_fields; i++) {
        if (field_is_slice(&def->fields[i])) {
            struct sl *s = field_slice(&def->fields[i], &r->u);

            if (s->n != 0) {
                memcpy(to, s->p, s->n);
            }
            s->p = to;
            to += s->n;
        }
    }
}

int rec_new(struct rec **rp, enum rec_kind kind, const void *src)
{
    const struct rec_def *def = &rec_defs[kind];
    size_t bytes = rec_bytes(def, src);
    struct rec *r;

    if (bytes > STORE_REC_MAX) {
        return EMSGSIZE;
    }
    r = mem_alloc(sizeof(*r) + bytes);
    if (r == NULL) {
        return ENOMEM;
    }
    r->next = NULL;
    r->size = sizeof(*r) + bytes;
    r->node = (struct hnode){0};
    r->kind = kind;
    list_init(&r->in_order);
    rec_copy(r, def, src);
    *rp = r;
    return 0;
}

/* Only the push that finds the stack empty wakes the writer: one system call per batch. */
static int rec_post(struct store *s, enum rec_kind kind, const void *src)
{
    struct rec *r = NULL;
    struct rec *head;
    int err = rec_new(&r, kind, src);

    if (err != 0) {
        return err;
    }
    atomic_fetch_add_explicit(&s->backlog, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->backlog_bytes, r->size, memory_order_relaxed);
    head = atomic_load_explicit(&s->posted, memory_order_relaxed);
    do {
        r->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&s->posted, &head, r, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL) {
        uint64_t one = 1;
        ssize_t n = write(s->wake_fd, &one, sizeof(one));

        (void)n; /* an eventfd that cannot count further is awake already */
    }
    return 0;
}

int store_put_call(struct store *s, const struct store_call *c)
{
    struct store_call mine = *c;

    mine.node = sl_str(s->node);
    return rec_post(s, REC_CALL, &mine);
}

int store_put_asked(struct store *s, const struct store_asked *a)
{
    return rec_post(s, REC_ASKED, a);
}

int store_put_binding(struct store *s, const struct store_binding *b)
{
    return rec_post(s, REC_BIND, b);
}

int store_del_binding(struct store *s, struct sl user, struct sl contact)
{
    struct store_binding b = {.user = user, .contact = contact};

    return rec_post(s, REC_UNBIND, &b);
}

int store_put_ban(struct store *s, const struct store_ban *b)
{
    return rec_post(s, REC_BAN, b);
}

int store_del_ban(struct store *s, struct sl prefix)
{
    struct store_ban b = {.prefix = prefix};

    return rec_post(s, REC_UNBAN, &b);
}
