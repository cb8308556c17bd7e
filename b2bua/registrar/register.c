/* register.c - a REGISTER on the worker that owns its user (RFC 3261 10.3). */
#include "registrar/registrar_int.h"

struct change {
    struct sl contact;
    struct sl instance;
    uint32_t reg_id;
    uint32_t expires_s; /* 0: remove */
};

struct reg_work {
    struct registrar *r;
    struct tx *tx;
    struct sip_msg *req;
    const struct policy_users *users;
    int user;
    struct change changes[REG_BINDINGS_MAX];
    size_t n_changes;
    bool remove_all;
    bool is_outbound;   /* RFC 5626 is asked for, and kept to */
    uint16_t status;    /* refusal */
    const char *reason; /* of the answer, as the configuration has it; NULL: the usual one */
};

/* --- answering --- */

static int send_answer(struct reg_work *w, uint16_t status, struct sl extra)
{
    char tag[16];
    uint8_t raw[8];
    struct buf b, tb;
    int err;

    crypto_random(raw, sizeof(raw));
    buf_init_fixed(&tb, tag, sizeof(tag));
    buf_putx(&tb, raw, sizeof(raw));
    buf_init(&b, SIP_MSG_MAX);
    sip_put_response(&b, &(struct sip_response){.req = w->req,
                                                .src = tx_server_source(w->tx),
                                                .status = status,
                                                .reason = status >= 300 ? w->reason : NULL,
                                                .to_tag = buf_sl(&tb)});
    buf_putsl(&b, extra);
    sip_put_body(&b, SL_NULL, SL_NULL);
    err = buf_err(&b) != 0 ? buf_err(&b) : tx_server_respond(w->tx, status, buf_sl(&b));
    buf_free(&b);
    return err;
}

static void respond(struct reg_work *w, uint16_t status, struct sl extra)
{
    int err = send_answer(w, status, extra);

    if (err != 0 && extra.n != 0) { /* too big with all that: a short word is better than silence */
        status = 500;
        err = send_answer(w, status, SL_NULL);
    }
    stat_inc(err == 0 && status < 300 ? STAT_REG_OK : STAT_REG_FAIL);
    if (err != 0) {
        stat_inc(STAT_TX_UNEXPECTED);
    }
}

static void respond_ok(struct reg_work *w, const struct reg_user *u)
{
    int64_t now = loop_wall_ms(w->r->p.loop);
    struct buf b;

    buf_init(&b, 16384);
    if (w->is_outbound) {
        BUF_LIT(&b, "Require: outbound\r\n");
    }
    for (size_t i = 0; u != NULL && i < u->n; i++) {
        const struct rec *rec = u->recs[i];
        int64_t left = (rec->b.expires_ms - now + 999) / 1000;

        BUF_LIT(&b, "Contact: <");
        buf_putsl(&b, rec->b.contact);
        buf_putf(&b, ">;expires=%lld\r\n", (long long)(left > 0 ? left : 0));
    }
    respond(w, buf_err(&b) == 0 ? 200 : 500, buf_err(&b) == 0 ? buf_sl(&b) : SL_NULL);
    buf_free(&b);
}

/* --- reading --- */

static size_t count_of(const struct sip_msg *m, enum hdr_id id)
{
    struct sip_values it = {0};
    struct sl v;
    size_t n = 0;

    while (sip_values_next(m, id, &it, &v) == 0) {
        n++;
    }
    return n;
}

/* RFC 3261 10.2.1.1: the parameter, else the header, else the default; clamped from above, refused
 * when too short (10.3 item 7). Unreadable values count as absent (20.19). */
static bool read_expires(struct reg_work *w, struct sl params, uint32_t *out)
{
    struct sl v = SL_NULL;
    uint32_t s = w->users->expires_default_s;

    if ((!sip_param(params, SL("expires"), &v) || sl_u32(v, UINT32_MAX, &s) != 0) &&
        sl_u32(sip_hdr_value(w->req, HDR_EXPIRES), UINT32_MAX, &s) != 0) {
        s = w->users->expires_default_s;
    }
    if (s != 0 && s < w->users->expires_min_s) {
        w->status = 423;
        return false;
    }
    *out = s < w->users->expires_max_s ? s : w->users->expires_max_s;
    return true;
}

