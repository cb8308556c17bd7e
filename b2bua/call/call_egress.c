/* call_egress.c - see call_egress.h: what a message is searched for, and what happens to it then.
 */
#include "call/call_egress.h"

enum egress_done { EGRESS_REPORTED, EGRESS_MASKED, EGRESS_REFUSED };

static const char *const done_words[] = {"reported", "masked", "refused"};

/* --- what a side calls itself --- */

static void hear_nameaddrs(struct policy_said *said, const struct sip_msg *m, enum hdr_id id)
{
    struct sip_values it = {0};
    struct sip_nameaddr na;
    struct sl v;

    while (sip_values_next(m, id, &it, &v) == 0) {
        if (sip_nameaddr_parse(v, &na) == 0 && !na.is_star) {
            policy_said_host(said, na.uri.host);
        }
    }
}

static void hear_vias(struct policy_said *said, const struct sip_msg *m)
{
    struct sip_values it = {0};
    struct sip_via via;
    struct sl v;

    while (sip_values_next(m, HDR_VIA, &it, &v) == 0) {
        if (sip_via_parse(v, &via) == 0) {
            policy_said_host(said, via.host);
            policy_said_host(said, via.received);
        }
    }
}

void egress_hear(struct policy_said *said, const struct sip_msg *m)
{
    hear_nameaddrs(said, m, HDR_CONTACT);
    hear_nameaddrs(said, m, HDR_RECORD_ROUTE);
    if (m->is_request) { /* in an answer these are ours */
        hear_vias(said, m);
        policy_said_host(said, m->from.uri.host);
    }
    policy_said_sdp(said, msg_sdp(m));
}

/* --- where something stands --- */

struct place {
    char name[32];
    struct sl header; /* name of the field; empty: start line or body */
    bool is_start, is_body, is_sdp;
    char line; /* of a description: its letter */
};

/* What was found comes in the order of the bytes, but for words around others of the same line: one
 * walk through the message serves them all. */
struct walk {
    size_t seen, line; /* where the line begins that `seen` lies in */
    size_t body;       /* where it begins; 0: not looked for yet */
};

static size_t walk_to(struct walk *w, struct sl text, size_t at)
{
    for (; w->seen < at; w->seen++) {
        if (text.p[w->seen] == '\n') {
            w->line = w->seen + 1;
        }
    }
    return w->line;
}

static void place_find(struct place *pl, struct walk *w, struct sl text, size_t at)
{
    size_t from = walk_to(w, text, at);
    struct sl line = sl_from(text, from);
    struct buf b;

    if (w->body == 0) {
        ptrdiff_t end = sl_find(text, SL("\r\n\r\n"));

        w->body = end >= 0 ? (size_t)end + 4 : text.n;
    }
    *pl = (struct place){.is_start = from == 0, .is_body = at >= w->body};
    buf_init_fixed(&b, pl->name, sizeof(pl->name) - 1);
    if (pl->is_body) {
        pl->is_sdp = line.n > 1 && line.p[1] == '=';
        pl->line = pl->is_sdp ? line.p[0] : '\0';
        buf_puts(&b, pl->is_sdp ? "body, line " : "body");
        buf_putsl(&b, pl->is_sdp ? sl_head(line, 1) : SL_NULL);
    } else if (pl->is_start) {
        buf_puts(&b, "start line");
    } else {
        ptrdiff_t colon = sl_chr(line, ':');

        pl->header = sl_trim(sl_head(line, colon > 0 ? (size_t)colon : 0));
        buf_putsl(&b, sl_head(pl->header, sizeof(pl->name) - 2));
    }
    pl->name[buf_err(&b) == 0 ? b.n : 0] = '\0';
}

static bool is_one_of(struct sl name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (sl_ieq(name, sl_str(*names))) {
            return true;
        }
    }
    return false;
}

