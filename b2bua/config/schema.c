/* schema.c - the one list of settings. Parser, defaults, ranges, checks, the list of what needs a
 * restart and the reference text all walk it. */
#include "config/config_int.h"

/* Field, with its size: the reader stores as many bytes. */
#define AT(type, field)                                                                            \
    .at = offsetof(struct type, field), .size = sizeof(((struct type *)0)->field)
#define OBJECT(name, type, fn)                                                                     \
    static const struct cfg_object name = {                                                        \
        .keys = name##_keys,                                                                       \
        .n_keys = COUNT_OF(name##_keys),                                                           \
        .size = sizeof(struct type),                                                               \
        .check = (fn),                                                                             \
    }

#define MS_S 1000
#define MS_M (60 * MS_S)
#define MS_H (60 * MS_M)
#define MS_D (24 * MS_H)

static const char *const word_auto[] = {"auto", NULL};
static const char *const word_off[] = {"off", NULL};
static const char *const words_level[] = {"error", "warn", "info", "debug", NULL};
static const char *const words_format[] = {"text", "json", NULL};
static const char *const words_algorithm[] = {"md5", "sha-256", NULL};
static const char *const words_registrar[] = {"local", NULL};
static const char *const later_registrar[] = {"relay", NULL};
static const char *const words_security[] = {"rtp", NULL};
static const char *const later_security[] = {"sdes", "dtls", NULL};
static const char *const words_hide[] = {"all", NULL};
static const char *const later_any[] = {"*", NULL};

static const struct cfg_key cfg_log_keys[] = {
    {.key = "level",
     .type = CFG_ENUM,
     AT(config, log_level),
     .dflt = "info",
     .words = words_level,
     .help = "Lines less urgent than this are not written."},
    {.key = "format",
     .type = CFG_ENUM,
     .flags = CFG_RESTART,
     AT(config, log_json),
     .dflt = "json",
     .words = words_format,
     .help = "One JSON object a line, or plain text."},
};
OBJECT(cfg_log, config, NULL);

static const struct cfg_key cfg_node_section_keys[] = {
    {.key = "name",
     .type = CFG_NAME,
     .flags = CFG_RESTART,
     AT(config, node_name),
     .dflt = "postern",
     .min = 1,
     .max = POLICY_NAME_MAX,
     .help = "Name of this node in logs and records."},
    {.key = "id",
     .type = CFG_INT,
     .flags = CFG_RESTART,
     AT(config, node_id),
     .dflt = "0",
     .max = 1023,
     .help = "Number of this node inside the tokens it hands out; unique among nodes that share a "
             "key."},
    {.key = "workers",
     .type = CFG_INT,
     .flags = CFG_RESTART,
     AT(config, workers),
     .dflt = "auto",
     .min = 1,
     .max = CFG_WORKERS_MAX,
     .words = word_auto,
     .help = "Threads that carry calls; auto is one per CPU."},
    {.key = "key",
     .type = CFG_STRING,
     .flags = CFG_RESTART,
     AT(config, key_file),
     .dflt = "./postern.key",
     .min = 1,
     .max = CFG_TEXT_MAX,
     .help = "File of the token key; made (mode 0600) when it does not exist."},
    {.key = "drain",
     .type = CFG_DURATION,
     AT(config, drain_ms),
     .dflt = "30s",
     .max = MS_D,
     .help = "How long running calls may go on after SIGTERM; 0s ends them at once."},
    {.key = "log", .type = CFG_OBJECT, .sub = &cfg_log, .help = "The log, on standard output."},
};
OBJECT(cfg_node_section, config, NULL);

static const struct cfg_key cfg_store_section_keys[] = {
    {.key = "path",
     .type = CFG_STRING,
     .flags = CFG_RESTART,
     AT(config, store_path),
     .dflt = "./postern.db",
     .min = 1,
     .max = CFG_TEXT_MAX,
     .help = "SQLite file, created and migrated at start."},
};
OBJECT(cfg_store_section, config, NULL);

static const struct cfg_key cfg_admin_keys[] = {
    {.key = "listen",
     .type = CFG_LISTEN,
     .flags = CFG_RESTART,
     .dflt = "127.0.0.1:8080",
     .help = "Where the admin API listens: a loopback address with port, or unix:PATH."},
    {.key = "token",
     .type = CFG_TOKEN,
     .flags = CFG_RESTART,
     .dflt = "./admin.token",
     .help = "Bearer token, 16 characters or more; {file: PATH} is made (mode 0600) when it does "
             "not exist."},
    {.key = "tls", .type = CFG_LATER, .help = "TLS of the admin API."},
};
OBJECT(cfg_admin, config, NULL);

static const struct cfg_key cfg_sip_keys[] = {
    {.key = "t1",
     .type = CFG_DURATION,
     .flags = CFG_RESTART,
     AT(config, t1_ms),
     .dflt = "500ms",
     .min = 100,
     .max = 5 * MS_S,
     .help =
         "RFC 3261 T1, the round-trip estimate that retransmissions and time-outs derive from."},
    {.key = "t2",
     .type = CFG_DURATION,
     .flags = CFG_RESTART,
     AT(config, t2_ms),
     .dflt = "4s",
     .min = 500,
     .max = 30 * MS_S,
     .help = "RFC 3261 T2, the longest pause between retransmissions; not below t1."},
    {.key = "t4",
     .type = CFG_DURATION,
     .flags = CFG_RESTART,
     AT(config, t4_ms),
     .dflt = "5s",
     .min = 500,
     .max = 30 * MS_S,
     .help = "RFC 3261 T4, how long a message stays in the network."},
    {.key = "max_message",
     .type = CFG_SIZE,
     .flags = CFG_RESTART,
     AT(config, max_message),
     .dflt = "64KiB",
     .min = 4096,
     .max = 65536,
     .help = "Longer SIP messages are refused."},
    {.key = "tcp_connections",
     .type = CFG_INT,
     .flags = CFG_RESTART,
     AT(config, tcp_max),
     .dflt = "4096",
     .min = 1,
     .max = 1000000,
     .help = "TCP connections of one worker; more are closed at once."},
    {.key = "tcp_per_source",
     .type = CFG_INT,
     .flags = CFG_RESTART,
     AT(config, tcp_per_source),
     .dflt = "64",
     .min = 1,
     .max = 1000000,
     .help = "TCP connections of one IPv4 address or IPv6 /64."},
    {.key = "tcp_idle",
     .type = CFG_DURATION,
     .flags = CFG_RESTART,
     AT(config, tcp_idle_ms),
     .dflt = "10m",
     .min = 10 * MS_S,
     .max = MS_D,
     .help = "Connections without use, registration or call are closed after this."},
};
OBJECT(cfg_sip, config, NULL);

static const struct cfg_key cfg_media_keys[] = {
    {.key = "inactivity",
     .type = CFG_DURATION,
     AT(config, media_inactivity_ms),
     .dflt = "60s",
     .min = 5 * MS_S,
     .max = MS_D,
     .words = word_off,
     .help = "A call whose media has been silent on both sides for so long is ended."},
    {.key = "learn",
     .type = CFG_DURATION,
     AT(config, media_learn_ms),
     .dflt = "3s",
     .min = 100,
     .max = MS_M,
     .help = "How long a better source may still take over a stream; then it is locked."},
};
OBJECT(cfg_media, config, NULL);

static const struct cfg_key cfg_limits_keys[] = {
    {.key = "calls",
     .type = CFG_INT,
     AT(config, def.limit.calls),
     .dflt = "20000",
     .min = 1,
     .max = 1000000,
     .words = word_off,
     .help = "Calls at once; more get 503 with Retry-After."},
    {.key = "calls_per_second",
     .type = CFG_INT,
     AT(config, def.limit.calls_per_second),
     .dflt = "2000",
     .min = 1,
     .max = 1000000,
     .words = word_off,
     .help = "New calls per second, with a burst of as many; more get 503 with Retry-After."},
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
     .flags = CFG_RESTART,
     AT(config, max_transactions),
     .dflt = "200000",
     .min = 100,
     .max = 10000000,
     .help = "SIP transactions at once, of all workers; more get 503."},
};
OBJECT(cfg_limits, config, NULL);