static bool read_contact(struct reg_work *w, const struct sip_nameaddr *na)
{
    struct change *ch = &w->changes[w->n_changes];
    struct sl v = SL_NULL;

    w->status = 400;
    if ((na->uri.scheme != SIP_SCHEME_SIP && na->uri.scheme != SIP_SCHEME_SIPS) ||
        na->uri_text.n > REG_CONTACT_MAX || w->n_changes == REG_BINDINGS_MAX) {
        return false;
    }
    if (na->uri.scheme == SIP_SCHEME_SIPS && !flow_is_secure(tx_server_flow(w->tx))) {
        w->status = 403; /* it would be called in the open */
        return false;
    }
    *ch = (struct change){.contact = na->uri_text};
    if (sip_param(na->params, SL("+sip.instance"), &v) && v.n <= 128) {
        ch->instance = v;
    }
    if (sip_param(na->params, SL("reg-id"), &v) && sl_u32(v, INT32_MAX, &ch->reg_id) != 0) {
        ch->reg_id = 0;
    }
    ch->reg_id = ch->instance.n != 0 ? ch->reg_id : 0; /* RFC 5626 6: it numbers a device's flows */
    if (!read_expires(w, na->params, &ch->expires_s)) {
        return false;
    }
    w->n_changes++;
    w->status = 0;
    return true;
}

/* One flow is one connection, so one REGISTER cannot be for two of them (RFC 5626 6). Behind a
 * proxy that does not keep flows there is none to keep to: then the number is a name and no more.
 */
static bool read_outbound(struct reg_work *w)
{
    unsigned flows = 0;

    for (size_t i = 0; i < w->n_changes; i++) {
        flows += w->changes[i].reg_id != 0 && w->changes[i].expires_s != 0 ? 1 : 0;
    }
    w->is_outbound = flows == 1 && sip_has_option(w->req, HDR_SUPPORTED, SL("outbound")) &&
                     count_of(w->req, HDR_VIA) == 1;
    w->status = flows > 1 ? 400 : 0;
    return flows <= 1;
}

static bool read_contacts(struct reg_work *w)
{
    struct sip_values it = {0};
    struct sl v;

    while (sip_values_next(w->req, HDR_CONTACT, &it, &v) == 0) {
        struct sip_nameaddr na;
        uint32_t zero = 1;

        if (sip_nameaddr_parse(v, &na) != 0 || w->remove_all || (na.is_star && w->n_changes != 0)) {
            w->status = 400;
            return false;
        }
        if (na.is_star) { /* only to remove everything (10.3 item 6) */
            if (sl_u32(sip_hdr_value(w->req, HDR_EXPIRES), 0, &zero) != 0) {
                w->status = 400;
                return false;
            }
            w->remove_all = true;
        } else if (!read_contact(w, &na)) {
            return false;
        }
    }
    return true;
}

/* --- changing --- */

static bool same_contact(const struct rec *rec, const struct change *ch)
{
    struct sip_uri a, b;

    if (sl_eq(rec->b.contact, ch->contact)) {
        return true;
    }
    return sip_uri_parse(rec->b.contact, &a) == 0 && sip_uri_parse(ch->contact, &b) == 0 &&
           sip_uri_equal(&a, &b);
}

/* The same device again: its old binding is replaced, also when its address is new (RFC 5626 6). */
static bool same_device(const struct rec *rec, const struct change *ch)
{
    return ch->instance.n != 0 && sl_eq(rec->b.instance, ch->instance) &&
           rec->b.reg_id == ch->reg_id;
}

/* Flows of one device may share their Contact: they differ by their numbers alone (RFC 5626 6). */
static bool is_other_flow(const struct rec *rec, const struct change *ch)
{
    return ch->instance.n != 0 && sl_eq(rec->b.instance, ch->instance) && rec->b.reg_id != 0 &&
           ch->reg_id != 0 && rec->b.reg_id != ch->reg_id;
}

