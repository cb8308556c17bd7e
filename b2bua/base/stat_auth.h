/* stat_auth.h - the counters of who proves himself, and who fails to. Part of stat.h. */
#ifndef POSTERN_STAT_AUTH_H
#define POSTERN_STAT_AUTH_H

#define STAT_LIST_AUTH(X)                                                                          \
    X(AUTH_CHALLENGE, "postern_auth_total", "result=\"challenged\"", "Digest results")             \
    X(AUTH_OK, "postern_auth_total", "result=\"ok\"", "Digest results")                            \
    X(AUTH_FAIL, "postern_auth_total", "result=\"failed\"", "Digest results")                      \
    X(AUTH_HELD, "postern_auth_total", "result=\"held\"", "Digest results")                        \
    X(AUTH_GUARDED, "postern_accounts_guessed_total", "",                                          \
      "Times that an account had so many wrong passwords that strangers have to wait")             \
    X(FLOW_NEXT, "postern_flows_next_total", "",                                                   \
      "Calls and messages to a device that went on by its next flow (RFC 5626)")

#endif
