/* diff.c - /v1/config/diff: recorded calls under a candidate configuration, sent as YAML in the
 * body; the query chooses the calls as it does for /v1/cdrs. Lists those that would be decided
 * otherwise. */
#include "admin-http/admin_int.h"

#define DIFF_MS 2000 /* then the answer says where to go on */
#define DIFF_ASKED_MAX (64u << 10)

struct diff {
    struct request *rq;
    struct store_reader *reader;
    struct b2bua_replay *replay;
    struct buf asked;
    struct json *j;
    int64_t until_ms; /* monotonic */
    uint64_t *ids;    /* newest first */
    size_t n_ids, at;
    uint32_t same, changed, limited, lost;
};

static bool on_diff_row(const struct store_call *c, void *arg)
{
    struct diff *d = arg;

    d->ids[d->n_ids++] = c->id;
    return true;
}

static bool on_diff_call(const struct store_call *c, void *arg)
{
    struct diff *d = arg;
    char id[STORE_ID_LEN + 1];

    store_id_text(c->id, id);
    json_kcstr(d->j, "id", id);
    json_ktime(d->j, "start", c->start_ms);
    json_kstr(d->j, "calling", c->calling);
    json_kstr(d->j, "called", c->called);
    return true;
}

/* One call. Written into the list only when it would be decided otherwise: what was begun for it is
 * taken back if not. */
static int diff_one(struct diff *d, uint64_t id)
{
    struct buf *b = d->j->b;
    struct json before = *d->j;
    size_t mark = b->n;
    enum b2bua_replay_result result = B2BUA_REPLAY_SAME;
    int err;

    buf_reset(&d->asked);
    err = store_read_asked(d->reader, id, &d->asked);
    if (err == ENOENT) {
        d->lost++;
        return 0;
    }
    if (err != 0) {
        return err;
    }
    json_obj(d->j);
    err = store_read_call(d->reader, id, on_diff_call, d);
    if (err == 0) {
        err = b2bua_replay(d->replay, buf_sl(&d->asked), d->j, &result);
    }
    json_obj_end(d->j);
    if (err == EBADMSG) {
        d->lost++;
        err = 0;
        result = B2BUA_REPLAY_SAME;
    } else {
        d->same += result == B2BUA_REPLAY_SAME;
        d->changed += result == B2BUA_REPLAY_CHANGED;
        d->limited += result == B2BUA_REPLAY_LIMITED;
    }
    if (result != B2BUA_REPLAY_CHANGED) {
        b->n = mark;
        *d->j = before;
    }
    return err != 0 ? err : buf_err(b);
}

static void diff_put_end(struct diff *d, bool has_more)
{
    struct json *j = d->j;

    json_kint(j, "compared", d->same + d->changed);
    json_kint(j, "same", d->same);
    json_kint(j, "changed", d->changed);
    json_kint(j, "skipped_limited", d->limited);
    json_kint(j, "skipped_not_kept", d->lost);
    if (has_more && d->at != 0) {
        cursor_put_call(d->rq, j, d->ids[d->at - 1]);
    } else {
        json_kcstr(j, "next_cursor", NULL);
    }
}

static int diff_run(struct diff *d, struct store_call_filter *f)
{
    const struct clock *clock = &d->rq->admin->clock;
    uint32_t limit = f->limit;
    int err;

    d->ids = arena_alloc(&d->rq->arena, (limit + 1) * sizeof(*d->ids));
    if (d->ids == NULL) {
        return ENOMEM;
    }
    f->limit = limit + 1; /* one more tells whether there is a next page */
    f->live = -1;
    err = store_read_calls(d->reader, f, on_diff_row, d);
    json_obj(d->j);
    json_key(d->j, "items");
    json_arr(d->j);
    while (err == 0 && d->at < d->n_ids && d->at < limit &&
           (d->at == 0 || clock_now_ms(clock) < d->until_ms)) {
        err = diff_one(d, d->ids[d->at++]);
    }
    json_arr_end(d->j);
    diff_put_end(d, d->at < d->n_ids);
    json_obj_end(d->j);
    return err;
}

/* The candidate is read before the clock for the calls starts. */
static int diff_open(struct diff *d)
{
    struct request *rq = d->rq;
    struct json errors;
    int err;

    json_init(&errors, &rq->errors);
    err = b2bua_replay_open(&d->replay, buf_sl(&rq->text), &errors);
    if (err == EBADMSG) {
        problem(rq, 422, "the configuration is not right");
    } else if (err != 0) {
        problem_errno(rq, err, "configuration");
    }
    return err;
}

static void diff(struct request *rq, struct store_call_filter *f)
{
    struct diff d = {.rq = rq, .j = &rq->json};
    int err;

    if (diff_open(&d) != 0) {
        return;
    }
    buf_init(&d.asked, DIFF_ASKED_MAX);
    d.until_ms = clock_now_ms(&rq->admin->clock) + DIFF_MS;
    err = reader_take(rq->admin, &d.reader);
    if (err == 0) {
        err = diff_run(&d, f);
        reader_give(rq->admin, d.reader, err);
    }
    if (err != 0) {
        problem_errno(rq, err, "calls");
    }
    buf_free(&d.asked);
    b2bua_replay_close(&d.replay);
}

void resource_config_diff(struct request *rq)
{
    struct store_call_filter f;

    if (!calls_read_filter(rq, &f)) {
        return;
    }
    if (rq->text.n == 0) {
        problem(rq, 400, "the body is the candidate configuration in YAML");
        return;
    }
    /* One at a time: the other thread stays free for everybody else. */
    if (pthread_mutex_trylock(&rq->admin->diff_lock) != 0) {
        rq->retry_after_s = 1;
        problem(rq, 503, "another comparison is running");
        return;
    }
    diff(rq, &f);
    (void)pthread_mutex_unlock(&rq->admin->diff_lock);
}
