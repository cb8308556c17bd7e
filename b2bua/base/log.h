/* log.h - one JSON object a line on standard output (or plain text), rate-limited per call site.
 * Thread: any; a line is written with one write(2). Peer bytes only through log_esc(). */
#ifndef POSTERN_BASE_LOG_H
#define POSTERN_BASE_LOG_H

#include "base/buf.h"
#include "base/sl.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Embedded in call, leg, tx and conn; chained, so each line says who speaks. */
struct log_ctx {
    const char *kind; /* static string: "call", "leg", "tx", "conn" */
    char id[28];
    const struct log_ctx *up; /* outlives this one */
};

struct log_site { /* one per call site, made by the macro */
    int64_t window_s;
    uint32_t n;
    uint32_t dropped;
};

void log_setup(enum log_level level, bool json, const char *node); /* one thread at a time */
void log_set_level(enum log_level level);                          /* any time */
void log_set_fd(int fd);                                           /* tests; default 1 */
/* on: this thread writes no line until it says off, for work that is only tried out. */
void log_thread_pause(bool on);
bool log_enabled(enum log_level level);
void log_line(struct log_site *site, enum log_level level, const struct log_ctx *ctx,
              const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The security log, read by other programs: the text is the whole of `msg` in JSON, or stands
 * behind time and "postern[pid]: " (in the journal alone). Written at every level, at most 200
 * lines a second. Peer bytes only through LOG_ESC. */
void log_security(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* At most 20 lines per second and call site; the next line that passes says how many were lost. */
#define LOG_AT(level, ctx, ...)                                                                    \
    do {                                                                                           \
        static struct log_site log_site_;                                                          \
        if (log_enabled(level)) {                                                                  \
            log_line(&log_site_, (level), (ctx), __VA_ARGS__);                                     \
        }                                                                                          \
    } while (0)
#define log_error(ctx, ...) LOG_AT(LOG_ERROR, ctx, __VA_ARGS__)
#define log_warn(ctx, ...) LOG_AT(LOG_WARN, ctx, __VA_ARGS__)
#define log_info(ctx, ...) LOG_AT(LOG_INFO, ctx, __VA_ARGS__)
#define log_debug(ctx, ...) LOG_AT(LOG_DEBUG, ctx, __VA_ARGS__)

#define LOG_ESC_MAX 64
/* Peer bytes made harmless (non-printables, quotes and backslashes as \xNN), cut at LOG_ESC_MAX
 * source bytes; returns dst, which must hold LOG_ESC_MAX * 4 + 4. */
const char *log_esc(struct sl s, char *dst);
struct log_esc_buf {
    char b[LOG_ESC_MAX * 4 + 4];
};
#define LOG_ESC(s) log_esc((s), (struct log_esc_buf){{0}}.b)

#endif
