/* route.c - the table of resources, and the steps from a request to its handler: size, token, path,
 * method, query. */
#include "admin-http/config_int.h"

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
    {"/v1/limits", resource_limits, NULL, NULL, limits_params, false},
    {"/v1/explain", NULL, NULL, resource_explain, explain_params, false},
    {"/v1/config", resource_config, NULL, NULL, config_params, false},
    {"/v1/config/validate", NULL, NULL, resource_config_validate, NULL, false},
    {"/v1/config/confirm", NULL, NULL, resource_config_confirm, config_confirm_params, false},
    {"/v1/config/rollback", NULL, NULL, resource_config_rollback, config_rollback_params, false},
    {"/v1/config/versions", resource_config_versions, NULL, NULL, config_versions_params, false},
    {"/v1/config/versions/{id}", resource_config_version, NULL, NULL, config_version_params, false},
    {"/v1/config/versions/{id}/diff", resource_config_version_diff, NULL, NULL,
     config_version_diff_params, false},
    {"/v1/config/diff", NULL, NULL, resource_config_diff, cdrs_params, false},
    {"/v1/peers", resource_peers, NULL, NULL, NULL, false},
    {"/v1/peers/{id}/drain", NULL, resource_peer_undrain, resource_peer_drain, drain_params, false},
    {"/v1/system", resource_system, NULL, NULL, NULL, false},
    {"/healthz", resource_healthz, NULL, NULL, NULL, true},
    {"/readyz", resource_readyz, NULL, NULL, NULL, true},
    {"/metrics", resource_metrics, NULL, NULL, NULL, true},
};
const size_t admin_n_routes = COUNT_OF(admin_routes);

/* RFC 3986 2.1. What is no escape, or one of NUL, stays as it is. */
static char route_next(struct sl *in)
{
    uint32_t c = 0;
    char plain = in->p[0];

    if (plain == '%' && in->n > 2 && sl_hex32(sl_make(in->p + 1, 2), &c) == 0 && c != 0) {
        *in = sl_from(*in, 3);
        return (char)c;
    }
    *in = sl_from(*in, 1);
    return plain;
}

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
        } else if (want.p[0] == '/' ? path.p[0] != '/' : path.p[0] == '/') {
            return false; /* an escaped slash separates nothing */
        } else if (route_next(&path) != want.p[0]) {
            return false;
        } else {
            want = sl_from(want, 1);
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

static struct sl route_decode(struct request *rq, struct sl piece)
{
    struct sl out = arena_dup(&rq->arena, piece);
    char *to = (char *)(uintptr_t)out.p;
    size_t n = 0;

    while (piece.n != 0 && out.n != 0) {
        to[n++] = route_next(&piece);
    }
    return sl_head(out, n);
}

/* Few resources are put, so the table has no column for it. */
route_fn *route_put(const struct route *r)
{
    return r->get == resource_config ? resource_config_put : NULL;
}

/* With its port, and as a name that ends in the root's dot. */
static bool host_is_this_machine(struct sl host)
{
    ptrdiff_t colon = sl_chr(host, ':');

    host = colon >= 0 ? sl_head(host, (size_t)colon) : host;
    if (host.n != 0 && host.p[host.n - 1] == '.') {
        host.n--;
    }
    return sl_ieq(host, SL("localhost")) || sl_ieq(host, SL("ip6-localhost"));
}

/* A page in a browser on this machine may have a name of its own that leads to our address (DNS
 * rebinding): what needs no token is for those who say where they are. */
static bool route_is_asked_here(struct request *rq)
{
    struct sl host = sl_str(MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, "Host"));
    struct addr at;

    return host.n == 0 || rq->admin->unix_path != NULL || addr_parse_hostport(host, 80, &at) == 0 ||
           host_is_this_machine(host);
}

static bool route_needs_no_token(struct request *rq)
{
    return rq->route != NULL && rq->route->is_open && rq->admin->is_local &&
           route_is_asked_here(rq);
}

bool route_may_pass(struct request *rq)
{
    const char *header;
    unsigned status;

    if (rq->has_passed || route_needs_no_token(rq)) {
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
    if (rq->has_passed) {
        conns_note_passed(rq->admin, conns_slot(rq->conn));
    }
    return rq->has_passed;
}

static route_fn *route_handler(struct request *rq)
{
    struct sl method = sl_str(rq->method);
    const struct route *r = rq->route;

    if (sl_eq(method, SL("GET")) || sl_eq(method, SL("HEAD"))) {
        return r->get;
    }
    if (sl_eq(method, SL("PUT"))) {
        return route_put(r);
    }
    return sl_eq(method, SL("DELETE")) ? r->del : sl_eq(method, SL("POST")) ? r->post : NULL;
}

static const char *route_methods(const struct route *r)
{
    if (route_put(r) != NULL) {
        return "GET, HEAD, PUT";
    }
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
    struct sl param;

    rq->route = route_find(rq->path, &param);
    rq->param = route_decode(rq, param);
}

void route_run(struct request *rq)
{
    if (!route_may_pass(rq)) {
        return;
    }
    conns_note_passed(rq->admin, conns_slot(rq->conn)); /* at work from now on, token or not */
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