static bool is_replaced(const struct rec *rec, const struct change *ch)
{
    return !is_other_flow(rec, ch) && (same_contact(rec, ch) || same_device(rec, ch));
}

static bool is_out_of_order(const struct reg_work *w, const struct rec *rec)
{
    return sl_eq(rec->call_id, w->req->call_id) && w->req->cseq <= rec->cseq;
}

static struct rec *make_rec(const struct reg_work *w, const struct change *ch)
{
    int64_t now = loop_wall_ms(w->r->p.loop);
    struct rec tmp = {.b = {.user = sl_str(w->users->accounts[w->user].name),
                            .contact = ch->contact,
                            .instance = ch->instance,
                            .reg_id = ch->reg_id,
                            .flow = *tx_server_flow(w->tx),
                            .expires_ms = now + (int64_t)ch->expires_s * 1000},
                      .call_id = w->req->call_id,
                      .cseq = w->req->cseq,
                      .user_agent = sl_head(sip_hdr_value(w->req, HDR_USER_AGENT), 128),
                      .updated_ms = now};

    tmp.b.flow.proven = true;
    return binding_rec_new(&tmp);
}

struct draft {
    struct rec *recs[REG_BINDINGS_MAX * 2];
    bool fresh[REG_BINDINGS_MAX * 2];
    size_t n;
};

static void draft_drop(struct draft *d, size_t i)
{
    if (d->fresh[i]) {
        binding_rec_free(d->recs[i]);
    }
    memmove(&d->recs[i], &d->recs[i + 1], (d->n - i - 1) * sizeof(d->recs[0]));
    memmove(&d->fresh[i], &d->fresh[i + 1], (d->n - i - 1) * sizeof(d->fresh[0]));
    d->n--;
}

/* All or nothing (10.3 item 7): the draft becomes the user's list only when every change was
 * possible. */
static uint16_t draft_apply(struct reg_work *w, struct draft *d, const struct change *ch)
{
    for (size_t i = d->n; i-- > 0;) {
        if (!is_replaced(d->recs[i], ch)) {
            continue;
        }
        if (!d->fresh[i] && is_out_of_order(w, d->recs[i])) {
            return 500;
        }
        draft_drop(d, i);
    }
    if (ch->expires_s == 0) {
        return 0;
    }
    memmove(&d->recs[1], &d->recs[0], d->n * sizeof(d->recs[0]));
    memmove(&d->fresh[1], &d->fresh[0], d->n * sizeof(d->fresh[0]));
    d->recs[0] = make_rec(w, ch);
    d->fresh[0] = true;
    if (d->recs[0] == NULL) {
        memmove(&d->recs[0], &d->recs[1], d->n * sizeof(d->recs[0]));
        memmove(&d->fresh[0], &d->fresh[1], d->n * sizeof(d->fresh[0]));
        return 500;
    }
    d->n++;
    return 0;
}

static uint16_t draft_fill(struct reg_work *w, struct draft *d, const struct reg_user *u)
{
    size_t max =
        w->users->max_contacts < REG_BINDINGS_MAX ? w->users->max_contacts : REG_BINDINGS_MAX;
    uint16_t status = 0;

    for (size_t i = 0; u != NULL && i < u->n; i++) {
        if (w->remove_all && is_out_of_order(w, u->recs[i])) {
            return 500;
        }
        if (!w->remove_all) {
            d->recs[d->n++] = u->recs[i];
        }
    }
    for (size_t i = 0; status == 0 && i < w->n_changes; i++) {
        status = draft_apply(w, d, &w->changes[i]);
    }
    while (status == 0 && d->n > max) { /* the oldest device makes room for the newest */
        draft_drop(d, d->n - 1);
    }
    return status;
}