/* A message without these does not work: they are held back rather than changed. */
static bool may_mask(const struct place *pl, const struct policy_hit *hit)
{
    static const char *const wire[] = {"Via",  "Contact", "Route",         "Record-Route",
                                       "CSeq", "Call-ID", "Authorization", "Proxy-Authorization",
                                       NULL};
    static const char *const parties[] = {"From", "To", NULL};

    if (pl->is_body) {
        return !pl->is_sdp || (pl->line != 'o' && pl->line != 'c' && pl->line != 'm');
    }
    if (is_one_of(pl->header, parties)) {
        return hit->kind == POLICY_HIT_ADDRESS || hit->kind == POLICY_HIT_NAME; /* not a tag */
    }
    return !pl->is_start && !is_one_of(pl->header, wire);
}

/* --- what is let through on purpose --- */

static bool is_in(struct sl text, struct sl what)
{
    return text.n != 0 && sl_find(text, what) >= 0;
}

/* Their own words come back to them: no news. Only where we repeat them, or anybody could find out
 * by guessing what we hide. */
static bool is_echo(const struct egress *e, const struct place *pl, struct sl what)
{
    static const char *const copied[] = {"Via",  "From",         "To",        "Call-ID",
                                         "CSeq", "Record-Route", "Timestamp", NULL};
    const struct dialog *d = e->dlg;

    if (e->request != NULL) {
        return is_one_of(pl->header, copied) && is_in(e->request->text, what);
    }
    if (d == NULL || pl->is_body) {
        return false;
    }
    if (is_in(d->remote, what) || is_in(d->remote_tag, what) || is_in(sl_str(d->target), what)) {
        return pl->is_start || is_one_of(pl->header, (const char *const[]){"To", "Route", NULL});
    }
    for (unsigned i = 0; i < d->n_routes; i++) {
        if (is_in(d->routes[i], what)) {
            return pl->is_start || sl_ieq(pl->header, SL("Route"));
        }
    }
    return !d->is_uac && (is_in(d->local, what) || is_in(d->call_id, what)) &&
           is_one_of(pl->header, (const char *const[]){"From", "Call-ID", NULL});
}

/* A rule of the operator writes this field as the configuration has it, or says `reveal`. */
static bool is_revealed(const struct egress *e, const struct place *pl)
{
    const struct policy_peer *peer =
        e->to.kind == POLICY_PEER ? &policy_def(e->cfg->policy)->peers[e->to.peer] : NULL;

    if (pl->is_body || pl->is_start) {
        return false;
    }
    if (e->status >= 300 && e->status < 400 && sl_ieq(pl->header, SL("Contact"))) {
        return true; /* the route says where else to ask */
    }
    for (size_t i = 0; peer != NULL && i < peer->n_headers; i++) {
        const struct policy_header_rule *r = &peer->headers[i];
        bool is_literal = r->op == POLICY_OP_ADD || r->op == POLICY_OP_SET;

        if (r->direction == POLICY_OUT && (is_literal || r->reveal) &&
            sl_ieq(pl->header, sl_str(r->to != NULL ? r->to : r->name))) {
            return true;
        }
    }
    return false;
}

/* --- looking --- */

static void look_leg(struct policy_sight *look, const struct leg *l)
{
    if (look->n_others < POLICY_EGRESS_OTHERS) {
        look->others[look->n_others++] = &l->said;
    }
    policy_sight_id(look, l->dlg.call_id);
    policy_sight_id(look, l->dlg.local_tag);
    policy_sight_id(look, l->dlg.remote_tag);
}

static bool is_own_id(const struct leg *l, struct sl id)
{
    return sl_eq(id, l->dlg.call_id) || sl_eq(id, l->dlg.local_tag) || sl_eq(id, l->dlg.remote_tag);
}

static void look_call(struct policy_sight *look, const struct leg *l)
{
    const struct call *c = l->call;
    size_t kept = 0;

    look->own = &l->said;
    if (c->a != NULL && c->a != l) {
        look_leg(look, c->a);
    } else {
        LIST_FOR_EACH(it, &c->forks)
        {
            look_leg(look, CONTAINER_OF(it, struct leg, node));
        }
    }
    for (size_t i = 0; i < look->n_ids; i++) { /* some phones say the same tag to everybody */
        if (!is_own_id(l, look->ids[i])) {
            look->ids[kept++] = look->ids[i];
        }
    }
    look->n_ids = kept;
}

