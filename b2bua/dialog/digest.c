/* digest.c - answering digest challenges (RFC 7616 3.4, RFC 3261 22.3, RFC 8760). MD5 and SHA-256
 * and their -sess forms, qop auth or none; nothing of the challenge is echoed that could leave its
 * quotes. */
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

static bool digest_read_algorithm(struct sl text, struct digest_job *job)
{
    static const struct {
        struct sl name;
        enum crypto_digest alg;
        bool is_sess;
    } known[] = {{{"MD5", 3}, CRYPTO_MD5, false},
                 {{"MD5-sess", 8}, CRYPTO_MD5, true},
                 {{"SHA-256", 7}, CRYPTO_SHA256, false},
                 {{"SHA-256-sess", 12}, CRYPTO_SHA256, true}};

    text = text.n != 0 ? text : known[0].name;
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (sl_ieq(text, known[i].name)) {
            job->algorithm = known[i].name;
            job->alg = known[i].alg;
            job->is_sess = known[i].is_sess;
            return true;
        }
    }
    return false;
}

/* What we can answer: a known algorithm, and qop absent or with "auth" in it. 0, ENOENT, or
 * ENOTSUP: it wants the body in the hash, which nobody between may touch and everybody does. */
static int digest_suits(const struct sip_auth *a, const struct digest_credentials *cred,
                        struct digest_job *job)
{
    if (!digest_read_algorithm(a->algorithm, job)) {
        return ENOENT;
    }
    if (cred->realm.n != 0 && !sl_eq(cred->realm, a->realm)) {
        return ENOENT; /* no hash for whoever asks: only the realm that the password is for */
    }
    if (a->qop.n != 0 && !digest_has_auth(a->qop)) {
        return ENOTSUP;
    }
    job->has_qop = a->qop.n != 0;
    if (job->is_sess && !job->has_qop) {
        return ENOENT; /* there would be no client nonce to tell */
    }
    job->auth = *a;
    return 0;
}

/* The better hash, then the one that is good for one request only; of equals the first (RFC
 * 8760 2.4).
 */
static unsigned digest_rank(const struct digest_job *job)
{
    return (job->alg == CRYPTO_SHA256 ? 2U : 0U) + (job->has_qop ? 1U : 0U) + 1U;
}

/* ENOENT: no challenge of this kind that we can answer; ENOTSUP, EBADMSG: why not. */
static int digest_choose(const struct sip_msg *rsp, enum digest_kind kind,
                         const struct digest_credentials *cred, struct digest_job *best)
{
    enum hdr_id id = kind == DIGEST_PROXY ? HDR_PROXY_AUTHENTICATE : HDR_WWW_AUTHENTICATE;
    uint16_t pos = 0;
    unsigned rank = 0;
    int why = ENOENT;

    for (const struct sip_hdr *h = sip_hdr_next(rsp, id, &pos); h != NULL;
         h = sip_hdr_next(rsp, id, &pos)) {
        struct digest_job job = {.nc = 1};
        struct sip_auth a;
        int err = sip_auth_parse(h->value, &a) != 0 ? EBADMSG
                  : sl_ieq(a.scheme, SL("Digest"))  ? digest_suits(&a, cred, &job)
                                                    : ENOENT;

        if (err == 0 && digest_rank(&job) > rank) {
            *best = job;
            rank = digest_rank(&job);
        } else if (err != 0) {
            why = err != ENOENT ? err : why;
        }
    }
    return rank != 0 ? 0 : why;
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
    return a->nonce.n != 0 && a->nonce.n < DIGEST_NONCE_MAX && digest_is_quotable(a->nonce) &&
           digest_is_quotable(a->realm) && digest_is_quotable(a->opaque) && digest_is_quotable(uri);
}

int digest_response(const struct digest_job *job, const struct digest_credentials *cred,
                    struct sl method, struct sl uri, struct digest_hex *out)
{
    const struct sip_auth *a = &job->auth;
    struct sl secret[] = {cred->username, a->realm, cred->password};
    struct sl request[] = {method, uri};
    struct digest_hex ha1, ha2;
    int err = digest_join(job->alg, secret, COUNT_OF(secret), &ha1);

