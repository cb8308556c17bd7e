/* spill.c - records that could not be written before the end of the process. One line each: the
 * kind, then the fields in the order of the table, separated by tabs; numbers in decimal, bytes
 * outside printable ASCII and '%' as %XX. The next start writes them and removes the file. */
#include "store/store_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPILL_HEAD "postern-pending 1"
#define SPILL_CHUNK (64u << 10)
#define SPILL_FILE_MAX (1u << 30)
#define SPILL_RESERVE (2u << 20) /* bytes set aside for the end on a full disk */

struct spill_file {
    int fd;
    struct buf b;
    off_t whole;  /* bytes of whole lines on the disk */
    size_t lines; /* as many records, the head not counted */
};

/* What of a chunk is on the disk in whole lines. */
static void spill_count(struct spill_file *f, size_t written)
{
    size_t end = 0;

    for (size_t i = 0; i < written; i++) {
        if (f->b.p[i] == '\n') {
            end = i + 1;
            f->lines++;
        }
    }
    f->whole += (off_t)end;
}

static int spill_flush(struct spill_file *f)
{
    int err = buf_err(&f->b);
    size_t at = 0;

    while (at < f->b.n && err == 0) {
        ssize_t n = write(f->fd, f->b.p + at, f->b.n - at);

        if (n < 0 && errno != EINTR) {
            err = errno;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    spill_count(f, at);
    buf_reset(&f->b);
    return err;
}

static void spill_put_text(struct buf *b, struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c > 0x20 && c < 0x7f && c != '%') {
            buf_putc(b, (char)c);
        } else {
            buf_putc(b, '%');
            buf_putx(b, &c, 1);
        }
    }
}

static void spill_put(struct buf *b, struct rec *r)
{
    const struct rec_def *def = &rec_defs[r->kind];

    buf_puts(b, def->name);
    for (size_t i = 0; i < def->n_fields; i++) {
        buf_putc(b, '\t');
        if (field_is_slice(&def->fields[i])) {
            spill_put_text(b, *field_slice(&def->fields[i], &r->u));
        } else {
            buf_putf(b, "%lld", (long long)field_int(&def->fields[i], &r->u));
        }
    }
    buf_putc(b, '\n');
}

static int spill_put_all(struct store *s, struct spill_file *f)
{
    int err = 0;

    buf_puts(&f->b, SPILL_HEAD "\n");
    LIST_FOR_EACH(at, &s->order)
    {
        spill_put(&f->b, CONTAINER_OF(at, struct rec, in_order));
        if (f->b.n >= SPILL_CHUNK || buf_err(&f->b) != 0) {
            err = spill_flush(f);
        }
        if (err != 0) {
            return err;
        }
    }
    err = spill_flush(f);
    return err == 0 && fsync(f->fd) != 0 ? errno : err;
}

static int spill_names(const struct store *s, struct buf *tmp, struct buf *path)
{
    buf_putf(tmp, "%s.pending.new", s->path);
    buf_putc(tmp, '\0');
    buf_putf(path, "%s.pending", s->path);
    buf_putc(path, '\0');
    return buf_err(tmp) != 0 ? buf_err(tmp) : buf_err(path);
}

/* A full disk keeps the lines that fit whole; the others are lost, and said to be. */
static int spill_keep_what_fits(struct spill_file *f, const char *tmp, const char *path)
{
    if (f->lines == 0 || ftruncate(f->fd, f->whole) != 0 || fsync(f->fd) != 0 ||
        rename(tmp, path) != 0) {
        f->lines = 0;
        (void)unlink(tmp);
    }
    return ENOSPC;
}