/* --- listeners --- */
static const struct cfg_key cfg_listener_sip_keys[] = {
    {.key = "udp",
     .type = CFG_INT,
     AT(config_listener, port[0]),
     .min = 1,
     .max = 65535,
     .help = "UDP port; not opened unless named."},
    {.key = "tcp",
     .type = CFG_INT,
     AT(config_listener, port[1]),
     .min = 1,
     .max = 65535,
     .help = "TCP port; not opened unless named."},
    {.key = "tls", .type = CFG_LATER, .help = "SIP over TLS."},
    {.key = "ws", .type = CFG_LATER, .help = "SIP over WebSocket."},
    {.key = "wss", .type = CFG_LATER, .help = "SIP over secure WebSocket."},
};
OBJECT(cfg_listener_sip, config_listener, NULL);

static const struct cfg_key cfg_rtp_keys[] = {
    {.key = "ports",
     .type = CFG_PORTS,
     .flags = CFG_REQUIRED,
     .at = offsetof(struct config_listener, rtp_min),
     .n_at = offsetof(struct config_listener, rtp_max),
     .min = 1024,
     .max = 65535,
     .help = "UDP ports for media: the first one even, two for each stream."},
};
OBJECT(cfg_rtp, config_listener, cfg_check_rtp);

static const struct cfg_key cfg_listener_keys[] = {
    {.key = "address",
     .type = CFG_ADDRESS,
     .flags = CFG_REQUIRED,
     AT(config_listener, address),
     .help = "IP address where we bind."},
    {.key = "advertise",
     .type = CFG_ADDRESS,
     AT(config_listener, advertise),
     .help = "IP address that the far side is told; the bound one unless set."},
    {.key = "sip",
     .type = CFG_OBJECT,
     .sub = &cfg_listener_sip,
     .help = "Ports for signalling, by transport; at least one."},
    {.key = "rtp",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .sub = &cfg_rtp,
     .help = "Ports for media; needed where peers or users are."},
    {.key = "tls", .type = CFG_LATER, .help = "Certificate, key and client authorities."},
};
OBJECT(cfg_listener, config_listener, cfg_check_listener);

