/* hide.c - `unknown_sources.answer: expected`: strangers who ask for anything but what a phone that
 * is new here would ask for hear nothing. */
#include "worker/worker_int.h"

static bool is_stranger(const struct worker *w, const struct flow *flow)
{
    struct policy_knock knock = {.source = flow->remote,
                                 .listener = flow->listener,
                                 .connected = flow_is_reliable(flow),
                                 .peer = flow_proven(flow)};
    enum policy_class is =
        policy_classify(w->b->gate, w->cfg->policy, &knock, loop_now_ms(w->loop));

    return is == POLICY_UNKNOWN || is == POLICY_MET;
}

/* It would be challenged, and names our domain: a scanner knows but our address. */
static bool is_expected(const struct worker *w, const struct flow *flow, const struct sip_msg *req)
{
    const struct policy_users *users = &policy_def(w->cfg->policy)->users;

    return users->present && users->listener == flow->listener &&
           (req->method == SIP_REGISTER || req->method == SIP_INVITE ||
            req->method == SIP_MESSAGE) &&
           sl_ieq(req->ruri.host, sl_str(users->domain));
}

/* What is not answered is sent again: that is no second offence. */
static bool is_repeated(struct worker *w, const struct flow *flow, const struct sip_msg *req)
{
    static const uint8_t key[16] = "postern hidden 1";
    const uint64_t words[] = {siphash13(req->via.branch.p, req->via.branch.n, key),
                              siphash13(req->call_id.p, req->call_id.n, key),
                              ((uint64_t)req->cseq << 16) | (uint64_t)req->method,
                              addr_port(&flow->remote)};
    uint64_t hash = siphash13(words, sizeof(words), key);
    uint64_t *seen = &w->hidden[hash % HIDDEN_SEEN];
    bool is_again = *seen == hash;

    *seen = hash;
    return is_again;
}

static bool has_plain_user(const struct sip_uri *u, char *text, size_t cap, struct sl *user)
{
    size_t n = 0;

    if (sip_unescape(u->user, text, cap, &n) != 0) {
        return false;
    }
    *user = sl_make(text, n);
    return true;
}

/* What the answer would have been decides, as far as it needs no password: who hears nothing
 * cannot have answered a challenge. */
static void hold_against(struct worker *w, const struct flow *flow, const struct sip_msg *req)
{
    const struct policy_users *users = &policy_def(w->cfg->policy)->users;
    bool has_users = users->present && users->listener == flow->listener;
    struct sl user = SL_NULL;
    char text[128];

    if (req->method == SIP_REGISTER) {
        if (has_users && (!has_plain_user(&req->to.uri, text, sizeof(text), &user) ||
                          policy_user_by_name(w->cfg->policy, user) < 0)) {
            worker_offence(w, flow, req, POLICY_UNKNOWN_USER, false);
        }
    } else if (req->to_tag.n == 0 && (req->method == SIP_INVITE || req->method == SIP_MESSAGE)) {
        if (req->method == SIP_INVITE && has_plain_user(&req->ruri, text, sizeof(text), &user) &&
            policy_looks_expensive(user)) {
            worker_offence(w, flow, req, POLICY_TOLL_FRAUD, false);
        } else if (!has_users) {
            worker_offence(w, flow, req, POLICY_ACL_DENIED, false);
        }
    }
}

bool worker_hides(struct worker *w, const struct flow *flow, const struct sip_msg *req)
{
    if (!w->cfg->def.security.hides || flow->dialled || !is_stranger(w, flow) ||
        (req != NULL && is_expected(w, flow, req))) {
        return false;
    }
    stat_inc(STAT_SIP_DROP_HIDDEN);
    if (req != NULL && !is_repeated(w, flow, req)) {
        hold_against(w, flow, req);
    }
    return true;
}
