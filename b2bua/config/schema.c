/* schema.c - the one list of settings. Parser, defaults, ranges, checks, the list of what needs a
 * restart and the reference text all walk it. */
#include "config/tls_int.h"
#include "config/schema_int.h"

static const char *const word_auto[] = {"auto", NULL};
static const char *const word_off[] = {"off", NULL};
static const char *const words_level[] = {"error", "warn", "info", "debug", NULL};
static const char *const words_io[] = {"auto", "epoll", "io_uring", NULL}; /* enum media_io */
static const char *const words_format[] = {"text", "json", NULL};
static const char *const words_qop[] = {"optional", "required", NULL};
static const char *const words_algorithm[] = {"md5", "sha-256", NULL};
static const char *const words_registrar[] = {"local", NULL};
static const char *const later_registrar[] = {"relay", NULL};
static const char *const words_on_leak[] = {"mask", "refuse", "report", NULL}; /* policy_on_leak */
static const char *const words_nat[] = {"auto", "on", "off", NULL};            /* policy_nat */
static const char *const words_keep[] = {"crlf", "options", "off", NULL};      /* policy_keep */
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
     AT(config, log_json),
     .dflt = "json",
     .words = words_format,
     .help = "One JSON object a line, or plain text."},
};
OBJECT(cfg_log, config, NULL);