static const struct cfg_key cfg_profile_keys[] = {
    {.key = "security",
     .type = CFG_ENUM,
     AT(policy_media_profile, security),
     .dflt = "rtp",
     .words = words_security,
     .later = later_security,
     .help = "How media is protected on this side."},
    {.key = "suites", .type = CFG_LATER, .help = "SRTP suites, the best first."},
    {.key = "optional", .type = CFG_LATER, .help = "SRTP if the other side takes it."},
    {.key = "ice", .type = CFG_LATER, .help = "ICE on this side."},
    {.key = "rtcp_mux", .type = CFG_LATER, .help = "RTP and RTCP on one port."},
};
OBJECT(cfg_profile, policy_media_profile, NULL);

/* --- peers --- */
static const struct cfg_key cfg_credentials_keys[] = {
    {.key = "username",
     .type = CFG_STRING,
     .flags = CFG_REQUIRED,
     AT(policy_peer, username),
     .min = 1,
     .max = 256,
     .help = "For digest challenges from the peer."},
    {.key = "password",
     .type = CFG_SECRET,
     .flags = CFG_REQUIRED,
     AT(policy_peer, password),
     .help = "Text, {file: PATH} or {env: NAME}."},
    {.key = "realm",
     .type = CFG_STRING,
     AT(policy_peer, realm),
     .min = 1,
     .max = 256,
     .help = "Only challenges of this realm are answered; any when not set."},
};
OBJECT(cfg_credentials, policy_peer, NULL);

static const struct cfg_key cfg_peer_limits_keys[] = {
    {.key = "calls",
     .type = CFG_INT,
     AT(policy_peer, limit.calls),
     .dflt = "off",
     .min = 1,
     .max = 1000000,
     .words = word_off,
     .help = "Calls at once, from and to the peer."},
    {.key = "calls_per_second",
     .type = CFG_INT,
     AT(policy_peer, limit.calls_per_second),
     .dflt = "off",
     .min = 1,
     .max = 1000000,
     .words = word_off,
     .help = "New calls per second, with a burst of as many."},
};
OBJECT(cfg_peer_limits, policy_peer, NULL);

