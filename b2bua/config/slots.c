/* slots.c - the indices of listeners, the same in all snapshots that are alive. Calls that began
 * under an older configuration keep theirs, and with it the sockets at its index. */
#include "config/config_int.h"

#include <pthread.h>

struct cfg_slot {
    char name[POLICY_NAME_MAX + 1];
    struct addr address;
    uint16_t port[CONFIG_TRANSPORTS];
    uint32_t snapshots; /* that speak of it */
    uint32_t holds;     /* by whoever has sockets there */
};

struct config_slots {
    pthread_mutex_t lock;
    struct cfg_slot e[CONFIG_SLOTS_MAX];
};

int config_slots_new(struct config_slots **sp)
{
    struct config_slots *s = mem_zalloc(sizeof(*s));

    if (s == NULL) {
        return ENOMEM;
    }
    pthread_mutex_init(&s->lock, NULL);
    *sp = s;
    return 0;
}

void config_slots_free(struct config_slots **sp)
{
    if (*sp != NULL) {
        pthread_mutex_destroy(&(*sp)->lock);
        mem_free(*sp);
        *sp = NULL;
    }
}

void config_slots_hold(struct config_slots *s, unsigned slot)
{
    pthread_mutex_lock(&s->lock);
    s->e[slot].holds++;
    pthread_mutex_unlock(&s->lock);
}

void config_slots_drop(struct config_slots *s, unsigned slot)
{
    pthread_mutex_lock(&s->lock);
    s->e[slot].holds--;
    pthread_mutex_unlock(&s->lock);
}

bool config_slots_in_use(struct config_slots *s, unsigned slot)
{
    bool in_use;

    pthread_mutex_lock(&s->lock);
    in_use = s->e[slot].snapshots != 0;
    pthread_mutex_unlock(&s->lock);
    return in_use;
}

static bool cfg_slot_is(const struct cfg_slot *e, const struct config_listener *l)
{
    return (e->snapshots != 0 || e->holds != 0) && sl_eq(sl_str(e->name), sl_str(l->name)) &&
           addr_family(&e->address) == addr_family(&l->address) &&
           addr_eq_ip(&e->address, &l->address) && memcmp(e->port, l->port, sizeof(e->port)) == 0;
}

/* The place of this listener, or a free one; -1: all are taken. */
static int cfg_slot_find(const struct config_slots *s, const struct config_listener *l)
{
    int found = -1;

    for (int i = 0; i < CONFIG_SLOTS_MAX; i++) {
        if (cfg_slot_is(&s->e[i], l)) {
            return i;
        }
        if (found < 0 && s->e[i].snapshots == 0 && s->e[i].holds == 0) {
            found = i;
        }
    }
    return found;
}

static int cfg_slot_take(struct config_slots *s, const struct config_listener *l)
{
    struct cfg_slot *e;
    int slot = cfg_slot_find(s, l);

    if (slot < 0) {
        return -1;
    }
    e = &s->e[slot];
    if (e->snapshots++ == 0 && e->holds == 0) {
        size_t n = sl_head(sl_str(l->name), POLICY_NAME_MAX).n;

        memcpy(e->name, l->name, n);
        e->name[n] = '\0';
        e->address = l->address;
        memcpy(e->port, l->port, sizeof(e->port));
    }
    return slot;
}

void cfg_slots_release(struct config *c, uint64_t taken)
{
    for (unsigned i = 0; c->slots != NULL && i < CONFIG_SLOTS_MAX; i++) {
        if ((taken >> i & 1) != 0) {
            pthread_mutex_lock(&c->slots->lock);
            c->slots->e[i].snapshots--;
            pthread_mutex_unlock(&c->slots->lock);
        }
    }
}

/* Places for all listeners of the file; false: reported. */
static bool cfg_slots_take(struct cfg *c, struct config_slots *s, uint8_t *place)
{
    bool is_good = true;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < c->config->n_listeners && is_good; i++) {
        int slot = cfg_slot_take(s, &c->config->listeners[i]);

        is_good = slot >= 0;
        if (is_good) {
            place[i] = (uint8_t)slot;
            c->slots_taken |= (uint64_t)1 << slot;
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (!is_good) {
        cfg_error_at(c, 1, 1,
                     "listeners: too many old ones still have calls; try again when they ended");
    }
    return is_good;
}

static bool cfg_slots_rename(struct hnode *node, void *arg)
{
    const uint8_t *place = arg;
    struct cfg_name *name = CONTAINER_OF(node, struct cfg_name, node);

    name->index = place[name->index];
    return true;
}

/* Behind this, whatever refers to a listener by its index means its place. */
void cfg_slots_place(struct cfg *c)
{
    struct config *cfg = c->config;
    const struct cfg_node *nodes[CONFIG_SLOTS_MAX] = {NULL};
    uint8_t place[CONFIG_LISTENERS_MAX] = {0};
    struct config_listener *all;
    size_t n = 0;

    if (cfg->slots == NULL || c->err != 0 || cfg->n_listeners > CONFIG_LISTENERS_MAX ||
        c->listeners.n != cfg->n_listeners || !cfg_slots_take(c, cfg->slots, place)) {
        return;
    }
    for (size_t i = 0; i < cfg->n_listeners; i++) {
        n = place[i] + 1u > n ? place[i] + 1u : n;
    }
    all = arena_zalloc(c->arena, (n != 0 ? n : 1) * sizeof(*all));
    if (all == NULL) {
        c->err = ENOMEM;
        return;
    }
    for (size_t i = 0; i < cfg->n_listeners; i++) {
        all[place[i]] = cfg->listeners[i];
        nodes[place[i]] = c->listener_nodes[i];
    }
    memcpy(c->listener_nodes, nodes, sizeof(nodes));
    hmap_each(&c->listeners, cfg_slots_rename, place);
    cfg->listeners = all;
    cfg->n_listeners = n;
}
