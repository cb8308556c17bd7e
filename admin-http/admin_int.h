/* admin_int.h - what the resources share: the request, its query, its answer, the way to the store.
 */
#ifndef POSTERN_ADMIN_INT_H
#define POSTERN_ADMIN_INT_H

#include "admin-http/admin.h"
#include "admin-http/conns.h"
#include "b2bua/b2bua.h"
#include "store/store.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define ADMIN_BODY_MAX (64u << 10)   /* bytes of a request's body: 413 */
#define ADMIN_CONFIG_MAX (32u << 20) /* of one that is a configuration */
#define ADMIN_ERRORS_MAX (1u << 18)  /* what is wrong with it */
#define ADMIN_DRAIN_MAX (1u << 20)   /* more than this is not even read */
#define ADMIN_URL_MAX 4096u          /* path and query: 414 */
#define ADMIN_ANSWER_MAX (32u << 20) /* bytes of an answer */
#define ADMIN_LIMIT_DEFAULT 100u
#define ADMIN_LIMIT_MAX 1000u
#define ADMIN_THREADS 2
#define ADMIN_CONNECTIONS 64
/* --- auth.c: the token, and how often a source may guess --- */
#define AUTH_SOURCES 256
#define AUTH_FAILURES_MAX 10 /* wrong tokens of one source within the window: 429 */
#define AUTH_WINDOW_MS 60000
struct auth_source {
    struct addr addr;
    uint32_t failures;
    int64_t until_ms;
};
struct auth {
    pthread_mutex_t lock;
    struct auth_source sources[AUTH_SOURCES];
    size_t n;
    char token[ADMIN_TOKEN_MAX + 1];
};
MUST_USE int admin_auth_init(struct auth *au,
                             const char *token); /* EINVAL; admin_auth_free() in any case */
void admin_auth_free(struct auth *au);
/* 200, 401 or 429 with *retry_s. header: value of Authorization, NULL when absent. */
unsigned admin_auth_check(struct auth *au, const struct addr *from, const char *header,
                          int64_t now_ms, unsigned *retry_s);

struct admin {
    struct clock clock;
    struct b2bua *b2bua;
    struct life *life; /* NULL: none */
    struct MHD_Daemon *mhd;
    struct auth auth;
    bool is_local; /* loopback or unix: health and metrics need no token */
    uint16_t port;
    char *unix_path, *store_path;
    uint8_t cursor_key[16];
    pthread_mutex_t readers_lock;
    struct store_reader *readers[ADMIN_THREADS]; /* idle ones */
    size_t n_readers;
    pthread_mutex_t diff_lock; /* held by the one comparison or trial that runs */
    pthread_mutex_t conns_lock;
    struct conn_slot conns[ADMIN_CONNECTIONS];
    size_t n_conns;
    _Atomic bool is_ending; /* new connections are closed at once */
};

/* --- request --- */
#define REQUEST_ARGS_MAX 16
#define REQUEST_ID_MAX 64
struct arg {
    struct sl name, value; /* in the request's arena */
};
struct fault {
    struct sl parameter;
    char message[128];
};
struct request {
    struct admin *admin;
    struct MHD_Connection *conn;
    const struct route *route;
    struct arena arena;
    struct sl path, param; /* as it came; what stood for {id}, percent-decoded */
    const char *method;
    struct addr from; /* AF_UNSPEC: unix */
    char id[REQUEST_ID_MAX + 1];
    int64_t now_ms; /* wall clock, read once */
    size_t url_bytes, body_bytes, body_max;
    bool keeps_body; /* this resource reads it */
    bool has_passed; /* the token was good */
    bool must_close; /* where this request ends is not certain */
    struct buf text; /* the body, when it is kept */
    struct arg args[REQUEST_ARGS_MAX];
    size_t n_args;
    struct fault faults[REQUEST_ARGS_MAX];
    size_t n_faults;
    struct buf errors; /* JSON array for a problem, in place of faults; empty: none */
    /* the answer */
    unsigned status;
    struct buf body;
    struct json json; /* into body */
    const char *type;
    const char *allow;      /* 405 */
    char etag[24];          /* empty: none */
    unsigned retry_after_s; /* 0: none */
};

