/* schema_limit.c - the settings that limit: of the node, of each peer, of each user, of sources and
 * of destinations that cost money. */
#include "config/schema_int.h"

static const char *const word_off[] = {"off", NULL};
static const char *const word_auto[] = {"auto", NULL};
static const char *const words_count[] = {"party", "all", NULL}; /* policy_destination.together */

/* --- what every limit has --- */
#define LIMIT_ANSWER(field_, text)                                                                 \
    {                                                                                              \
        .key = "refuse", .type = CFG_OBJECT, .at = (field_), .sub = &cfg_answer, .help = (text)    \
    }
#define LIMIT_WARN(type_, field_)                                                                  \
    {                                                                                              \
        .key = "warn_at", .type = CFG_INT, AT(type_, field_), .dflt = "80", .min = 1, .max = 100,  \
        .words = word_off,                                                                         \
        .help = "Percent of a limit in use at which it is logged and counted, once until the use " \
                "has gone down again."                                                             \
    }
#define LIMIT_COUNT(word_, type_, field_, dflt_, max_, text)                                       \
    {                                                                                              \
        .key = (word_), .type = CFG_INT, AT(type_, field_), .dflt = (dflt_), .min = 1,             \
        .max = (max_), .words = word_off, .help = (text)                                           \
    }
#define LIMIT_BURST(word_, type_, field_)                                                          \
    {                                                                                              \
        .key = (word_), .type = CFG_INT, AT(type_, field_), .dflt = "auto", .min = 1,              \
        .max = 1000000, .words = word_auto,                                                        \
        .help = "How many may come at once after a silence; auto is one second's worth."           \
    }

static const struct cfg_key cfg_answer_keys[] = {
    {.key = "status",
     .type = CFG_INT,
     AT(policy_answer, status),
     .dflt = "503",
     .min = 400,
     .max = 699,
     .help = "What is answered to what is over a limit of this section."},
    {.key = "reason",
     .type = CFG_STRING,
     AT(policy_answer, reason),
     .min = 1,
     .max = 128,
     .help = "Its phrase, in the answer and in the record; the record names the limit besides."},
    {.key = "retry_after",
     .type = CFG_SECONDS,
     AT(policy_answer, retry_after_s),
     .dflt = "auto",
     .min = MS_S,
     .max = MS_D,
     .words = word_auto,
     .help = "Its Retry-After; auto is 1 s for rates, 5 s for what has to end first, the rest of "
             "the window for destinations."},
};
OBJECT(cfg_answer, policy_answer, NULL);

static void cfg_check_bursts(struct cfg *c, const struct cfg_node *node,
                             const struct policy_limit *l)
{
    if (l->call_burst != 0 && l->calls_per_second == 0) {
        cfg_error(c, cfg_spot(c, node, SL("call_burst")), "needs 'calls_per_second'");
    }
    if (l->request_burst != 0 && l->requests_per_second == 0) {
        cfg_error(c, cfg_spot(c, node, SL("request_burst")), "needs 'requests_per_second'");
    }
}

/* --- peers --- */
static void cfg_check_peer_limits(struct cfg *c, const struct cfg_node *node, void *at)
{
    cfg_check_bursts(c, node, &((const struct policy_peer *)at)->limit);
}

static const struct cfg_key cfg_peer_limits_keys[] = {
    LIMIT_COUNT("calls", policy_peer, limit.calls, "off", 1000000,
                "Calls at once, from and to the peer."),
    LIMIT_COUNT("calls_per_second", policy_peer, limit.calls_per_second, "off", 1000000,
                "New calls per second, from and to the peer."),
    LIMIT_BURST("call_burst", policy_peer, limit.call_burst),
    LIMIT_COUNT("requests_per_second", policy_peer, limit.requests_per_second, "off", 1000000,
                "New requests of the peer per second outside dialogs, calls included."),
    LIMIT_BURST("request_burst", policy_peer, limit.request_burst),
    LIMIT_COUNT("early_calls", policy_peer, limit.early, "off", 1000000,
                "Unanswered calls at once of each address of the peer; limits.sources when off."),
    LIMIT_WARN(policy_peer, limit.warn_percent),
    LIMIT_ANSWER(offsetof(struct policy_peer, limit.answer), "The answer to what is over."),
};
OBJECT_PUBLIC(cfg_peer_limits, policy_peer, cfg_check_peer_limits);

