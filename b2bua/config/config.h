/* config.h - YAML to an immutable snapshot. One table of settings gives parser, defaults, ranges,
 * checks and help; all errors are reported at once as file:line:col.
 * Thread: config_load() main only; a snapshot is immutable and shared by reference count.
 *
 * Settings beside those of the example, with their defaults (config_put_reference() tells all):
 *   node.id 0, node.key ./postern.key, node.drain 30s, node.crypto_threads 1, crypto_queue 2048
 *   store.requests true
 *   sip.t1 500ms, t2 4s, t4 5s, max_message 64KiB, tcp_connections 4096, tcp_per_source 64,
 *   reserve 25, tcp_idle 10m, tls_handshakes 1024, tls_handshake 10s, keepalive 60s or off,
 *   keepalive_answer 10s, reconnect_max 30s or off
 *   media.inactivity 60s or off, media.learn 3s, io auto, gather 250us, ready_ports 64
 *   limits.calls 20000, calls_per_second 2000 (or off), setup 3m, duration 12h, transactions 200000
 *   {limits, peers.*.limits, users.limits}.{requests_per_second off, bursts auto, warn_at 80,
 *     refuse {status 503, retry_after auto}}, limits.{sources.early_calls off, destinations none}
 *   limits.overload {wait 50ms, lag 200ms, queue 4000}, each or off
 *   peers.*.limits off, peers.*.failover {timeout 2s, waiting 1000, last_resort auto},
 *   peers.*.probe none {every 30s, timeout 1s, fail_after 3, rise_after 2}, peers.*.drain false,
 *   peers.*.breaker {failures 10, codes 503, answer_ratio off, seizures 100, retry 30s},
 *   peers.*.credentials.realm any
 *   {peers.*, users}.session_timer {expires 30m, min 90s}, .reliable_provisional supported
 *   media_profiles.*.{avpf, codecs, dtmf, dscp, rekey}, peers.*.trusted_network,
 *   users.trusted_network false
 *   users.algorithm md5, contacts 10, nonce_life 5m, expires {min 60s, max 1h, default 1h},
 *   keepalive {method crlf, interval 30s, max 5m}, topology {on_leak mask}
 *   peers.*.{headers, replies} none, peers.*.identity {trust false, privacy honour},
 *   peers.*.nat auto, peers.*.topology {hide all, on_leak mask}, headers.*.reveal false
 *   {peers.*, users}.numbers.{in, out}.{called, calling} none, peer_groups none, tables none
 *   security.allow none, unknown_sources {packets_per_second 1000, each off}, trusted_sources off
 *   callouts.*.{timeout 500ms, failures 5, pause 10s, waiting 256, fallback continue}
 *   routes.*.match.{listener, called, calling, domain, method, user, headers, time, codec} any,
 *   routes.*.{numbers, failover.codes 503, redirect.status 302, refuse {status 403, reason},
 *   continue false}
 * Names of media default to plain, which is there when no media_profiles are written. */
#ifndef POSTERN_CONFIG_H
#define POSTERN_CONFIG_H

#include "base/base.h"
#include "crypto/crypto.h"
#include "sbc-policy/policy.h"

#define CONFIG_LISTENERS_MAX 16 /* of one configuration */
/* A listener is at the same index in every snapshot that has it as it is (name, address, ports);
 * one that changes gets another index, and the old one stays taken as long as calls go on. So there
 * are gaps, without a name, and more places than listeners of one configuration. */
#define CONFIG_SLOTS_MAX 64
#define CONFIG_ERRORS_MAX 100
#define CONFIG_FILE_MAX (32u << 20)

struct config_tls { /* what a listener presents and asks for */
    bool present;
    struct tls_identity own;
    struct tls_identity *more;
    size_t n_more;
    const char *client_ca;
    uint8_t verify_client;     /* enum tls_verify */
    struct tls_server *server; /* the snapshot's reference */
};

enum { CONFIG_UDP, CONFIG_TCP, CONFIG_TLS, CONFIG_TRANSPORTS }; /* as enum sip_transport */
struct config_listener {
    const char *name;                 /* NULL: a gap, nobody is here */
    struct addr address;              /* bind address, port 0 */
    struct addr advertise;            /* what the far side is told; defaults to address */
    uint16_t port[CONFIG_TRANSPORTS]; /* of SIP; 0: not opened */
    struct config_tls tls;
    bool has_rtp;
    uint16_t rtp_min, rtp_max;
};

enum config_source { CONFIG_BY_FILE, CONFIG_BY_API };