    if (err == 0 && job->is_sess) {
        const struct digest_hex plain = ha1;
        struct sl session[] = {digest_sl(&plain), a->nonce, job->cnonce};

        err = digest_join(job->alg, session, COUNT_OF(session), &ha1);
    }
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

static void digest_put(struct buf *b, enum digest_kind kind, const struct digest_job *job,
                       const struct digest_for *f, const struct digest_hex *response)
{
    struct sl username = f->cred->username, uri = f->uri;

    buf_puts(b, kind == DIGEST_PROXY ? "Proxy-Authorization: " : "Authorization: ");
    digest_put_username(b, username);
    digest_put_quoted(b, ", realm", job->auth.realm);
    digest_put_quoted(b, ", nonce", job->auth.nonce);
    digest_put_quoted(b, ", uri", uri);
    digest_put_quoted(b, ", response", digest_sl(response));
    if (job->auth.algorithm.n != 0) {
        BUF_LIT(b, ", algorithm=");
        buf_putsl(b, job->algorithm);
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

/* Refused with the nonce that we have answered: the password is wrong. Nor do we go on for ever
 * with whoever has a new one each time (attacks.md 42). */
static bool digest_may_try(const struct digest_job *job, const struct digest_slot *at, bool same)
{
    return at->tries < DIGEST_TRIES_MAX && (!same || job->auth.stale || at->tries == 0);
}

static int digest_write(struct buf *b, enum digest_kind kind, struct digest_job *job,
                        const struct digest_for *f)
{
    char nc_mem[9], cnonce_mem[2 * CNONCE_BYTES];
    uint8_t random[CNONCE_BYTES];
    struct digest_hex response;
    struct buf text;
    int err;

    buf_init_fixed(&text, nc_mem, sizeof(nc_mem));
    buf_putf(&text, "%08x", job->nc);
    job->nc_text = buf_sl(&text);
    crypto_random(random, sizeof(random));
    buf_init_fixed(&text, cnonce_mem, sizeof(cnonce_mem));
    buf_putx(&text, random, sizeof(random));
    job->cnonce = buf_sl(&text);
    err = digest_response(job, f->cred, f->method, f->uri, &response);
    if (err != 0) {
        return err;
    }
    digest_put(b, kind, job, f, &response);
    return buf_err(b);
}

/* rsp: a new challenge, or NULL: the one that is remembered, for another reason. */
static int digest_answer_kind(struct buf *b, enum digest_kind kind, struct sip_msg *rsp,
                              const struct digest_for *f, struct digest_slot *at)
{
    struct digest_job job = {.nc = 1};
    int err = digest_choose(rsp != NULL ? rsp : at->asked, kind, f->cred, &job);
    bool same;

    if (err == 0 && !digest_is_sound(&job, f->cred->username, f->uri)) {
        err = EBADMSG;
    }
    if (err != 0) {
        return err;
    }
    same = sl_eq(sl_str(at->nonce), job.auth.nonce);
    if (rsp != NULL && !digest_may_try(&job, at, same)) {
        return EACCES;
    }
    job.nc = same ? at->nc + 1 : 1;
    err = digest_write(b, kind, &job, f);
    if (err != 0) {
        return err;
    }
    memcpy(at->nonce, job.auth.nonce.p, job.auth.nonce.n);
    at->nonce[job.auth.nonce.n] = '\0';
    at->nc = job.nc;
    if (rsp != NULL) {
        at->tries++;
        sip_msg_unref(&at->asked);
        at->asked = sip_msg_ref(rsp);
    }
    return 0;
}

static bool digest_is_challenge(const struct sip_msg *rsp, enum digest_kind kind)
{
    return (rsp->status == 401 || rsp->status == 407) &&
           sip_hdr(rsp, kind == DIGEST_PROXY ? HDR_PROXY_AUTHENTICATE : HDR_WWW_AUTHENTICATE) !=
               NULL;
}

/* Several may have to be satisfied at once: a proxy, and who stands behind it (RFC 3261 22.3). What
 * was answered before has to be said again in each new request. */
int digest_answer(struct buf *b, struct sip_msg *rsp, const struct digest_for *f,
                  struct digest_state *st)
{
    bool is_answered = false;
    int why = ENOENT;

    for (enum digest_kind kind = DIGEST_WWW; kind < DIGEST_KINDS; kind++) {
        struct digest_slot *at = &st->at[kind];
        bool is_new = digest_is_challenge(rsp, kind);
        int err = is_new || at->asked != NULL
                      ? digest_answer_kind(b, kind, is_new ? rsp : NULL, f, at)
                      : ENOENT;

        if (err == EACCES || buf_err(b) != 0) {
            return err;
        }
        is_answered = is_answered || (err == 0 && (is_new || rsp->status == 422));
        why = err != 0 && err != ENOENT ? err : why;
    }
    return is_answered ? 0 : why;
}

void digest_forget(struct digest_state *st)
{
    for (enum digest_kind kind = DIGEST_WWW; kind < DIGEST_KINDS; kind++) {
        sip_msg_unref(&st->at[kind].asked);
        st->at[kind].tries = 0;
    }
}

void digest_free(struct digest_state **stp)
{
    if (*stp != NULL) {
        digest_forget(*stp);
    }
    mem_free(*stp);
    *stp = NULL;
}