/* --- users --- */
static void cfg_check_user_limits(struct cfg *c, const struct cfg_node *node, void *at)
{
    cfg_check_bursts(c, node, &((const struct policy_users *)at)->limit);
}

static const struct cfg_key cfg_user_limits_keys[] = {
    LIMIT_COUNT("calls", policy_users, limit.calls, "off", 1000000,
                "Calls at once that one user makes."),
    LIMIT_COUNT("calls_per_second", policy_users, limit.calls_per_second, "off", 1000000,
                "New calls per second of one user."),
    LIMIT_BURST("call_burst", policy_users, limit.call_burst),
    LIMIT_COUNT("requests_per_second", policy_users, limit.requests_per_second, "off", 1000000,
                "New requests of one user per second, with the right password: calls, messages, "
                "registrations."),
    LIMIT_BURST("request_burst", policy_users, limit.request_burst),
    LIMIT_COUNT("registrations", policy_users, limit.registrations, "off", 16,
                "Devices of one user at once; one more is refused, where users.contacts lets it "
                "take the place of the oldest."),
    LIMIT_WARN(policy_users, limit.warn_percent),
    LIMIT_ANSWER(offsetof(struct policy_users, limit.answer), "The answer to what is over."),
};
OBJECT_PUBLIC(cfg_user_limits, policy_users, cfg_check_user_limits);

/* --- sources --- */
static const struct cfg_key cfg_sources_keys[] = {
    LIMIT_COUNT("early_calls", config, def.source_limit.early, "off", 1000000,
                "Calls of one address (IPv6: a /64) at once that nobody has answered yet."),
    LIMIT_WARN(config, def.source_limit.warn_percent),
    LIMIT_ANSWER(offsetof(struct config, def.source_limit.answer), "The answer to what is over."),
};
OBJECT(cfg_sources, config, NULL);

/* --- destinations --- */
static void cfg_check_destination(struct cfg *c, const struct cfg_node *node, void *at)
{
    const struct policy_destination *d = at;
    uint32_t index = (uint32_t)(d - c->config->def.destinations), line = node->line;

    if (d->name != NULL && !cfg_names_add(c, &c->destinations, sl_str(d->name), index, &line) &&
        c->err == 0) {
        cfg_error(c, cfg_spot(c, node, SL("name")), "'%.*s' is there already, in line %u",
                  SL_ARG(cfg_shown(sl_str(d->name))), line);
    }
    if (cfg_find(c, node, SL("from")) != NULL && d->n_from == 0 && c->err == 0) {
        cfg_error(c, cfg_find(c, node, SL("from")), "must name at least one");
    }
    if (d->calls == 0 && d->minutes == 0 && d->numbers == 0 && d->parallel == 0) {
        cfg_error(c, node, "limits nothing: needs 'calls', 'minutes', 'numbers' or 'parallel'");
    }
}

