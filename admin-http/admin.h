/* admin.h - the admin API: REST under /v1, health and metrics, over HTTP/1.1 by libmicrohttpd.
 * Threads: main starts and stops it; requests run on two threads of its own, which read the
 * database through read-only connections and ask the workers through b2bua.h. Nothing here is
 * called back. */
#ifndef POSTERN_ADMIN_H
#define POSTERN_ADMIN_H

#include "base/base.h"

struct admin;
struct b2bua;
struct life;

struct admin_params {
    struct addr listen;     /* port 0: any; AF_UNSPEC: unix_path counts */
    const char *unix_path;  /* socket made with mode 0660; NULL: listen counts */
    const char *token;      /* who has it may do everything; at least ADMIN_TOKEN_MIN bytes */
    const char *store_path; /* the database that store_open() opened before */
    struct b2bua *b2bua;    /* borrowed: outlives the admin */
    struct life *life;      /* likewise; NULL: /v1/config answers 503 */
};

/* Copies *p. EINVAL: no token or no address; EADDRINUSE and others from the socket; ENOMEM. */
MUST_USE int admin_start(struct admin **ap, const struct admin_params *p);
/* Ends connections, waits for requests in work (at most a few seconds), removes the unix socket.
 * Before the b2bua and the store go. Accepts NULL. */
void admin_stop(struct admin **ap);
void admin_set_token(struct admin *a, const char *token); /* from the next request on */
uint16_t admin_port(const struct admin *a); /* where it listens; 0: unix socket, NULL */

#define ADMIN_TOKEN_MIN 16
#define ADMIN_TOKEN_MAX 256
/* Reads the token from a file into out (NUL-terminated). A missing file is made, at once complete
 * and mode 0600, with 32 random bytes in hex behind "postern_". EPERM: others may read the file;
 * EBADMSG: it holds no token; EMSGSIZE: cap; else errno. */
MUST_USE int admin_token_load(const char *path, char *out, size_t cap);

#endif
