/* ask.h - a question from any thread, put to a worker and answered there. */
#ifndef POSTERN_WORKER_ASK_H
#define POSTERN_WORKER_ASK_H

#include "call/call.h"
#include "worker/overload.h"

struct ask;
struct worker;
typedef void(ask_fn)(struct worker *w, struct ask *a);
struct ask {
    ask_fn *fn;
    uint64_t id;
    struct config *cfg; /* it is about, NULL: none; a reference is taken as long as it takes */
    char user[POLICY_NAME_MAX + 1]; /* whom it is about */
    int err;
    struct buf out;
    struct reg_update *where; /* the caller's to free; NULL: none */
    struct call_counts calls;
    struct tx_counts tx;
    struct media_counts media;
    uint32_t bindings, conns;
    int64_t lag_ms;
    struct overload_seen worst; /* of the last seconds */
    unsigned overload_level;
    uint32_t listener_ports[CONFIG_SLOTS_MAX][2]; /* used, total */
};
/* Runs fn on the worker and waits at most B2BUA_WAIT_MS. On 0 the answer is in *out (out->out is
 * the caller's to free). ETIMEDOUT, ENOBUFS, ENOMEM. */
int worker_ask(struct worker *w, ask_fn *fn, uint64_t id, struct ask *out);
int worker_ask_config(struct worker *w, ask_fn *fn, struct config *cfg, struct ask *out);
/* Where this user can be reached now. */
int worker_ask_bindings(struct worker *w, const char *user, struct reg_update **bindings);
void ask_counts(struct worker *w, struct ask *a);

#endif
