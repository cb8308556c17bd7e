/* stat_limits.h - the counters of what the policy limits: how often a limit bit, and how often one
 * came near. Part of stat.h. */
#ifndef POSTERN_BASE_STAT_LIMITS_H
#define POSTERN_BASE_STAT_LIMITS_H

/* clang-format off */
#define STAT_LIMIT_BIT(X, id, word) \
    X(LIMIT_##id, "postern_limit_reached_total", "limit=\"" word "\"", "Limits that bit")
#define STAT_LIMIT_NEAR(X, id, word) \
    X(NEAR_##id, "postern_limit_warnings_total", "limit=\"" word "\"", "Times that a limit came near")

#define STAT_LIST_LIMITS(X) \
    STAT_LIMIT_BIT(X, CALL_RATE, "calls_per_second") \
    STAT_LIMIT_BIT(X, REQUEST_RATE, "requests_per_second") \
    STAT_LIMIT_BIT(X, REGISTRATIONS, "registrations") \
    STAT_LIMIT_BIT(X, EARLY, "early_calls") \
    STAT_LIMIT_BIT(X, DEST_CALLS, "destination_calls") \
    STAT_LIMIT_BIT(X, DEST_MINUTES, "destination_minutes") \
    STAT_LIMIT_BIT(X, DEST_NUMBERS, "destination_numbers") \
    STAT_LIMIT_BIT(X, DEST_PARALLEL, "destination_parallel") \
    STAT_LIMIT_NEAR(X, CALLS, "calls") \
    STAT_LIMIT_NEAR(X, CALL_RATE, "calls_per_second") \
    STAT_LIMIT_NEAR(X, REQUEST_RATE, "requests_per_second") \
    STAT_LIMIT_NEAR(X, REGISTRATIONS, "registrations") \
    STAT_LIMIT_NEAR(X, EARLY, "early_calls") \
    STAT_LIMIT_NEAR(X, DEST_CALLS, "destination_calls") \
    STAT_LIMIT_NEAR(X, DEST_MINUTES, "destination_minutes") \
    STAT_LIMIT_NEAR(X, DEST_NUMBERS, "destination_numbers") \
    STAT_LIMIT_NEAR(X, DEST_PARALLEL, "destination_parallel") \
    STAT_LIMIT_NEAR(X, PACKETS, "packets_per_second")
/* clang-format on */

#endif
