/* digest.c - answering a digest challenge (RFC 7616 3.4, RFC 3261 22). MD5 and SHA-256, qop auth or
 * none; nothing of the challenge is echoed that could leave its quotes. */
#include "dialog/dialog_int.h"

#define DIGEST_TRIES_MAX 2
#define CNONCE_BYTES 8

static struct sl digest_sl(const struct digest_hex *h)
{
    return sl_make(h->p, h->n);
}

#define DIGEST_PARTS 6
static int digest_join(enum crypto_digest alg, const struct sl *parts, size_t n,
                       struct digest_hex *out)
{
    struct sl all[2 * DIGEST_PARTS];
    uint8_t raw[CRYPTO_SHA256_LEN];
    struct buf b;
    size_t k = 0;
    int err;

    for (size_t i = 0; i < n; i++) {
        if (i != 0) {
            all[k++] = SL(":");
        }
        all[k++] = parts[i];
    }
    err = crypto_digest(alg, all, k, raw);
    buf_init_fixed(&b, out->p, sizeof(out->p));
    buf_putx(&b, raw, err == 0 ? crypto_digest_len(alg) : 0);
    out->n = b.n;
    mem_wipe(raw, sizeof(raw));
    return err != 0 ? err : buf_err(&b);
}

static bool digest_has_auth(struct sl qop)
{
    struct sl one;

    while (sl_next(&qop, ',', &one) == 0) {
        if (sl_ieq(sl_trim(one), SL("auth"))) {
            return true;
        }
    }
    return false;
}

/* What we can answer: a known algorithm, and qop absent or with "auth" in it. */
static bool digest_suits(const struct sip_auth *a, const struct digest_credentials *cred,
                         struct digest_job *job)
{
    bool is_md5 = a->algorithm.n == 0 || sl_ieq(a->algorithm, SL("MD5"));

    if (!is_md5 && !sl_ieq(a->algorithm, SL("SHA-256"))) {
        return false;
    }
    if (a->qop.n != 0 && !digest_has_auth(a->qop)) {
        return false;
    }
    if (cred->realm.n != 0 && !sl_eq(cred->realm, a->realm)) {
        return false; /* no hash for whoever asks: only the realm that the password is for */
    }
    job->auth = *a;
    job->alg = is_md5 ? CRYPTO_MD5 : CRYPTO_SHA256;
    job->has_qop = a->qop.n != 0;
    return true;
}

static int digest_choose(const struct sip_msg *rsp, const struct digest_credentials *cred,
                         struct digest_job *job)
{
    enum hdr_id id = rsp->status == 407 ? HDR_PROXY_AUTHENTICATE : HDR_WWW_AUTHENTICATE;
    uint16_t pos = 0;
    int err = ENOENT;

    if (rsp->status != 401 && rsp->status != 407) {
        return ENOENT;
    }
    job->answer_name = rsp->status == 407 ? "Proxy-Authorization: " : "Authorization: ";
    for (const struct sip_hdr *h = sip_hdr_next(rsp, id, &pos); h != NULL;
         h = sip_hdr_next(rsp, id, &pos)) {
        struct sip_auth a;

        if (sip_auth_parse(h->value, &a) != 0) {
            err = EBADMSG;
        } else if (sl_ieq(a.scheme, SL("Digest")) && digest_suits(&a, cred, job)) {
            return 0;
        }
    }
    return err;
}

/* May stand between quotes as it is: no quote but an escaped one, no control bytes. */
static bool digest_is_quotable(struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '\\') {
            i++;
            if (i == s.n) {
                return false;
            }
            c = (unsigned char)s.p[i];
        } else if (c == '"') {
            return false;
        }
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool digest_is_sound(const struct digest_job *job, struct sl username, struct sl uri)
{
    const struct sip_auth *a = &job->auth;

    for (size_t i = 0; i < username.n; i++) {
        if ((unsigned char)username.p[i] < ' ' || username.p[i] == 0x7f) {
            return false;
        }
    }
    return a->nonce.n != 0 && a->nonce.n < sizeof(((struct digest_state *)0)->nonce) &&
           digest_is_quotable(a->nonce) && digest_is_quotable(a->realm) &&
           digest_is_quotable(a->opaque) && digest_is_quotable(uri);
}

int digest_response(const struct digest_job *job, const struct digest_credentials *cred,
                    struct sl method, struct sl uri, struct digest_hex *out)
{
    const struct sip_auth *a = &job->auth;
    struct sl secret[] = {cred->username, a->realm, cred->password};
    struct sl request[] = {method, uri};
    struct digest_hex ha1, ha2;
    int err = digest_join(job->alg, secret, COUNT_OF(secret), &ha1);

