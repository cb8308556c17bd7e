/* slot.c - numbered objects with generations. */
#include "base/base.h"

#define SLOT_NONE UINT32_MAX
#define SLOT_FIRST 16

void slots_init(struct slots *s, uint32_t max)
{
    *s = (struct slots){.max = max < SLOT_NONE ? max : SLOT_NONE - 1, .free_head = SLOT_NONE};
}

void slots_free(struct slots *s)
{
    mem_free(s->e);
    slots_init(s, s->max);
}

static int slots_grow(struct slots *s)
{
    uint32_t cap = s->cap != 0 ? s->cap : SLOT_FIRST / 2;
    struct slot_entry *e;

    if (s->cap >= s->max) {
        return ENOBUFS;
    }
    cap = cap > s->max / 2 ? s->max : cap * 2;
    e = mem_realloc(s->e, cap * sizeof(*e));
    if (e == NULL) {
        return ENOMEM;
    }
    s->e = e;
    for (uint32_t i = cap; i-- > s->cap;) { /* lowest numbers are handed out first */
        e[i] = (struct slot_entry){.gen = 1, .next_free = s->free_head};
        s->free_head = i;
    }
    s->cap = cap;
    return 0;
}

int slots_add(struct slots *s, void *obj, uint32_t *slot, uint32_t *gen)
{
    struct slot_entry *e;

    if (s->free_head == SLOT_NONE) {
        int err = slots_grow(s);

        if (err != 0) {
            return err;
        }
    }
    *slot = s->free_head;
    e = &s->e[*slot];
    s->free_head = e->next_free;
    e->obj = obj;
    *gen = e->gen;
    s->n_used++;
    return 0;
}

void *slots_get(const struct slots *s, uint32_t slot, uint32_t gen)
{
    return slot < s->cap && s->e[slot].gen == gen ? s->e[slot].obj : NULL;
}

void slots_del(struct slots *s, uint32_t slot, uint32_t gen)
{
    struct slot_entry *e;

    if (slots_get(s, slot, gen) == NULL) {
        return;
    }
    e = &s->e[slot];
    e->obj = NULL;
    e->gen = e->gen != UINT32_MAX ? e->gen + 1 : 1;
    e->next_free = s->free_head;
    s->free_head = slot;
    s->n_used--;
}

void *slots_next(const struct slots *s, uint32_t *pos)
{
    while (*pos < s->cap) {
        void *obj = s->e[(*pos)++].obj;

        if (obj != NULL) {
            return obj;
        }
    }
    return NULL;
}
