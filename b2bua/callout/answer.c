/* answer.c - what a server said, read strictly: a member too many is as wrong as one too few. */
#include "callout/callout.h"

#include <jansson.h>

static bool only_members(const json_t *o, const char *const *names)
{
    size_t n = 0;

    for (size_t i = 0; names[i] != NULL; i++) {
        n += json_object_get(o, names[i]) != NULL;
    }
    return n == json_object_size(o);
}

/* Printable, as it goes into a reason phrase. */
static bool take_text(const json_t *v, char *dst, size_t cap)
{
    const char *s = json_string_value(v);
    size_t n = s != NULL ? json_string_length(v) : 0;

    if (s == NULL || n == 0 || n >= cap) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f) {
            return false;
        }
    }
    memcpy(dst, s, n + 1);
    return true;
}

static bool read_refusal(const json_t *o, struct callout_answer *a)
{
    static const char *const names[] = {"action", "status", "reason", NULL};
    const json_t *status = json_object_get(o, "status"), *reason = json_object_get(o, "reason");
    json_int_t code = json_integer_value(status);

    a->result = CALLOUT_REFUSE;
    if (!only_members(o, names) || !json_is_integer(status) || code < 400 || code > 699) {
        return false;
    }
    a->status = (uint16_t)code;
    return reason == NULL || take_text(reason, a->reason, sizeof(a->reason));
}

static bool read_route(const json_t *o, struct callout_answer *a)
{
    static const char *const names[] = {"action", "targets", NULL};
    const json_t *targets = json_object_get(o, "targets");
    size_t n = json_array_size(targets);

    a->result = CALLOUT_ROUTE;
    if (!only_members(o, names) || n == 0 || n > CALLOUT_TARGETS_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!take_text(json_array_get(targets, i), a->targets[i], sizeof(a->targets[i]))) {
            return false;
        }
    }
    a->n_targets = n;
    return true;
}

static bool read_answer(const json_t *o, struct callout_answer *a)
{
    static const char *const names[] = {"action", NULL};
    struct sl action = sl_str(json_string_value(json_object_get(o, "action")));

    if (sl_eq(action, SL("refuse"))) {
        return read_refusal(o, a);
    }
    if (sl_eq(action, SL("route"))) {
        return read_route(o, a);
    }
    a->result = CALLOUT_CONTINUE;
    return sl_eq(action, SL("continue")) && only_members(o, names);
}

int callout_answer_read(struct sl json, struct callout_answer *a)
{
    json_error_t error;
    json_t *o = json_loadb(json.p != NULL ? json.p : "", json.n, JSON_REJECT_DUPLICATES, &error);
    bool is_good;

    *a = (struct callout_answer){0};
    is_good = json_is_object(o) && read_answer(o, a);
    json_decref(o);
    if (!is_good) {
        *a = (struct callout_answer){.why = "the answer is not understood"};
        return EBADMSG;
    }
    return 0;
}
