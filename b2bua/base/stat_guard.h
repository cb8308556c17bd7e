/* stat_guard.h - the counters of offences and bans, and of what is no offence of an address. Part
 * of stat.h. */
#ifndef POSTERN_BASE_STAT_GUARD_H
#define POSTERN_BASE_STAT_GUARD_H

/* clang-format off */
#define STAT_LIST_GUARD(X) \
    X(USER_REFUSED, "postern_user_refusals_total", "number=\"usual\"", \
      "Requests of users who proved themselves that no rule or limit lets through") \
    X(USER_REFUSED_DEAR, "postern_user_refusals_total", "number=\"expensive\"", \
      "Requests of users who proved themselves that no rule or limit lets through") \
    X(AUTH_URI, "postern_auth_foreign_uri_total", "", \
      "Digest answers made for another Request-URI, challenged again") \
    X(OFFENCE, "postern_offences_total", "", "Offences of sources that are not protected") \
    X(BAN_MADE, "postern_bans_total", "kind=\"ban\"", "Bans by kind, dry runs included") \
    X(BAN_SILENCED, "postern_bans_total", "kind=\"silence\"", "Bans by kind, dry runs included") \
    X(BAN_SHUT, "postern_bans_total", "kind=\"flow\"", "Bans by kind, dry runs included") \
    X(BAN_SUPPRESSED, "postern_bans_suppressed_total", "", \
      "Offences of peers, targets and allowed networks, held against nobody")
/* clang-format on */

#endif