static const struct cfg_key cfg_node_section_keys[] = {
    {.key = "name",
     .type = CFG_NAME,
     AT(config, node_name),
     .dflt = "postern",
     .min = 1,
     .max = POLICY_NAME_MAX,
     .help = "Name of this node in logs and records."},
    {.key = "id",
     .type = CFG_INT,
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
    {.key = "crypto_threads",
     .type = CFG_INT,
     AT(config, crypto_threads),
     .dflt = "1",
     .min = 1,
     .max = 16,
     .help = "Threads for handshakes of TLS and DTLS, beside the workers; one does over a thousand "
             "a second."},
    {.key = "crypto_queue",
     .type = CFG_INT,
     AT(config, crypto_queue),
     .dflt = "2048",
     .min = 1,
     .max = 1000000,
     .help = "Handshake steps that wait for a thread; beyond, the connection is closed."},
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
    {.key = "requests",
     .type = CFG_ENUM,
     AT(config, store_requests),
     .dflt = "true",
     .words = cfg_words_bool,
     .help = "The INVITE of every call is kept, without passwords and keys, so that its decision "
             "can be explained later and tried against another configuration."},
};
OBJECT(cfg_store_section, config, NULL);

static const struct cfg_key cfg_admin_keys[] = {
    {.key = "listen",
     .type = CFG_LISTEN,
     .dflt = "127.0.0.1:8080",
     .help = "Where the admin API listens: a loopback address with port, or unix:PATH."},
    {.key = "token",
     .type = CFG_TOKEN,
     .dflt = "./admin.token",
     .help = "Bearer token, 16 characters or more; {file: PATH} is made (mode 0600) when it does "
             "not exist."},
    {.key = "tls", .type = CFG_LATER, .help = "TLS of the admin API."},
};
OBJECT(cfg_admin, config, NULL);

static const struct cfg_key cfg_sip_keys[] = {
    {.key = "t1",
     .type = CFG_DURATION,
     AT(config, t1_ms),
     .dflt = "500ms",
     .min = 100,
     .max = 5 * MS_S,
     .help =
         "RFC 3261 T1, the round-trip estimate that retransmissions and time-outs derive from."},
    {.key = "t2",
     .type = CFG_DURATION,
     AT(config, t2_ms),
     .dflt = "4s",
     .min = 500,
     .max = 30 * MS_S,
     .help = "RFC 3261 T2, the longest pause between retransmissions; not below t1."},
    {.key = "t4",
     .type = CFG_DURATION,
     AT(config, t4_ms),
     .dflt = "5s",
     .min = 500,
     .max = 30 * MS_S,
     .help = "RFC 3261 T4, how long a message stays in the network."},
    {.key = "max_message",
     .type = CFG_SIZE,
     AT(config, max_message),
     .dflt = "64KiB",
     .min = 4096,
     .max = 65536,
     .help = "Longer SIP messages are refused."},
    {.key = "tcp_connections",
     .type = CFG_INT,
     AT(config, tcp_max),
     .dflt = "4096",
     .min = 1,
     .max = 1000000,
     .help = "TCP connections of one worker; more are closed at once."},
    {.key = "tcp_per_source",
     .type = CFG_INT,
     AT(config, tcp_per_source),
     .dflt = "64",
     .min = 1,
     .max = 1000000,
     .help = "TCP connections of one IPv4 address or IPv6 /64."},
    {.key = "reserve",
     .type = CFG_INT,
     AT(config, reserve_percent),
     .dflt = "25",
     .min = 0,
     .max = 90,
     .help = "Percent of tcp_connections and tls_handshakes that strangers cannot have: kept for "
             "addresses of peers and of users who proved themselves."},
    {.key = "tcp_idle",
     .type = CFG_DURATION,
     AT(config, tcp_idle_ms),
     .dflt = "10m",
     .min = 10 * MS_S,
     .max = MS_D,
     .help = "Connections without use, registration or call are closed after this."},
    {.key = "tls_handshakes",
     .type = CFG_INT,
     AT(config, tls_handshakes),
     .dflt = "1024",
     .min = 1,
     .max = 1000000,
     .help = "TLS handshakes of clients in progress, of all workers; an eighth for one source. "
             "More are closed at once."},
    {.key = "tls_handshake",
     .type = CFG_DURATION,
     AT(config, tls_handshake_ms),
     .dflt = "10s",
     .min = 100,
     .max = MS_M,
     .help = "How long a TLS handshake may take, from accept or connect."},
    {.key = "keepalive",
     .type = CFG_DURATION,
     AT(config, keepalive_ms),
     .dflt = "60s",
     .min = MS_S,
     .max = MS_H,
     .words = word_off,
     .help = "Silent TCP and TLS connections of calls and registrations get a CRLF ping (RFC 5626) "
             "this often."},
    {.key = "keepalive_answer",
     .type = CFG_DURATION,
     AT(config, keepalive_answer_ms),
     .dflt = "10s",
     .min = 100,
     .max = MS_M,
     .help = "A connection that has answered pings before and does not within this is closed."},
    {.key = "reconnect_max",
     .type = CFG_DURATION,
     AT(config, reconnect_max_ms),
     .dflt = "30s",
     .min = 500,
     .max = MS_H,
     .words = word_off,
     .help = "Longest pause before a TCP or TLS target that could not be reached is dialled again; "
             "the first is half a second."},
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
    {.key = "quarantine",
     .type = CFG_DURATION,
     AT(config, media_quarantine_ms),
     .dflt = "2s",
     .min = 250,
     .max = MS_M,
     .help = "How long ports must be quiet after a call before another one gets them; 250ms is "
             "enough when more of them rest than are kept open."},
    {.key = "io",
     .type = CFG_ENUM,
     AT(config, media_io),
     .dflt = "auto",
     .words = words_io,
     .help =
         "How packets get in and out: auto is io_uring where the kernel allows it, else epoll."},
    {.key = "gather",
     .type = CFG_MICROS,
     AT(config, media_gather_us),
     .dflt = "250us",
     .max = 2000,
     .help =
         "How long packets may wait for others, so that they share a wake-up; slow traffic never "
         "waits. 0us: no packet does."},
    {.key = "ready_ports",
     .type = CFG_INT,
     AT(config, media_ready),
     .dflt = "64",
     .max = 4096,
     .help = "Pairs of RTP and RTCP sockets that each listener holds open for the next calls."},
};
OBJECT(cfg_media, config, NULL);

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
    {.key = "tls",
     .type = CFG_INT,
     AT(config_listener, port[2]),
     .min = 1,
     .max = 65535,
     .help = "TLS port; not opened unless named."},
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
     .help = "IP address that the far side is told; the bound one unless set. After a reload that "
             "changes it, running calls are told by re-INVITE."},
    {.key = "sip",
     .type = CFG_OBJECT,
     .sub = &cfg_listener_sip,
     .help = "Ports for signalling, by transport; at least one."},
    {.key = "rtp",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .sub = &cfg_rtp,
     .help = "Ports for media; needed where peers or users are."},
    {.key = "tls",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .sub = &cfg_listener_tls,
     .help = "Certificate, key and client authorities; read again by every reload."},
};
OBJECT(cfg_listener, config_listener, cfg_check_listener);

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

