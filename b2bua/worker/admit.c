/* admit.c - the door of a worker: who is let in before anything of his is read, and who has proven
 * to be more than a stranger. */
#include "worker/worker_int.h"

#define PROVEN_SLACK_MS 60000 /* a phone that renews late is still itself */

static enum policy_admission ask_policy(struct worker *w, const struct flow *flow, bool connected)
{
    struct policy_knock knock = {.source = flow->remote,
                                 .listener = flow->listener,
                                 .connected = connected,
                                 .stream = flow_is_reliable(flow),
                                 .peer = flow_proven(flow)};

    return policy_admit(w->b->gate, w->cfg->policy, &knock, loop_now_ms(w->loop));
}

static bool is_admitted(enum policy_admission a, const struct flow *flow)
{
    static const enum stat_id counters[] = {[POLICY_DROP_DENIED] = STAT_SIP_DROP_DENIED,
                                            [POLICY_DROP_STRANGER] = STAT_SIP_DROP_STRANGER,
                                            [POLICY_DROP_FAST] = STAT_SIP_DROP_FAST};

    if (a == POLICY_ADMIT_NEAR) {
        char text[ADDR_TEXT_MAX];

        stat_inc(STAT_NEAR_PACKETS);
        log_warn(NULL, "limit of packets per second is near, latest from %s",
                 addr_text(&flow->remote, text));
        return true;
    }
    if (a != POLICY_ADMIT) {
        stat_inc(counters[a]);
    }
    return a == POLICY_ADMIT;
}

bool worker_admit(void *arg, const struct flow *at)
{
    struct worker *w = arg;
    struct flow flow = *at;

    if (!flow_is_reliable(&flow)) { /* no connection is half made */
        worker_catch_up(w);
        worker_place_flow(w, &flow);
    }
    return is_admitted(ask_policy(w, &flow, false), &flow);
}

bool worker_known(void *arg, const struct flow *flow)
{
    const struct worker *w = arg;
    int64_t now_ms = loop_now_ms(w->loop);
    struct policy_knock knock = {.source = flow->remote, .listener = flow->listener};

    return policy_classify(w->b->gate, w->cfg->policy, &knock, now_ms) == POLICY_TRUSTED ||
           policy_has_proven(w->b->gate, &flow->remote, now_ms);
}

bool worker_admit_message(struct worker *w, const struct flow *flow)
{
    enum policy_admission a;

    if (flow->dialled) {
        return true; /* ours: what comes are answers */
    }
    a = ask_policy(w, flow, true);
    if (a == POLICY_DROP_DENIED && flow->worker == w->index && w->net != NULL) {
        net_conn_close(w->net, flow->conn_slot, flow->conn_gen);
    }
    return is_admitted(a, flow);
}

void worker_proven(void *arg, const struct flow *flow)
{
    struct worker *w = arg;
    int64_t now_ms = loop_now_ms(w->loop);
    int64_t life_ms = policy_def(w->cfg->policy)->users.expires_max_s * 1000LL + PROVEN_SLACK_MS;

    if (policy_prove(w->b->gate, &flow->remote, now_ms + life_ms, now_ms)) {
        guard_good(w->b->guard, &flow->remote);
    }
}

void worker_met(struct worker *w, const struct flow *flow)
{
    if (flow_is_reliable(flow) && !flow->dialled) {
        policy_meet(w->b->gate, &flow->remote, loop_now_ms(w->loop));
    }
}

void worker_told(void *arg, const struct policy_verdict *v)
{
    const struct worker *w = arg;

    call_tell_limits(w->cfg->policy, v, NULL);
}

/* --- offences --- */

static bool is_trusted(struct worker *w, const struct flow *flow)
{
    struct policy_knock knock = {
        .source = flow->remote, .listener = flow->listener, .peer = flow_proven(flow)};

    return policy_classify(w->b->gate, w->cfg->policy, &knock, loop_now_ms(w->loop)) ==
           POLICY_TRUSTED;
}

static const char *transport_word(const struct flow *flow)
{
    if (!flow_is_reliable(flow)) {
        return "udp";
    }
    return flow_is_secure(flow) ? "tls" : "tcp";
}

static void report(struct worker *w, const struct flow *flow, const struct sip_msg *req,
                   struct guard_offence *o)
{
    char text[POLICY_EVIDENCE_MAX];

    if (flow_is_reliable(flow)) {
        o->proof = POLICY_BY_STREAM;
        policy_fall(w->b->gate, &flow->remote, loop_now_ms(w->loop));
    }
    o->source = flow->remote;
    o->transport = transport_word(flow);
    if (req != NULL) {
        o->method = req->method_name;
        o->user = req->method == SIP_INVITE ? req->ruri.user : req->to.uri.user;
        o->user_agent = sip_hdr_value(req, HDR_USER_AGENT);
        o->evidence = req->text;
    }
    o->evidence = sl_head(o->evidence, sizeof(text));
    if (o->evidence.n != 0) {
        memcpy(text, o->evidence.p, o->evidence.n);
        sip_blacken(text, o->evidence.n);
        o->evidence.p = text;
    }
    guard_report(w->b->guard, o);
}

/* A number that may not be dialled, or is asked for before the password, says nothing of a flow
 * that is known. */
static bool is_of_number(enum policy_event event)
{
    return event == POLICY_TOLL_FRAUD || event == POLICY_ACL_DENIED;
}

/* A trusted flow answers only for what it proved with this very message. */
void worker_offence(void *arg, const struct flow *flow, const struct sip_msg *req,
                    enum policy_event event, bool echoed)
{
    struct worker *w = arg;
    struct guard_offence o = {.event = event, .proof = echoed ? POLICY_BY_DIGEST : POLICY_UNPROVEN};

    if (echoed || (flow_is_reliable(flow) && !is_of_number(event)) || !is_trusted(w, flow)) {
        report(w, flow, req, &o);
    }
}

void worker_malformed(struct worker *w, const struct flow *flow, struct sl bytes)
{
    struct guard_offence o = {.event = POLICY_MALFORMED, .evidence = bytes};

    if (flow->dialled || is_trusted(w, flow)) {
        return; /* broken, not hostile; counted */
    }
    report(w, flow, NULL, &o);
}

static void put_look(struct policy_look *look, const struct sip_msg *req)
{
    *look = (struct policy_look){.user_agent = sip_hdr_value(req, HDR_USER_AGENT),
                                 .from_display = req->from.display,
                                 .from_user = req->from.uri.user,
                                 .from_host = req->from.uri.host,
                                 .call_id = req->call_id,
                                 .branch = req->via.branch};
}

bool worker_is_scanner(struct worker *w, const struct flow *flow, const struct sip_msg *req)
{
    const struct policy_ban_rules *rules = &w->cfg->def.security.bans;
    struct guard_offence o = {.event = POLICY_SCANNER};
    struct policy_look look;

    put_look(&look, req);
    if (!policy_scanner(rules, &look) || flow->dialled || is_trusted(w, flow)) {
        return false;
    }
    report(w, flow, req, &o);
    return rules->present && !rules->dry_run;
}