static const struct cfg_key cfg_failover_keys[] = {
    {.key = "timeout",
     .type = CFG_DURATION,
     AT(policy_peer, failover_ms),
     .dflt = "2s",
     .min = 100,
     .max = 32 * MS_S,
     .help = "No answer at all from a target within this: the next one is tried."},
};
OBJECT(cfg_failover, policy_peer, NULL);

static const struct cfg_key cfg_topology_keys[] = {
    {.key = "hide",
     .type = CFG_ENUM,
     .dflt = "all",
     .words = words_hide,
     .later = later_any,
     .help = "What this side may not learn of the other."},
};
OBJECT(cfg_topology, policy_peer, NULL);

static const struct cfg_key cfg_peer_keys[] = {
    {.key = "listener",
     .type = CFG_LISTENER,
     .flags = CFG_REQUIRED,
     AT(policy_peer, listener),
     .help = "The listener through which the peer is reached."},
    {.key = "sources",
     .type = CFG_LIST,
     .of = CFG_PREFIX,
     .at = offsetof(struct policy_peer, sources),
     .size = sizeof(struct prefix),
     .n_at = offsetof(struct policy_peer, n_sources),
     .max = CFG_SOURCES_MAX,
     .help = "Networks that may speak as this peer; the longest prefix wins."},
    {.key = "targets",
     .type = CFG_LIST,
     .of = CFG_TARGET,
     .at = offsetof(struct policy_peer, targets),
     .size = sizeof(struct policy_uri_target),
     .n_at = offsetof(struct policy_peer, n_targets),
     .max = POLICY_TARGETS_MAX,
     .help = "Where calls to the peer go, sip:ADDRESS:PORT;transport=udp, tried in order."},
    {.key = "media",
     .type = CFG_PROFILE,
     AT(policy_peer, media),
     .dflt = "plain",
     .help = "Media profile of this side."},
    {.key = "credentials",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .sub = &cfg_credentials,
     .help = "Our name and password at the peer."},
    {.key = "limits", .type = CFG_OBJECT, .sub = &cfg_peer_limits, .help = "Limits of this peer."},
    {.key = "failover",
     .type = CFG_OBJECT,
     .sub = &cfg_failover,
     .help = "When the next target is tried."},
    {.key = "topology",
     .type = CFG_OBJECT,
     .sub = &cfg_topology,
     .help = "What this side may learn."},
    {.key = "headers", .type = CFG_EMPTY, .help = "Header rules."},
    {.key = "probe", .type = CFG_LATER, .help = "OPTIONS probes of the targets."},
};
OBJECT(cfg_peer, policy_peer, cfg_check_peer);

/* --- users --- */
#define USERS(field) AT(policy_users, field)
static const struct cfg_key cfg_expires_keys[] = {
    {.key = "min",
     .type = CFG_SECONDS,
     USERS(expires_min_s),
     .dflt = "60s",
     .min = MS_S,
     .max = MS_D,
     .help = "Shorter registrations get 423."},
    {.key = "max",
     .type = CFG_SECONDS,
     USERS(expires_max_s),
     .dflt = "1h",
     .min = MS_S,
     .max = 7LL * MS_D,
     .help = "Longer registrations are cut to this."},
    {.key = "default",
     .type = CFG_SECONDS,
     USERS(expires_default_s),
     .dflt = "1h",
     .min = MS_S,
     .max = 7LL * MS_D,
     .help = "For devices that do not ask."},
};
OBJECT(cfg_expires, policy_users, cfg_check_expires);

static const struct cfg_key cfg_account_keys[] = {
    {.key = "name",
     .type = CFG_USER,
     .flags = CFG_REQUIRED,
     AT(policy_account, name),
     .min = 1,
     .max = POLICY_NAME_MAX,
     .help = "User part of the address, and user name of the digest."},
    {.key = "password",
     .type = CFG_SECRET,
     .flags = CFG_REQUIRED,
     AT(policy_account, password),
     .help = "Text, {file: PATH} or {env: NAME}."},
};
OBJECT(cfg_account, policy_account, cfg_check_account);

