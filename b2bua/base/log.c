/* log.c - structured log lines: one write(2) each, no lock, no allocation, rate-limited by site. */
#include "base/base.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOG_SITE_MAX 20      /* lines per second and call site */
#define LOG_SECURITY_MAX 200 /* the same of log_security() */
#define LOG_SECURITY_BYTES 1024
#define LOG_MSG_MAX 512       /* formatted message, cut beyond; sixfold when escaped */
#define LOG_LINE_MAX PIPE_BUF /* a ready pipe takes it whole */
#define LOG_CTX_DEPTH 8

static const struct log_level_def {
    const char *name;
    const char *journal; /* syslog priority as journald reads it at the start of a line */
} log_levels[] = {
    [LOG_ERROR] = {"error", "<3>"},
    [LOG_WARN] = {"warn", "<4>"},
    [LOG_INFO] = {"info", "<6>"},
    [LOG_DEBUG] = {"debug", "<7>"},
};

static struct {
    int level; /* relaxed atomic */
    int fd;    /* relaxed atomic */
    _Atomic bool json;
    _Atomic bool journal;
    _Atomic(const char *) node;
} log_conf = {.level = LOG_INFO, .fd = 1, .json = true, .node = ""};

#define LOG_NAMES 8 /* a line that is being written reads its name a few changes on */

void log_setup(enum log_level level, bool json, const char *node)
{
    static char names[LOG_NAMES][64];
    static unsigned n;
    char *name = names[n++ % LOG_NAMES];

    log_set_level(level);
    log_conf.json = json;
    log_conf.journal = getenv("JOURNAL_STREAM") != NULL;
    (void)snprintf(name, sizeof(names[0]), "%s", node != NULL ? node : "");
    log_conf.node = name;
}

void log_set_level(enum log_level level)
{
    __atomic_store_n(&log_conf.level, (int)level, __ATOMIC_RELAXED);
}

void log_set_fd(int fd)
{
    __atomic_store_n(&log_conf.fd, fd, __ATOMIC_RELAXED);
}

static _Thread_local bool log_is_paused;

void log_thread_pause(bool on)
{
    log_is_paused = on;
}

bool log_enabled(enum log_level level)
{
    return !log_is_paused && (int)level <= __atomic_load_n(&log_conf.level, __ATOMIC_RELAXED);
}

/* False: over the rate. *lost is what the site dropped before this line. Threads that meet at the
 * turn of a second may let a few lines more pass, which harms nobody. */
static bool log_site_take(struct log_site *site, int64_t now_s, uint32_t max, uint32_t *lost)
{
    int64_t window = __atomic_load_n(&site->window_s, __ATOMIC_RELAXED);

    if (window != now_s && __atomic_compare_exchange_n(&site->window_s, &window, now_s, false,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        __atomic_store_n(&site->n, 0, __ATOMIC_RELAXED);
    }
    if (__atomic_fetch_add(&site->n, 1, __ATOMIC_RELAXED) >= max) {
        __atomic_fetch_add(&site->dropped, 1, __ATOMIC_RELAXED);
        return false;
    }
    *lost = __atomic_exchange_n(&site->dropped, 0, __ATOMIC_RELAXED);
    return true;
}

struct log_rec {
    enum log_level level;
    int64_t wall_ms;
    const struct log_ctx *ctx;
    struct sl msg;
    uint32_t lost;
};

static size_t log_chain(const struct log_ctx *ctx, const struct log_ctx **chain)
{
    size_t n = 0;

    for (; ctx != NULL && n < LOG_CTX_DEPTH; ctx = ctx->up) {
        chain[n++] = ctx;
    }
    return n;
}

static struct sl log_ctx_id(const struct log_ctx *ctx)
{
    return sl_make(ctx->id, strnlen(ctx->id, sizeof(ctx->id)));
}

static void log_write_json(struct buf *b, const struct log_rec *rec)
{
    const struct log_ctx *chain[LOG_CTX_DEPTH];
    size_t n = log_chain(rec->ctx, chain);
    struct json j;

    json_init(&j, b);
    json_obj(&j);
    json_ktime(&j, "ts", rec->wall_ms);
    json_kcstr(&j, "level", log_levels[rec->level].name);
    json_kstr(&j, "msg", rec->msg);
    while (n-- > 0) {
        json_kstr(&j, chain[n]->kind, log_ctx_id(chain[n]));
    }
    if (log_conf.node[0] != '\0') {
        json_kcstr(&j, "node", log_conf.node);
    }
    if (rec->lost != 0) {
        json_kint(&j, "suppressed", rec->lost);
    }
    json_obj_end(&j);
}

static void log_put_esc(struct buf *b, char c)
{
    BUF_LIT(b, "\\x");
    buf_putx(b, &c, 1);
}

static bool log_is_print(char c)
{
    return c >= 0x20 && c < 0x7f;
}

static void log_put_text(struct buf *b, struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (log_is_print(s.p[i]) || (s.p[i] & 0x80) != 0) { /* UTF-8 of ours stays readable */
            buf_putc(b, s.p[i]);
        } else {
            log_put_esc(b, s.p[i]);
        }
    }
}