static uint8_t mode_of(const struct egress *e)
{
    const struct policy_def *def = policy_def(e->cfg->policy);

    return e->to.kind == POLICY_PEER    ? def->peers[e->to.peer].topology.on_leak
           : e->to.kind == POLICY_USERS ? def->users.topology.on_leak
                                        : POLICY_LEAK_MASK;
}

/* Same length, so that nothing else moves: digits become 0, letters x, those of an address 0. */
static void mask(struct buf *b, const struct policy_hit *hit)
{
    for (uint32_t i = hit->at; i < hit->at + hit->n; i++) {
        char c = b->p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (c >= '0' && c <= '9') {
            b->p[i] = '0';
        } else if (is_letter) {
            b->p[i] = hit->kind == POLICY_HIT_ADDRESS ? '0' : 'x';
        }
    }
}

static void note(const struct egress *e, const struct place *pl, const struct policy_hit *hit,
                 struct sl what, enum egress_done done)
{
    static const enum stat_id stats[] = {STAT_LEAK_REPORTED, STAT_LEAK_MASKED, STAT_LEAK_REFUSED};
    struct call *c = e->leg != NULL ? e->leg->call : NULL;
    struct egress_note *n;

    stat_inc(stats[done]);
    log_warn(e->leg != NULL ? &e->leg->log : NULL,
             "topology: %s %u would tell the other side's %s \"%s\" in %s: %s",
             sip_method_name(e->method), (unsigned)e->status, policy_hit_word(hit->kind),
             LOG_ESC(what), pl->name, done_words[done]);
    if (c == NULL) {
        return;
    }
    if (c->leaks == NULL && (c->leaks = arena_zalloc(&c->arena, sizeof(*c->leaks))) == NULL) {
        return;
    }
    if (c->leaks->n_total++ >= EGRESS_NOTES_MAX) {
        return;
    }
    n = &c->leaks->e[c->leaks->n_total - 1];
    *n = (struct egress_note){.leg = e->leg->index,
                              .kind = (uint8_t)hit->kind,
                              .done = (uint8_t)done,
                              .method = (uint8_t)e->method,
                              .status = e->status};
    memcpy(n->field, pl->name, sizeof(n->field));
    what = sl_head(what, sizeof(n->text) - 1);
    memcpy(n->text, what.p, what.n);
}

static enum egress_done judge(const struct egress *e, const struct place *pl,
                              const struct policy_hit *hit)
{
    uint8_t mode = mode_of(e);

    if (mode == POLICY_LEAK_REPORT) {
        return EGRESS_REPORTED;
    }
    if (may_mask(pl, hit) && (mode == POLICY_LEAK_MASK || e->is_due)) {
        return EGRESS_MASKED;
    }
    return e->is_due ? EGRESS_REPORTED : EGRESS_REFUSED;
}

struct work {
    const struct egress *e;
    struct buf *b;
    struct walk walk;
    int err;
};

static void on_hit(const struct policy_hit *hit, void *arg)
{
    struct work *w = arg;
    struct sl what = sl_make(w->b->p + hit->at, hit->n);
    enum egress_done done;
    struct place pl;

    place_find(&pl, &w->walk, buf_sl(w->b), hit->at);
    if (is_revealed(w->e, &pl) || is_echo(w->e, &pl, what)) {
        return;
    }
    done = judge(w->e, &pl, hit);
    note(w->e, &pl, hit, what, done);
    if (done == EGRESS_MASKED) {
        mask(w->b, hit);
    }
    w->err = done == EGRESS_REFUSED ? EACCES : w->err;
}

