/* route.c - the table of resources, and the steps from a request to its handler: size, token, path,
 * method, query. */
#include "admin-http/admin_int.h"

const struct route admin_routes[] = {
    {"/", resource_index, NULL, NULL, NULL, false},
    {"/v1", resource_index, NULL, NULL, NULL, false},
    {"/v1/calls", resource_calls, NULL, NULL, calls_params, false},
    {"/v1/calls/{id}", resource_call, resource_call_end, NULL, NULL, false},
    {"/v1/calls/{id}/ladder", resource_ladder, NULL, NULL, NULL, false},
    {"/v1/calls/{id}/rekey", NULL, NULL, resource_call_rekey, rekey_params, false},
    {"/v1/cdrs", resource_cdrs, NULL, NULL, cdrs_params, false},
    {"/v1/registrations", resource_registrations, NULL, NULL, registrations_params, false},
    {"/v1/bans", resource_bans, NULL, resource_ban_add, bans_params, false},
    {"/v1/bans/{id}", resource_ban, resource_ban_remove, NULL, NULL, false},
    {"/v1/explain", NULL, NULL, resource_explain, explain_params, false},
    {"/v1/config/diff", NULL, NULL, resource_config_diff, cdrs_params, false},
    {"/v1/peers", resource_peers, NULL, NULL, NULL, false},
    {"/v1/peers/{id}/drain", NULL, resource_peer_undrain, resource_peer_drain, drain_params, false},
    {"/v1/system", resource_system, NULL, NULL, NULL, false},
    {"/healthz", resource_healthz, NULL, NULL, NULL, true},
    {"/readyz", resource_readyz, NULL, NULL, NULL, true},
    {"/metrics", resource_metrics, NULL, NULL, NULL, true},
};
const size_t admin_n_routes = COUNT_OF(admin_routes);

static bool route_matches(const char *pattern, struct sl path, struct sl *param)
{
    struct sl want = sl_str(pattern);

    while (want.n != 0 && path.n != 0) {
        if (want.p[0] == '{') {
            ptrdiff_t end = sl_chr(path, '/');

            *param = sl_head(path, end < 0 ? path.n : (size_t)end);
            path = sl_from(path, param->n);
            want = sl_from(want, sizeof("{id}") - 1);
            if (param->n == 0) {
                return false;
            }
        } else if (want.p[0] == path.p[0]) {
            want = sl_from(want, 1);
            path = sl_from(path, 1);
        } else {
            return false;
        }
    }
    return want.n == 0 && path.n == 0;
}

static const struct route *route_find(struct sl path, struct sl *param)
{
    for (size_t i = 0; i < COUNT_OF(admin_routes); i++) {
        *param = SL_NULL;
        if (route_matches(admin_routes[i].pattern, path, param)) {
            return &admin_routes[i];
        }
    }
    return NULL;
}

bool route_may_pass(struct request *rq)
{
    const char *header;
    unsigned status;

    if (rq->has_passed || (rq->route != NULL && rq->route->is_open && rq->admin->is_local)) {
        return true;
    }
    header = MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, "Authorization");
    status = admin_auth_check(&rq->admin->auth, &rq->from, header, clock_now_ms(&rq->admin->clock),
                              &rq->retry_after_s);
    if (status == 401) {
        char text[ADDR_TEXT_MAX];

        log_warn(NULL, "admin: %s token from %s", header != NULL ? "wrong" : "no",
                 addr_family(&rq->from) != AF_UNSPEC ? addr_text(&rq->from, text) : "unix");
        problem(rq, 401, "this resource needs the token: Authorization: Bearer ...");
    } else if (status == 429) {
        problem(rq, 429, "too many wrong tokens from this address");
    }
    rq->has_passed = status == 200;
    return rq->has_passed;
}

static route_fn *route_handler(struct request *rq)
{
    struct sl method = sl_str(rq->method);
    const struct route *r = rq->route;

    if (sl_eq(method, SL("GET")) || sl_eq(method, SL("HEAD"))) {
        return r->get;
    }
    return sl_eq(method, SL("DELETE")) ? r->del : sl_eq(method, SL("POST")) ? r->post : NULL;
}

static const char *route_methods(const struct route *r)
{
    if (r->post != NULL && r->get == NULL && r->del != NULL) {
        return "POST, DELETE";
    }
    if (r->post != NULL) {
        return r->get != NULL ? "GET, HEAD, POST" : "POST";
    }
    return r->del != NULL ? "GET, HEAD, DELETE" : "GET, HEAD";
}

static void route_dispatch(struct request *rq)
{
    route_fn *handler;

    if (rq->route == NULL) {
        problem(rq, 404, "no such resource; GET /v1 lists what there is");
        return;
    }
    handler = route_handler(rq);
    if (handler == NULL) {
        rq->allow = route_methods(rq->route);
        problem(rq, 405, "this resource takes %s", rq->allow);
        return;
    }
    query_collect(rq);
    /* A handler that reads a query asks query_is_good() itself, so that all mistakes come at once.
     */
    if (rq->route->params != NULL || query_is_good(rq)) {
        handler(rq);
    }
}

void route_find_for(struct request *rq)
{
    rq->route = route_find(rq->path, &rq->param);
}

void route_run(struct request *rq)
{
    if (!route_may_pass(rq)) {
        return;
    }
    if (rq->url_bytes > ADMIN_URL_MAX) {
        problem(rq, 414, "path and query take at most %u bytes", ADMIN_URL_MAX);
    } else if (rq->body_bytes > rq->body_max) {
        problem(rq, 413, "a body takes at most %zu bytes", rq->body_max);
    } else if (buf_err(&rq->text) != 0) {
        problem_errno(rq, buf_err(&rq->text), "body");
    } else {
        route_dispatch(rq);
    }
}
