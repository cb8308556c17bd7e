/* store.h - the only user of SQLite: schema and migrations, one writer thread, read queries.
 * Writing: any thread posts records (copied, lock-free, never blocks); the writer coalesces and
 * writes them in batches. What cannot be written yet is kept and counted, never dropped.
 * Reading: each admin thread opens its own reader. */
#ifndef POSTERN_STORE_H
#define POSTERN_STORE_H

#include "base/base.h"

struct store;
struct store_params {
    const char *path;
    const char *node;
    uint32_t batch_ms;    /* 50; what is posted is written after at most four of these, a call that
                             lives after at most eight */
    uint32_t backlog_max; /* records waiting at which store_is_full() says so; 200000 */
    uint64_t backlog_bytes_max; /* or so many bytes of them; 256 MiB */
};
/* Opens or creates, migrates, closes the calls that a crash left open (each gets its CDR: state
 * ended, end_by "system", reason "crash"), starts the writer. EBADMSG: file is no database of ours
 * or newer than we are; EBUSY: another process has it (<path>.lock); else errno. */
MUST_USE int store_open(struct store **sp, const struct store_params *p);
/* A file that is moved away or removed while it is in use is noticed before the next batch: what
 * was written stays in it (or in <path>-wal.left-N beside the name, when others read it for more
 * than 3 s), and a new one is begun under the name.
 *
 * Writes everything that waits (gives up after wait_ms when the database refuses), stops the
 * thread. Returns 0, or EBUSY: records were left; they are in <path>.pending (escaped lines, mode
 * 0600), which the next store_open() writes and removes, so that nothing is lost. Another errno:
 * that failed, too. */
MUST_USE int store_close(struct store **sp, int64_t wait_ms);

/* In records posted from now on. Thread: any, one at a time. */
void store_set_node(struct store *s, const char *node);

struct store_health {
    bool ok;          /* last batch was written, or nothing to write */
    bool full;        /* backlog over its limit: new calls must be refused */
    uint64_t backlog; /* records waiting */
    uint64_t backlog_bytes;
    uint64_t rows_written, retries;
    int64_t failing_since_ms; /* Unix ms; 0: not failing */
    char error[128];
};
void store_get_health(struct store *s, struct store_health *out); /* any thread */
bool store_is_full(const struct store *s);                        /* cheap; any thread */

/* --- call ids: 63 bits, sortable by start time: ms << 22 and what tells the makers apart --- */
#define STORE_ID_LEN 13
#define STORE_ID_EPOCH_MS INT64_C(1577836800000) /* 2020-01-01: 41 bits last until 2089 */
#define STORE_ID_SHIFT 22
void store_id_text(uint64_t id, char out[STORE_ID_LEN + 1]); /* Crockford base32, lower case */
bool store_id_parse(struct sl text, uint64_t *id);
/* The highest id that was there at the start; 0: none. With a clock that was set back meanwhile a
 * new one could be one of these, and a CDR is never written over. Thread: any. */
uint64_t store_last_id(const struct store *s);

enum store_call_state {
    STORE_CALL_SETUP,
    STORE_CALL_RINGING,
    STORE_CALL_ANSWERED,
    STORE_CALL_ENDED
};

/* One call = one row; the ended row is the CDR. Every post holds everything known so far: the last
 * one wins, but an ended call is never changed again. Times are Unix ms, 0: not yet. */
struct store_call {
    uint64_t id;
    enum store_call_state state;
    int64_t start_ms, ring_ms, answer_ms, end_ms;
    struct sl source;          /* "peer:carrier", "user:1001" */
    struct sl target;          /* likewise, of the leg that was tried last or answered */
    struct sl calling, called; /* user parts, unescaped */
    struct sl route;
    struct sl a_remote, b_remote; /* ip:port */
    struct sl a_call_id, b_call_id;
    uint16_t end_code;    /* final SIP status toward the caller; 0: none */
    struct sl end_by;     /* caller callee admin timeout media system */
    struct sl end_reason; /* words */
    struct sl detail;     /* JSON object: legs, media, trace, attempts */
    struct sl ladder;     /* opaque bytes */
    uint32_t config_version;
    struct sl node; /* reading only: set by the store */
};
/* Copies. ENOMEM: nothing was posted. */
/* EMSGSIZE: more than 4 MiB. */
MUST_USE int store_put_call(struct store *s, const struct store_call *c);

/* How a call was asked for: kept once, at its start, so that it can be asked for again. */
struct store_asked {
    uint64_t id;     /* of the call */
    struct sl asked; /* opaque bytes */
};
MUST_USE int store_put_asked(struct store *s, const struct store_asked *a);

struct store_binding {
    struct sl user;     /* account name */
    struct sl contact;  /* URI as registered */
    struct sl instance; /* +sip.instance, or empty */
    struct sl call_id;
    uint32_t cseq;
    struct sl user_agent;
    int64_t expires_ms; /* Unix ms */
    int64_t updated_ms;
    struct sl flow;      /* opaque bytes of the flow */
    struct sl received;  /* ip:port */
    struct sl transport; /* "udp" */
    struct sl listener;
};
MUST_USE int store_put_binding(struct store *s,
                               const struct store_binding *b); /* key: user + contact */
