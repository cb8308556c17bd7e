/* row.c - one stored call as JSON: as a call, and as a call detail record. */
#include "admin-http/admin_int.h"

static void row_text(struct json *j, const char *key, struct sl s)
{
    json_key(j, key);
    if (s.n != 0) {
        json_str(j, s);
    } else {
        json_none(j);
    }
}

static void row_number(struct json *j, const char *key, int64_t v, bool is_known)
{
    json_key(j, key);
    if (is_known) {
        json_int(j, v > 0 ? v : 0); /* a clock that was set back makes no negative times */
    } else {
        json_none(j);
    }
}

static void row_put_id(struct json *j, uint64_t id)
{
    char text[STORE_ID_LEN + 1];

    store_id_text(id, text);
    json_kcstr(j, "id", text);
}

static void row_put_parties(struct json *j, const struct store_call *c)
{
    row_text(j, "source", c->source);
    row_text(j, "target", c->target);
    row_text(j, "calling", c->calling);
    row_text(j, "called", c->called);
    row_text(j, "route", c->route);
}

static void row_put_end(struct json *j, const struct store_call *c)
{
    row_number(j, "end_code", c->end_code, c->end_code != 0);
    row_text(j, "end_by", c->end_by);
    row_text(j, "end_reason", c->end_reason);
    json_kint(j, "config_version", c->config_version);
}

static void row_put_times(struct json *j, const struct store_call *c)
{
    json_ktime(j, "start", c->start_ms);
    json_ktime(j, "ring", c->ring_ms);
    json_ktime(j, "answer", c->answer_ms);
    json_ktime(j, "end", c->end_ms);
}

void row_put_call(struct json *j, const struct store_call *c, int64_t now_ms)
{
    static const char *const states[] = {"setup", "ringing", "answered", "ended", "ending"};
    bool is_ended = c->state == STORE_CALL_ENDED;

    row_put_id(j, c->id);
    json_kcstr(j, "state", (size_t)c->state < COUNT_OF(states) ? states[c->state] : NULL);
    row_put_times(j, c);
    row_number(j, "duration_ms", (is_ended ? c->end_ms : now_ms) - c->start_ms, c->start_ms != 0);
    row_put_parties(j, c);
    row_put_end(j, c);
}

/* Billing counts begun seconds from the answer to the end. */
static int64_t row_billsec(const struct store_call *c)
{
    int64_t ms = c->end_ms - c->answer_ms;

    return c->answer_ms != 0 && ms > 0 ? (ms + 999) / 1000 : 0;
}

void row_put_cdr(struct json *j, const struct store_call *c)
{
    int64_t first_ms = c->ring_ms != 0 ? c->ring_ms : c->answer_ms;
    int64_t pickup_ms = c->answer_ms != 0 ? c->answer_ms : c->end_ms;

    row_put_id(j, c->id);
    row_text(j, "node", c->node);
    row_put_times(j, c);
    row_number(j, "pdd_ms", first_ms - c->start_ms, first_ms != 0);
    row_number(j, "ring_ms", pickup_ms - c->ring_ms, c->ring_ms != 0);
    row_number(j, "duration_ms", c->end_ms - c->start_ms, true);
    json_kint(j, "billsec", row_billsec(c));
    row_put_parties(j, c);
    row_text(j, "a_remote", c->a_remote);
    row_text(j, "b_remote", c->b_remote);
    row_text(j, "a_call_id", c->a_call_id);
    row_text(j, "b_call_id", c->b_call_id);
    row_put_end(j, c);
}
