/* call.c - /v1/calls/{id}: the stored row with the detail of the live call, or the stored one; its
 * ladder; hanging up; new keys. */
#include "admin-http/admin_int.h"

static const char *const call_lists[] = {"legs", "media", "trace", "attempts", NULL};
/* Members of ours that a detail must not repeat. */
static const char *const call_names[] = {
    "id",          "state",  "start",      "ring",           "answer", "end",
    "duration_ms", "source", "target",     "calling",        "called", "route",
    "end_code",    "end_by", "end_reason", "config_version", "live",   NULL};

#define CALL_STATE_ENDING ((enum store_call_state)(STORE_CALL_ENDED + 1))  /* record on its way */
#define CALL_STATE_UNKNOWN ((enum store_call_state)(STORE_CALL_ENDED + 2)) /* shown as null */

struct call_view {
    struct request *rq;
    struct sl live; /* detail or ladder of the live call; .p NULL: not alive */
    bool is_live;
};

static bool call_id(struct request *rq, uint64_t *id)
{
    if (store_id_parse(rq->param, id)) {
        return true;
    }
    problem(rq, 404, "no call has such an id");
    return false;
}

static int call_read(struct request *rq, uint64_t id, store_call_fn *fn, void *arg)
{
    struct store_reader *r = NULL;
    int err = reader_take(rq->admin, &r);

    if (err != 0) {
        return err;
    }
    err = store_read_call(r, id, fn, arg);
    reader_give(rq->admin, r, err);
    return err;
}

static bool on_call_view(const struct store_call *c, void *arg)
{
    struct call_view *v = arg;
    struct json *j = &v->rq->json;
    struct store_call row = *c;

    if (!v->is_live && row.state < STORE_CALL_ENDED) {
        row.state = CALL_STATE_ENDING; /* the worker is done with it, the row is not written yet */
    }
    json_obj(j);
    row_put_call(j, &row, v->rq->now_ms);
    json_kbool(j, "live", v->is_live);
    splice_members(j, v->is_live ? v->live : c->detail, call_names, call_lists);
    json_obj_end(j);
    return true;
}

/* Asks the workers; 0 also when the call is not alive. */
static int call_ask(struct request *rq, uint64_t id, struct call_view *v, struct buf *text,
                    int (*ask)(struct b2bua *b, uint64_t id, struct buf *out))
{
    int err = ask(rq->admin->b2bua, id, text);

    *v = (struct call_view){.rq = rq, .is_live = err == 0, .live = buf_sl(text)};
    return err == ENOENT ? 0 : err;
}

/* An ended call and a live one are told apart by the worker, not by the row: the row is younger by
 * the time that the store gathers. A live call without a row yet (or while the database refuses)
 * is shown with what the worker knows. */
static void call_show(struct request *rq, uint64_t id, struct call_view *v, store_call_fn *fn)
{
    int err = call_read(rq, id, fn, v);

    if (err != 0 && v->is_live) {
        struct store_call bare = {.id = id, .state = CALL_STATE_UNKNOWN};

        buf_reset(&rq->body);
        json_init(&rq->json, &rq->body);
        (void)fn(&bare, v);
    } else if (err == ENOENT) {
        problem(rq, 404, "no call has such an id");
    } else if (err != 0) {
        problem_errno(rq, err, "call");
    }
}

static void call_unanswered(struct request *rq)
{
    rq->retry_after_s = 1;
    problem(rq, 503, "the worker that owns the call gave no answer");
}

static void call_get(struct request *rq, int (*ask)(struct b2bua *, uint64_t, struct buf *),
                     store_call_fn *fn)
{
    struct call_view v;
    struct buf text;
    uint64_t id;
    int err;

    if (!call_id(rq, &id)) {
        return;
    }
    buf_init(&text, ADMIN_ANSWER_MAX);
    err = call_ask(rq, id, &v, &text, ask);
    if (err != 0) {
        call_unanswered(rq);
    } else {
        call_show(rq, id, &v, fn);
    }
    buf_free(&text);
}

void resource_call(struct request *rq)
{
    call_get(rq, b2bua_call_detail, on_call_view);
}

static bool on_ladder_view(const struct store_call *c, void *arg)
{
    struct call_view *v = arg;
    struct json *j = &v->rq->json;
    struct sl bytes = v->is_live ? v->live : c->ladder;
    char id[STORE_ID_LEN + 1];

    store_id_text(c->id, id);
    json_obj(j);
    json_kcstr(j, "id", id);
    json_kbool(j, "live", v->is_live);
    json_key(j, "items");
    if (bytes.n == 0) { /* ended in a crash: nothing was kept */
        json_raw(j, SL("[]"));
    } else if (b2bua_ladder_json(bytes, j) != 0) {
        problem(v->rq, 500, "the stored ladder cannot be read");
        return true;
    }
    json_obj_end(j);
    return true;
}

void resource_ladder(struct request *rq)
{
    call_get(rq, b2bua_call_ladder, on_ladder_view);
}

static bool on_call_exists(const struct store_call *c, void *arg)
{
    (void)c;
    (void)arg;
    return true;
}

static void call_not_alive(struct request *rq, uint64_t id)
{
    int err = call_read(rq, id, on_call_exists, NULL);

    if (err == 0) {
        problem(rq, 409, "the call has ended already");
    } else if (err == ENOENT) {
        problem(rq, 404, "no call has such an id");
    } else {
        problem_errno(rq, err, "call");
    }
}

/* Nothing was done to the call. */
static void call_refused(struct request *rq, uint64_t id, int err)
{
    if (err == ENOENT) {
        call_not_alive(rq, id);
    } else {
        call_unanswered(rq);
    }
}

/* Begins the answer; the caller ends it. */
static void call_accepted(struct request *rq, const char *status)
{
    rq->status = 202;
    json_obj(&rq->json);
    json_kstr(&rq->json, "id", rq->param);
    json_kcstr(&rq->json, "status", status);
}

void resource_call_end(struct request *rq)
{
    uint64_t id;
    int err;

    if (!call_id(rq, &id)) {
        return;
    }
    err = b2bua_call_hangup(rq->admin->b2bua, id);
    if (err != 0) {
        call_refused(rq, id, err);
    } else {
        call_accepted(rq, "ending");
        json_obj_end(&rq->json);
    }
}

const char *const rekey_params[] = {"side", NULL};

void resource_call_rekey(struct request *rq)
{
    static const char *const words[] = {"both", "caller", "callee", NULL};
    static const enum b2bua_side sides[] = {B2BUA_BOTH, B2BUA_CALLER, B2BUA_CALLEE};
    int side = query_choice(rq, "side", words, 0);
    uint64_t id;
    int err;

    if (!query_is_good(rq) || !call_id(rq, &id)) {
        return;
    }
    if (rq->body_bytes != 0) {
        problem(rq, 415, "no body is wanted here: ?side=caller, callee or both");
        return;
    }
    err = b2bua_call_rekey(rq->admin->b2bua, id, sides[side]);
    if (err == EPROTO) {
        problem(rq, 409, "the call is not answered, or has no SDES keys on that side");
    } else if (err != 0) {
        call_refused(rq, id, err);
    } else {
        call_accepted(rq, "rekeying");
        json_kcstr(&rq->json, "side", words[side]);
        json_obj_end(&rq->json);
    }
}
