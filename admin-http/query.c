/* query.c - the query of a request: only names that the resource knows, each once, each
 * well-formed. All mistakes are told at once. */
#include "admin-http/admin_int.h"

#define QUERY_VALUE_MAX 256
#define QUERY_NAME_MAX 64
#define QUERY_SHOWN 48 /* bytes of a peer's name in a message */

void query_fault(struct request *rq, struct sl parameter, const char *fmt, ...)
{
    struct fault *f = &rq->faults[rq->n_faults];
    struct buf b;
    va_list ap;

    if (rq->n_faults == REQUEST_ARGS_MAX) {
        return;
    }
    rq->n_faults++;
    f->parameter = sl_head(parameter, QUERY_NAME_MAX);
    buf_init_fixed(&b, f->message, sizeof(f->message) - 1);
    va_start(ap, fmt);
    buf_putv(&b, fmt, ap);
    va_end(ap);
    f->message[b.n] = '\0';
}

/* How many letters must be changed, added or dropped (Levenshtein), over two rows of the matrix. */
static size_t query_distance(struct sl a, struct sl b)
{
    size_t row[QUERY_NAME_MAX + 1];

    for (size_t k = 0; k <= b.n; k++) {
        row[k] = k;
    }
    for (size_t i = 0; i < a.n; i++) {
        size_t corner = row[0];

        row[0] = i + 1;
        for (size_t k = 0; k < b.n; k++) {
            size_t best = corner + (a.p[i] != b.p[k]);

            corner = row[k + 1];
            best = best < row[k] + 1 ? best : row[k] + 1;
            row[k + 1] = best < corner + 1 ? best : corner + 1;
        }
    }
    return row[b.n];
}

static const char *query_nearest(const char *const *params, struct sl name)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX;

    for (size_t i = 0; params != NULL && params[i] != NULL && name.n <= QUERY_NAME_MAX; i++) {
        size_t d = query_distance(name, sl_str(params[i]));

        if (d < best) {
            best = d;
            nearest = params[i];
        }
    }
    return nearest;
}

static bool query_is_known(const char *const *params, struct sl name)
{
    for (size_t i = 0; params != NULL && params[i] != NULL; i++) {
        if (sl_eq(name, sl_str(params[i]))) {
            return true;
        }
    }
    return false;
}

static const struct arg *query_find(const struct request *rq, struct sl name)
{
    for (size_t i = 0; i < rq->n_args; i++) {
        if (sl_eq(rq->args[i].name, name)) {
            return &rq->args[i];
        }
    }
    return NULL;
}

static void query_unknown(struct request *rq, struct sl name)
{
    const char *nearest = query_nearest(rq->route->params, name);

    if (nearest != NULL) {
        query_fault(rq, name, "unknown; the nearest is \"%s\"", nearest);
    } else {
        query_fault(rq, name, "unknown; this resource takes none");
    }
}

static void query_add(struct request *rq, struct sl name, struct sl value)
{
    bool is_cursor = sl_eq(name, SL("cursor"));

    if (!query_is_known(rq->route->params, name)) {
        query_unknown(rq, name);
    } else if (query_find(rq, name) != NULL) {
        query_fault(rq, name, "given twice");
    } else if (value.n == 0 || sl_chr(value, '\0') >= 0) {
        query_fault(rq, name, "empty or with a NUL");
    } else if (value.n > (is_cursor ? CURSOR_MAX : QUERY_VALUE_MAX)) {
        query_fault(rq, name, "too long");
    } else if (rq->n_args < REQUEST_ARGS_MAX) {
        rq->args[rq->n_args++] = (struct arg){name, value};
    }
}

static enum MHD_Result on_query_arg(void *arg, enum MHD_ValueKind kind, const char *key,
                                    size_t key_n, const char *value, size_t value_n)
{
    struct request *rq = arg;
    struct sl name = arena_dup(&rq->arena, sl_make(key, key_n));
    struct sl text = arena_dup(&rq->arena, sl_make(value, value != NULL ? value_n : 0));

    (void)kind;
    query_add(rq, name, text); /* a copy that found no memory is empty, so a fault */
    return MHD_YES;
}

void query_collect(struct request *rq)
{
    (void)MHD_get_connection_values_n(rq->conn, MHD_GET_ARGUMENT_KIND, on_query_arg, rq);
}

bool query_is_good(struct request *rq)
{
    if (rq->n_faults == 0) {
        return true;
    }
    problem(rq, 400, "the query has %zu mistake%s; first: \"%.*s\" is %s", rq->n_faults,
            rq->n_faults == 1 ? "" : "s", SL_ARG(sl_head(rq->faults[0].parameter, QUERY_SHOWN)),
            rq->faults[0].message);
    return false;
}

struct sl query_text(struct request *rq, const char *name)
{
    const struct arg *a = query_find(rq, sl_str(name));

    return a != NULL ? a->value : SL_NULL;
}

/* "?called=+4930" arrives with a space, since that is what '+' means in a query. */
struct sl query_number(struct request *rq, const char *name)
{
    struct sl s = query_text(rq, name);

    if (s.n != 0 && s.p[0] == ' ') {
        *(char *)(uintptr_t)s.p = '+'; /* the arena's copy: ours */
    }
    return s;
}

uint32_t query_u32(struct request *rq, const char *name, uint32_t min, uint32_t max, uint32_t dflt)
{
    struct sl s = query_text(rq, name);
    uint32_t v = dflt;

    if (s.n != 0 && (sl_u32(s, max, &v) != 0 || v < min)) {
        query_fault(rq, sl_str(name), "not a number from %u to %u", min, max);
    }
    return v;
}

int query_choice(struct request *rq, const char *name, const char *const *words, int dflt)
{
    struct sl s = query_text(rq, name);
    char text[96];
    struct buf b;

    if (s.n == 0) {
        return dflt;
    }
    buf_init_fixed(&b, text, sizeof(text));
    for (int i = 0; words[i] != NULL; i++) {
        if (sl_eq(s, sl_str(words[i]))) {
            return i;
        }
        buf_putf(&b, "%s%s", i == 0 ? "" : ", ", words[i]);
    }
    query_fault(rq, sl_str(name), "not one of %.*s", SL_ARG(buf_sl(&b)));
    return dflt;
}

int64_t query_time(struct request *rq, const char *name)
{
    struct sl s = query_text(rq, name);
    int64_t ms = 0;

    if (s.n != 0 && time_parse(s, &ms) != 0) {
        query_fault(rq, sl_str(name), "not a time like 2026-11-21T06:48:17Z or Unix milliseconds");
    }
    return ms;
}
