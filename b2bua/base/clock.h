/* clock.h - the only place that asks what time it is. Logic gets time as an argument or reads the
 * loop's cached value; tests run a virtual clock. Thread: any. */
#ifndef POSTERN_BASE_CLOCK_H
#define POSTERN_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct clock {
    bool is_virtual;
    int64_t mono_ms; /* virtual only */
    int64_t wall_ms; /* virtual only: Unix time */
};

void clock_init_real(struct clock *c);
void clock_init_virtual(struct clock *c, int64_t mono_ms, int64_t wall_ms);
void clock_advance(struct clock *c, int64_t ms); /* virtual only */
int64_t clock_now_ms(const struct clock *c);     /* monotonic, starts anywhere, never 0 */
int64_t clock_now_us(const struct clock *c);     /* monotonic */
int64_t clock_wall_ms(const struct clock *c);    /* Unix time in ms */

/* Unix time in us by the clock that the kernel stamps packets with; not for logic. */
int64_t clock_stamp_us(void);

#define CLOCK_TEXT_MAX 32
/* RFC 3339 UTC with ms ("2026-11-21T06:48:17.123Z") into dst; returns dst. */
const char *clock_text(int64_t wall_ms, char *dst);

#endif
