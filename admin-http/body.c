/* body.c - the resources that take a body, and how much of it. Whoever sends one shows the token
 * first: nothing of a stranger's is kept. */
#include "admin-http/admin_int.h"

static const struct {
    route_fn *post;
    size_t max;
} bodies[] = {
    {resource_explain, B2BUA_EXPLAIN_MAX},
    {resource_config_diff, ADMIN_CONFIG_MAX},
};

void body_prepare(struct request *rq)
{
    rq->body_max = ADMIN_BODY_MAX;
    if (rq->route == NULL || !sl_eq(sl_str(rq->method), SL("POST"))) {
        return;
    }
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        if (bodies[i].post == rq->route->post) {
            rq->body_max = bodies[i].max;
            rq->keeps_body = true;
            buf_init(&rq->text, bodies[i].max);
        }
    }
}

void body_add(struct request *rq, const char *data, size_t n)
{
    rq->body_bytes += n;
    if (rq->keeps_body && rq->body_bytes <= rq->body_max) {
        buf_put(&rq->text, data, n);
    }
}
