/* scanner.c - what hostile tools look like: names that they give themselves, and the shape of their
 * messages, which is harder to change. */
#include "policy_int.h"

const char *const policy_event_words[POLICY_EVENTS] = {
    [POLICY_SCANNER] = "scanner",
    [POLICY_AUTH_FAILED] = "auth_failed",
    [POLICY_UNKNOWN_USER] = "unknown_user",
    [POLICY_MALFORMED] = "malformed",
    [POLICY_ACL_DENIED] = "acl_denied",
    [POLICY_TOLL_FRAUD] = "toll_fraud",
    [POLICY_MANUAL] = "manual",
};

/* A wrong password happens to everybody, a scanner's signature to nobody by mistake. */
uint32_t policy_event_points(enum policy_event e)
{
    static const uint8_t points[POLICY_EVENTS] = {
        [POLICY_SCANNER] = 10,  [POLICY_AUTH_FAILED] = 2, [POLICY_UNKNOWN_USER] = 2,
        [POLICY_MALFORMED] = 1, [POLICY_ACL_DENIED] = 1,  [POLICY_TOLL_FRAUD] = 2,
    };

    return points[e];
}

static const char *const scanner_agents[] = {
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipv",
    "sipcli",
    "sip-scan",
    "sip-cli",
    "sundayddr",
    "iWar",
    "sipsak",
    "siparmyknife",
    "VaxSIPUserAgent",
    "VaxIPUserAgent",
    "pplsip",
    "Gulp",
    "SIVuS",
    "smap",
    "sippts",
    "svmap",
    "svwar",
    "svcrack",
    "voiphopper",
    "PortSIP VoIP SDK 11.2",
    "Test Agent",
};

static bool scanner_is_agent(const struct policy_ban_rules *rules, struct sl agent)
{
    for (size_t i = 0; i < COUNT_OF(scanner_agents); i++) {
        if (sl_istarts(agent, sl_str(scanner_agents[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < rules->n_agents; i++) {
        if (sl_istarts(agent, sl_str(rules->agents[i]))) {
            return true;
        }
    }
    return false;
}

static bool scanner_is_decimal(struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
    }
    return s.n != 0;
}

/* SIPVicious: Call-ID of digits only, branch z9hG4bK-digits. Phones have been seen with either,
 * not with both. */
static bool scanner_is_vicious(const struct policy_look *look)
{
    static const struct sl cookie = {"z9hG4bK-", 8};

    if (sl_ieq(look->from_display, SL("sipvicious")) ||
        (sl_eq(look->from_host, SL("1.1.1.1")) && sl_eq(look->from_user, SL("100")))) {
        return true;
    }
    return look->call_id.n >= 16 && scanner_is_decimal(look->call_id) &&
           sl_starts(look->branch, cookie) && scanner_is_decimal(sl_from(look->branch, cookie.n));
}

bool policy_scanner(const struct policy_ban_rules *rules, const struct policy_look *look)
{
    return (look->user_agent.n != 0 && scanner_is_agent(rules, look->user_agent)) ||
           scanner_is_vicious(look);
}

/* Access codes that are tried one after the other: 9, 99, *, #8 ... */
static struct sl scanner_skip_access(struct sl called)
{
    size_t n = 0;

    while (n < 3 && n < called.n && called.p[n] != '\0' &&
           strchr("123456789*#", called.p[n]) != NULL) {
        n++;
    }
    return sl_from(called, n);
}

static size_t scanner_digits(struct sl s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        n += s.p[i] >= '0' && s.p[i] <= '9';
    }
    return n;
}

static bool scanner_is_abroad(struct sl s, size_t min_digits)
{
    return (sl_starts(s, SL("+")) || sl_starts(s, SL("00")) || sl_starts(s, SL("011"))) &&
           scanner_digits(s) >= min_digits;
}

/* Behind an access code a number must be longer to count: some at home have a 00 in them. */
bool policy_looks_expensive(struct sl called)
{
    static const char *const starts[] = {"9011", "900", "9+", "0+"};

    for (size_t i = 0; i < COUNT_OF(starts); i++) {
        if (sl_starts(called, sl_str(starts[i])) && scanner_digits(called) >= 9) {
            return true;
        }
    }
    return scanner_is_abroad(called, 9) || scanner_is_abroad(scanner_skip_access(called), 11);
}
