/* schema_security.c - the settings under `security`: who is let in how fast, and who is banned. */
#include "config/schema_int.h"

static const char *const word_off[] = {"off", NULL};

static void cfg_check_bans(struct cfg *c, const struct cfg_node *node, void *at)
{
    static const uint32_t usual_ms[] = {300000, 3600000, 86400000, 7 * 86400000};
    struct policy_ban_rules *bans = &((struct config *)at)->def.security.bans;

    bans->present = true;
    if (cfg_find(c, node, SL("durations")) == NULL) {
        memcpy(bans->durations_ms, usual_ms, sizeof(usual_ms));
        bans->n_durations = COUNT_OF(usual_ms);
    }
}

#define SECURITY(field) AT(config, def.security.field)
static const struct cfg_key cfg_strangers_keys[] = {
    {.key = "packets_per_second",
     .type = CFG_INT,
     SECURITY(unknown_pps),
     .dflt = "1000",
     .min = 1,
     .max = 1000000,
     .words = word_off,
     .help = "Packets and connections of all strangers together; more are dropped unread."},
    {.key = "each",
     .type = CFG_INT,
     SECURITY(unknown_each_pps),
     .dflt = "off",
     .min = 1,
     .max = 1000000,
     .words = word_off,
     .help = "The same of one stranger: an IPv4 address or IPv6 /64."},
};
OBJECT(cfg_strangers, config, NULL);

static const struct cfg_key cfg_trusted_keys[] = {
    {.key = "packets_per_second",
     .type = CFG_INT,
     SECURITY(trusted_pps),
     .dflt = "off",
     .min = 1,
     .max = 1000000,
     .words = word_off,
     .help = "Packets of one address and port of a peer or of a user who proved himself."},
};
OBJECT(cfg_trusted, config, NULL);

static const char *const words_firewall[] = {"off", "nftables", NULL};

static const struct cfg_key cfg_bans_keys[] = {
    {.key = "threshold",
     .type = CFG_INT,
     SECURITY(bans.threshold),
     .dflt = "10",
     .min = 1,
     .max = 10000,
     .help =
         "Points that earn a ban: scanner 10, wrong password, unknown user and expensive numbers "
         "2, malformed messages and refused calls 1."},
    {.key = "window",
     .type = CFG_DURATION,
     SECURITY(bans.window_ms),
     .dflt = "5m",
     .min = 10 * MS_S,
     .max = MS_D,
     .help = "In which as many points are forgotten, evenly."},
    {.key = "durations",
     LIST(config, def.security.bans.durations_ms, def.security.bans.n_durations, CFG_DURATION),
     .flags = CFG_INLINE,
     .dflt = "5m", /* cfg_check_bans() adds the others */
     .min = MS_S,
     .max = 45LL * MS_D,
     .n_max = POLICY_DURATIONS_MAX,
     .help = "How long the first ban lasts, the second, and so on; 5m, 1h, 1d, 7d when not set."},
    {.key = "networks",
     .type = CFG_INT,
     SECURITY(bans.network_after),
     .dflt = "4",
     .min = 2,
     .max = 256,
     .words = word_off,
     .help =
         "So many banned addresses of one IPv4 /24 ban the /24, when nobody known lives there."},
    {.key = "user_agents",
     LIST(config, def.security.bans.agents, def.security.bans.n_agents, CFG_STRING),
     .flags = CFG_INLINE,
     .min = 1,
     .max = 128,
     .n_max = POLICY_AGENTS_MAX,
     .help = "User-Agents that mark scanners by their beginning, beside those that are built in."},
    {.key = "dry_run",
     .type = CFG_ENUM,
     SECURITY(bans.dry_run),
     .dflt = "false",
     .words = cfg_words_bool,
     .help = "Score, log and show bans, drop nothing."},
    {.key = "firewall",
     .type = CFG_ENUM,
     SECURITY(bans.firewall),
     .dflt = "off",
     .words = words_firewall,
     .help =
         "Where proven bans are enforced beside the workers: by the kernel, through postern-nft, "
         "which needs CAP_NET_ADMIN."},
};
OBJECT(cfg_bans, config, cfg_check_bans);

static const struct cfg_key cfg_security_keys[] = {
    {.key = "allow",
     LIST(config, def.security.allow, def.security.n_allow, CFG_PREFIX),
     .max = CFG_SOURCES_MAX,
     .help = "Networks that are never banned."},
    {.key = "unknown_sources",
     .type = CFG_OBJECT,
     .sub = &cfg_strangers,
     .help = "Budget of sources that are no peer and have not proven to be a user."},
    {.key = "trusted_sources",
     .type = CFG_OBJECT,
     .sub = &cfg_trusted,
     .help = "Budget of each of the others."},
    {.key = "warn_at",
     .type = CFG_INT,
     SECURITY(warn_percent),
     .dflt = "80",
     .min = 1,
     .max = 100,
     .words = word_off,
     .help = "Percent of a budget in use at which it is logged and counted, once until the use has "
             "gone down again."},
    {.key = "bans",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .sub = &cfg_bans,
     .help = "Bans of hostile sources; without this offences are only logged and counted."},
};
const struct cfg_object cfg_security = CFG_OBJECT_INIT(cfg_security_keys, config, NULL);