struct config {
    /* node */
    const char *node_name;
    uint16_t node_id; /* in tokens; 0..1023 */
    uint32_t workers; /* resolved: never 0 */
    enum log_level log_level;
    bool log_json;
    const char *key_file; /* token key, default ./postern.key */
    uint32_t drain_ms;    /* SIGTERM: how long running calls may go on; default 30s */
    uint32_t crypto_threads, crypto_queue;
    /* config */
    uint8_t source;      /* enum config_source: who writes */
    uint32_t confirm_ms; /* a reload of the file is undone unless confirmed within this; 0: never */
    uint32_t keep;       /* versions in the store */
    /* store, admin */
    const char *store_path;
    bool store_requests;          /* the INVITE of each call is kept, without its secrets */
    const char *admin_unix;       /* path, or NULL */
    struct addr admin_listen;     /* AF_UNSPEC when unix */
    const char *admin_token_file; /* made when missing; NULL when admin_token is set */
    const char *admin_token;      /* from env, or NULL */
    /* sip */
    uint32_t t1_ms, t2_ms, t4_ms;
    uint32_t max_message; /* bytes */
    uint32_t tcp_max, tcp_per_source, tcp_idle_ms;
    uint32_t tls_handshakes, tls_handshake_ms;
    uint32_t reserve_percent; /* of connections and handshakes: not for strangers */
    uint32_t keepalive_ms, keepalive_answer_ms; /* keepalive_ms 0: none are sent */
    uint32_t reconnect_max_ms;                  /* 0: no waiting */
    /* media */
    uint32_t media_inactivity_ms; /* 0: never; default 60s */
    uint32_t media_learn_ms;
    uint8_t media_io; /* 0 auto, 1 epoll, 2 io_uring */
    uint32_t media_gather_us;
    uint32_t media_quarantine_ms;
    uint32_t media_ready; /* pairs of sockets per listener, of all workers */
    /* limits */
    uint32_t setup_ms, duration_ms; /* 3m, 12h */
    uint32_t max_transactions;
    uint32_t overload_wait_ms, overload_late_ms, overload_queue; /* 0: does not count */
    /* listeners and policy */
    struct config_listener *listeners;
    size_t n_listeners;
    struct policy_def def;
    struct policy *policy;        /* compiled from def */
    struct policy_egress *egress; /* what of it is hidden from whom */
    /* By index of the peer: how it is dialled over TLS, the snapshot's reference; NULL: it is not.
     * NULL altogether when nobody is. */
    struct tls_client **peer_tls;
    int64_t loaded_ms; /* Unix ms */
    uint32_t version;  /* its number in the store; set before anybody else sees the snapshot */
    struct config_slots *slots; /* NULL: none were given */
};

struct config_error {
    char *text; /* "file:line:col: what, and the nearest key" */
};
struct config_errors {
    struct config_error e[CONFIG_ERRORS_MAX];
    size_t n;       /* kept */
    size_t n_total; /* seen */
};
void config_errors_free(struct config_errors *errs);

/* Reads a file, checks the whole of it and builds a snapshot with one reference. EBADMSG: errs says
 * everything that is wrong, in the order of the file; else ENOMEM or errno of the file, and errs is
 * empty. errs is written whatever happens. Certificates, keys and authorities are read with the
 * file and belong to the snapshot. book may be NULL (see policy_compile). Relative paths in the
 * file are relative to the working directory. path NULL: the embedded default configuration. */
MUST_USE int config_load(struct config **cp, const char *path, struct policy_book *book,
                         struct config_errors *errs);
MUST_USE int config_parse(struct config **cp, const char *name, struct sl text,
                          struct policy_book *book, struct config_errors *errs);
/* The same configuration with counters of its own that stand where those of `of` stand now: what is
 * asked of it changes nothing for anybody. Keeps a reference to `of`. Any thread. */
MUST_USE int config_copy(struct config **cp, struct config *of);
/* The same, with listeners at the places that they have in other snapshots. */
struct config_text {
    const char *name; /* in errors */
    struct sl text;
    struct policy_book *book;   /* may be NULL */
    struct config_slots *slots; /* may be NULL */
};
MUST_USE int config_build(struct config **cp, const struct config_text *t,
                          struct config_errors *errs);
/* The whole of a file into b, as it is. EFBIG: more than CONFIG_FILE_MAX; else errno. */
MUST_USE int config_slurp(struct buf *b, const char *path);
struct config *config_ref(struct config *c); /* any thread */
void config_unref(struct config **cp);       /* any thread; accepts NULL */
/* Nobody but the caller has it: freeing it, which takes a while, is his to time. */
bool config_is_mine(const struct config *c);
struct sl config_default_text(void);
/* Settings that differ and need a restart (node.workers and store.path): writes their names comma
 * separated; returns how many. */
size_t config_restart_keys(const struct config *old, const struct config *now, struct buf *names);
/* All settings with type, default, range and help as text (the manual page's table). */
void config_put_reference(struct buf *b);

#include "config/versions.h"

#endif
