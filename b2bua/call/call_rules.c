/* call_rules.c - header rules, status codes and identity at work on our messages. */
#include "call/call_rules.h"

#define RULES_ANSWER_MAX 4096 /* header fields of an answer without a body; longer: as it was */

static const struct policy_peer *peer_of(const struct config *cfg, const struct policy_ref *ref)
{
    return ref != NULL && ref->kind == POLICY_PEER ? &policy_def(cfg->policy)->peers[ref->peer]
                                                   : NULL;
}

/* --- who wants to know: a thread that only tries a request out --- */

static _Thread_local struct {
    call_rule_fn *fn; /* NULL: nobody */
    void *arg;
    const struct policy_peer *peer; /* whose rules are applied now */
} watch;

void call_watch_rules(call_rule_fn *fn, void *arg)
{
    watch.fn = fn;
    watch.arg = arg;
}

static void on_met(void *arg, const struct policy_header_rule *r, size_t index)
{
    (void)arg;
    watch.fn(watch.arg, watch.peer, r, index);
}

static void apply(const struct policy_peer *peer, enum policy_direction direction,
                  const struct policy_message *m, struct policy_fields *f,
                  const struct policy_fields *other)
{
    struct policy_message watched = *m;

    if (watch.fn != NULL) {
        watch.peer = peer;
        watched.met = on_met;
    }
    policy_headers_apply(peer->headers, peer->n_headers, direction, &watched, f, other);
}

void rules_view(const struct config *cfg, const struct policy_ref *from, const struct sip_msg *m,
                struct policy_fields *f)
{
    const struct policy_peer *peer = peer_of(cfg, from);

    policy_fields_init(f);
    for (uint16_t i = 0; i < m->n_hdrs; i++) {
        const struct sip_hdr *h = &m->hdrs[i];

        policy_fields_add(f, h->id != HDR_OTHER ? sl_str(hdr_name(h->id)) : h->name, h->value);
    }
    if (peer != NULL && peer->n_headers != 0) {
        struct policy_message message = {
            .method = m->is_request ? m->method_name : sl_str(sip_method_name(m->cseq_method)),
            .is_response = !m->is_request};

        apply(peer, POLICY_IN, &message, f, NULL);
    }
}

static void apply_out(const struct policy_peer *peer, const struct rules_out *o, struct buf *b,
                      size_t mark)
{
    struct policy_fields f, other;

    if (peer == NULL || peer->n_headers == 0 || buf_err(b) != 0) {
        return;
    }
    policy_fields_init(&f);
    policy_fields_read(&f, sl_from(buf_sl(b), mark));
    if (f.lost != 0) {
        return; /* more than anybody writes: left as it is */
    }
    policy_fields_init(&other);
    if (o->heard != NULL) {
        rules_view(o->cfg, o->heard_from, o->heard, &other);
    }
    apply(peer, POLICY_OUT, &o->message, &f, &other);
    b->n = mark;
    policy_fields_put(b, &f);
}

void rules_apply(const struct rules_out *o, struct buf *b, size_t mark)
{
    apply_out(peer_of(o->cfg, o->to), o, b, mark);
}

void rules_apply_named(const struct rules_out *o, struct buf *b, size_t mark)
{
    const struct policy_peer *peer = peer_of(o->cfg, o->to);

    for (size_t i = 0; peer != NULL && i < peer->n_headers; i++) {
        struct policy_peer one = {.name = peer->name, .headers = &peer->headers[i], .n_headers = 1};

        if (one.headers->methods.n != 0) {
            apply_out(&one, o, b, mark);
        }
    }
}

void rules_answer(struct call_table *t, struct tx *tx, uint16_t status, struct sl to_tag,
                  struct sl extra, const struct rules_out *o)
{
    char text[RULES_ANSWER_MAX];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    buf_putsl(&b, extra);
    rules_apply(o, &b, 0);
    tx_answer(t, tx, status, to_tag, buf_err(&b) == 0 ? buf_sl(&b) : extra);
}

