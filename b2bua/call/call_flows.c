/* call_flows.c - the devices of a user. Several flows of one device (RFC 5626: one +sip.instance
 * with several reg-ids) are ways to the same telephone and no forks: the newest is taken, and the
 * next one only when that is no way any more. */
#include "call/call_launch.h"

uint64_t call_device(const struct binding *bd)
{
    static const uint8_t key[16] = {0};

    return bd->instance.n != 0 ? siphash13(bd->instance.p, bd->instance.n, key) | 1 : 0;
}

/* One of several flows, whose other end may have moved on without a word. */
#define CALL_FLOW_MS 2000

static uint16_t launch_binding(struct call *c, int user, const struct binding *bd, bool has_spare,
                               int *err, const char **why)
{
    const struct policy_users *users = &policy_def(c->cfg->policy)->users;
    char to[256];
    struct buf r;
    struct leg_plan p = {.party = {.kind = POLICY_USERS},
                         .user = user,
                         .listener = users->listener,
                         .target = call_request_uri(bd->contact),
                         .flow = bd->flow,
                         .device = call_device(bd),
                         .reg_id = bd->reg_id,
                         .answer_ms = has_spare ? CALL_FLOW_MS : 0,
                         .sips = sl_istarts(bd->contact, SL("sips:")),
                         .pin = true};

    if ((c->sips || p.sips) && !flow_is_secure(&bd->flow)) {
        *err = EPROTONOSUPPORT;
        return 0;
    }

    buf_init_fixed(&r, to, sizeof(to));
    BUF_LIT(&r, "<sip:");
    sip_put_user(&r, sl_str(users->accounts[user].name));
    buf_putf(&r, "@%s>", users->domain);
    p.remote = buf_sl(&r);
    p.listener = bd->flow.listener;
    *err = buf_err(&r);
    return *err != 0 ? 0 : call_launch(c, &p, err, why);
}

/* Those that can be called: forks share one side's ports, so they stand on one listener. */
static size_t flows_of(const struct call *c, const struct binding *out[REG_BINDINGS_MAX])
{
    uint8_t listener = policy_def(c->cfg->policy)->users.listener;
    size_t n = registrar_lookup(c->t->p.registrar, c->called, out), kept = 0;

    for (size_t i = 0; i < n && i < CALL_FORKS_MAX; i++) {
        if (out[i]->flow.listener == listener) {
            out[kept++] = out[i];
        }
    }
    return kept;
}

/* Is another leg on its way to this device already? */
static bool is_being_called(struct call *c, uint64_t device)
{
    LIST_FOR_EACH(it, &c->forks)
    {
        const struct leg *l = CONTAINER_OF(it, struct leg, node);

        if (device != 0 && l->device == device &&
            (l->state == LEG_CALLING || l->state == LEG_EARLY)) {
            return true;
        }
    }
    return false;
}

static bool flow_was_tried(struct call *c, const struct binding *bd)
{
    LIST_FOR_EACH(it, &c->forks)
    {
        const struct leg *l = CONTAINER_OF(it, struct leg, node);

        if (l->device == call_device(bd) && l->reg_id == bd->reg_id) {
            return true;
        }
    }
    return false;
}

/* Is there another flow of the same device that could be taken after this one? */
static bool has_spare(struct call *c, const struct binding *bd, const struct binding *const *list,
                      size_t n)
{
    for (size_t i = 0; i < n && call_device(bd) != 0; i++) {
        if (list[i] != bd && call_device(list[i]) == call_device(bd) &&
            !flow_was_tried(c, list[i])) {
            return true;
        }
    }
    return false;
}

unsigned call_launch_user(struct call *c, uint16_t *status, const char **why)
{
    const struct binding *list[REG_BINDINGS_MAX];
    int user = policy_user_by_name(c->cfg->policy, c->called);
    unsigned ringing = 0;
    size_t n;

    if (user < 0) {
        c->best_status = c->best_status != 0 ? c->best_status : 404;
        return 0;
    }
    n = flows_of(c, list);
    if (n == 0) {
        c->best_status = c->best_status != 0 ? c->best_status : 480;
    }
    for (size_t i = 0; i < n; i++) {
        int err = 0;
        uint16_t s;

        if (is_being_called(c, call_device(list[i]))) {
            continue;
        }
        s = launch_binding(c, user, list[i], has_spare(c, list[i], list, n), &err, why);
        if (s != 0) {
            *status = s;
        } else if (err == 0) {
            ringing++;
        } else {
            c->best_status = err == EPERM ? 488 : 480;
        }
    }
    return ringing;
}

/* 430 Flow Failed comes from a proxy at the edge, an error from our own transport (RFC 5626 5.3).
 */
bool call_launch_next_flow(struct leg *l, uint16_t status, int err)
{
    const struct binding *list[REG_BINDINGS_MAX];
    struct call *c = l->call;
    size_t n = l->device != 0 && (err != 0 || status == 430) ? flows_of(c, list) : 0;
    const char *why = NULL;

    for (size_t i = 0; i < n; i++) {
        int failed = 0;

        if (call_device(list[i]) == l->device && !flow_was_tried(c, list[i]) &&
            launch_binding(c, l->user, list[i], has_spare(c, list[i], list, n), &failed, &why) ==
                0 &&
            failed == 0) {
            stat_inc(STAT_FLOW_NEXT);
            return true;
        }
    }
    return false;
}
