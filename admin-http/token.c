/* token.c - the file that holds the token: read, or made at the first start. */
#include "admin-http/admin.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_PREFIX "postern_"
#define TOKEN_BYTES 32

static int token_read_fd(int fd, char *text, size_t cap, size_t *n)
{
    struct stat st;
    ssize_t got;

    if (fstat(fd, &st) != 0) {
        return errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return EBADMSG;
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return EPERM;
    }
    got = read(fd, text, cap);
    *n = got > 0 ? (size_t)got : 0;
    return got < 0 ? errno : 0;
}

static bool token_is_good(struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f) {
            return false;
        }
    }
    return s.n >= ADMIN_TOKEN_MIN && s.n <= ADMIN_TOKEN_MAX;
}

static int token_read(const char *path, char *out, size_t cap)
{
    char text[ADMIN_TOKEN_MAX + 64];
    struct sl s = SL_NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int err = fd < 0 ? errno : token_read_fd(fd, text, sizeof(text), &s.n);

    if (fd >= 0) {
        (void)close(fd);
    }
    if (err == 0) {
        s.p = text;
        s = sl_trim(s);
        err = token_is_good(s) ? sl_cstr(s, out, cap) : EBADMSG;
    }
    mem_wipe(text, sizeof(text));
    return err;
}

static int token_write_fd(int fd)
{
    uint8_t random[TOKEN_BYTES];
    char text[sizeof(TOKEN_PREFIX) + 2 * TOKEN_BYTES + 1];
    struct buf b;
    int err = 0;

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return EIO;
    }
    buf_init_fixed(&b, text, sizeof(text));
    buf_puts(&b, TOKEN_PREFIX);
    buf_putx(&b, random, sizeof(random));
    buf_putc(&b, '\n');
    if (write(fd, b.p, b.n) != (ssize_t)b.n) {
        err = errno != 0 ? errno : EIO;
    } else if (fsync(fd) != 0) {
        err = errno;
    }
    mem_wipe(text, sizeof(text));
    mem_wipe(random, sizeof(random));
    return err;
}

/* Written aside and linked: the name appears with the whole token in it, and of two processes that
 * start at once one wins (the other finds EEXIST and reads). */
static int token_make_as(const char *path, char *aside)
{
    int fd = mkostemp(aside, O_CLOEXEC); /* mode 0600 */
    int err = fd < 0 ? errno : token_write_fd(fd);

    if (fd < 0) {
        return err;
    }
    (void)close(fd);
    if (err == 0 && link(aside, path) != 0) {
        err = errno;
    }
    (void)unlink(aside);
    return err;
}

static int token_make(const char *path)
{
    struct buf b;
    int err;

    buf_init(&b, 8192);
    buf_putf(&b, "%s.XXXXXX", path);
    buf_putc(&b, '\0');
    err = buf_err(&b) != 0 ? buf_err(&b) : token_make_as(path, b.p);
    buf_free(&b);
    if (err == 0) {
        log_info(NULL, "admin: the token was made, see %s", path);
    }
    return err == EEXIST ? 0 : err;
}

static const char *token_why(int err)
{
    return err == EPERM     ? "others than its owner may read it"
           : err == EBADMSG ? "it holds no token (16 to 256 visible characters)"
                            : strerrordesc_np(err);
}

int admin_token_load(const char *path, char *out, size_t cap)
{
    int err = token_read(path, out, cap);

    if (err == ENOENT) {
        err = token_make(path);
        if (err == 0) {
            err = token_read(path, out, cap);
        }
    }
    if (err != 0) {
        log_error(NULL, "admin: token file %s: %s", path, token_why(err));
    }
    return err;
}
