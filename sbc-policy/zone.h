/* zone.h - local time without a clock: the shifts of a time zone as a table, and when a rule of
 * days, hours and dates holds. Pure: the time is an argument. Thread: any. */
#ifndef POSTERN_POLICY_ZONE_H
#define POSTERN_POLICY_ZONE_H

#ifndef POSTERN_POLICY_H
#error "include sbc-policy/policy.h"
#endif

#define POLICY_ZONE_YEARS 2100 /* shifts are known until then */

struct policy_shift {
    int64_t from_s; /* Unix time */
    int32_t offset_s;
};
struct policy_zone {
    size_t n; /* at least 1 */
    struct policy_shift *e;
};

/* Reads a TZif file (RFC 8536, versions 1 to 4) with its rule for later years, into the arena.
 * EBADMSG: no such file; ENOTSUP: a rule that it cannot read; ENOMEM. */
MUST_USE int policy_zone_parse(struct policy_zone *z, struct arena *arena, struct sl tzif);
/* "+02:00", "-0330", "Z" or "UTC". EBADMSG: none of these; ENOMEM. */
MUST_USE int policy_zone_fixed(struct policy_zone *z, struct arena *arena, struct sl text);
int32_t policy_zone_offset(const struct policy_zone *z, int64_t unix_s); /* seconds east of UTC */

struct policy_local {
    uint32_t date; /* yyyymmdd */
    uint16_t minute;
    uint8_t weekday; /* 0: Monday */
};
void policy_local_time(const struct policy_zone *z, int64_t unix_s, struct policy_local *out);

struct policy_hours { /* of a day, in minutes; to <= from: until that minute of the next day */
    uint16_t from, to;
};
struct policy_dates { /* yyyymmdd, or mmdd every year; both ends belong to it */
    uint32_t from, to;
};
struct policy_when {
    const struct policy_zone *zone; /* NULL: any time */
    uint8_t days;                   /* bit 0: Monday; 0: all */
    struct policy_hours *hours;
    size_t n_hours; /* 0: all day */
    struct policy_dates *dates;
    size_t n_dates; /* 0: all year */
};
/* Days, hours and dates must all hold. A range of hours over midnight belongs, with its day and
 * date, to the day on which it begins. */
bool policy_when_holds(const struct policy_when *w, int64_t unix_s);

#endif
