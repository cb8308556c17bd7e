/* body.c - the resources that take a body, and how much of it. Whoever sends one shows the token
 * first: nothing of a stranger's is kept. */
#include "admin-http/config_int.h"

static const struct {
    route_fn *fn; /* of POST or PUT */
    size_t max;
} bodies[] = {
    {resource_config_put, ADMIN_CONFIG_MAX},
    {resource_config_validate, ADMIN_CONFIG_MAX},
    {resource_explain, B2BUA_EXPLAIN_MAX},
    {resource_config_diff, ADMIN_CONFIG_MAX},
};

void body_prepare(struct request *rq)
{
    struct sl method = sl_str(rq->method);
    route_fn *fn = NULL;

    rq->body_max = ADMIN_BODY_MAX;
    if (rq->route != NULL && sl_eq(method, SL("POST"))) {
        fn = rq->route->post;
    } else if (rq->route != NULL && sl_eq(method, SL("PUT"))) {
        fn = route_put(rq->route);
    }
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        if (fn != NULL && bodies[i].fn == fn) {
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
