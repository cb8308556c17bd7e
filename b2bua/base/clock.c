/* clock.c - real and virtual clocks, and the text form of a time. */
#include "base/base.h"

#include <stdio.h>
#include <time.h>

#define MS_PER_DAY 86400000

void clock_init_real(struct clock *c)
{
    *c = (struct clock){0};
}

void clock_init_virtual(struct clock *c, int64_t mono_ms, int64_t wall_ms)
{
    *c = (struct clock){.is_virtual = true, .mono_ms = mono_ms, .wall_ms = wall_ms};
}

void clock_advance(struct clock *c, int64_t ms)
{
    c->mono_ms += ms;
    c->wall_ms += ms;
}

static int64_t clock_read_us(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts); /* cannot fail for these clocks */
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t clock_not_zero(int64_t t) /* 0 means "never" in many structs */
{
    return t != 0 ? t : 1;
}

int64_t clock_now_ms(const struct clock *c)
{
    return clock_not_zero(c->is_virtual ? c->mono_ms : clock_read_us(CLOCK_MONOTONIC) / 1000);
}

int64_t clock_now_us(const struct clock *c)
{
    return clock_not_zero(c->is_virtual ? c->mono_ms * 1000 : clock_read_us(CLOCK_MONOTONIC));
}

int64_t clock_wall_ms(const struct clock *c)
{
    return c->is_virtual ? c->wall_ms : clock_read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_stamp_us(void)
{
    return clock_read_us(CLOCK_REALTIME);
}

/* Gregorian date of a day number (0 = 1970-01-01). Counts in 400-year eras that begin in March,
 * so that the leap day is the last of its year; gmtime_r() would take the time zone lock. */
static void clock_date(int64_t day, int64_t *year, unsigned *month, unsigned *mday)
{
    int64_t z = day + 719468; /* days since 0000-03-01 */
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;

    *mday = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
    *year = (int64_t)yoe + era * 400 + (*month <= 2);
}

/* Digits of v, then what stands behind them. */
static char *clock_put(char *p, unsigned v, unsigned digits, char behind)
{
    for (unsigned i = digits; i > 0; i--, v /= 10) {
        p[i - 1] = (char)('0' + v % 10);
    }
    p[digits] = behind;
    return p + digits + 1;
}

const char *clock_text(int64_t wall_ms, char *dst)
{
    char *p = dst;
    const int64_t last_ms = 253402300799999; /* 9999-12-31T23:59:59.999Z: RFC 3339 ends there */
    int64_t t = wall_ms < 0 ? 0 : wall_ms > last_ms ? last_ms : wall_ms;
    unsigned in_day = (unsigned)(t % MS_PER_DAY);
    int64_t year;
    unsigned month, mday;

    clock_date(t / MS_PER_DAY, &year, &month, &mday);
    p = clock_put(p, (unsigned)year, 4, '-');
    p = clock_put(p, month, 2, '-');
    p = clock_put(p, mday, 2, 'T');
    p = clock_put(p, in_day / 3600000, 2, ':');
    p = clock_put(p, in_day / 60000 % 60, 2, ':');
    p = clock_put(p, in_day / 1000 % 60, 2, '.');
    p = clock_put(p, in_day % 1000, 3, 'Z');
    *p = '\0';
    return dst;
}
