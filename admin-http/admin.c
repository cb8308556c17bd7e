/* admin.c - start and stop of the admin API. */
#include "admin-http/admin_int.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADMIN_END_POLITE_MS 3000 /* more than a worker or the database may take to answer */
#define ADMIN_END_MAX_MS 5000
#define ADMIN_TIMEOUT_S 15
#define ADMIN_CONNECTION_BYTES (32u << 10) /* request line, headers and their answer */

PRINTF_LIKE(2, 0) static void on_mhd_log(void *arg, const char *fmt, va_list ap)
{
    char text[256];

    (void)arg;
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    log_debug(NULL, "admin: %s", LOG_ESC(sl_trim(sl_str(text))));
}

static int admin_start_mhd(struct admin *a, int fd)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigset_t all, old;

    /* Signals are main's business, but the thread's own faults; the daemon's threads inherit this
     * mask. */
    (void)sigfillset(&all);
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        (void)sigdelset(&all, own[i]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    a->mhd = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, on_http_accept, a,
        on_http_request, a, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL, MHD_OPTION_LISTEN_SOCKET,
        fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)ADMIN_THREADS, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)ADMIN_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)ADMIN_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)ADMIN_CONNECTION_BYTES,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_http_uri, a,
        MHD_OPTION_NOTIFY_COMPLETED, on_http_done, a, MHD_OPTION_NOTIFY_CONNECTION,
        on_http_connection, a, MHD_OPTION_END);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return a->mhd != NULL ? 0 : ENOMEM;
}

static void admin_note_port(struct admin *a, int fd)
{
    struct addr at = {0};
    socklen_t n = sizeof(at.u);

    if (getsockname(fd, &at.u.sa, &n) == 0 && addr_family(&at) != AF_UNIX) {
        a->port = addr_port(&at);
    }
}

static int admin_listen(struct admin *a, const struct admin_params *p)
{
    char text[ADDR_TEXT_MAX];
    int fd = -1;
    int err = listen_open(p, &fd);
    const char *where = p->unix_path;

    if (addr_family(&p->listen) != AF_UNSPEC) {
        where = addr_text(&p->listen, text);
    }
    if (err != 0) {
        log_error(NULL, "admin: cannot listen on %s: %s", where, strerrordesc_np(err));
        return err;
    }
    admin_note_port(a, fd);
    return admin_start_mhd(a, fd); /* the socket is the daemon's from here on */
}

static struct admin *admin_new(const struct admin_params *p)
{
    struct admin *a = mem_zalloc(sizeof(*a));

    if (a == NULL) {
        return NULL;
    }
    clock_init_real(&a->clock);
    a->b2bua = p->b2bua;
    a->life = p->life;
    a->is_local = addr_family(&p->listen) == AF_UNSPEC || addr_is_loopback(&p->listen);
    (void)pthread_mutex_init(&a->readers_lock, NULL);
    (void)pthread_mutex_init(&a->diff_lock, NULL);
    conns_init(a);
    a->store_path = mem_strndup(p->store_path, strlen(p->store_path));
    if (addr_family(&p->listen) == AF_UNSPEC) {
        a->unix_path = mem_strndup(p->unix_path, strlen(p->unix_path));
    }
    return a;
}

static void admin_free(struct admin **ap)
{
    struct admin *a = *ap;

    *ap = NULL;
    readers_close(a);
    admin_auth_free(&a->auth);
    mem_wipe(a->cursor_key, sizeof(a->cursor_key));
    (void)pthread_mutex_destroy(&a->readers_lock);
    (void)pthread_mutex_destroy(&a->diff_lock);
    conns_free(a);
    mem_free(a->unix_path);
    mem_free(a->store_path);
    mem_free(a);
}

int admin_start(struct admin **ap, const struct admin_params *p)
{
    bool is_unix = addr_family(&p->listen) == AF_UNSPEC;
    struct admin *a;
    int err;

    if (p->token == NULL || p->store_path == NULL || (is_unix && p->unix_path == NULL)) {
        return EINVAL;
    }
    a = admin_new(p);
    if (a == NULL) {
        return ENOMEM;
    }
    err = admin_auth_init(&a->auth, p->token);
    if (err == 0 && (a->store_path == NULL || (is_unix && a->unix_path == NULL))) {
        err = ENOMEM;
    }
    if (err == 0) {
        cursor_setup(a);
        err = admin_listen(a, p);
    }
    if (err != 0) {
        admin_free(&a);
        return err;
    }
    *ap = a;
    return 0;
}

void admin_stop(struct admin **ap)
{
    struct admin *a = *ap;

    if (a == NULL) {
        return;
    }
    conns_end(a, ADMIN_END_POLITE_MS, ADMIN_END_MAX_MS);
    MHD_stop_daemon(a->mhd);
    if (a->unix_path != NULL) {
        (void)unlink(a->unix_path);
    }
    admin_free(ap);
}

uint16_t admin_port(const struct admin *a)
{
    return a == NULL ? 0 : a->port;
}
