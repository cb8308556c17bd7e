/* call_moved.c - our public address has changed while calls are up: each side of them is told the
 * new one by a re-INVITE, a few calls at a time so that no worker and no peer chokes on it. What is
 * sent from the change on has the new address at once. */
#include "call/call_exchange.h"
#include "call/call_int.h"

#define MOVED_EVERY_MS 50
#define MOVED_AT_ONCE 20 /* calls */
#define TELL_AGAIN_MS 10000
#define TELL_TRIES_MAX 6

/* One that is gone leaves a gap; its calls keep what they were told. */
static bool has_listener(const struct config *cfg, size_t i)
{
    return i < cfg->n_listeners && cfg->listeners[i].name != NULL;
}

const struct addr *call_advertised(const struct call *c, uint8_t listener)
{
    const struct config *now = c->t->cfg;

    return has_listener(now, listener) ? &now->listeners[listener].advertise
                                       : &c->cfg->listeners[listener].advertise;
}

static bool leg_has_moved(const struct leg *l)
{
    return l != NULL && !addr_eq_ip(&l->told, call_advertised(l->call, l->listener));
}

/* Told it now or, while something else is under way, right afterwards. */
static void move_leg(struct leg *l)
{
    if (!leg_has_moved(l)) {
        return;
    }
    l->told = *call_advertised(l->call, l->listener);
    policy_said_addr(&l->said, &l->told); /* its side's, and no business of the other's */
    l->tell.is_due = true;
    l->tell.tries = 0;
    l->wants_reinvite = true;
}

static void on_tell(void *arg)
{
    call_want_reinvite(arg, false);
}

void leg_tell_init(struct leg *l)
{
    timer_init(&l->tell.again, on_tell, l);
}

void leg_tell_done(struct leg *l, bool ok)
{
    if (!l->tell.is_due || l->wants_reinvite) { /* it has changed once more: that comes next */
        return;
    }
    l->tell.is_due = !ok && ++l->tell.tries < TELL_TRIES_MAX;
    if (l->tell.is_due) {
        timer_start(l->call->t->p.loop, &l->tell.again, TELL_AGAIN_MS);
    } else {
        leg_tell_stop(l);
    }
}

void leg_tell_stop(struct leg *l)
{
    timer_stop(l->call->t->p.loop, &l->tell.again);
}

static void move_call(struct call *c)
{
    c->is_moving = false;
    move_leg(c->a);
    LIST_FOR_EACH(it, &c->forks)
    {
        move_leg(CONTAINER_OF(it, struct leg, node));
    }
    if (c->state == CALL_ANSWERED) {
        call_own_kick(c);
    }
}

/* Calls that wait stand at the head of the list: new ones, and those that were told, at its end. */
static void on_moved(void *arg)
{
    struct call_table *t = arg;

    for (unsigned n = 0; n < MOVED_AT_ONCE && !list_is_empty(&t->all); n++) {
        struct call *c = CONTAINER_OF(list_first(&t->all), struct call, node);

        if (!c->is_moving) {
            return;
        }
        list_del(&c->node);
        list_push_back(&t->all, &c->node);
        move_call(c);
    }
    timer_start(t->p.loop, &t->moved, MOVED_EVERY_MS);
}

void call_moved_init(struct call_table *t)
{
    timer_init(&t->moved, on_moved, t);
}

void call_moved_begin(struct call_table *t, const struct config *old)
{
    bool any = false;

    for (size_t i = 0; i < t->cfg->n_listeners; i++) {
        any = any || (has_listener(t->cfg, i) && has_listener(old, i) &&
                      !addr_eq_ip(&old->listeners[i].advertise, &t->cfg->listeners[i].advertise));
    }
    if (!any || list_is_empty(&t->all)) {
        return;
    }
    LIST_FOR_EACH(it, &t->all)
    {
        CONTAINER_OF(it, struct call, node)->is_moving = true;
    }
    log_info(NULL, "a listener advertises another address: %u calls are told", t->n_alive);
    timer_start(t->p.loop, &t->moved, 0);
}
