/* ready.c - opens pairs before anybody asks for them, a few at a time: four sockets made within a
 * call's set-up would be a third of what it costs. They join those at rest, which calls take first.
 */
#include "media/media_int.h"

#define READY_LOT 4        /* pairs opened at once, */
#define READY_PAUSE_MS 5   /* so that opening many delays no packet */
#define READY_AGAIN_MS 200 /* after a call took one */

static const struct addr *ready_ip(const struct media_realm *r)
{
    return addr_family(&r->p.address) != AF_UNSPEC ? &r->p.address : &r->p.address6;
}

static bool ready_is_short(const struct media_realm *r)
{
    const struct media *m = r->m;

    return r->n_idle < m->p.ready && r->n_free > r->cap / 2 && m->n_idle + 2 <= m->idle_fds;
}

static int ready_open(struct media_realm *r)
{
    struct media_pair *p = NULL;
    int err = media_pair_open(&p, r, ready_ip(r));

    if (err == 0) {
        err = media_pair_open_rtcp(p, ready_ip(r));
        if (err == 0) {
            media_idle_add(p);
        } else {
            media_pair_close(p);
        }
    }
    return err;
}

/* True: more is to be done. A port that somebody else has is no obstacle, all else stops it. */
static bool ready_fill(struct media_realm *r)
{
    int err = 0;

    for (unsigned i = 0; i < READY_LOT && ready_is_short(r) && (err == 0 || err == EADDRINUSE);
         i++) {
        err = ready_open(r);
    }
    return ready_is_short(r) && (err == 0 || err == EADDRINUSE);
}

static void on_ready_timer(void *media)
{
    struct media *m = media;
    bool again = false;

    for (unsigned i = 0; i < MEDIA_LISTENERS; i++) {
        if (m->realms[i] != NULL && ready_fill(m->realms[i])) {
            again = true;
        }
    }
    if (again) {
        timer_start(m->p.loop, &m->ready_timer, READY_PAUSE_MS);
    }
}

void media_ready_init(struct media *m)
{
    timer_init(&m->ready_timer, on_ready_timer, m);
}

void media_ready_check(struct media_realm *r, bool now)
{
    struct media *m = r->m;

    if (!timer_is_armed(&m->ready_timer) && ready_is_short(r)) {
        timer_start(m->p.loop, &m->ready_timer, now ? 0 : READY_AGAIN_MS);
    }
}