    if (err == 0) {
        err = digest_join(job->alg, request, COUNT_OF(request), &ha2);
    }
    if (err == 0 && job->has_qop) {
        struct sl parts[] = {digest_sl(&ha1), a->nonce,   job->nc_text,
                             job->cnonce,     SL("auth"), digest_sl(&ha2)};

        err = digest_join(job->alg, parts, COUNT_OF(parts), out);
    } else if (err == 0) {
        struct sl parts[] = {digest_sl(&ha1), a->nonce, digest_sl(&ha2)};

        err = digest_join(job->alg, parts, COUNT_OF(parts), out);
    }
    mem_wipe(&ha1, sizeof(ha1));
    return err;
}

static void digest_put_quoted(struct buf *b, const char *name, struct sl value)
{
    buf_puts(b, name);
    BUF_LIT(b, "=\"");
    buf_putsl(b, value);
    buf_putc(b, '"');
}

/* The one value that is ours and not yet in quoted form. */
static void digest_put_username(struct buf *b, struct sl s)
{
    BUF_LIT(b, "Digest username=\"");
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') {
            buf_putc(b, '\\');
        }
        buf_putc(b, s.p[i]);
    }
    buf_putc(b, '"');
}

static void digest_put(struct buf *b, const struct digest_job *job, struct sl username,
                       struct sl uri, const struct digest_hex *response)
{
    buf_puts(b, job->answer_name);
    digest_put_username(b, username);
    digest_put_quoted(b, ", realm", job->auth.realm);
    digest_put_quoted(b, ", nonce", job->auth.nonce);
    digest_put_quoted(b, ", uri", uri);
    digest_put_quoted(b, ", response", digest_sl(response));
    if (job->auth.algorithm.n != 0) {
        buf_puts(b, job->alg == CRYPTO_MD5 ? ", algorithm=MD5" : ", algorithm=SHA-256");
    }
    if (job->auth.opaque.n != 0) {
        digest_put_quoted(b, ", opaque", job->auth.opaque);
    }
    if (job->has_qop) {
        digest_put_quoted(b, ", cnonce", job->cnonce);
        BUF_LIT(b, ", qop=auth, nc=");
        buf_putsl(b, job->nc_text);
    }
    BUF_LIT(b, "\r\n");
}

static int digest_admit(const struct digest_job *job, const struct digest_state *st, bool *same)
{
    *same = sl_eq(sl_str(st->nonce), job->auth.nonce);
    if (st->is_again) {
        return 0;
    }
    return st->tries >= DIGEST_TRIES_MAX || (*same && !job->auth.stale) ? EACCES : 0;
}

int digest_answer(struct buf *b, const struct sip_msg *rsp, const struct digest_credentials *cred,
                  struct sl method, struct sl uri, struct digest_state *st)
{
    struct digest_job job = {.nc = 1};
    char nc_mem[9], cnonce_mem[2 * CNONCE_BYTES];
    uint8_t random[CNONCE_BYTES];
    struct digest_hex response;
    struct buf text;
    bool same = false;
    int err = digest_choose(rsp, cred, &job);

    if (err == 0 && !digest_is_sound(&job, cred->username, uri)) {
        err = EBADMSG;
    }
    if (err == 0) {
        err = digest_admit(&job, st, &same);
    }
    if (err != 0) {
        return err;
    }
    job.nc = same ? st->nc + 1 : 1;
    buf_init_fixed(&text, nc_mem, sizeof(nc_mem));
    buf_putf(&text, "%08x", job.nc);
    job.nc_text = buf_sl(&text);
    crypto_random(random, sizeof(random));
    buf_init_fixed(&text, cnonce_mem, sizeof(cnonce_mem));
    buf_putx(&text, random, sizeof(random));
    job.cnonce = buf_sl(&text);
    err = digest_response(&job, cred, method, uri, &response);
    if (err != 0) {
        return err;
    }
    digest_put(b, &job, cred->username, uri, &response);
    if (buf_err(b) != 0) {
        return buf_err(b);
    }
    memcpy(st->nonce, job.auth.nonce.p, job.auth.nonce.n);
    st->nonce[job.auth.nonce.n] = '\0';
    st->nc = job.nc;
    st->tries += st->is_again ? 0 : 1;
    st->is_again = false;
    return 0;
}