void rules_answer_leg(const struct leg *l, struct tx *tx, uint16_t status, struct sl extra,
                      const struct sip_msg *heard)
{
    const struct call *c = l->call;
    const struct leg *other = l == c->a ? c->b : c->a;
    const struct sip_msg *req = tx_request(tx);
    struct rules_out o = {.cfg = c->cfg, .to = &l->party, .message = {.is_response = true}};

    if (req != NULL) {
        o.message.method = req->method_name;
    }
    if (heard != NULL && other != NULL) {
        o.heard = heard;
        o.heard_from = &other->party;
    }
    rules_answer(c->t, tx, status, l->dlg.local_tag, extra, &o);
}

uint16_t rules_status(const struct config *cfg, const struct policy_ref *party,
                      enum policy_direction direction, uint16_t status)
{
    const struct policy_peer *peer = peer_of(cfg, party);

    return peer != NULL && status >= 400
               ? policy_reply_status(peer->replies, peer->n_replies, direction, status)
               : status;
}

/* --- identity --- */

/* RFC 3323 4.2: priv-values are separated by semicolons; some write commas. */
static bool asks_for_privacy(struct sl value)
{
    bool asks = false;

    while (value.n != 0) {
        size_t n = 0;
        struct sl word;

        while (n < value.n && value.p[n] != ';' && value.p[n] != ',') {
            n++;
        }
        word = sl_trim(sl_head(value, n));
        value = sl_from(value, n + 1);
        if (sl_ieq(word, SL("none"))) {
            return false;
        }
        asks = asks || sl_ieq(word, SL("id")) || sl_ieq(word, SL("user")) ||
               sl_ieq(word, SL("header"));
    }
    return asks;
}

/* The first SIP or tel identity (RFC 3325 9.1). */
static void take_asserted(const struct sip_msg *m, struct identity *out)
{
    struct sip_values it = {0};
    struct sip_nameaddr na;
    struct sl value;

    while (!out->is_asserted && sip_values_next(m, HDR_PAI, &it, &value) == 0) {
        if (sip_nameaddr_parse(value, &na) == 0 && na.uri.scheme != SIP_SCHEME_OTHER &&
            na.uri.user.n != 0) {
            out->is_asserted = true;
            out->display = na.display;
            out->user = na.uri.user;
        }
    }
}

void identity_of(const struct config *cfg, const struct policy_ref *from, int user,
                 const struct sip_msg *m, struct identity *out)
{
    const struct policy_peer *peer = peer_of(cfg, from);

    *out = (struct identity){.privacy = sip_hdr_value(m, HDR_PRIVACY)};
    out->is_private = asks_for_privacy(out->privacy);
    if (peer != NULL && peer->identity.trust) {
        take_asserted(m, out);
    } else if (from->kind == POLICY_USERS && user >= 0) { /* proven; what they prefer is a name */
        out->is_asserted = true;
        out->display = m->from.display;
        out->user = sl_str(policy_def(cfg->policy)->users.accounts[user].name);
    }
}

bool identity_is_hidden(const struct identity *id, const struct config *cfg,
                        const struct policy_ref *to)
{
    const struct policy_peer *peer = peer_of(cfg, to);

    if (!id->is_private) {
        return false;
    }
    return peer == NULL || (!peer->identity.trust && !peer->identity.ignore_privacy);
}

void identity_put(struct buf *b, const struct identity *id, const struct config *cfg,
                  const struct policy_ref *from, const struct policy_ref *to)
{
    const struct policy_def *def = policy_def(cfg->policy);
    const struct policy_peer *peer = peer_of(cfg, to);
    const struct policy_numbers *in =
        from->kind == POLICY_PEER ? &def->peers[from->peer].numbers.in : &def->users.numbers.in;
    struct policy_number number = {0};

    if (peer == NULL || !peer->identity.trust) {
        return;
    }
    if (id->is_asserted) {
        BUF_LIT(b, "P-Asserted-Identity: ");
        sip_put_display(b, id->display);
        BUF_LIT(b, "<sip:");
        (void)policy_number_apply(in->calling, in->n_calling, id->user, &number);
        (void)policy_number_apply(peer->numbers.out.calling, peer->numbers.out.n_calling, id->user,
                                  &number);
        sip_put_number(b, policy_number_text(&number, id->user));
        buf_putc(b, '@');
        addr_put_host(b, &cfg->listeners[peer->listener].advertise);
        BUF_LIT(b, ">\r\n");
    }
    if (id->privacy.n != 0) {
        sip_put_hdr(b, "Privacy", id->privacy);
    }
}
