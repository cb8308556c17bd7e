/* test_policy_zone.c - local time from zone files and rules, and when a route's time holds. */
#include "policy_rig.h"

/* A version 2 file with no shifts of its own: all comes from the rule behind it. */
static struct sl tzif(char *dst, const char *rule, int32_t offset_s, size_t n_shifts)
{
    static const char head[44] = "TZif2";
    char *p = dst;

    for (int i = 0; i < 2; i++) {
        memcpy(p, head, sizeof(head));
        p[35] = (char)n_shifts; /* typecnt at 36..39, timecnt at 32..35 */
        p[39] = 1;
        p[43] = 4;
        p += sizeof(head);
        memset(p, 0, n_shifts * (i == 0 ? 5 : 9));
        p += n_shifts * (i == 0 ? 5 : 9);
        p[0] = (char)(offset_s >> 24);
        p[1] = (char)(offset_s >> 16);
        p[2] = (char)(offset_s >> 8);
        p[3] = (char)offset_s;
        memcpy(p + 4, "\0\0XYZ", 6);
        p += 10;
    }
    p += snprintf(p, 100, "\n%s\n", rule);
    return sl_make(dst, (size_t)(p - dst));
}

static const struct {
    const char *rule;
    int32_t first_s;
    int64_t at;
    int32_t offset_s;
} rules[] = {
    {"CET-1CEST,M3.5.0,M10.5.0/3", 3600, 1774746000, 7200}, /* 2026-03-29 01:00Z */
    {"CET-1CEST,M3.5.0,M10.5.0/3", 3600, 1774745999, 3600},
    {"CET-1CEST,M3.5.0,M10.5.0/3", 3600, 1792889999, 7200}, /* 2026-10-25 00:59:59Z */
    {"CET-1CEST,M3.5.0,M10.5.0/3", 3600, 1792890000, 3600},
    {"EST5EDT,M3.2.0,M11.1.0", -18000, 1772953199, -18000}, /* 2026-03-08 07:00Z */
    {"EST5EDT,M3.2.0,M11.1.0", -18000, 1772953200, -14400},
    {"EST5EDT,0/0,J365/25", -18000, 1751328000, -14400},        /* RFC 8536 3.3.1: all of 2025, */
    {"EST5EDT,0/0,J365/25", -18000, 1782864000, -14400},        /* of 2026 */
    {"EST5EDT,0/0,J365/25", -18000, 1814400000, -14400},        /* and of 2027 */
    {"AEST-10AEDT,M10.1.0,M4.1.0/3", 36000, 1767225600, 39600}, /* the south: 1 January is summer */
    {"AEST-10AEDT,M10.1.0,M4.1.0/3", 36000, 1782864000, 36000}, /* 1 July */
    {"<+0330>-3:30", 12600, 1767225600, 12600},
    {"<-03>3", -10800, 4000000000, -10800},
    {"IST-1GMT0,M10.5.0,M3.5.0/1", 3600, 1767225600, 0}, /* winter is the exception */
    {"IST-1GMT0,M10.5.0,M3.5.0/1", 3600, 1782864000, 3600},
    {"XYZ0ABC,J60/0,J300/0", 0, 1772323200, 3600}, /* 2026-03-01 */
    {"XYZ0ABC,J60/0,J300/0", 0, 1772323199, 0},
    {"XYZ0ABC,59/0,300/0", 0, 1772323200, 3600},
    {"EET-2EEST,M3.4.4/50,M10.4.4/50", 7200, 1774656000, 10800}, /* hours beyond a day */
};

static void the_rule_behind_the_file_tells_later_years(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        struct policy_zone z;
        struct arena arena;
        char file[512];

        arena_init(&arena, 4096, 0);
        assert_int_equal(
            policy_zone_parse(&z, &arena, tzif(file, rules[i].rule, rules[i].first_s, 0)), 0);
        if (policy_zone_offset(&z, rules[i].at) != rules[i].offset_s) {
            fail_msg("%s at %lld: %d", rules[i].rule, (long long)rules[i].at,
                     policy_zone_offset(&z, rules[i].at));
        }
        arena_free(&arena);
    }
}

static void what_is_no_zone_file_is_refused(void **state)
{
    static const char *const bad[] = {"CET",
                                      "C-1",
                                      "CET-1CEST",
                                      "CET-1CEST,M3.5.0",
                                      "CET-1CEST,M13.5.0,M10.5.0",
                                      "CET-1CEST,M3.6.0,M10.5.0",
                                      "CET-1CEST,M3.5.0,M10.5.0x",
                                      "<CET-1",
                                      "CET-1CEST,J0,J5"};
    char file[512];
    struct policy_zone z;
    struct arena arena;
    struct sl good;

    (void)state;
    arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(policy_zone_parse(&z, &arena, tzif(file, bad[i], 0, 0)), ENOTSUP);
    }
    good = tzif(file, "CET-1", 3600, 0);
    for (size_t n = 0; n < good.n; n++) { /* cut anywhere */
        assert_int_equal(policy_zone_parse(&z, &arena, sl_head(good, n)), EBADMSG);
    }
    assert_int_equal(policy_zone_parse(&z, &arena, tzif(file, "CET-1", 3600, 2)), EBADMSG);
    arena_free(&arena);
}

