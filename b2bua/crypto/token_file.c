/* token_file.c - the key file: text, a version line, then one line per key:
 *   postern-token-keys 1
 *   current 00112233445566778899aabbccddeeff 1795243697123
 *   previous ...
 *   older ... and when it ceased to be the current one; up to six */
#include "crypto/crypto_int.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_FILE_MAX 1024
#define TOKEN_FILE_HEAD "postern-token-keys 1"

static int token_file_check(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return EBADMSG;
    }
    return (st.st_mode & (S_IRWXG | S_IRWXO)) != 0 ? EPERM : 0;
}

static int token_file_slurp(const char *path, char *text, size_t cap, size_t *n)
{
    /* O_NONBLOCK: a FIFO in the file's place must not hold the start up */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int err;

    if (fd < 0) {
        return errno;
    }
    err = token_file_check(fd);
    for (*n = 0; err == 0;) {
        ssize_t r = read(fd, text + *n, cap - *n);

        if (r <= 0) {
            err = r < 0 ? errno : 0;
            break;
        }
        *n += (size_t)r;
        err = *n == cap ? EBADMSG : 0;
    }
    (void)close(fd);
    return err;
}

static int token_parse_hex(struct sl hex, uint8_t *key)
{
    if (hex.n != (size_t)TOKEN_KEY_LEN * 2) {
        return EBADMSG;
    }
    for (size_t i = 0; i < TOKEN_KEY_LEN; i++) {
        uint32_t byte;

        if (sl_hex32(sl_make(hex.p + 2 * i, 2), &byte) != 0) {
            return EBADMSG;
        }
        key[i] = (uint8_t)byte;
    }
    return 0;
}

/* The last one when there is no room, which is then found to be there twice. */
static struct token_key *token_next_older(struct token_keys *keys)
{
    size_t i = 1;

    while (i + 1 < TOKEN_OLDER_MAX && keys->older[i].made_ms != 0) {
        i++;
    }
    return &keys->older[i];
}

static int token_parse_line(struct sl line, struct token_keys *keys)
{
    struct sl word, hex;
    struct token_key *k;
    uint64_t made_ms;

    if (sl_next(&line, ' ', &word) != 0 || sl_next(&line, ' ', &hex) != 0) {
        return EBADMSG;
    }
    if (sl_eq(word, SL("current"))) {
        k = &keys->current;
    } else if (sl_eq(word, SL("previous"))) {
        k = &keys->older[0];
    } else if (sl_eq(word, SL("older"))) {
        k = token_next_older(keys);
    } else {
        return EBADMSG;
    }
    if (k->made_ms != 0 || sl_u64(line, INT64_MAX, &made_ms) != 0 || made_ms == 0) {
        return EBADMSG;
    }
    k->made_ms = k->left_ms = (int64_t)made_ms;
    return token_parse_hex(hex, k->key);
}

static int token_parse(struct sl text, struct token_keys *keys)
{
    struct sl line;

    if (sl_next(&text, '\n', &line) != 0 || !sl_eq(line, SL(TOKEN_FILE_HEAD))) {
        return EBADMSG;
    }
    while (sl_next(&text, '\n', &line) == 0) {
        if (token_parse_line(line, keys) != 0) {
            return EBADMSG;
        }
    }
    if (keys->older[1].made_ms != 0 && keys->older[0].made_ms == 0) {
        return EBADMSG;
    }
    keys->older[0].left_ms = keys->current.made_ms;
    return keys->current.made_ms != 0 ? 0 : EBADMSG;
}

int token_file_read(const char *path, struct token_keys *keys)
{
    char text[TOKEN_FILE_MAX];
    size_t n = 0;
    int err = token_file_slurp(path, text, sizeof(text), &n);

    *keys = (struct token_keys){0};
    if (err == 0) {
        err = token_parse(sl_make(text, n), keys);
    }
    mem_wipe(text, sizeof(text));
    return err;
}

static void token_put_line(struct buf *b, const char *word, const struct token_key *k,
                           int64_t at_ms)
{
    if (k->made_ms != 0) {
        buf_puts(b, word);
        buf_putx(b, k->key, sizeof(k->key));
        buf_putc(b, ' ');
        buf_putu(b, (uint64_t)at_ms);
        buf_putc(b, '\n');
    }
}

/* Left over by a crash at most, since only the main thread writes keys: started afresh. */
static int token_file_create(const char *tmp)
{
    (void)unlink(tmp);
    return open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int token_file_fill(int fd, struct sl text)
{
    while (text.n != 0) {
        ssize_t r = write(fd, text.p, text.n);

        if (r < 0 && errno != EINTR) {
            return errno;
        }
        text = sl_from(text, r > 0 ? (size_t)r : 0);
    }
    return fsync(fd) == 0 ? 0 : errno;
}

/* The new name is on the disk only once its directory is. */
static int token_file_sync_dir(const char *path)
{
    ptrdiff_t slash = sl_rchr(sl_str(path), '/');
    char dir[PATH_MAX];
    int fd, err;

    (void)snprintf(dir, sizeof(dir), "%.*s", slash > 0 ? (int)slash : 1, slash >= 0 ? path : ".");
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    err = fsync(fd) == 0 || errno == EINVAL ? 0 : errno; /* EINVAL: has no directory sync */
    (void)close(fd);
    return err;
}

static int token_file_replace(const char *path, struct sl text)
{
    char tmp[PATH_MAX];
    int fd, err;

    if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp)) {
        return ENAMETOOLONG;
    }
    fd = token_file_create(tmp);
    if (fd < 0) {
        return errno;
    }
    err = token_file_fill(fd, text);
    if (close(fd) != 0 && err == 0) {
        err = errno;
    }
    if (err == 0 && rename(tmp, path) != 0) {
        err = errno;
    }
    if (err != 0) {
        (void)unlink(tmp);
        return err;
    }
    return token_file_sync_dir(path);
}

int token_file_write(const char *path, const struct token_keys *keys)
{
    char text[TOKEN_FILE_MAX];
    struct buf b;
    int err;

    buf_init_fixed(&b, text, sizeof(text));
    buf_puts(&b, TOKEN_FILE_HEAD "\n");
    token_put_line(&b, "current ", &keys->current, keys->current.made_ms);
    token_put_line(&b, "previous ", &keys->older[0], keys->older[0].made_ms);
    for (size_t i = 1; i < TOKEN_OLDER_MAX; i++) {
        token_put_line(&b, "older ", &keys->older[i], keys->older[i].left_ms);
    }
    err = buf_err(&b);
    if (err == 0) {
        err = token_file_replace(path, buf_sl(&b));
    }
    mem_wipe(text, sizeof(text));
    return err;
}
