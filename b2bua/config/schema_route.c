/* schema_route.c - the settings of routes: what they match, what they do, how numbers are
 * rewritten.
 */
#include "config/schema_int.h"

static const char *const words_form[] = {"as-is",         "e164",   "national",
                                         "international", "digits", NULL};

static const char *const words_fallback[] = {"continue", NULL};

/* --- numbers --- */
#define NUMBER_TEXT(word, field, dflt_, text)                                                      \
    {                                                                                              \
        .key = (word), .type = CFG_STRING, AT(policy_number_rule, field), .dflt = (dflt_),         \
        .max = POLICY_NUMBER_MAX, .help = (text)                                                   \
    }
static const struct cfg_key cfg_number_rule_keys[] = {
    NUMBER_TEXT("prefix", prefix, NULL, "Fits numbers that begin so; all when not set."),
    NUMBER_TEXT("replace", replace, NULL, "Stands in the place of the prefix."),
    {.key = "strip",
     .type = CFG_INT,
     AT(policy_number_rule, strip),
     .max = POLICY_NUMBER_MAX,
     .help = "Characters that are cut off at the front; shorter numbers do not fit."},
    NUMBER_TEXT("prepend", prepend, NULL, "Is put in front of what is left."),
    {.key = "form",
     .type = CFG_ENUM,
     AT(policy_number_rule, form),
     .dflt = "as-is",
     .words = words_form,
     .help = "Last step: e164 turns exit and trunk prefixes into +, national and international "
             "turn + into them, digits drops the plus."},
    NUMBER_TEXT("country", country, NULL, "Country code without plus, for e164 and national."),
    NUMBER_TEXT("trunk", trunk, "0", "What national numbers begin with, for e164 and national."),
    NUMBER_TEXT("exit", exit, "00", "What international numbers begin with, for the forms."),
    {.key = "stop",
     .type = CFG_ENUM,
     AT(policy_number_rule, stop),
     .dflt = "false",
     .words = cfg_words_bool,
     .help = "Whether the rules below are left out when this one fits."},
};
OBJECT(cfg_number_rule, policy_number_rule, cfg_check_number_rule);