static void offsets_are_read_as_written(void **state)
{
    static const struct {
        const char *text;
        int err;
        int32_t offset_s;
    } cases[] = {{"UTC", 0, 0},          {"Z", 0, 0},           {"+02:00", 0, 7200},
                 {"-0330", 0, -12600},   {"+14:00", 0, 50400},  {"+15:00", EBADMSG, 0},
                 {"02:00", EBADMSG, 0},  {"+2", EBADMSG, 0},    {"", EBADMSG, 0},
                 {"+02:60", EBADMSG, 0}, {"+02-00", EBADMSG, 0}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct policy_zone z = {0};
        struct arena arena;

        arena_init(&arena, 4096, 0);
        assert_int_equal(policy_zone_fixed(&z, &arena, sl_str(cases[i].text)), cases[i].err);
        if (cases[i].err == 0) {
            assert_int_equal(policy_zone_offset(&z, 0), cases[i].offset_s);
        }
        arena_free(&arena);
    }
}

static void the_calendar_goes_on_for_centuries(void **state)
{
    static const struct {
        int64_t at;
        uint32_t date;
        uint16_t minute;
        uint8_t weekday;
    } days[] = {{0, 19700101, 0, 3},
                {951782400, 20000229, 0, 1},
                {951868799, 20000229, 1439, 1},
                {951868800, 20000301, 0, 2},
                {-1, 19691231, 1439, 2},
                {4107542400, 21000301, 0, 0},
                {1798761599, 20261231, 1439, 3}};
    struct policy_shift none = {INT64_MIN, 0};
    struct policy_zone z = {1, &none};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(days); i++) {
        struct policy_local at;

        policy_local_time(&z, days[i].at, &at);
        assert_int_equal(at.date, days[i].date);
        assert_int_equal(at.minute, days[i].minute);
        assert_int_equal(at.weekday, days[i].weekday);
    }
}

enum { FRIDAY = 1798156800 /* 2026-12-25 00:00Z */, HOUR = 3600, DAY = 86400 };

static void hours_days_and_dates_must_all_hold(void **state)
{
    struct policy_shift none = {INT64_MIN, 0};
    struct policy_zone z = {1, &none};
    struct policy_hours night = {22 * 60, 6 * 60}, office[] = {{8 * 60, 12 * 60}, {780, 1080}};
    struct policy_dates feast = {1224, 1226}, turn = {1231, 101}, year = {20261225, 20261225};
    struct policy_when w = {0};

    (void)state;
    assert_true(policy_when_holds(&w, FRIDAY));
    w = (struct policy_when){.zone = &z, .hours = office, .n_hours = 2};
    assert_false(policy_when_holds(&w, FRIDAY + 8 * HOUR - 1));
    assert_true(policy_when_holds(&w, FRIDAY + 8 * HOUR));
    assert_false(policy_when_holds(&w, FRIDAY + 12 * HOUR));
    assert_true(policy_when_holds(&w, FRIDAY + 13 * HOUR));
    assert_false(policy_when_holds(&w, FRIDAY + 18 * HOUR));
    w = (struct policy_when){.zone = &z, .hours = &night, .n_hours = 1, .days = 1 << 4};
    assert_false(policy_when_holds(&w, FRIDAY + 5 * HOUR)); /* Thursday's night */
    assert_true(policy_when_holds(&w, FRIDAY + 22 * HOUR));
    assert_true(policy_when_holds(&w, FRIDAY + DAY + 6 * HOUR - 1)); /* still Friday's */
    assert_false(policy_when_holds(&w, FRIDAY + DAY + 6 * HOUR));
    assert_false(policy_when_holds(&w, FRIDAY + DAY + 22 * HOUR));
    w = (struct policy_when){.zone = &z, .dates = &feast, .n_dates = 1};
    assert_false(policy_when_holds(&w, FRIDAY - DAY - 1));
    assert_true(policy_when_holds(&w, FRIDAY - DAY));
    assert_true(policy_when_holds(&w, FRIDAY + 2 * DAY - 1));
    assert_false(policy_when_holds(&w, FRIDAY + 2 * DAY));
    w.dates = &turn;
    assert_true(policy_when_holds(&w, FRIDAY + 7 * DAY)); /* New Year */
    assert_false(policy_when_holds(&w, FRIDAY + 8 * DAY));
    w.dates = &year;
    assert_true(policy_when_holds(&w, FRIDAY));
    assert_false(policy_when_holds(&w, FRIDAY + 365 * DAY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_behind_the_file_tells_later_years),
        cmocka_unit_test(what_is_no_zone_file_is_refused),
        cmocka_unit_test(offsets_are_read_as_written),
        cmocka_unit_test(the_calendar_goes_on_for_centuries),
        cmocka_unit_test(hours_days_and_dates_must_all_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
