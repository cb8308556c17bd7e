/* fuzz_sip.c - any bytes as one message: parse, walk every look-up, answer it, and read the answer:
 * what we write for a good request must be a good response that belongs to it. */
#include "sip/sip.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void fuzz_require(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static void fuzz_parts(const struct sip_msg *m)
{
    struct sip_parts it;
    struct sip_part part;
    int err = sip_parts_begin(&it, sip_hdr_value(m, HDR_CONTENT_TYPE), m->body);

    while (err == 0 && (err = sip_parts_next(&it, &part)) == 0) {
        fuzz_require(part.body.n == 0 || (part.body.p >= m->body.p &&
                                          part.body.p + part.body.n <= m->body.p + m->body.n));
    }
}

static void fuzz_walk(const struct sip_msg *m)
{
    for (unsigned id = 0; id < HDR_N; id++) {
        struct sip_values it = {0};
        struct sip_nameaddr na;
        struct sip_auth auth;
        struct sl v;
        int err;

        do {
            err = sip_values_next(m, (enum hdr_id)id, &it, &v);
            if (err == 0) {
                (void)!sip_nameaddr_parse(v, &na);
            }
        } while (err != ENODATA);
        (void)!sip_auth_parse(sip_hdr_value(m, (enum hdr_id)id), &auth);
        (void)sip_hdr_has_token(m, (enum hdr_id)id, SL("100rel"));
    }
    (void)sip_content_type(m);
    fuzz_parts(m);
    for (uint16_t i = 0; i < m->n_hdrs; i++) {
        fuzz_require(m->hdrs[i].name.n != 0 && sl_chr(m->hdrs[i].name, ' ') < 0);
    }
}

/* No line end but CRLF, no NUL, one empty line at the very end. */
static void fuzz_check_lines(struct sl text)
{
    for (size_t i = 0; i < text.n; i++) {
        fuzz_require(text.p[i] != '\0');
        fuzz_require(text.p[i] != '\n' || (i > 0 && text.p[i - 1] == '\r'));
        fuzz_require(text.p[i] != '\r' || (i + 1 < text.n && text.p[i + 1] == '\n'));
    }
    fuzz_require(sl_find(text, SL("\r\n\r\n")) == (ptrdiff_t)text.n - 4);
}

static void fuzz_check_answer(struct sip_pool *pool, const struct sip_msg *req, struct sl text)
{
    struct sip_msg *rsp = NULL;
    struct sip_bad bad;

    for (uint16_t i = 0; i < req->n_hdrs; i++) {
        if (req->hdrs[i].value.n > SIP_HDR_LINE_MAX - 100) {
            return; /* with received and a new name it may pass the limit of a line */
        }
    }
    if (text.n > SIP_MSG_MAX || req->cseq_method != req->method) {
        return;
    }
    fuzz_require(sip_msg_parse(pool, text, &rsp, &bad) == 0);
    fuzz_require(!rsp->is_request && rsp->status == 404 && rsp->cseq == req->cseq);
    fuzz_require(sl_eq(rsp->call_id, req->call_id) && sl_eq(rsp->from_tag, req->from_tag));
    fuzz_require(sl_eq(rsp->via.branch, req->via.branch) && sl_eq(rsp->via.host, req->via.host));
    fuzz_require(sl_eq(rsp->to_tag, req->to_tag.n != 0 ? req->to_tag : SL("our")));
    sip_msg_unref(&rsp);
}

static void fuzz_answer(struct sip_pool *pool, const struct sip_msg *req, bool is_good)
{
    struct addr src;
    struct buf b;

    fuzz_require(addr_parse(SL("2001:db8::7"), 5999, &src) == 0);
    buf_init(&b, 4 * SIP_MSG_MAX);
    sip_put_response(&b,
                     &(struct sip_response){
                         .req = req, .src = &src, .status = 404, .to_tag = SL("our"), .rr = true});
    sip_put_body(&b, SL_NULL, SL_NULL);
    fuzz_require(buf_err(&b) == 0);
    fuzz_check_lines(buf_sl(&b));
    if (is_good) {
        fuzz_check_answer(pool, req, buf_sl(&b));
    }
    buf_free(&b);
}

/* The short look must agree with the long one, m, wherever both see something. */
static void fuzz_skim(struct sip_pool *pool, struct sl bytes, const struct sip_msg *m)
{
    struct sip_msg *s = NULL;
    struct sl tag;

    if (sip_skim_to_tag(bytes, &tag) == 0 && m != NULL) {
        fuzz_require(sl_eq(tag, m->to_tag));
    }
    if (sip_msg_skim(pool, bytes, &s) != 0) {
        fuzz_require(s == NULL);
        return;
    }
    if (m != NULL) {
        fuzz_require(m->is_request && s->method == m->method);
        fuzz_require(sl_eq(s->to_tag, m->to_tag) && sl_eq(s->call_id, m->call_id));
        fuzz_require(sl_eq(s->via.branch, m->via.branch) && s->via.port == m->via.port);
    }
    fuzz_answer(pool, s, false);
    sip_msg_unref(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct sip_pool *pool;
    struct sip_msg *m = NULL;
    struct sip_bad bad;
    struct buf b;
    int err;

    if (pool == NULL) {
        fuzz_require(sip_pool_new(&pool) == 0);
    }
    err = sip_msg_parse(pool, sl_make(data, n), &m, &bad);
    fuzz_require((err == 0) == (bad.reason == NULL));
    fuzz_require((m != NULL) == (err == 0 || bad.status != 0));
    fuzz_skim(pool, sl_make(data, n), err == 0 ? m : NULL);
    if (m != NULL) {
        fuzz_walk(m);
        if (m->is_request) {
            fuzz_answer(pool, m, err == 0);
        }
    }
    sip_msg_unref(&m);
    buf_init(&b, 4 * SIP_MSG_MAX);
    if (sip_write_cancel(&b, sl_make(data, n), SL_NULL) == 0) {
        fuzz_check_lines(buf_sl(&b));
    }
    buf_free(&b);
    return 0;
}
