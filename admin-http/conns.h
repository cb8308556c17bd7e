/* conns.h - the open connections of the admin API. Thread: libmicrohttpd's; the end: the owner's.
 */
#ifndef POSTERN_ADMIN_CONNS_H
#define POSTERN_ADMIN_CONNS_H

#include "base/base.h"

#include <microhttpd.h>
#include <stdatomic.h>

struct admin;
struct request;
struct conn_slot {
    int fd;                /* -1: free */
    struct request *begun; /* not yet over; its connection's thread only */
    /* Since when it waits for its client, or is at work; INT64_MAX: it was told to go. */
    atomic_int_least64_t since_ms;
    atomic_bool has_passed; /* a request that may be answered is in work, or its answer goes out */
};

void conns_init(struct admin *a);
void conns_free(struct admin *a);
enum MHD_Result on_http_accept(void *arg, const struct sockaddr *from, socklen_t n);
/* No new ones; waits until the old ones are gone, which may still be answered for polite_ms. */
void conns_end(struct admin *a, int64_t polite_ms, int64_t max_ms);
/* A request begins; it may be answered, or its handler starts; it is over. NULL: no place. */
void conns_note_request(struct admin *a, struct conn_slot *slot);
void conns_note_passed(struct admin *a, struct conn_slot *slot);
void conns_note_done(struct admin *a, struct conn_slot *slot);
/* Of an open connection; NULL: it had no place. */
struct conn_slot *conns_slot(struct MHD_Connection *conn);
void on_http_connection(void *arg, struct MHD_Connection *conn, void **slotp,
                        enum MHD_ConnectionNotificationCode what);

#endif
