/* key.c - which server transaction a request belongs to (RFC 3261 17.2.3, the RFC 2543 rules
 * included), and which requests are one that came twice by different ways (8.2.2.2). One heap block
 * per transaction holds the bytes that decide; the hash only proposes. */
#include "tx/tx_int.h"

#define KEY_MAX 4096
#define KEY_FIELD_MAX 1024 /* of Request-URI and Via in RFC 2543 keys */

struct key_probe {
    struct sl key;
    struct sl to_tag;
    bool is_ack;
};

static void key_field(struct buf *b, struct sl s, size_t max)
{
    buf_putsl(b, sl_head(s, max));
    buf_putc(b, '\n'); /* never inside an unfolded value */
}

static void key_host(struct buf *b, struct sl host)
{
    for (size_t i = 0; i < host.n && i < SIP_BRANCH_MAX; i++) {
        char c = host.p[i];

        buf_putc(b, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
}

static bool key_is_legacy(const struct sip_msg *req)
{
    struct sl branch = req->via.branch;

    return branch.n <= sizeof(SIP_COOKIE) - 1 || !sl_starts(branch, SL(SIP_COOKIE));
}

static struct sl key_top_via(const struct sip_msg *req)
{
    struct sl rest = sip_hdr_value(req, HDR_VIA);
    struct sl value = SL_NULL;

    return sip_value_next(&rest, &value) == 0 ? value : rest;
}

static void key_call(struct buf *b, const struct sip_msg *req)
{
    key_field(b, req->call_id, SIP_BRANCH_MAX);
    key_field(b, req->from_tag, SIP_BRANCH_MAX);
    buf_putu(b, req->cseq);
    buf_putc(b, '\n');
}

static void key_put(struct buf *b, const struct sip_msg *req, struct sl method)
{
    key_field(b, method, SIP_BRANCH_MAX);
    if (key_is_legacy(req)) {
        key_call(b, req);
        key_field(b, req->ruri_text, KEY_FIELD_MAX);
        key_field(b, key_top_via(req), KEY_FIELD_MAX);
        return;
    }
    key_field(b, req->via.branch, SIP_BRANCH_MAX);
    key_host(b, req->via.host);
    buf_putc(b, '\n');
    buf_putu(b, req->via.port);
}

static void key_put_merge(struct buf *b, const struct sip_msg *req)
{
    key_call(b, req);
    buf_putsl(b, sl_head(req->method_name, SIP_BRANCH_MAX));
}

static bool key_may_merge(const struct sip_msg *req)
{
    return req->to_tag.n == 0 && req->method != SIP_CANCEL && req->method != SIP_ACK;
}

int tx_key_link(struct tx *tx, const struct sip_msg *req)
{
    struct tx_server *s = &tx->u.s;
    struct tx_table *tab = tx->tab;
    char mem[KEY_MAX];
    struct buf b;
    int err;

    buf_init_fixed(&b, mem, sizeof(mem));
    key_put(&b, req, req->method_name);
    s->key_n = (uint16_t)b.n;
    s->is_legacy = key_is_legacy(req);
    if (s->is_legacy) {
        buf_putsl(&b, sl_head(req->to_tag, SIP_BRANCH_MAX));
        s->to_tag_n = (uint16_t)(b.n - s->key_n);
    }
    if (key_may_merge(req)) {
        key_put_merge(&b, req);
        s->merge_n = (uint16_t)(b.n - s->key_n - s->to_tag_n);
    }
    s->key = buf_err(&b) == 0 ? mem_alloc(b.n) : NULL;
    if (s->key == NULL) {
        return ENOMEM;
    }
    memcpy(s->key, b.p, b.n);
    err = hmap_insert(&tab->servers, &s->node, hmap_hash(&tab->servers, s->key, s->key_n));
    if (err == 0 && s->merge_n != 0) {
        const char *merge = s->key + s->key_n + s->to_tag_n;

        err = hmap_insert(&tab->merges, &s->merge, hmap_hash(&tab->merges, merge, s->merge_n));
    }
    return err; /* tx_key_unlink() undoes the rest */
}

void tx_key_unmerge(struct tx *tx)
{
    hmap_remove(&tx->tab->merges, &tx->u.s.merge);
}

void tx_key_unlink(struct tx *tx)
{
    hmap_remove(&tx->tab->servers, &tx->u.s.node);
    tx_key_unmerge(tx);
    mem_free(tx->u.s.key);
    tx->u.s.key = NULL;
}

/* The To tag of our last answer, from its bytes; false: they are not kept any more. */
static bool key_answer_tag(const struct tx *tx, struct sl *tag)
{
    struct sl line = tx_bytes(tx);
    ptrdiff_t at = sl_find(line, SL("\r\nTo: "));
    struct sip_nameaddr to;

    if (at < 0 || sl_split(&(struct sl){line.p + at + 2, line.n - (size_t)at - 2}, '\r',
                           SIP_HDR_LINE_MAX, &line) != 0) {
        return false;
    }
    return sip_nameaddr_parse(sl_from(line, sizeof("To: ") - 1), &to) == 0 &&
           sip_param(to.params, SL("tag"), tag);
}

/* Without the cookie the To tag counts too: a request repeats its own, the ACK brings ours. */
static bool key_to_tag_fits(const struct tx *tx, const struct key_probe *probe)
{
    struct sl own = sl_make(tx->u.s.key + tx->u.s.key_n, tx->u.s.to_tag_n);

    if (!tx->u.s.is_legacy) {
        return true;
    }
    if (probe->is_ack) {
        return !key_answer_tag(tx, &own) || sl_eq(own, probe->to_tag);
    }
    return sl_eq(own, probe->to_tag);
}

static bool key_eq(const struct hnode *node, const void *key)
{
    const struct tx *tx = CONTAINER_OF(node, struct tx, u.s.node);
    const struct key_probe *probe = key;

    return sl_eq(sl_make(tx->u.s.key, tx->u.s.key_n), probe->key) && key_to_tag_fits(tx, probe);
}

static struct tx *key_find(const struct tx_table *tab, const struct sip_msg *req, struct sl method)
{
    struct key_probe probe = {.to_tag = req->to_tag, .is_ack = req->method == SIP_ACK};
    char mem[KEY_MAX];
    struct buf b;
    struct hnode *node;

    buf_init_fixed(&b, mem, sizeof(mem));
    key_put(&b, req, method);
    probe.key = buf_sl(&b);
    node = hmap_find(&tab->servers, hmap_hash(&tab->servers, b.p, b.n), key_eq, &probe);
    return node != NULL ? CONTAINER_OF(node, struct tx, u.s.node) : NULL;
}

/* An ACK with the branch of an INVITE that we accepted is for the 2xx: the dialog's business. */
static enum tx_match tx_match_ack(struct tx *tx)
{
    if (tx->state == IST_ACCEPTED || tx->state == IST_ACKED) {
        return TX_MATCH_NONE;
    }
    tx_feed(tx, TX_EV_ACK, &(struct tx_in){0});
    return TX_MATCH_DONE;
}

enum tx_match tx_match_request(struct tx_table *tab, const struct sip_msg *req,
                               const struct flow *flow, struct tx **txp)
{
    bool is_ack = req->method == SIP_ACK;
    struct tx *tx = key_find(tab, req, is_ack ? SL("INVITE") : req->method_name);

    (void)flow; /* a phone behind a NAT may come back from another port */
    *txp = NULL;
    if (is_ack) {
        return tx != NULL ? tx_match_ack(tx) : TX_MATCH_NONE;
    }
    if (tx != NULL) {
        stat_inc(STAT_SIP_RETRANS_RX);
        tx_feed(tx, TX_EV_REQUEST, &(struct tx_in){0});
        return TX_MATCH_DONE;
    }
    if (req->method == SIP_CANCEL) { /* RFC 3261 9.2 */
        *txp = key_find(tab, req, SL("INVITE"));
    }
    return *txp != NULL ? TX_MATCH_CANCEL : TX_MATCH_NONE;
}

static bool merge_eq(const struct hnode *node, const void *key)
{
    const struct tx *tx = CONTAINER_OF(node, struct tx, u.s.merge);
    const struct tx_server *s = &tx->u.s;

    return sl_eq(sl_make(s->key + s->key_n + s->to_tag_n, s->merge_n), *(const struct sl *)key);
}

bool tx_is_merged(const struct tx_table *tab, const struct sip_msg *req)
{
    char mem[KEY_MAX];
    struct sl key;
    struct buf b;

    if (!key_may_merge(req)) {
        return false;
    }
    buf_init_fixed(&b, mem, sizeof(mem));
    key_put_merge(&b, req);
    key = buf_sl(&b);
    return hmap_find(&tab->merges, hmap_hash(&tab->merges, key.p, key.n), merge_eq, &key) != NULL;
}
