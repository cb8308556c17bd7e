/* listen.c - the sockets of a worker's listeners. New ones are bound before a configuration comes
 * into force, so that what cannot be bound refuses it; those that are left go on, deaf for new
 * calls, until the last call that began on them has ended. */
#include "worker/worker_int.h"

#define LINGER_MS 35000 /* transactions outside calls end within 64*T1 of the default T1 */

static const enum sip_transport transports[] = {SIP_UDP, SIP_TCP, SIP_TLS};

static bool has_listener(const struct config *cfg, unsigned slot)
{
    return cfg != NULL && slot < cfg->n_listeners && cfg->listeners[slot].name != NULL;
}

bool worker_serves(const struct worker *w, uint8_t listener)
{
    return has_listener(w->cfg, listener);
}

static bool is_open(const struct worker *w, unsigned slot)
{
    return (w->open_slots >> slot & 1) != 0;
}

static void slot_opened(struct worker *w, const struct config *cfg, unsigned slot)
{
    w->open_slots |= (uint64_t)1 << slot;
    w->unused_ms[slot] = 0;
    if (cfg->slots != NULL) {
        config_slots_hold(cfg->slots, slot);
    }
}

static void slot_close(struct worker *w, unsigned slot)
{
    for (size_t k = 0; k < COUNT_OF(transports); k++) {
        net_unlisten(w->net, (uint8_t)slot, transports[k]);
    }
    w->open_slots &= ~((uint64_t)1 << slot);
    if (w->cfg != NULL && w->cfg->slots != NULL) {
        config_slots_drop(w->cfg->slots, slot);
    }
}

static int open_slot(struct worker *w, const struct config *cfg, unsigned slot, struct buf *why)
{
    const struct config_listener *ls = &cfg->listeners[slot];

    for (size_t k = 0; k < COUNT_OF(transports); k++) {
        struct addr at = ls->address, bound;
        char where[ADDR_TEXT_MAX];
        int err;

        addr_set_port(&at, ls->port[transports[k]]);
        if (ls->port[transports[k]] == 0 || net_is_open(w->net, transports[k], &at)) {
            continue; /* the other listener's until the configuration is in force */
        }
        err = net_listen(w->net, (uint8_t)slot, transports[k], &at, &bound);
        if (err != 0) {
            buf_putf(why, "listener %s: cannot bind %s %s: %s", ls->name,
                     sip_transport_name(transports[k]), addr_text(&at, where), strerror(err));
            return err;
        }
    }
    return 0;
}

int worker_open(struct worker *w, struct config *cfg, struct buf *why)
{
    int err = 0;

    worker_be_node(w, cfg->node_id); /* another worker may write it before this one has the news */
    worker_expect(w, cfg);
    for (unsigned slot = 0; w->net != NULL && slot < cfg->n_listeners && err == 0; slot++) {
        if (!has_listener(cfg, slot)) {
            continue;
        }
        err = open_slot(w, cfg, slot, why); /* one that comes back may have lost some of them */
        if (!is_open(w, slot)) {
            slot_opened(w, cfg, slot);
            w->fresh_slots |= (uint64_t)1 << slot;
        }
    }
    return err;
}

void worker_abandon(struct worker *w)
{
    for (unsigned slot = 0; slot < CONFIG_SLOTS_MAX; slot++) {
        if ((w->fresh_slots >> slot & 1) != 0) {
            slot_close(w, slot);
        }
    }
    w->fresh_slots = 0;
    worker_expect(w, NULL);
}

/* A listener that has changed is another one by number: what it left open is the new one's. */
static void adopt(struct worker *w, const struct config *cfg, unsigned slot)
{
    const struct config_listener *ls = &cfg->listeners[slot];

    for (size_t k = 0; w->net != NULL && k < COUNT_OF(transports); k++) {
        struct addr at = ls->address;

        addr_set_port(&at, ls->port[transports[k]]);
        if (ls->port[transports[k]] != 0) {
            net_adopt(w->net, (uint8_t)slot, transports[k], &at);
        }
    }
}

/* The neighbours may speak of the old number for a while. */
static void note_heirs(struct worker *w, const struct config *old, const struct config *cfg,
                       unsigned slot)
{
    const struct config_listener *ls = &cfg->listeners[slot];

    worker_listener_served(w, (uint8_t)slot);
    for (unsigned i = 0; old != NULL && i < old->n_listeners; i++) {
        for (size_t k = 0; i != slot && has_listener(old, i) && k < COUNT_OF(transports); k++) {
            uint16_t port = ls->port[transports[k]];

            if (port != 0 && port == old->listeners[i].port[transports[k]] &&
                addr_eq_ip(&ls->address, &old->listeners[i].address)) {
                worker_socket_moved(w, (uint8_t)i, (uint8_t)slot, transports[k]);
            }
        }
    }
}

static void move_bindings(struct worker *w, const struct config *old, const struct config *cfg)
{
    for (unsigned i = 0; old != NULL && i < old->n_listeners; i++) {
        for (unsigned k = 0; has_listener(old, i) && k < cfg->n_listeners; k++) {
            if (k != i && has_listener(cfg, k) &&
                sl_eq(sl_str(old->listeners[i].name), sl_str(cfg->listeners[k].name))) {
                registrar_move(w->registrar, (uint8_t)i, (uint8_t)k);
                worker_listener_moved(w, (uint8_t)i, (uint8_t)k);
            }
        }
    }
}

/* A socket that was another listener's when this was prepared may have gone with it since. */
static void reopen(struct worker *w, const struct config *cfg, unsigned slot)
{
    char text[160];
    struct buf why;

    buf_init_fixed(&why, text, sizeof(text));
    if (open_slot(w, cfg, slot, &why) != 0) {
        stat_inc(STAT_LISTENER_DEAF);
        log_error(NULL, "nobody listens there until the next reload: %.*s", SL_ARG(buf_sl(&why)));
    }
    if (!is_open(w, slot)) { /* prepared in vain, and in force nevertheless */
        slot_opened(w, cfg, slot);
    }
}

void worker_take_sockets(struct worker *w, const struct config *old, const struct config *cfg)
{
    w->fresh_slots = 0;
    for (unsigned slot = 0; slot < cfg->n_listeners; slot++) {
        if (!has_listener(cfg, slot)) {
            continue;
        }
        note_heirs(w, old, cfg, slot);
        adopt(w, cfg, slot);
        if (old != NULL &&
            w->net != NULL) { /* the first configuration is bound by worker_listen() */
            reopen(w, cfg, slot);
        }
    }
    move_bindings(w, old, cfg);
}

/* Calls hold their snapshot, and that its places; requests outside calls have had their time. */
static bool is_needed(struct worker *w, unsigned slot, int64_t now_ms)
{
    if (has_listener(w->cfg, slot) || (w->fresh_slots >> slot & 1) != 0 || w->cfg->slots == NULL ||
        config_slots_in_use(w->cfg->slots, slot)) {
        w->unused_ms[slot] = 0;
        return true;
    }
    if (w->unused_ms[slot] == 0) {
        w->unused_ms[slot] = now_ms;
    }
    return now_ms - w->unused_ms[slot] < LINGER_MS;
}

void worker_close_unused(struct worker *w)
{
    for (unsigned slot = 0; w->net != NULL && slot < CONFIG_SLOTS_MAX; slot++) {
        if (is_open(w, slot) && !is_needed(w, slot, loop_now_ms(w->loop)) &&
            media_drop_realm(w->media, (uint8_t)slot) == 0) {
            slot_close(w, slot);
            log_info(NULL, "the sockets of a listener that is gone were closed");
        }
    }
}
