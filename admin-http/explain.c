/* explain.c - /v1/explain: what would become of a SIP message, sent as the body with its source and
 * listener in the query, or of a past call, named by its id. Nothing is sent and nothing changes.
 */
#include "admin-http/admin_int.h"

#define SIP_PORT 5060

const char *const explain_params[] = {"call", "source", "listener", "transport",
                                      "peer", "user",   NULL};

/* False: the answer is written. */
static bool recall(struct request *rq, struct buf *asked, struct b2bua_question *q)
{
    struct store_reader *r = NULL;
    uint64_t id = 0;
    int err;

    if (!store_id_parse(query_text(rq, "call"), &id)) {
        query_fault(rq, SL("call"), "is no call's id");
        return query_is_good(rq);
    }
    err = reader_take(rq->admin, &r);
    if (err == 0) {
        err = store_read_asked(r, id, asked);
        reader_give(rq->admin, r, err);
    }
    if (err == ENOENT) {
        problem(rq, 404, "no request is kept of such a call; store.requests must be on");
    } else if (err != 0) {
        problem_errno(rq, err, "call");
    } else if (b2bua_recall(buf_sl(asked), q) != 0) {
        err = EBADMSG;
        problem(rq, 500, "what is kept of the call cannot be read");
    }
    return err == 0;
}

static bool ask_from_query(struct request *rq, struct b2bua_question *q)
{
    struct sl source = query_text(rq, "source");

    if (source.n != 0 && addr_parse_hostport(source, SIP_PORT, &q->source) != 0) {
        query_fault(rq, SL("source"), "is no address, or address with port");
    }
    q->listener = query_text(rq, "listener");
    q->transport = query_text(rq, "transport");
    q->peer = query_text(rq, "peer");
    q->user = query_text(rq, "user");
    q->message = buf_sl(&rq->text);
    return query_is_good(rq);
}

static void explain_answer(struct request *rq, const struct b2bua_question *q)
{
    const char *why = NULL;
    int err = b2bua_explain(rq->admin->b2bua, q, &rq->json, &why);

    if (err == EINVAL) {
        problem(rq, 400, "%s", why);
    } else if (err == ETIMEDOUT) {
        rq->retry_after_s = 1;
        problem(rq, 503, "the worker that knows where the user is gave no answer");
    } else if (err != 0) {
        problem_errno(rq, err, "explain");
    }
}

void resource_explain(struct request *rq)
{
    struct b2bua_question q = {0};
    bool has_call = query_text(rq, "call").n != 0;
    struct buf asked;

    buf_init(&asked, ADMIN_BODY_MAX);
    if (!ask_from_query(rq, &q)) {
        return;
    }
    if (has_call == (rq->text.n != 0)) {
        problem(rq, 400, "either a SIP message as the body, or ?call=ID");
    } else if (pthread_mutex_trylock(&rq->admin->diff_lock) != 0) {
        rq->retry_after_s = 1; /* the other thread stays free for everybody else */
        problem(rq, 503, "another request or comparison is being tried out");
    } else {
        if (!has_call || recall(rq, &asked, &q)) {
            explain_answer(rq, &q);
        }
        (void)pthread_mutex_unlock(&rq->admin->diff_lock);
    }
    buf_free(&asked);
}