static const struct cfg_key cfg_users_keys[] = {
    {.key = "domain",
     .type = CFG_HOST,
     .flags = CFG_REQUIRED,
     USERS(domain),
     .min = 1,
     .max = 253,
     .help = "Domain of the users' addresses, and realm of the digest."},
    {.key = "listener",
     .type = CFG_LISTENER,
     .flags = CFG_REQUIRED,
     USERS(listener),
     .help = "The listener where users register and call."},
    {.key = "registrar",
     .type = CFG_ENUM,
     .dflt = "local",
     .words = words_registrar,
     .later = later_registrar,
     .help = "Who keeps the registrations."},
    {.key = "media",
     .type = CFG_PROFILE,
     USERS(media),
     .dflt = "plain",
     .help = "Media profile of this side."},
    {.key = "algorithm",
     .type = CFG_ENUM,
     USERS(sha256),
     .dflt = "md5",
     .words = words_algorithm,
     .help = "Digest that users are challenged with; many phones know only md5."},
    {.key = "expires",
     .type = CFG_OBJECT,
     .sub = &cfg_expires,
     .help = "How long a registration holds."},
    {.key = "contacts",
     .type = CFG_INT,
     USERS(max_contacts),
     .dflt = "10",
     .min = 1,
     .max = 16,
     .help = "Devices registered at once by one user."},
    {.key = "nonce_life",
     .type = CFG_SECONDS,
     USERS(nonce_life_s),
     .dflt = "5m",
     .min = 10 * MS_S,
     .max = MS_H,
     .help = "How long a digest challenge may be answered."},
    {.key = "accounts",
     .type = CFG_ITEMS,
     .of = CFG_OBJECT,
     .at = offsetof(struct policy_users, accounts),
     .n_at = offsetof(struct policy_users, n_accounts),
     .max = CFG_ACCOUNTS_MAX,
     .sub = &cfg_account,
     .help = "Who may register."},
};
OBJECT(cfg_users, policy_users, cfg_check_users);

/* --- routes --- */
#define PATTERN(word, field, text)                                                                 \
    {                                                                                              \
        .key = (word), .type = CFG_GLOB, AT(policy_route, field), .min = 1, .max = 256,            \
        .help = (text)                                                                             \
    }
static const struct cfg_key cfg_match_keys[] = {
    PATTERN("called", called, "Called user or number; * is anything, ? one character."),
    PATTERN("calling", calling, "Calling user or number."),
    PATTERN("domain", domain, "Host of the called address."),
    PATTERN("method", method, "INVITE or MESSAGE; both when not set."),
};
OBJECT(cfg_match, policy_route, NULL);

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

static const struct cfg_key cfg_route_keys[] = {
    {.key = "name",
     .type = CFG_NAME,
     .flags = CFG_REQUIRED,
     AT(policy_route, name),
     .min = 1,
     .max = POLICY_NAME_MAX,
     .help = "Name in records and traces."},
    {.key = "from",
     .type = CFG_LIST,
     .of = CFG_PARTY,
     .at = offsetof(struct policy_route, from),
     .size = sizeof(struct policy_ref),
     .n_at = offsetof(struct policy_route, n_from),
     .max = CFG_PEERS_MAX + 1,
     .help = "users, or names of peers; anybody known when not set."},
    {.key = "match", .type = CFG_OBJECT, .sub = &cfg_match, .help = "All patterns must fit."},
    {.key = "to",
     .type = CFG_LIST,
     .of = CFG_PARTY,
     .flags = CFG_INLINE,
     .at = offsetof(struct policy_route, to),
     .size = sizeof(struct policy_ref),
     .n_at = offsetof(struct policy_route, n_to),
     .max = POLICY_TARGETS_MAX,
     .help = "users, or names of peers, tried in order."},
    {.key = "refuse",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .sub = &cfg_refuse,
     .help = "Refuse what fits, instead of to."},
};
OBJECT(cfg_route, policy_route, cfg_check_route);

/* --- security --- */
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