static const struct cfg_key cfg_topology_keys[] = {
    {.key = "hide",
     .type = CFG_ENUM,
     .dflt = "all",
     .words = words_hide,
     .later = later_any,
     .help = "What this side may not learn of the other."},
    {.key = "on_leak",
     .type = CFG_ENUM,
     AT(policy_topology, on_leak),
     .dflt = "mask",
     .words = words_on_leak,
     .help = "A message that names the other side: mask what it names, refuse to send it, or only "
             "report it."},
};
OBJECT(cfg_topology, policy_topology, NULL);

/* What peers and users have in common, by fields of the same names. */
#define SIDE_MEDIA(side)                                                                           \
    {                                                                                              \
        .key = "media", .type = CFG_PROFILE, AT(side, media), .dflt = "plain",                     \
        .help = "Media profile of this side."                                                      \
    }
#define SIDE_TRUST(side, whom)                                                                     \
    {                                                                                              \
        .key = "trusted_network", .type = CFG_ENUM, AT(side, trusted_network), .dflt = "false",    \
        .words = cfg_words_bool,                                                                   \
        .help = "Nobody listens on the way to the " whom                                           \
                ": SRTP keys may go through signalling without TLS."                               \
    }
#define SIDE_TOPOLOGY(side, who)                                                                   \
    {                                                                                              \
        .key = "topology", .type = CFG_OBJECT, .at = offsetof(struct side, topology),              \
        .sub = &cfg_topology, .help = "What " who " may learn."                                    \
    }
#define SIDE_NUMBERS(side)                                                                         \
    {                                                                                              \
        .key = "numbers", .type = CFG_OBJECT, .at = offsetof(struct side, numbers),                \
        .sub = &cfg_sides, .help = "How numbers are rewritten on this side."                       \
    }
#define SIDE_SESSION(side)                                                                         \
    {.key = "redirection",                                                                         \
     .type = CFG_ENUM,                                                                             \
     AT(side, session.redirection),                                                                \
     .dflt = "refuse",                                                                             \
     .words = cfg_words_redirection,                                                               \
     .help = "What the caller hears when this side answers 301 or 302: 480, or the new number at " \
             "our own address, to be called by the rules that hold for the caller."},              \
        {.key = "reliable_provisional",                                                            \
         .type = CFG_ENUM,                                                                         \
         AT(side, session.reliable),                                                               \
         .dflt = "supported",                                                                      \
         .words = cfg_words_reliable,                                                              \
         .help =                                                                                   \
             "Whether provisional answers are acknowledged (RFC 3262): never, with whoever asks "  \
             "for it, or always."},                                                                \
    {                                                                                              \
        .key = "session_timer", .type = CFG_OBJECT, .at = offsetof(struct side, session),          \
        .sub = &cfg_session_timer,                                                                 \
        .help = "How often sessions of this side are refreshed (RFC 4028)."                        \
    }