MUST_USE int store_del_binding(struct store *s, struct sl user, struct sl contact);

/* A ban, kept until it no longer counts for the length of the next one. */
struct store_ban {
    struct sl prefix; /* "203.0.113.9/32"; the key */
    struct sl event, proof, reason;
    uint32_t level, points;
    uint32_t flags; /* the policy's, opaque */
    int64_t since_ms, until_ms;
    struct sl evidence; /* bytes of the offending message */
};
MUST_USE int store_put_ban(struct store *s, const struct store_ban *b);
MUST_USE int store_del_ban(struct store *s, struct sl prefix);

/* --- versions of the configuration: not posted, but written while the caller waits --- */
enum store_version_state {
    STORE_VERSION_CONFIRMED, /* it counts: the newest of these is in force at the next start */
    STORE_VERSION_PENDING,   /* in force, until it is confirmed or its time is over */
    STORE_VERSION_ROLLED_BACK
};
struct store_version {
    uint64_t id; /* 1, 2, ... */
    int64_t at_ms;
    int64_t confirm_until_ms; /* Unix ms; 0: no such window */
    uint32_t state;           /* enum store_version_state */
    uint64_t base;            /* the version in force before; 0: none */
    struct sl origin;         /* "file" or "api" */
    struct sl who, comment;
    struct sl hash; /* of the text, hex */
    uint64_t bytes; /* of the text */
    struct sl text; /* as it was written: references to secrets stay references */
};
#define STORE_VERSION_MAX (32u << 20) /* bytes of a text */
/* Writes a new version, or with text.n == 0 only state and confirm_until_ms of one that is there,
 * on the disk when it returns 0; keeps the newest `keep` and those of at least `needed`'s number.
 * Waits at most wait_ms: EBUSY and others: nothing was written, nor will be. One caller at a
 * time. */
MUST_USE int store_save_version(struct store *s, const struct store_version *v, uint32_t keep,
                                int64_t wait_ms);

/* --- reading --- */
struct store_reader;
MUST_USE int store_reader_open(struct store_reader **rp, const char *path);
void store_reader_close(struct store_reader **rp);
/* The file that it reads is not the one of that name any more: open another one. */
bool store_reader_is_stale(struct store_reader *r);

struct store_call_filter {
    int live;                                         /* 1 live, 0 ended, -1 both */
    struct sl source, target, calling, called, route; /* equal; empty: any. source also matches the
                                                         bare name after "peer:" or "user:" */
    struct sl party;                                  /* calling or called equals */
    int64_t since_ms, until_ms;                       /* start time; 0: open */
    int end_code;                                     /* 0: any */
    uint64_t before_id; /* cursor: only ids below; 0: from the newest */
    uint32_t limit;     /* 1..1001: one more than a page tells whether there is a next one */
};
/* Newest first, without detail and ladder (store_read_call has them). A read that takes longer than
 * 2 s ends with ETIMEDOUT: narrow it by time. fn sees borrowed rows and returns false to stop.
 * errno translated. */
typedef bool(store_call_fn)(const struct store_call *c, void *arg);
MUST_USE int store_read_calls(struct store_reader *r, const struct store_call_filter *f,
                              store_call_fn *fn, void *arg);
MUST_USE int store_read_call(struct store_reader *r, uint64_t id, store_call_fn *fn,
                             void *arg); /* ENOENT */
/* Appends what was kept of that call. ENOENT: nothing was. */
MUST_USE int store_read_asked(struct store_reader *r, uint64_t id, struct buf *asked);
typedef bool(store_binding_fn)(const struct store_binding *b, void *arg);
struct store_binding_filter {
    struct sl user;                      /* empty: all */
    int64_t now_ms;                      /* expired ones are left out; 0: none */
    struct sl after_user, after_contact; /* cursor: (user, contact) above */
    uint32_t limit;
};
MUST_USE int store_read_bindings(struct store_reader *r, const struct store_binding_filter *f,
                                 store_binding_fn *fn, void *arg);
typedef bool(store_ban_fn)(const struct store_ban *b, void *arg);
/* In the order of their prefixes, above a beginning (empty: all), at most limit rows. */
MUST_USE int store_read_bans(struct store_reader *r, struct sl after, uint32_t limit,
                             store_ban_fn *fn, void *arg);
typedef bool(store_version_fn)(const struct store_version *v, void *arg);
/* Newest first, without their texts, from below a number (0: from the newest). */
MUST_USE int store_read_versions(struct store_reader *r, uint64_t before_id, uint32_t limit,
                                 store_version_fn *fn, void *arg);
MUST_USE int store_read_version(struct store_reader *r, uint64_t id, store_version_fn *fn,
                                void *arg);             /* ENOENT */
MUST_USE int store_reader_ping(struct store_reader *r); /* the database answers */

#endif
