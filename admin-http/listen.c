/* listen.c - the socket that the admin API listens on: TCP, or a unix socket for its group. */
#include "admin-http/admin_int.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 64
#define LISTEN_UNIX_MODE 0660

static int listen_tcp(const struct addr *at, int fd)
{
    int on = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (addr_family(at) == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    return bind(fd, &at->u.sa, addr_len(at)) != 0 ? errno : 0;
}

/* A socket file that nobody listens on is what a crash left. */
static int listen_unix_clear(const struct sockaddr_un *un)
{
    struct stat st;
    int fd, err = 0;

    if (lstat(un->sun_path, &st) != 0) {
        return errno == ENOENT ? 0 : errno;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return EEXIST;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    if (connect(fd, (const struct sockaddr *)(const void *)un, sizeof(*un)) == 0 ||
        errno != ECONNREFUSED) {
        err = EADDRINUSE;
    } else if (unlink(un->sun_path) != 0) {
        err = errno;
    }
    (void)close(fd);
    return err;
}

static int listen_unix(const char *path, int fd)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int err = sl_cstr(sl_str(path), un.sun_path, sizeof(un.sun_path));

    if (err == 0) {
        err = listen_unix_clear(&un);
    }
    /* The mode of the descriptor becomes that of the file: it is never open for others. */
    if (err == 0 && fchmod(fd, LISTEN_UNIX_MODE) != 0) {
        err = errno;
    }
    if (err == 0 && bind(fd, (const struct sockaddr *)(void *)&un, sizeof(un)) != 0) {
        err = errno;
    }
    if (err == 0 && chmod(path, LISTEN_UNIX_MODE) != 0) { /* the umask may have taken bits away */
        err = errno;
    }
    return err;
}

int listen_open(const struct admin_params *p, int *fdp)
{
    bool is_unix = addr_family(&p->listen) == AF_UNSPEC;
    int family = is_unix ? AF_UNIX : addr_family(&p->listen);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int err;

    if (fd < 0) {
        return errno;
    }
    err = is_unix ? listen_unix(p->unix_path, fd) : listen_tcp(&p->listen, fd);
    if (err == 0 && listen(fd, LISTEN_BACKLOG) != 0) {
        err = errno;
    }
    if (err != 0) {
        (void)close(fd);
        return err;
    }
    *fdp = fd;
    return 0;
}