#define DESTINATION(field) AT(policy_destination, field)
static const struct cfg_key cfg_destination_keys[] = {
    {.key = "name",
     .type = CFG_NAME,
     .flags = CFG_REQUIRED,
     DESTINATION(name),
     .min = 1,
     .max = POLICY_NAME_MAX,
     .help = "Its name in records and in the API."},
    {.key = "from",
     LIST(policy_destination, from, n_from, CFG_PARTY),
     .max = CFG_PEERS_MAX,
     .help = "Whose calls are counted: users, peers, groups; everybody's when not set."},
    {.key = "called",
     .type = CFG_NUMBER,
     DESTINATION(called),
     .n_at = offsetof(struct policy_destination, called_by),
     .min = 1,
     .max = 256,
     .sub = &cfg_number_match,
     .help =
         "The numbers, as the route left them: a pattern such as +900*, or a map as in routes."},
    {.key = "count",
     .type = CFG_ENUM,
     DESTINATION(together),
     .dflt = "party",
     .words = words_count,
     .help = "party: each user and each peer has its own count; all: everybody shares one."},
    {.key = "range",
     .type = CFG_INT,
     DESTINATION(range),
     .dflt = "off",
     .min = 1,
     .max = POLICY_RANGE_MAX,
     .words = word_off,
     .help = "A count for each range of numbers that begin with the same so many digits."},
    {.key = "window",
     .type = CFG_SECONDS,
     DESTINATION(window_s),
     .dflt = "1h",
     .min = MS_M,
     .max = 31LL * MS_D,
     .help = "After which calls, minutes and numbers are counted anew."},
    LIMIT_COUNT("calls", policy_destination, calls, "off", 10000000, "Calls in a window."),
    LIMIT_COUNT("minutes", policy_destination, minutes, "off", 10000000,
                "Minutes in a window, calls under way included; then no new call passes."),
    LIMIT_COUNT("numbers", policy_destination, numbers, "off", POLICY_NUMBERS_MAX,
                "Different numbers in a window."),
    LIMIT_COUNT("parallel", policy_destination, parallel, "off", 1000000, "Calls at once."),
    LIMIT_WARN(policy_destination, warn_percent),
    LIMIT_ANSWER(offsetof(struct policy_destination, answer), "The answer to what is over."),
};
OBJECT(cfg_destination, policy_destination, cfg_check_destination);

/* --- the node --- */
static void cfg_check_limits(struct cfg *c, const struct cfg_node *node, void *at)
{
    cfg_check_bursts(c, node, &((const struct config *)at)->def.limit);
}

static const struct cfg_key cfg_limits_keys[] = {
    LIMIT_COUNT("calls", config, def.limit.calls, "20000", 1000000, "Calls at once."),
    LIMIT_COUNT("calls_per_second", config, def.limit.calls_per_second, "2000", 1000000,
                "New calls per second."),
    LIMIT_BURST("call_burst", config, def.limit.call_burst),
    LIMIT_COUNT("requests_per_second", config, def.limit.requests_per_second, "off", 1000000,
                "New requests of all peers and users per second outside dialogs, calls included."),
    LIMIT_BURST("request_burst", config, def.limit.request_burst),
    LIMIT_WARN(config, def.limit.warn_percent),
    LIMIT_ANSWER(offsetof(struct config, def.limit.answer), "The answer to what is over."),
    {.key = "sources",
     .type = CFG_OBJECT,
     .sub = &cfg_sources,
     .help = "Limits of each address that calls come from."},
    {.key = "destinations",
     ITEMS(config, def.destinations, def.n_destinations, cfg_destination),
     .max = POLICY_DESTINATIONS_MAX,
     .help = "Limits against toll fraud: how much may go to numbers that cost money. All that fit "
             "count, the first eight of them."},
    {.key = "setup",
     .type = CFG_DURATION,
     AT(config, setup_ms),
     .dflt = "3m",
     .min = 10 * MS_S,
     .max = MS_H,
     .help = "How long a call may ring."},
    {.key = "duration",
     .type = CFG_DURATION,
     AT(config, duration_ms),
     .dflt = "12h",
     .min = MS_M,
     .max = 7LL * MS_D,
     .help = "How long a call may last."},
    {.key = "transactions",
     .type = CFG_INT,
     AT(config, max_transactions),
     .dflt = "200000",
     .min = 100,
     .max = 10000000,
     .help = "SIP transactions at once, of all workers; more get 503."},
    {.key = "overload",
     .type = CFG_OBJECT,
     .sub = &cfg_overload,
     .help = "When a worker has too much to do and refuses new work with 503: of strangers from "
             "these values on, of users from one and a half, of peers from twice as much."},
};
OBJECT_PUBLIC(cfg_limits, config, cfg_check_limits);