/* Written aside and renamed, so that the name always stands for whole lines. */
static int spill_write_to(struct store *s, bool is_end, const char *tmp, const char *path,
                          size_t *n)
{
    struct spill_file f = {.fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    int err;

    if (f.fd < 0) {
        return errno;
    }
    buf_init(&f.b, SPILL_CHUNK + 4 * (size_t)STORE_REC_MAX);
    err = spill_put_all(s, &f);
    buf_free(&f.b);
    f.lines -= f.lines != 0 ? 1 : 0; /* the head */
    if (err == ENOSPC && is_end) {
        err = spill_keep_what_fits(&f, tmp, path);
    } else if (err == 0 && rename(tmp, path) != 0) {
        err = errno;
    }
    if (err != 0 && (err != ENOSPC || !is_end)) {
        f.lines = 0;
        (void)unlink(tmp);
    }
    (void)close(f.fd);
    *n = f.lines;
    return err;
}

#define SPILL_NAME_MAX 4096

static int spill_reserve_name(const struct store *s, struct buf *name, char *mem)
{
    buf_init_fixed(name, mem, SPILL_NAME_MAX); /* out of memory is no reason to go without */
    buf_putf(name, "%s.reserve", s->path);
    buf_putc(name, '\0');
    return buf_err(name);
}

void spill_reserve(struct store *s)
{
    char mem[SPILL_NAME_MAX];
    struct buf name;
    int fd = -1, err = spill_reserve_name(s, &name, mem);

    if (err == 0) {
        fd = open(name.p, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        err = fd < 0 ? errno : posix_fallocate(fd, 0, SPILL_RESERVE);
    }
    if (err != 0) {
        log_warn(NULL, "store: no room can be set aside beside %s: %s", s->path,
                 strerrordesc_np(err));
        if (fd >= 0) {
            (void)unlink(name.p);
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

void spill_use_reserve(const struct store *s)
{
    char mem[SPILL_NAME_MAX];
    struct buf name;

    if (spill_reserve_name(s, &name, mem) == 0) {
        (void)unlink(name.p);
    }
}

int spill_write(struct store *s, bool is_end, size_t *n)
{
    struct buf tmp, path;
    int err;

    *n = 0;
    buf_init(&tmp, 8192);
    buf_init(&path, 8192);
    err = spill_names(s, &tmp, &path);
    if (err == 0) {
        err = spill_write_to(s, is_end, tmp.p, path.p, n);
    }
    buf_free(&tmp);
    buf_free(&path);
    return err;
}

void spill_forget(const struct store *s)
{
    struct buf tmp, path;

    buf_init(&tmp, 8192);
    buf_init(&path, 8192);
    if (spill_names(s, &tmp, &path) == 0) {
        (void)unlink(path.p);
    }
    buf_free(&tmp);
    buf_free(&path);
}

/* --- reading it back --- */

/* Undoes the escapes in place: what comes out is never longer. */
static int spill_unescape(struct sl *s, char *mem)
{
    size_t to = 0;

    if (s->n == 0) {
        return 0;
    }
    for (size_t i = 0; i < s->n; i++) {
        uint32_t c = (uint8_t)s->p[i];

        if (c == '%') {
            if (s->n - i < 3 || sl_hex32(sl_make(s->p + i + 1, 2), &c) != 0) {
                return EBADMSG;
            }
            i += 2;
        }
        mem[to++] = (char)c;
    }
    *s = sl_make(mem, to);
    return 0;
}

static int spill_get_field(const struct field *f, void *rec, struct sl word)
{
    bool is_negative = word.n != 0 && word.p[0] == '-';
    uint64_t v = 0;

    if (field_is_slice(f)) {
        *field_slice(f, rec) = word;
        return spill_unescape(field_slice(f, rec), (char *)(uintptr_t)word.p);
    }
    if (sl_u64(sl_from(word, is_negative), INT64_MAX, &v) != 0) {
        return EBADMSG;
    }
    field_set_int(f, rec, is_negative ? -(int64_t)v : (int64_t)v);
    return 0;
}

/* line lies in memory of ours that may be written to. */
static int spill_get(struct sl line, struct rec **rp)
{
    union {
        struct store_call call;
        struct store_binding binding;
        struct store_ban ban;
    } u = {0};
    const struct rec_def *def = NULL;
    struct sl word;
    int err = sl_next(&line, '\t', &word);

    for (size_t i = 0; i < REC_KINDS && err == 0 && def == NULL; i++) {
        def = sl_eq(word, sl_str(rec_defs[i].name)) ? &rec_defs[i] : NULL;
    }
    if (def == NULL) {
        return EBADMSG;
    }
    for (size_t i = 0; i < def->n_fields; i++) {
        /* the last field may be empty, and then nothing is left */
        if (sl_next(&line, '\t', &word) != 0) {
            word = SL_NULL;
        }
        err = spill_get_field(&def->fields[i], &u, word);
        if (err != 0) {
            return err;
        }
    }
    return rec_new(rp, (enum rec_kind)(def - rec_defs), &u);
}

static int spill_import_line(struct store *s, struct sl line, size_t *n_bad)
{
    struct rec *r = NULL;
    int err = spill_get(line, &r);
    int rc;

    if (err != 0) {
        *n_bad += err != ENOMEM;
        return err == ENOMEM ? err : 0;
    }
    rc = db_put(&s->db, r);
    mem_free(r);
    return db_errno(rc);
}

static int spill_import_all(struct store *s, struct sl text, size_t *n, size_t *n_bad)
{
    struct sl line;
    int err = db_errno(db_step(&s->db, DB_BEGIN));

    while (err == 0 && sl_split(&text, '\n', SIZE_MAX, &line) == 0) {
        err = spill_import_line(s, line, n_bad);
        ++*n;
    }
    if (err == 0 && text.n != 0) { /* the last line has no end */
        ++*n;
        ++*n_bad;
    }
    if (err == 0) {
        err = db_errno(db_step(&s->db, DB_COMMIT));
    }
    if (err != 0 && sqlite3_get_autocommit(s->db.h) == 0) {
        (void)db_step(&s->db, DB_ROLLBACK);
    }
    return err;
}

static int spill_fill(int fd, char *text, size_t len, size_t *n)
{
    while (*n < len) {
        ssize_t got = read(fd, text + *n, len - *n);

        if (got == 0 || (got < 0 && errno != EINTR)) {
            return got == 0 ? EIO : errno;
        }
        *n += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static int spill_read(const char *path, char **textp, size_t *n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st = {0};
    int err = fd < 0 || fstat(fd, &st) != 0 ? errno : 0;

    *n = 0;
    if (err == 0 && (!S_ISREG(st.st_mode) || st.st_size > SPILL_FILE_MAX)) {
        err = EMSGSIZE;
    }
    *textp = err == 0 ? mem_alloc((size_t)st.st_size) : NULL;
    if (err == 0 && *textp == NULL) {
        err = ENOMEM;
    }
    if (err == 0) {
        err = spill_fill(fd, *textp, (size_t)st.st_size, n);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return err;
}

/* What cannot be understood is kept for a human, and the start goes on. */
static int spill_set_aside(const char *path, size_t n_bad)
{
    struct buf bad;
    int err;

    buf_init(&bad, 8192);
    buf_putf(&bad, "%s.bad", path);
    buf_putc(&bad, '\0');
    err = buf_err(&bad);
    if (err == 0 && rename(path, bad.p) != 0) {
        err = errno;
    }
    log_error(NULL, "store: %zu lines of %s are damaged, see %s.bad", n_bad, path, path);
    buf_free(&bad);
    return err;
}

static int spill_import_from(struct store *s, const char *path)
{
    char *text = NULL;
    size_t len = 0, n = 0, n_bad = 0;
    struct sl rest, head = SL_NULL;
    int err = spill_read(path, &text, &len);

    rest = sl_make(text, len);
    if (err == 0 && (sl_split(&rest, '\n', 64, &head) != 0 || !sl_eq(head, SL(SPILL_HEAD)))) {
        n = n_bad = 1;
    } else if (err == 0) {
        err = spill_import_all(s, rest, &n, &n_bad);
    }
    mem_free(text);
    if (err == ENOENT) {
        return 0;
    }
    if (err != 0) {
        log_error(NULL, "store: %s cannot be read: error %d", path, err);
        return err;
    }
    log_info(NULL, "store: %zu records of the last run were read back", n - n_bad);
    if (n_bad != 0) {
        return spill_set_aside(path, n_bad);
    }
    return unlink(path) != 0 ? errno : 0;
}

int spill_import(struct store *s)
{
    struct buf tmp, path;
    int err;

    buf_init(&tmp, 8192);
    buf_init(&path, 8192);
    err = spill_names(s, &tmp, &path);
    if (err == 0) {
        err = spill_import_from(s, path.p);
    }
    buf_free(&tmp);
    buf_free(&path);
    return err;
}
