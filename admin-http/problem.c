/* problem.c - refusals as application/problem+json (RFC 9457). */
#include "admin-http/admin_int.h"

#define TYPE(name) "urn:postern:problem:" name

static const struct problem_kind {
    unsigned status;
    const char *type, *title;
} problem_kinds[] = {
    {400, TYPE("bad-request"), "Bad Request"},
    {401, TYPE("unauthorized"), "Unauthorized"},
    {404, TYPE("not-found"), "Not Found"},
    {405, TYPE("method-not-allowed"), "Method Not Allowed"},
    {409, TYPE("conflict"), "Conflict"},
    {412, TYPE("precondition-failed"), "Precondition Failed"},
    {413, TYPE("content-too-large"), "Content Too Large"},
    {414, TYPE("uri-too-long"), "URI Too Long"},
    {415, TYPE("unsupported-media-type"), "Unsupported Media Type"},
    {422, TYPE("unprocessable"), "Unprocessable Content"},
    {428, TYPE("precondition-required"), "Precondition Required"},
    {429, TYPE("too-many-requests"), "Too Many Requests"},
    {501, TYPE("not-implemented"), "Not Implemented"},
    {503, TYPE("unavailable"), "Service Unavailable"},
    {500, TYPE("internal"), "Internal Server Error"}, /* also for what is not listed */
};

static const struct problem_kind *problem_find(unsigned status)
{
    size_t i = 0;

    while (i < COUNT_OF(problem_kinds) - 1 && problem_kinds[i].status != status) {
        i++;
    }
    return &problem_kinds[i];
}

static void problem_put_faults(const struct request *rq, struct json *j)
{
    json_key(j, "errors");
    if (rq->errors.n != 0) {
        json_raw(j, buf_sl(&rq->errors));
        return;
    }
    json_arr(j);
    for (size_t i = 0; i < rq->n_faults; i++) {
        json_obj(j);
        json_kstr(j, "parameter", rq->faults[i].parameter);
        json_kcstr(j, "message", rq->faults[i].message);
        json_obj_end(j);
    }
    json_arr_end(j);
}

void problem(struct request *rq, unsigned status, const char *fmt, ...)
{
    const struct problem_kind *kind = problem_find(status);
    char text[512];
    struct buf b;
    va_list ap;

    buf_init_fixed(&b, text, sizeof(text));
    va_start(ap, fmt);
    buf_putv(&b, fmt, ap);
    va_end(ap);
    buf_reset(&rq->body);
    json_init(&rq->json, &rq->body);
    rq->status = kind->status;
    rq->type = "application/problem+json";
    json_obj(&rq->json);
    json_kcstr(&rq->json, "type", kind->type);
    json_kcstr(&rq->json, "title", kind->title);
    json_kint(&rq->json, "status", kind->status);
    json_kstr(&rq->json, "detail", buf_sl(&b));
    json_kstr(&rq->json, "instance", rq->path);
    json_kcstr(&rq->json, "request_id", rq->id);
    if (rq->n_faults != 0 || rq->errors.n != 0) {
        problem_put_faults(rq, &rq->json);
    }
    json_obj_end(&rq->json);
}

void problem_errno(struct request *rq, int err, const char *what)
{
    if (err == EMSGSIZE) {
        problem(rq, 500, "%s: the answer would be too large", what);
        return;
    }
    rq->retry_after_s = 1;
    problem(rq, 503, "%s: %s", what,
            err == ETIMEDOUT ? "no answer in time; narrower questions are answered faster"
            : err == EBUSY   ? "the database is busy"
            : err == ENOMEM  ? "out of memory"
                             : "the database cannot be read");
}