static const struct cfg_key cfg_peer_keys[] = {
    {.key = "listener",
     .type = CFG_LISTENER,
     .flags = CFG_REQUIRED,
     AT(policy_peer, listener),
     .help = "The listener through which the peer is reached."},
    {.key = "sources",
     LIST(policy_peer, sources, n_sources, CFG_PREFIX),
     .max = CFG_SOURCES_MAX,
     .help = "Networks that may speak as this peer; the longest prefix wins."},
    {.key = "certificates",
     LIST(policy_peer, certificates, n_certificates, CFG_CERTNAME),
     .max = CFG_CERTNAMES_MAX,
     .help = "Names in client certificates that prove this peer over TLS, from any address. "
             "Either these or a source is enough."},
    {.key = "targets",
     LIST(policy_peer, targets, n_targets, CFG_TARGET),
     .max = POLICY_TARGETS_MAX,
     .help = "Where calls to the peer go, sip:ADDRESS:PORT;transport=tls or sips:ADDRESS, tried in "
             "order; or {uri: sip:ADDRESS, priority: 0 to 65535, weight: 0 to 65535}: lower "
             "priorities first, equal ones drawn by weight (RFC 2782)."},
    SIDE_MEDIA(policy_peer),
    {.key = "tls",
     .type = CFG_OBJECT,
     .sub = &cfg_peer_tls,
     .help = "What the peer must prove when we dial it over TLS, and what we show."},
    SIDE_TRUST(policy_peer, "peer"),
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
    {.key = "nat",
     .type = CFG_ENUM,
     AT(policy_peer, nat),
     .dflt = "auto",
     .words = words_nat,
     .help = "Whether requests inside dialogs go where the peer's messages come from instead of to "
             "its Contact (on); auto: when that is a private address seen from a public one."},
    SIDE_TOPOLOGY(policy_peer, "this side"),
    SIDE_NUMBERS(policy_peer),
    {.key = "headers",
     ITEMS(policy_peer, headers, n_headers, cfg_header_rule),
     .max = CFG_HEADER_RULES_MAX,
     .help =
         "Header rules of this side, from top to bottom. Order: header rules in, numbers in, "
         "routes with their numbers, numbers out, identity, header rules out, topology. Answers: "
         "replies in, failover, replies out, header rules out, topology."},
    {.key = "replies",
     ITEMS(policy_peer, replies, n_replies, cfg_reply_rule),
     .max = CFG_HEADER_RULES_MAX,
     .help = "Status codes that become others on this side; the first that fits."},
    {.key = "identity",
     .type = CFG_OBJECT,
     .at = offsetof(struct policy_peer, identity),
     .sub = &cfg_identity,
     .help = "Who is believed, and who is told, who calls (RFC 3323, RFC 3325)."},
    {.key = "probe",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .sub = &cfg_probe,
     .help = "OPTIONS probes of the targets; none without this."},
    {.key = "breaker",
     .type = CFG_OBJECT,
     .sub = &cfg_breaker,
     .help = "When the fate of its calls puts a target behind the others."},
    {.key = "drain",
     .type = CFG_ENUM,
     AT(policy_peer, drain),
     .dflt = "false",
     .words = cfg_words_bool,
     .help = "No new calls to the peer; running ones go on, and it may call."},
    SIDE_SESSION(policy_peer),
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

static const struct cfg_key cfg_keepalive_keys[] = {
    {.key = "method",
     .type = CFG_ENUM,
     USERS(keepalive),
     .dflt = "crlf",
     .words = words_keep,
     .help = "What is sent to devices behind NAT: line ends, or OPTIONS, whose answers teach how "
             "long the pause may be."},
    {.key = "interval",
     .type = CFG_DURATION,
     USERS(keepalive_ms),
     .dflt = "30s",
     .min = 5 * MS_S,
     .max = MS_H,
     .help = "The pause, or with OPTIONS the shortest one."},
    {.key = "max",
     .type = CFG_DURATION,
     USERS(keepalive_max_ms),
     .dflt = "5m",
     .min = 5 * MS_S,
     .max = MS_H,
     .help = "The longest pause that OPTIONS are tried with; not below interval."},
};
OBJECT(cfg_keepalive, policy_users, cfg_check_keepalive);

static const struct cfg_key cfg_guesses_keys[] = {
    {.key = "failures",
     .type = CFG_INT,
     .words = word_off,
     AT(policy_users, guesses.failures),
     .dflt = "20",
     .min = 3,
     .max = 200,
     .help =
         "Wrong passwords of one account that are let be, from all addresses together where its "
         "owner has not shown the right one in a week; such addresses then wait, longer each "
         "time, but for one look at each new one, ten times this many within block. Off: not "
         "counted."},
    {.key = "block",
     .type = CFG_SECONDS,
     AT(policy_users, guesses.block_s),
     .dflt = "15m",
     .min = 10 * MS_S,
     .max = MS_D,
     .help = "The longest wait; after so long without a wrong one all is forgotten."},
};
OBJECT(cfg_guesses, policy_users, NULL);

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
    SIDE_MEDIA(policy_users),
    SIDE_TRUST(policy_users, "users"),
    {.key = "algorithm",
     .type = CFG_ENUM,
     USERS(sha256),
     .dflt = "md5",
     .words = words_algorithm,
     .help = "Digest that users are challenged with; many phones know only md5."},
    {.key = "qop",
     .type = CFG_ENUM,
     USERS(needs_qop),
     .dflt = "optional",
     .words = words_qop,
     .help =
         "Whether digest answers without qop (RFC 2069: nothing counts repeats within nonce_life "
         "but the nonce itself) are taken."},
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
    {.key = "guesses",
     .type = CFG_OBJECT,
     .sub = &cfg_guesses,
     .help = "What many who guess one account's password from many addresses are held to."},
    SIDE_NUMBERS(policy_users),
    {.key = "keepalive",
     .type = CFG_OBJECT,
     .sub = &cfg_keepalive,
     .help = "What keeps the way to devices behind NAT open, over UDP."},
    SIDE_TOPOLOGY(policy_users, "users"),
    {.key = "limits", .type = CFG_OBJECT, .sub = &cfg_user_limits, .help = "Limits of each user."},
    SIDE_SESSION(policy_users),
    {.key = "accounts",
     ITEMS(policy_users, accounts, n_accounts, cfg_account),
     .max = CFG_ACCOUNTS_MAX,
     .help = "Who may register."},
};
OBJECT(cfg_users, policy_users, cfg_check_users);

