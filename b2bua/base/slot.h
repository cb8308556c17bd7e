/* slot.h - objects by number: a slot and a generation, so that a late message never meets a
 * recycled object. Thread: the owner. */
#ifndef POSTERN_BASE_SLOT_H
#define POSTERN_BASE_SLOT_H

#include <stddef.h>
#include <stdint.h>

struct slot_entry {
    void *obj;    /* NULL: free */
    uint32_t gen; /* raised at each release */
    uint32_t next_free;
};

struct slots {
    struct slot_entry *e;
    uint32_t cap;
    uint32_t n_used;
    uint32_t max;       /* ENOBUFS beyond */
    uint32_t free_head; /* UINT32_MAX: none */
};

void slots_init(struct slots *s, uint32_t max);
void slots_free(struct slots *s);
/* ENOMEM or ENOBUFS. obj must not be NULL. */
__attribute__((warn_unused_result)) int slots_add(struct slots *s, void *obj, uint32_t *slot,
                                                  uint32_t *gen);
void *slots_get(const struct slots *s, uint32_t slot, uint32_t gen); /* NULL: gone or never was */
void slots_del(struct slots *s, uint32_t slot, uint32_t gen);        /* harmless when gone */
/* Walks: returns the next used slot's object at or after *pos and moves *pos past it; NULL at end.
 */
void *slots_next(const struct slots *s, uint32_t *pos);

#endif
