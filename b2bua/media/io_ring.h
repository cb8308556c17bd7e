/* io_ring.h - the sockets of a worker on one io_uring. Thread: new and free on any, the rest on the
 * worker's. */
#ifndef POSTERN_MEDIA_IO_RING_H
#define POSTERN_MEDIA_IO_RING_H

#include "media/media_int.h"

/* ENOTSUP: a virtual loop; ENOSYS, EPERM, EINVAL...: the kernel or a container does not let us;
 * ENOMEM. */
MUST_USE int media_ring_new(struct media_ring **rp, struct media *m);
/* Forgets all sockets; what they were sent is lost. Accepts NULL. */
void media_ring_free(struct media_ring **rp);
MUST_USE int media_ring_watch(struct media_ring *r, struct media_sock *s); /* ENOMEM */
void media_ring_unwatch(struct media_ring *r, struct media_sock *s);
bool media_ring_send(struct media_ring *r, const struct media_flow *f, const struct media_pkt *pkt,
                     const struct addr *dest); /* as media_io_send() */
/* Hands out what has come and sends what that led to. Harmless inside itself. */
void media_ring_serve(struct media_ring *r);
void media_ring_sleep(void *ring, int64_t us); /* loop_sleep_fn */

#endif