int egress_pass(const struct egress *e, struct buf *b)
{
    struct work w = {.e = e, .b = b, .walk = {0}};
    struct policy_sight look;
    struct policy_said other;

    if (buf_err(b) != 0) {
        return 0; /* nothing will go */
    }
    look.set = e->cfg->egress;
    look.to = e->to;
    look.listener = e->listener;
    look.own = e->own;
    look.n_others = 0;
    look.n_ids = 0;
    if (e->leg != NULL) {
        look_call(&look, e->leg);
    } else if (e->other != NULL) {
        other = (struct policy_said){.n = 0};
        egress_hear(&other, e->other);
        look.others[look.n_others++] = &other;
        policy_sight_id(&look, e->other->call_id);
        policy_sight_id(&look, e->other->from_tag);
    }
    policy_egress_scan(&look, buf_sl(b), on_hit, &w);
    return w.err;
}

static struct egress egress_of(struct leg *l, enum sip_method m, uint16_t status,
                               const struct sip_msg *request)
{
    return (struct egress){.cfg = l->call->cfg,
                           .leg = l,
                           .to = l->party,
                           .listener = l->listener,
                           .method = m,
                           .status = status,
                           .request = request,
                           .dlg = &l->dlg};
}

int egress_pass_leg(struct leg *l, struct buf *b, enum sip_method m, uint16_t status,
                    const struct sip_msg *request)
{
    struct egress e = egress_of(l, m, status, request);

    e.is_due = m == SIP_ACK || m == SIP_BYE;
    return egress_pass(&e, b);
}

void egress_pass_failure(struct leg *l, struct buf *b, uint16_t status,
                         const struct sip_msg *request)
{
    struct egress e = egress_of(l, request->method, status, request);
    int err;

    e.is_due = true;
    err = egress_pass(&e, b);
    (void)err; /* due: it goes */
}

void egress_pass_answer(const struct config *cfg, const struct sip_msg *req,
                        const struct flow *flow, uint16_t status, struct buf *b)
{
    int peer = policy_peer_of(cfg->policy, flow->listener, &flow->remote, flow_proven(flow));
    struct policy_said own = {.n = 0};

    int err;

    policy_said_addr(&own, &flow->remote);
    err = egress_pass(&(struct egress){.cfg = cfg,
                                       .to = {.kind = peer >= 0 ? POLICY_PEER : POLICY_NOBODY,
                                              .peer = peer >= 0 ? (uint16_t)peer : 0},
                                       .listener = flow->listener,
                                       .method = req->method,
                                       .status = status,
                                       .request = req,
                                       .own = &own,
                                       .is_due = true},
                      b);
    (void)err; /* due: it goes */
}

int egress_pass_options(const struct config *cfg, const struct policy_ref *to,
                        const struct dialog *d, struct buf *b)
{
    struct policy_said own = {.n = 0};

    policy_said_addr(&own, &d->flow.remote);
    return egress_pass(&(struct egress){.cfg = cfg,
                                        .to = *to,
                                        .listener = d->flow.listener,
                                        .method = SIP_OPTIONS,
                                        .dlg = d,
                                        .own = &own},
                       b);
}

int call_pass_keepalive(const struct call_table *t, const struct dialog *d, struct buf *b)
{
    return egress_pass_options(t->cfg, &(struct policy_ref){.kind = POLICY_USERS}, d, b);
}

void egress_put(const struct call *c, struct json *j)
{
    uint32_t n = c->leaks != NULL ? c->leaks->n_total : 0;

    json_arr(j);
    for (uint32_t i = 0; i < n && i < EGRESS_NOTES_MAX; i++) {
        const struct egress_note *e = &c->leaks->e[i];
        char leg[2] = {(char)('a' + e->leg % 26), 0};

        json_obj(j);
        json_kcstr(j, "leg", leg);
        json_kcstr(j, "method", sip_method_name(e->method));
        json_kint(j, "status", e->status);
        json_kcstr(j, "field", e->field);
        json_kcstr(j, "kind", policy_hit_word((enum policy_hit_kind)e->kind));
        json_kcstr(j, "found", e->text);
        json_kcstr(j, "action", done_words[e->done]);
        json_obj_end(j);
    }
    json_arr_end(j);
}