/* --- route.c --- */
typedef void(route_fn)(struct request *rq);
struct route {
    const char *pattern; /* "{id}" stands for one segment */
    route_fn *get;       /* HEAD, too; NULL: there is nothing to see */
    route_fn *del;
    route_fn *post;
    const char *const *params; /* names a query may use; NULL: none */
    bool is_open;              /* without a token on a local listener */
};
extern const struct route admin_routes[];
extern const size_t admin_n_routes;
route_fn *route_put(const struct route *r); /* handler of PUT; NULL: it takes none */
void route_find_for(struct request *rq);
bool route_may_pass(struct request *rq); /* else the refusal is written */
void route_run(struct request *rq);      /* everything from the path to the answer */

/* --- body.c --- */
void body_prepare(struct request *rq); /* how much may come, and whether it is kept */
void body_add(struct request *rq, const char *data, size_t n);

/* --- problem.c: RFC 9457 --- */
/* Throws away what was written so far. */
void problem(struct request *rq, unsigned status, const char *fmt, ...) PRINTF_LIKE(3, 4);
void problem_errno(struct request *rq, int err, const char *what); /* of the store or the workers */

/* --- query.c --- */
void query_collect(struct request *rq);
bool query_is_good(struct request *rq); /* else the 400 is written, with all faults */
void query_fault(struct request *rq, struct sl parameter, const char *fmt, ...) PRINTF_LIKE(3, 4);
struct sl query_text(struct request *rq, const char *name);   /* empty: not given */
struct sl query_number(struct request *rq, const char *name); /* "+" may be a space */
uint32_t query_u32(struct request *rq, const char *name, uint32_t min, uint32_t max, uint32_t dflt);
int64_t query_time(struct request *rq, const char *name); /* Unix ms; 0: not given */
int query_choice(struct request *rq, const char *name, const char *const *words, int dflt);
MUST_USE int time_parse(struct sl text, int64_t *ms);   /* RFC 3339 or Unix ms; EBADMSG */
int64_t duration_parse(struct sl text, uint32_t max_s); /* ms of "90s", "5m", "1h", "7d"; 0: none */

/* --- cursor.c: where a list goes on; made by us for the same resource, no other is taken --- */
#define CURSOR_MAX 3072
void cursor_setup(struct admin *a);
void cursor_put_call(const struct request *rq, struct json *j, uint64_t id);
bool cursor_get_call(const struct request *rq, struct sl text, uint64_t *id);
void cursor_put_binding(const struct request *rq, struct json *j, struct sl user,
                        struct sl contact);
bool cursor_get_binding(struct request *rq, struct sl text, struct sl *user, struct sl *contact);

/* --- readers.c --- */
MUST_USE int reader_take(struct admin *a, struct store_reader **rp);
void reader_give(struct admin *a, struct store_reader *r, int err); /* err of the last read */
void readers_close(struct admin *a);

/* --- splice.c --- */
/* Writes the members of a JSON object into the open object of j, but those in `skip`; names in
 * `lists` that it lacks become empty arrays. Both end with NULL. */
void splice_members(struct json *j, struct sl object, const char *const *skip,
                    const char *const *lists);

/* --- row.c --- */
void row_put_call(struct json *j, const struct store_call *c, int64_t now_ms); /* members */
void row_put_cdr(struct json *j, const struct store_call *c);                  /* members */

/* --- resources --- */
route_fn resource_index, resource_calls, resource_call, resource_call_end, resource_ladder;
route_fn resource_call_rekey;
route_fn resource_cdrs, resource_registrations, resource_peers, resource_system;
route_fn resource_healthz, resource_readyz, resource_metrics;
extern const char *const calls_params[];
extern const char *const cdrs_params[];
extern const char *const registrations_params[];
route_fn resource_peer_drain, resource_peer_undrain; /* peers.c */
extern const char *const drain_params[];
route_fn resource_bans, resource_ban_add, resource_ban, resource_ban_remove, resource_limits;
extern const char *const bans_params[];
extern const char *const limits_params[];
extern const char *const rekey_params[];
route_fn resource_explain, resource_config_diff;
extern const char *const explain_params[];
bool calls_read_filter(struct request *rq, struct store_call_filter *f); /* false: 400 is written */

/* --- http.c, listen.c --- */
enum MHD_Result on_http_request(void *arg, struct MHD_Connection *conn, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *data_bytes, void **statep);
void request_free(struct request **rqp); /* accepts a NULL one */
void *on_http_uri(void *arg, const char *uri, struct MHD_Connection *conn);
void on_http_done(void *arg, struct MHD_Connection *conn, void **statep,
                  enum MHD_RequestTerminationCode why);
MUST_USE int listen_open(const struct admin_params *p, int *fd);

#endif