#define NUMBER_RULES(word, field, text)                                                            \
    {                                                                                              \
        .key = (word), ITEMS(policy_numbers, field, n_##field, cfg_number_rule),                   \
        .max = CFG_NUMBER_RULES_MAX, .help = (text)                                                \
    }
static const struct cfg_key cfg_numbers_keys[] = {
    NUMBER_RULES("called", called, "Rules for the called number, from top to bottom."),
    NUMBER_RULES("calling", calling, "Rules for the calling number, from top to bottom."),
};
OBJECT(cfg_numbers, policy_numbers, NULL);

static const struct cfg_key cfg_sides_keys[] = {
    {.key = "in",
     .type = CFG_OBJECT,
     .at = offsetof(struct policy_sides, in),
     .sub = &cfg_numbers,
     .help = "Of what comes from here, before routes are matched."},
    {.key = "out",
     .type = CFG_OBJECT,
     .at = offsetof(struct policy_sides, out),
     .sub = &cfg_numbers,
     .help = "Of what goes there, last of all."},
};
OBJECT_PUBLIC(cfg_sides, policy_sides, NULL);

/* --- groups and tables --- */
static const struct cfg_key cfg_group_keys[] = {
    {.key = "peers",
     LIST(policy_group, peers, n_peers, CFG_PEER),
     .max = CFG_PEERS_MAX,
     .flags = CFG_REQUIRED,
     .help = "Names of the peers."},
};
OBJECT_PUBLIC(cfg_group, policy_group, cfg_check_group);

static const struct cfg_key cfg_table_keys[] = {
    {.key = "file",
     .type = CFG_STRING,
     .flags = CFG_REQUIRED,
     AT(policy_table_ref, file),
     .min = 1,
     .max = CFG_TEXT_MAX,
     .help = "CSV file with rows PREFIX,TAG: symbols 0-9 + * #, and a name or nothing."},
};
OBJECT_PUBLIC(cfg_table, policy_table_ref, cfg_check_table);

/* --- callouts --- */
static const struct cfg_key cfg_callout_keys[] = {
    {.key = "url",
     .type = CFG_STRING,
     .flags = CFG_REQUIRED,
     AT(policy_callout, url),
     .min = 8,
     .max = 256,
     .help = "Where the question goes by POST, http:// or https://."},
    {.key = "timeout",
     .type = CFG_DURATION,
     AT(policy_callout, timeout_ms),
     .dflt = "500ms",
     .min = 50,
     .max = 10 * MS_S,
     .help = "How long a call waits for the answer."},
    {.key = "failures",
     .type = CFG_INT,
     AT(policy_callout, failures),
     .dflt = "5",
     .min = 1,
     .max = 1000,
     .help = "Failures in a row after which the server is not asked for a while."},
    {.key = "pause",
     .type = CFG_DURATION,
     AT(policy_callout, pause_ms),
     .dflt = "10s",
     .min = 100,
     .max = MS_H,
     .help = "How long that is; then one call tries."},
    {.key = "waiting",
     .type = CFG_INT,
     AT(policy_callout, waiting),
     .dflt = "256",
     .min = 1,
     .max = 4096,
     .help = "Questions to this server at once; beyond, calls get the fallback."},
    {.key = "fallback",
     .type = CFG_INT,
     AT(policy_callout, fallback_code),
     .dflt = "continue",
     .min = 400,
     .max = 699,
     .words = words_fallback,
     .help = "Without an answer: continue with the next route, or the SIP status of a refusal."},
};
OBJECT_PUBLIC(cfg_callout, policy_callout, cfg_check_callout);

/* --- what a route matches --- */
static const struct cfg_key cfg_number_match_keys[] = {
    {.key = "exact",
     LIST(policy_number_match, texts.e, texts.n, CFG_STRING),
     .min = 1,
     .max = CFG_NUMBERS_MAX,
     .help = "The whole number is one of these."},
    {.key = "prefix",
     LIST(policy_number_match, texts.e, texts.n, CFG_STRING),
     .min = 1,
     .max = CFG_NUMBERS_MAX,
     .help = "The number begins with one of these; for longer lists there are tables."},
    {.key = "pattern",
     .type = CFG_PATTERN,
     AT(policy_number_match, pattern),
     .help = "The whole number fits this (PCRE2, in bounded time)."},
    {.key = "table",
     .type = CFG_TABLE,
     AT(policy_number_match, table),
     .help = "The number begins with a row of this table."},
    {.key = "tag",
     .type = CFG_NAME,
     AT(policy_number_match, tag),
     .min = 1,
     .max = POLICY_NAME_MAX,
     .help = "With table: the longest such row has this tag; any when not set."},
};
OBJECT_PUBLIC(cfg_number_match, policy_number_match, cfg_check_number);

static const struct cfg_key cfg_when_keys[] = {
    {.key = "zone",
     .type = CFG_ZONE,
     AT(policy_when, zone),
     .dflt = "UTC",
     .help = "Name as in Europe/Berlin, or offset as in +02:00."},
    {.key = "days",
     .type = CFG_DAYS,
     AT(policy_when, days),
     .help = "As in mon-fri or [sat, sun]; all when not set."},
    {.key = "hours",
     LIST(policy_when, hours, n_hours, CFG_HOURS),
     .max = CFG_RANGES_MAX,
     .help = "As in 08:00-18:00; 22:00-06:00 belongs to the day on which it begins."},
    {.key = "dates",
     LIST(policy_when, dates, n_dates, CFG_DATES),
     .max = CFG_RANGES_MAX,
     .help = "As in 2027-05-01, 12-24..12-26 (every year) or 2027-07-01..2027-08-15."},
};
OBJECT(cfg_when, policy_when, NULL);

#define GLOB(word, field, text)                                                                    \
    {                                                                                              \
        .key = (word), .type = CFG_GLOB, AT(policy_route, field), .min = 1, .max = 256,            \
        .help = (text)                                                                             \
    }
static const struct cfg_key cfg_match_keys[] = {
    {.key = "listener",
     LIST(policy_route, listeners, n_listeners, CFG_LISTENER),
     .max = CONFIG_LISTENERS_MAX,
     .help = "Where the request came in; anywhere when not set."},
    {.key = "called",
     .type = CFG_NUMBER,
     .at = offsetof(struct policy_route, called),
     .n_at = offsetof(struct policy_route, called_by),
     .min = 1,
     .max = 256,
     .sub = &cfg_number_match,
     .help = "Called user or number; * is anything, ? one character. A map can say more."},
    {.key = "calling",
     .type = CFG_NUMBER,
     .at = offsetof(struct policy_route, calling),
     .n_at = offsetof(struct policy_route, calling_by),
     .min = 1,
     .max = 256,
     .sub = &cfg_number_match,
     .help = "Calling user or number, likewise."},
    GLOB("domain", domain, "Host of the called address."),
    GLOB("method", method, "INVITE or MESSAGE; both when not set."),
    {.key = "user",
     LIST(policy_route, users.e, users.n, CFG_GLOB),
     .min = 1,
     .max = CFG_NUMBERS_MAX,
     .help = "Account of the calling user fits one of these; no peer does."},
    {.key = "headers",
     LIST(policy_route, headers.e, headers.n, CFG_COND),
     .min = 1,
     .max = CFG_NUMBERS_MAX,
     .help = "Header fields: NAME is there, !NAME is not, NAME: PATTERN has such a value; all."},
    {.key = "time",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .at = offsetof(struct policy_route, when),
     .sub = &cfg_when,
     .help = "When it matches; days, hours and dates must all fit."},
    {.key = "codec",
     LIST(policy_route, codecs.e, codecs.n, CFG_NAME),
     .min = 1,
     .max = POLICY_NAME_MAX,
     .help = "The offer holds one of these codecs, by the name of its rtpmap."},
};
OBJECT(cfg_match, policy_route, NULL);

/* --- what a route does --- */
static const struct cfg_key cfg_refuse_keys[] = {
    {.key = "status",
     .type = CFG_INT,
     AT(policy_route, refuse_code),
     .dflt = "403",
     .min = 400,
     .max = 699,
     .help = "SIP status of the refusal."},
    {.key = "reason",
     .type = CFG_STRING,
     AT(policy_route, refuse_reason),
     .min = 1,
     .max = 128,
     .help = "Its reason, for the caller and the record."},
};
OBJECT(cfg_refuse, policy_route, NULL);

static const struct cfg_key cfg_redirect_keys[] = {
    {.key = "contact",
     .type = CFG_STRING,
     .flags = CFG_REQUIRED,
     AT(policy_route, redirect),
     .min = 1,
     .max = 256,
     .help = "SIP or tel URI that the caller is sent to; {called} stands for the called number."},
    {.key = "status",
     .type = CFG_INT,
     AT(policy_route, redirect_code),
     .dflt = "302",
     .min = 300,
     .max = 399,
     .help = "SIP status of the redirection."},
};
OBJECT(cfg_redirect, policy_route, cfg_check_redirect);

static const struct cfg_key cfg_route_failover_keys[] = {
    {.key = "codes",
     LIST(policy_route, failover.e, failover.n, CFG_CODE),
     .flags = CFG_INLINE | CFG_REQUIRED,
     .max = POLICY_CODES_MAX,
     .help = "Failures that go on to the next target, as in [503, 5xx, 480-488]; no answer and no "
             "connection always do."},
};
OBJECT(cfg_route_failover, policy_route, cfg_check_failover);

static const struct cfg_key cfg_route_keys[] = {
    {.key = "name",
     .type = CFG_NAME,
     .flags = CFG_REQUIRED,
     AT(policy_route, name),
     .min = 1,
     .max = POLICY_NAME_MAX,
     .help = "Name in records and traces."},
    {.key = "from",
     LIST(policy_route, from, n_from, CFG_PARTY),
     .max = CFG_PEERS_MAX + 1,
     .help = "users, or names of peers and groups; anybody known when not set."},
    {.key = "match", .type = CFG_OBJECT, .sub = &cfg_match, .help = "All that is set must fit."},
    {.key = "numbers",
     .type = CFG_OBJECT,
     .at = offsetof(struct policy_route, numbers),
     .sub = &cfg_numbers,
     .help = "How numbers are rewritten when the route matches."},
    {.key = "to",
     .type = CFG_LIST,
     .of = CFG_TO,
     .flags = CFG_INLINE,
     .at = offsetof(struct policy_route, to),
     .size = sizeof(struct policy_ref),
     .n_at = offsetof(struct policy_route, n_to),
     .max = POLICY_TARGETS_MAX,
     .help = "users, or names of peers and groups, tried in order; neighbours written as {peer: "
             "NAME, weight: 1 to 1000} are drawn by weight."},
    {.key = "callout",
     .type = CFG_CALLOUT,
     AT(policy_route, callout),
     .help = "An HTTP server decides instead of to: the next routes, a refusal, or targets."},
    {.key = "failover",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .sub = &cfg_route_failover,
     .help = "When the next target is tried; after 503 unless set."},
    {.key = "redirect",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .sub = &cfg_redirect,
     .help = "Send the caller elsewhere, instead of to."},
    {.key = "refuse",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .sub = &cfg_refuse,
     .help = "Refuse what fits, instead of to."},
    {.key = "continue",
     .type = CFG_ENUM,
     AT(policy_route, goes_on),
     .dflt = "false",
     .words = cfg_words_bool,
     .help = "Only rewrite numbers and go on with the next route, instead of to."},
};
OBJECT_PUBLIC(cfg_route, policy_route, cfg_check_route);
