/* system.c - /v1/system, /v1/peers and the index of resources. */
#include "admin-http/admin_int.h"

static void system_failed(struct request *rq, int err)
{
    if (err == EMSGSIZE) {
        problem(rq, 500, "the answer would be too large");
        return;
    }
    rq->retry_after_s = 1;
    problem(rq, 503, err == ENOMEM ? "out of memory" : "a worker gave no answer in time");
}

void resource_system(struct request *rq)
{
    int err;

    json_obj(&rq->json);
    err = b2bua_system_json(rq->admin->b2bua, &rq->json);
    json_obj_end(&rq->json);
    if (err != 0) {
        system_failed(rq, err);
    }
}

void resource_peers(struct request *rq)
{
    int err;

    json_obj(&rq->json);
    json_key(&rq->json, "items");
    err = b2bua_peers_json(rq->admin->b2bua, &rq->json);
    json_kcstr(&rq->json, "next_cursor", NULL);
    json_obj_end(&rq->json);
    if (err != 0) {
        system_failed(rq, err);
    }
}

static void index_put_route(struct json *j, const struct route *r)
{
    json_obj(j);
    json_kcstr(j, "path", r->pattern);
    json_key(j, "methods");
    json_arr(j);
    if (r->get != NULL) {
        json_cstr(j, "GET");
    }
    if (r->post != NULL) {
        json_cstr(j, "POST");
    }
    if (r->del != NULL) {
        json_cstr(j, "DELETE");
    }
    if (route_put(r) != NULL) {
        json_cstr(j, "PUT");
    }
    json_arr_end(j);
    json_key(j, "query");
    json_arr(j);
    for (size_t i = 0; r->params != NULL && r->params[i] != NULL; i++) {
        json_cstr(j, r->params[i]);
    }
    json_arr_end(j);
    json_obj_end(j);
}

void resource_index(struct request *rq)
{
    json_obj(&rq->json);
    json_kcstr(&rq->json, "name", "postern");
    json_kcstr(&rq->json, "version", b2bua_version());
    json_key(&rq->json, "resources");
    json_arr(&rq->json);
    for (size_t i = 0; i < admin_n_routes; i++) {
        index_put_route(&rq->json, &admin_routes[i]);
    }
    json_arr_end(&rq->json);
    json_obj_end(&rq->json);
}