/* Objects of the configuration by name, which others refer to. */
#define MAP(field, count, names, object)                                                           \
    .type = CFG_MAP, .at = offsetof(struct config, field), .n_at = offsetof(struct config, count), \
    .names_at = offsetof(struct cfg, names), .sub = &(object)

/* The order is the order of reading: what is referred to comes first. */
static const struct cfg_key root_keys[] = {
    {.key = "node", .type = CFG_OBJECT, .sub = &cfg_node_section, .help = "This process."},
    {.key = "store", .type = CFG_OBJECT, .sub = &cfg_store_section, .help = "The database."},
    {.key = "admin", .type = CFG_OBJECT, .sub = &cfg_admin, .help = "The admin API."},
    {.key = "sip", .type = CFG_OBJECT, .sub = &cfg_sip, .help = "Signalling in general."},
    {.key = "media", .type = CFG_OBJECT, .sub = &cfg_media, .help = "Media in general."},
    {.key = "security", .type = CFG_OBJECT, .sub = &cfg_security, .help = "Hostile sources."},
    {.key = "config",
     .type = CFG_OBJECT,
     .sub = &cfg_config_section,
     .help = "Where configurations come from, and how long they are kept."},
    {.key = "listeners",
     MAP(listeners, n_listeners, listeners, cfg_listener),
     .flags = CFG_REQUIRED,
     .max = CONFIG_LISTENERS_MAX,
     .placed = cfg_slots_place,
     .help = "Where we listen, and what we advertise there."},
    {.key = "media_profiles",
     MAP(def.profiles, def.n_profiles, profiles, cfg_profile),
     .dflt = "plain",
     .max = CFG_PROFILES_MAX,
     .help = "What one side speaks."},
    {.key = "peers",
     MAP(def.peers, def.n_peers, peers, cfg_peer),
     .max = CFG_PEERS_MAX,
     .help = "Carriers, PBXs, groups of targets."},
    {.key = "peer_groups",
     MAP(def.groups, def.n_groups, groups, cfg_group),
     .max = CFG_PEERS_MAX,
     .help = "Peers under one name, for routes."},
    {.key = "tables",
     MAP(def.tables, def.n_tables, tables, cfg_table),
     .max = POLICY_TABLES_MAX,
     .help = "Tables of number prefixes, for routes."},
    {.key = "callouts",
     MAP(def.callouts, def.n_callouts, callouts, cfg_callout),
     .max = POLICY_CALLOUTS_MAX,
     .help = "HTTP servers that decide for routes."},
    {.key = "users",
     .type = CFG_OBJECT,
     .flags = CFG_OPTIONAL,
     .at = offsetof(struct config, def.users),
     .sub = &cfg_users,
     .help = "Devices that register."},
    {.key = "user_groups",
     MAP(def.user_groups, def.n_user_groups, user_groups, cfg_user_group),
     .max = CFG_PEERS_MAX,
     .help = "Accounts under one name, for routes and limits of destinations."},
    {.key = "limits", .type = CFG_OBJECT, .sub = &cfg_limits, .help = "Limits of the node."},
    {.key = "routes",
     ITEMS(config, def.routes, def.n_routes, cfg_route),
     .max = CFG_ROUTES_MAX,
     .help = "First match wins; no match is a refusal."},
};
const struct cfg_object cfg_root = {
    .keys = root_keys,
    .n_keys = COUNT_OF(root_keys),
    .size = sizeof(struct config),
    .check = cfg_check_root,
};
