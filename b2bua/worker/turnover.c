/* turnover.c - the time between the first and the last worker that takes a configuration over.
 * Whoever hears from a worker that is ahead catches up first; what comes from one that is behind
 * speaks of listeners by numbers of before, which are translated. */
#include "worker/worker_int.h"

void worker_expect(struct worker *w, struct config *cfg)
{
    config_unref(&w->next);
    w->next = cfg != NULL ? config_ref(cfg) : NULL;
}

static void take(struct worker *w, struct config *cfg)
{
    struct clock real;
    int64_t from_us;

    clock_init_real(&real);
    from_us = clock_now_us(&real);
    worker_apply_config(w, cfg);
    atomic_store(&w->pause_us, (uint32_t)(clock_now_us(&real) - from_us));
}

/* Nothing is read from what in_force points to, and w->next keeps it from being another one. */
void worker_catch_up(struct worker *w)
{
    struct config *cfg = w->next;

    if (cfg != NULL && atomic_load_explicit(&w->b->in_force, memory_order_acquire) == cfg) {
        w->next = NULL;
        take(w, cfg);
        config_unref(&cfg);
    }
}

void worker_take_config(struct worker *w, struct config *cfg)
{
    worker_catch_up(w);
    if (cfg != w->cfg && atomic_load_explicit(&w->b->in_force, memory_order_acquire) == cfg) {
        take(w, cfg);
    }
}

/* --- listeners of other numbers --- */

void worker_listener_served(struct worker *w, uint8_t listener)
{
    w->heirs[listener] = (struct heir){.named = 0};
}

void worker_listener_moved(struct worker *w, uint8_t from, uint8_t to)
{
    w->heirs[from].named = (uint8_t)(to + 1);
}

void worker_socket_moved(struct worker *w, uint8_t from, uint8_t to, enum sip_transport t)
{
    w->heirs[from].bound[t] = (uint8_t)(to + 1);
}

static uint8_t heir_of(const struct worker *w, const struct flow *flow, bool is_binding)
{
    uint8_t at = flow->listener;

    for (unsigned i = 0; i < CONFIG_SLOTS_MAX && !worker_serves(w, at); i++) {
        uint8_t next = 0;

        if (at < CONFIG_SLOTS_MAX && is_binding) {
            next = w->heirs[at].named;
        } else if (at < CONFIG_SLOTS_MAX && flow->transport < CONFIG_TRANSPORTS) {
            next = w->heirs[at].bound[flow->transport];
        }
        if (next == 0) {
            return flow->listener; /* nobody came after it */
        }
        at = (uint8_t)(next - 1);
    }
    return at;
}

void worker_place_flow(const struct worker *w, struct flow *flow)
{
    flow->listener = heir_of(w, flow, false);
}

static void place_binding(void *arg, struct flow *flow)
{
    flow->listener = heir_of(arg, flow, true);
}

void worker_place_bindings(const struct worker *w, struct reg_update *u)
{
    reg_update_each_flow(u, place_binding, (void *)(uintptr_t)w);
}
