/* conns.c - the open connections, so that they can be ended before the HTTP server is stopped:
 * libmicrohttpd 0.9.75 writes through a null pointer when it refuses a malformed request itself at
 * the moment at which it is told to stop (MHD_queue_response() then succeeds without a response).
 */
#include "admin-http/admin_int.h"

#include <poll.h>
#include <sys/socket.h>

#define CONNS_LOOK_MS 5
#define CONNS_SLOW_MS 1000  /* for whom nothing is done: time to ask, or to show the token */
#define CONNS_WORK_MS 10000 /* an answer takes less, also when a few workers give none in time */
#define CONNS_CROWD 64      /* so many are waited for no more, or MHD would not even look */

static void conns_note(struct admin *a, struct conn_slot *slot, bool has_passed)
{
    if (slot != NULL) {
        atomic_store(&slot->has_passed, has_passed);
        atomic_store(&slot->since_ms, clock_now_ms(&a->clock));
    }
}

void conns_note_request(struct admin *a, struct conn_slot *slot)
{
    conns_note(a, slot, false);
}

void conns_note_passed(struct admin *a, struct conn_slot *slot)
{
    conns_note(a, slot, true);
}

void conns_note_done(struct admin *a, struct conn_slot *slot)
{
    conns_note(a, slot, false);
}

static void conns_add(struct admin *a, int fd, void **slotp)
{
    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        if (a->conns[i].fd < 0) {
            a->conns[i].fd = fd;
            conns_note_request(a, &a->conns[i]);
            a->n_conns++;
            *slotp = &a->conns[i];
            return;
        }
    }
}

static void conns_remove(struct admin *a, void **slotp)
{
    struct conn_slot *slot = *slotp;

    if (slot != NULL) {
        request_free(&slot->begun);
        slot->fd = -1;
        a->n_conns--;
        *slotp = NULL;
    }
}

struct conn_slot *conns_slot(struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

/* Closed is told before the descriptor is closed: under the lock a number is never another's. */
void on_http_connection(void *arg, struct MHD_Connection *conn, void **slotp,
                        enum MHD_ConnectionNotificationCode what)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct admin *a = arg;

    (void)pthread_mutex_lock(&a->conns_lock);
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        conns_remove(a, slotp);
    } else if (info != NULL) {
        conns_add(a, info->connect_fd, slotp);
    }
    (void)pthread_mutex_unlock(&a->conns_lock);
}

void conns_init(struct admin *a)
{
    (void)pthread_mutex_init(&a->conns_lock, NULL);
    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        a->conns[i].fd = -1;
    }
}

void conns_free(struct admin *a)
{
    (void)pthread_mutex_destroy(&a->conns_lock);
}

/* A request that is being worked on still gets its answer: only what comes in is cut off. */
static size_t conns_shut(struct admin *a, int how)
{
    size_t n;

    (void)pthread_mutex_lock(&a->conns_lock);
    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        if (a->conns[i].fd >= 0) {
            (void)shutdown(a->conns[i].fd, how);
        }
    }
    n = a->n_conns;
    (void)pthread_mutex_unlock(&a->conns_lock);
    return n;
}

static struct conn_slot *conns_slowest(struct admin *a, bool has_passed)
{
    struct conn_slot *slowest = NULL;

    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        struct conn_slot *slot = &a->conns[i];

        if (slot->fd >= 0 && atomic_load(&slot->has_passed) == has_passed &&
            (slowest == NULL || atomic_load(&slot->since_ms) < atomic_load(&slowest->since_ms))) {
            slowest = slot;
        }
    }
    return slowest;
}

static bool conns_end_slow(struct admin *a, struct conn_slot *slot, int64_t at_least_ms)
{
    if (slot == NULL || clock_now_ms(&a->clock) - atomic_load(&slot->since_ms) < at_least_ms) {
        return false;
    }
    (void)shutdown(slot->fd, SHUT_RDWR);
    atomic_store(&slot->since_ms, INT64_MAX); /* on its way: the next is another one */
    return true;
}

/* Whoever says nothing, or reads nothing, must not keep everybody else out: the one who does so for
 * the longest time makes room. Who waits for an answer of ours is not slow. With the lock held. */
static void conns_push_out(struct admin *a, int64_t at_least_ms)
{
    if (!conns_end_slow(a, conns_slowest(a, false), at_least_ms)) {
        (void)conns_end_slow(a, conns_slowest(a, true), CONNS_WORK_MS);
    }
}

/* MHD_quiesce_daemon() would be the way, but its threads and its caller may both take the listening
 * socket out of the same epoll set, and then it aborts the process (0.9.75). */
enum MHD_Result on_http_accept(void *arg, const struct sockaddr *from, socklen_t n)
{
    struct admin *a = arg;

    (void)from;
    (void)n;
    (void)pthread_mutex_lock(&a->conns_lock);
    if (a->n_conns >= ADMIN_CONNECTIONS_WANTED) {
        conns_push_out(a, a->n_conns < CONNS_CROWD ? CONNS_SLOW_MS : 0);
    }
    (void)pthread_mutex_unlock(&a->conns_lock);
    return atomic_load(&a->is_ending) ? MHD_NO : MHD_YES;
}

void conns_end(struct admin *a, int64_t polite_ms, int64_t max_ms)
{
    int64_t start_ms = clock_now_ms(&a->clock), past_ms = 0;

    atomic_store(&a->is_ending, true);
    while (past_ms < max_ms && conns_shut(a, past_ms < polite_ms ? SHUT_RD : SHUT_RDWR) != 0) {
        (void)poll(NULL, 0, CONNS_LOOK_MS);
        past_ms = clock_now_ms(&a->clock) - start_ms;
    }
}
