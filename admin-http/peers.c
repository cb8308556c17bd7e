/* peers.c - /v1/peers/NAME/drain: takes a peer, or one of its targets, out of use and back. */
#include "admin-http/admin_int.h"

const char *const drain_params[] = {"target", NULL};

static void peer_drain(struct request *rq, bool on)
{
    struct sl uri = query_text(rq, "target");

    if (!query_is_good(rq)) {
        return;
    }
    if (b2bua_peer_drain(rq->admin->b2bua, rq->param, uri, on) != 0) {
        problem(rq, 404, "no peer has this name, or it has no such target");
        return;
    }
    json_obj(&rq->json);
    json_kstr(&rq->json, "peer", rq->param);
    json_kstr(&rq->json, "target", uri);
    json_kbool(&rq->json, "drained", on);
    json_obj_end(&rq->json);
}

void resource_peer_drain(struct request *rq)
{
    peer_drain(rq, true);
}

void resource_peer_undrain(struct request *rq)
{
    peer_drain(rq, false);
}