/* True: the user may have as many devices. Else it is answered. */
static bool may_have(struct reg_work *w, const struct reg_user *u, size_t n)
{
    char text[48];
    struct policy_verdict v;
    bool may = policy_take_registrations(w->r->policy, w->user, u != NULL ? (uint32_t)u->n : 0,
                                         (uint32_t)n, &v);
    struct buf b;

    if (w->r->p.told != NULL) {
        w->r->p.told(w->r->p.arg, &v);
    }
    if (!may) {
        buf_init_fixed(&b, text, sizeof(text));
        buf_putf(&b, "Retry-After: %u\r\n", v.retry_after_s);
        w->reason = w->users->limit.answer.reason;
        respond(w, v.sip_code, buf_sl(&b));
    }
    return may;
}

static void draft_forget(struct draft *d)
{
    while (d->n != 0) {
        draft_drop(d, d->n - 1);
    }
}

static void change_bindings(struct reg_work *w)
{
    struct sl name = sl_str(w->users->accounts[w->user].name);
    struct reg_user *u = reg_user_find(w->r, name);
    struct draft d = {.n = 0};
    uint16_t status = draft_fill(w, &d, u);

    if (status == 0 && !may_have(w, u, d.n)) {
        draft_forget(&d);
        return;
    }
    if (status == 0 && u == NULL && d.n != 0) {
        u = reg_user_get(w->r, name);
        status = u == NULL ? 503 : 0;
    }
    if (status != 0) {
        draft_forget(&d);
        respond(w, status, SL("Retry-After: 5\r\n"));
        return;
    }
    if (u != NULL) {
        reg_user_set(u, d.recs, d.n);
    }
    respond_ok(w, d.n != 0 ? reg_user_find(w->r, name) : NULL);
}

static bool may_register(const struct reg_work *w)
{
    char user[128];
    size_t n = 0;

    return sip_unescape(w->req->to.uri.user, user, sizeof(user), &n) == 0 &&
           sl_eq(sl_make(user, n), sl_str(w->users->accounts[w->user].name));
}

static void refuse_contacts(struct reg_work *w)
{
    char mem[64];
    struct buf b;

    buf_init_fixed(&b, mem, sizeof(mem));
    if (w->status == 423) {
        buf_putf(&b, "Min-Expires: %u\r\n", w->users->expires_min_s);
    }
    respond(w, w->status, buf_sl(&b));
}

bool registrar_admit(struct registrar *r, const struct sip_msg *req, const struct addr *source,
                     struct reg_caller *caller, struct buf *challenge)
{
    int64_t wall_ms = loop_wall_ms(r->p.loop);
    enum auth_result auth;

    *caller = (struct reg_caller){.user = -1};
    auth = auth_check(r->p.auth,
                      &(struct auth_request){.msg = req,
                                             .policy = r->policy,
                                             .source = *source,
                                             .wall_ms = wall_ms,
                                             .echoed = &caller->echoed},
                      &caller->user);
    caller->auth = auth;
    if (auth == AUTH_OK) {
        return true;
    }
    auth_put_challenge(challenge, r->p.auth,
                       &(struct auth_challenge){.users = &policy_def(r->policy)->users,
                                                .stale = auth == AUTH_STALE,
                                                .source = source,
                                                .wall_ms = wall_ms});
    stat_inc(auth == AUTH_FAILED ? STAT_AUTH_FAIL : STAT_AUTH_CHALLENGE);
    stat_inc(STAT_REG_FAIL);
    return false;
}

void registrar_request(struct registrar *r, struct tx *tx, struct sip_msg *req, int user)
{
    struct reg_work w = {.r = r, .tx = tx, .req = req, .user = user};

    w.users = &policy_def(r->policy)->users;
    if (req->to.uri.scheme != SIP_SCHEME_SIP && req->to.uri.scheme != SIP_SCHEME_SIPS) {
        respond(&w, 400, SL_NULL);
    } else if (!may_register(&w)) {
        respond(&w, 403, SL_NULL);
    } else if (!read_contacts(&w) || !read_outbound(&w)) {
        refuse_contacts(&w);
    } else if (w.n_changes == 0 && !w.remove_all) { /* a question */
        respond_ok(&w, reg_user_find(r, sl_str(w.users->accounts[user].name)));
    } else {
        change_bindings(&w);
    }
}