static void log_write_text(struct buf *b, const struct log_rec *rec)
{
    const struct log_ctx *chain[LOG_CTX_DEPTH];
    size_t n = log_chain(rec->ctx, chain);
    char ts[CLOCK_TEXT_MAX];

    buf_putf(b, "%s %-5s ", clock_text(rec->wall_ms, ts), log_levels[rec->level].name);
    while (n-- > 0) {
        buf_puts(b, chain[n]->kind);
        buf_putc(b, '=');
        log_put_text(b, log_ctx_id(chain[n]));
        buf_putc(b, ' ');
    }
    log_put_text(b, rec->msg);
    if (rec->lost != 0) {
        buf_putf(b, " (%u more suppressed)", rec->lost);
    }
}

/* A reader that has stopped reading must not stop the workers: the line is lost instead. */
static bool log_may_write(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

static void log_write(const struct buf *b)
{
    const int fd = __atomic_load_n(&log_conf.fd, __ATOMIC_RELAXED);
    ssize_t r;

    if (buf_err(b) != 0 || !log_may_write(fd)) {
        stat_inc(STAT_LOG_DROPPED);
        return;
    }
    do {
        r = write(fd, b->p, b->n);
    } while (r < 0 && errno == EINTR);
    if (r < 0) {
        stat_inc(STAT_LOG_DROPPED);
    }
}

static void log_emit(const struct log_rec *rec)
{
    char line[LOG_LINE_MAX];
    struct buf b;

    buf_init_fixed(&b, line, sizeof(line));
    if (log_conf.journal) {
        buf_puts(&b, log_levels[rec->level].journal);
    }
    if (log_conf.json) {
        log_write_json(&b, rec);
    } else {
        log_write_text(&b, rec);
    }
    buf_putc(&b, '\n');
    log_write(&b);
}

void log_security(const char *fmt, ...)
{
    static struct log_site site;
    static const struct clock real;
    struct log_rec rec = {.level = LOG_WARN, .wall_ms = clock_wall_ms(&real)};
    char line[LOG_LINE_MAX], msg[LOG_SECURITY_BYTES], ts[CLOCK_TEXT_MAX];
    struct buf b;
    va_list ap;

    if (!log_site_take(&site, clock_now_ms(&real) / 1000, LOG_SECURITY_MAX, &rec.lost)) {
        stat_inc(STAT_LOG_DROPPED);
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    if (log_conf.json) {
        rec.msg = sl_make(msg, strnlen(msg, sizeof(msg)));
        log_emit(&rec);
        return;
    }
    buf_init_fixed(&b, line, sizeof(line));
    if (log_conf.journal) {
        buf_puts(&b, log_levels[LOG_WARN].journal);
    } else {
        buf_putf(&b, "%s postern[%d]: ", clock_text(rec.wall_ms, ts), (int)getpid());
    }
    buf_puts(&b, msg);
    buf_putc(&b, '\n');
    log_write(&b);
}

void log_line(struct log_site *site, enum log_level level, const struct log_ctx *ctx,
              const char *fmt, ...)
{
    static const struct clock real;
    struct log_rec rec = {.level = level, .ctx = ctx};
    int saved = errno;
    char msg[LOG_MSG_MAX];
    va_list ap;

    if (!log_site_take(site, clock_now_ms(&real) / 1000, LOG_SITE_MAX, &rec.lost)) {
        stat_inc(STAT_LOG_DROPPED);
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    rec.msg = sl_make(msg, strnlen(msg, sizeof(msg)));
    rec.wall_ms = clock_wall_ms(&real);
    log_emit(&rec);
    errno = saved; /* a log line between a call and its error check must not disturb it */
}

const char *log_esc(struct sl s, char *dst)
{
    struct buf b;
    struct sl head = sl_head(s, LOG_ESC_MAX);

    buf_init_fixed(&b, dst, LOG_ESC_MAX * 4 + 3);
    for (size_t i = 0; i < head.n; i++) {
        if (log_is_print(head.p[i]) && head.p[i] != '"' && head.p[i] != '\\') {
            buf_putc(&b, head.p[i]);
        } else {
            log_put_esc(&b, head.p[i]);
        }
    }
    if (head.n < s.n) {
        BUF_LIT(&b, "...");
    }
    dst[b.n] = '\0';
    return dst;
}