static const char *const words_no_yes[] = {"no", "yes", NULL};
static const char *const words_firewall[] = {"off", NULL};
static const char *const later_firewall[] = {"nftables", NULL};

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
     .type = CFG_LIST,
     .of = CFG_DURATION,
     .flags = CFG_INLINE,
     .at = offsetof(struct config, def.security.bans.durations_ms),
     .size = sizeof(uint32_t),
     .n_at = offsetof(struct config, def.security.bans.n_durations),
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
     .type = CFG_LIST,
     .of = CFG_STRING,
     .flags = CFG_INLINE,
     .at = offsetof(struct config, def.security.bans.agents),
     .size = sizeof(const char *),
     .n_at = offsetof(struct config, def.security.bans.n_agents),
     .min = 1,
     .max = 128,
     .n_max = POLICY_AGENTS_MAX,
     .help = "User-Agents that mark scanners by their beginning, beside those that are built in."},
    {.key = "dry_run",
     .type = CFG_ENUM,
     SECURITY(bans.dry_run),
     .dflt = "no",
     .words = words_no_yes,
     .help = "Score, log and show bans, drop nothing."},
    {.key = "firewall",
     .type = CFG_ENUM,
     SECURITY(bans.firewall),
     .dflt = "off",
     .words = words_firewall,
     .later = later_firewall,
     .help = "Where proven bans are enforced beside the workers."},
};
OBJECT(cfg_bans, config, cfg_check_bans);

static const struct cfg_key cfg_security_keys[] = {
    {.key = "allow",
     .type = CFG_LIST,
     .of = CFG_PREFIX,
     .at = offsetof(struct config, def.security.allow),
     .size = sizeof(struct prefix),
     .n_at = offsetof(struct config, def.security.n_allow),
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
    {.key = "bans",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .sub = &cfg_bans,
     .help = "Bans of hostile sources; without this offences are only logged and counted."},
};
OBJECT(cfg_security, config, NULL);

/* The order is the order of reading: what is referred to comes first. */
static const struct cfg_key root_keys[] = {
    {.key = "node", .type = CFG_OBJECT, .sub = &cfg_node_section, .help = "This process."},
    {.key = "store", .type = CFG_OBJECT, .sub = &cfg_store_section, .help = "The database."},
    {.key = "admin", .type = CFG_OBJECT, .sub = &cfg_admin, .help = "The admin API."},
    {.key = "sip", .type = CFG_OBJECT, .sub = &cfg_sip, .help = "Signalling in general."},
    {.key = "media", .type = CFG_OBJECT, .sub = &cfg_media, .help = "Media in general."},
    {.key = "limits", .type = CFG_OBJECT, .sub = &cfg_limits, .help = "Limits of the node."},
    {.key = "security", .type = CFG_OBJECT, .sub = &cfg_security, .help = "Hostile sources."},
    {.key = "listeners",
     .type = CFG_MAP,
     .flags = CFG_RESTART | CFG_REQUIRED,
     .at = offsetof(struct config, listeners),
     .n_at = offsetof(struct config, n_listeners),
     .max = CONFIG_LISTENERS_MAX,
     .sub = &cfg_listener,
     .names_at = offsetof(struct cfg, listeners),
     .help = "Where we listen, and what we advertise there."},
    {.key = "media_profiles",
     .type = CFG_MAP,
     .at = offsetof(struct config, def.profiles),
     .n_at = offsetof(struct config, def.n_profiles),
     .dflt = "plain",
     .max = CFG_PROFILES_MAX,
     .sub = &cfg_profile,
     .names_at = offsetof(struct cfg, profiles),
     .help = "What one side speaks."},
    {.key = "peers",
     .type = CFG_MAP,
     .at = offsetof(struct config, def.peers),
     .n_at = offsetof(struct config, def.n_peers),
     .max = CFG_PEERS_MAX,
     .sub = &cfg_peer,
     .names_at = offsetof(struct cfg, peers),
     .help = "Carriers, PBXs, groups of targets."},
    {.key = "users",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .at = offsetof(struct config, def.users),
     .sub = &cfg_users,
     .help = "Devices that register."},
    {.key = "routes",
     .type = CFG_ITEMS,
     .of = CFG_OBJECT,
     .at = offsetof(struct config, def.routes),
     .n_at = offsetof(struct config, def.n_routes),
     .max = CFG_ROUTES_MAX,
     .sub = &cfg_route,
     .help = "First match wins; no match is a refusal."},
};
const struct cfg_object cfg_root = {
    .keys = root_keys,
    .n_keys = COUNT_OF(root_keys),
    .size = sizeof(struct config),
    .check = cfg_check_root,
};
