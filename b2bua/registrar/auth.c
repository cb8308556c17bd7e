/* auth.c - digest authentication of users (RFC 3261 22, RFC 7616): one challenge, one answer, the
 * same work and the same words whether the user exists or not. */
#include "registrar/registrar_int.h"

struct auth {
    struct nonce_keeper *nonces;
    struct guess_book *guesses;
    char dummy[33]; /* password of those who do not exist */
    char *assumed;  /* account that everybody is taken for; NULL: nobody is */
};

int auth_new(struct auth **ap)
{
    struct auth *a = mem_zalloc(sizeof(*a));
    uint8_t raw[16];
    int err = a != NULL ? nonce_keeper_new(&a->nonces) : ENOMEM;
    struct buf b;

    if (err == 0) {
        err = guess_book_new(&a->guesses);
    }
    if (err != 0) {
        auth_free(&a);
        return err;
    }
    crypto_random(raw, sizeof(raw));
    buf_init_fixed(&b, a->dummy, sizeof(a->dummy) - 1);
    buf_putx(&b, raw, sizeof(raw));
    *ap = a;
    return 0;
}

void auth_free(struct auth **ap)
{
    struct auth *a = *ap;

    *ap = NULL;
    if (a != NULL) {
        nonce_keeper_free(&a->nonces);
        guess_book_free(&a->guesses);
        mem_free(a->assumed);
        mem_wipe(a, sizeof(*a));
        mem_free(a);
    }
}

int auth_assume(struct auth *a, struct sl user)
{
    a->assumed = mem_strndup(user.p, user.n);
    return a->assumed != NULL ? 0 : ENOMEM;
}

void auth_put_challenge(struct buf *b, struct auth *a, const struct auth_challenge *c)
{
    char nonce[NONCE_TEXT_LEN];

    nonce_make(a->nonces, sl_str(c->users->domain), c->source, c->wall_ms, nonce);
    buf_puts(b, c->proxy ? "Proxy-Authenticate" : "WWW-Authenticate");
    buf_putf(b, ": Digest realm=\"%s\", nonce=\"", c->users->domain);
    buf_put(b, nonce, sizeof(nonce));
    buf_putf(b, "\", algorithm=%s, qop=\"auth\"%s\r\n", c->users->sha256 ? "SHA-256" : "MD5",
             c->stale ? ", stale=true" : "");
}

/* --- checking --- */

struct hex {
    char c[2 * CRYPTO_SHA256_LEN];
    size_t n;
};

static bool hash_hex(enum crypto_digest alg, const struct sl *parts, size_t n, struct hex *out)
{
    uint8_t raw[CRYPTO_SHA256_LEN];
    struct buf b;

    if (crypto_digest(alg, parts, n, raw) != 0) {
        return false;
    }
    buf_init_fixed(&b, out->c, sizeof(out->c));
    buf_putx(&b, raw, crypto_digest_len(alg));
    out->n = b.n;
    return buf_err(&b) == 0;
}

static struct sl hex_sl(const struct hex *h)
{
    return sl_make(h->c, h->n);
}

/* RFC 7616 3.4.1-3.4.3 */
static bool expected(enum crypto_digest alg, const struct sip_auth *c, struct sl method,
                     struct sl password, struct hex *out)
{
    const struct sl colon = SL(":");
    struct hex ha1, ha2;
    const struct sl a1[] = {c->username, colon, c->realm, colon, password};
    const struct sl a2[] = {method, colon, c->uri};

    if (!hash_hex(alg, a1, COUNT_OF(a1), &ha1) || !hash_hex(alg, a2, COUNT_OF(a2), &ha2)) {
        return false;
    }
    if (c->qop.n == 0) {
        const struct sl r[] = {hex_sl(&ha1), colon, c->nonce, colon, hex_sl(&ha2)};

        return hash_hex(alg, r, COUNT_OF(r), out);
    }
    const struct sl r[] = {hex_sl(&ha1), colon, c->nonce, colon, c->nc,       colon,
                           c->cnonce,    colon, c->qop,   colon, hex_sl(&ha2)};

    return hash_hex(alg, r, COUNT_OF(r), out);
}

static bool response_fits(const struct hex *want, struct sl got)
{
    char low[2 * CRYPTO_SHA256_LEN];

    if (got.n != want->n) {
        return false;
    }
    for (size_t i = 0; i < got.n; i++) {
        low[i] = got.p[i] >= 'A' && got.p[i] <= 'F' ? (char)(got.p[i] + 32) : got.p[i];
    }
    return crypto_equal(low, want->c, want->n);
}

static bool algorithm_fits(struct sl algorithm, bool sha256)
{
    if (sha256) {
        return sl_ieq(algorithm, SL("SHA-256"));
    }
    return algorithm.n == 0 || sl_ieq(algorithm, SL("MD5")); /* some phones leave it out */
}

/* The first credentials for our realm, in either header: phones mix them up (interop.md). */
static bool find_credentials(const struct sip_msg *msg, struct sl realm, struct sip_auth *out)
{
    static const enum hdr_id ids[] = {HDR_AUTHORIZATION, HDR_PROXY_AUTHORIZATION};

    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        const struct sip_hdr *h;
        uint16_t pos = 0;

        while ((h = sip_hdr_next(msg, ids[i], &pos)) != NULL) {
            if (sip_auth_parse(h->value, out) == 0 && sl_ieq(out->scheme, SL("Digest")) &&
                sl_eq(out->realm, realm)) {
                return true;
            }
        }
    }
    return false;
}

/* "1001" or "1001@domain" */
static struct sl account_name(struct sl username, struct sl domain)
{
    ptrdiff_t at = sl_rchr(username, '@');

    return at >= 0 && sl_ieq(sl_from(username, (size_t)at + 1), domain)
               ? sl_head(username, (size_t)at)
               : username;
}

static bool usable(const struct sip_auth *c, const struct policy_users *users)
{
    if (c->nonce.n == 0 || c->response.n == 0 || c->username.n == 0 || c->uri.n == 0 ||
        !algorithm_fits(c->algorithm, users->sha256)) {
        return false;
    }
    if (c->qop.n == 0) {
        return true;
    }
    return sl_ieq(c->qop, SL("auth")) && c->cnonce.n != 0 && c->nc.n != 0;
}

static bool take_count(struct auth *a, const struct auth_request *rq, const struct sip_auth *c)
{
    uint32_t nc = 0;

    if (c->qop.n != 0 && (sl_hex32(c->nc, &nc) != 0 || nc == 0)) {
        return false;
    }
    return nonce_take(a->nonces, c->nonce, nc, rq->wall_ms,
                      policy_def(rq->policy)->users.nonce_life_s);
}

static struct guess_try try_of(const struct auth_request *rq, struct sl user)
{
    const struct policy_guesses *g = &policy_def(rq->policy)->users.guesses;

    return (struct guess_try){.user = user,
                              .source = &rq->source,
                              .wall_ms = rq->wall_ms,
                              .failures = g->failures,
                              .block_s = g->block_s};
}

static void tell_guessed(const struct guess_try *t)
{
    char text[ADDR_TEXT_MAX];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    addr_put_ip(&b, t->source);
    stat_inc(STAT_AUTH_GUARDED);
    log_security("security: event=account_guessed failures=%u last=%.*s user=\"%s\"", t->failures,
                 SL_ARG(buf_sl(&b)), LOG_ESC(t->user));
}

struct answer { /* to a challenge */
    bool is_right;
    bool is_ours, is_young; /* the nonce: given to this address; not too old */
    bool is_stranger;       /* nobody has shown this account's password from there */
};

/* A stranger must learn nothing while many guess: not from the answer, and not from what is held
 * against him. With a nonce that was not given to him he may be anybody: that counts for nothing,
 * and is wrong whatever it says. */
static enum auth_result judge(struct auth *a, const struct guess_try *t, const struct answer *w)
{
    if (w->is_stranger && w->is_ours) {
        enum guess g = !w->is_right                 ? guess_wrong(a->guesses, t)
                       : guess_holds(a->guesses, t) ? GUESS_HELD
                                                    : GUESS_COUNTED;

        if (g == GUESS_HELD) {
            return AUTH_HELD;
        }
        if (g == GUESS_BEGINS) {
            tell_guessed(t);
        }
    }
    if (!w->is_right || (w->is_stranger && !w->is_ours)) {
        return AUTH_FAILED;
    }
    return w->is_ours && w->is_young ? AUTH_OK : AUTH_STALE;
}

static enum auth_result check_answer(struct auth *a, const struct auth_request *rq,
                                     const struct sip_auth *c, int *user)
{
    const struct policy_users *users = &policy_def(rq->policy)->users;
    const struct guess_try t = try_of(rq, account_name(c->username, c->realm));
    int account = policy_user_by_name(rq->policy, t.user);
    struct sl password =
        account >= 0 ? sl_str(users->accounts[account].password) : sl_str(a->dummy);
    enum auth_result result;
    struct answer w;
    struct hex want;
    int64_t age_s = 0;

    w.is_right = expected(users->sha256 ? CRYPTO_SHA256 : CRYPTO_MD5, c, rq->msg->method_name,
                          password, &want) &&
                 response_fits(&want, c->response) && account >= 0;
    w.is_ours = nonce_is_ours(a->nonces, c->nonce, c->realm, &rq->source, rq->wall_ms, &age_s);
    w.is_young = age_s >= 0 && age_s <= (int64_t)users->nonce_life_s;
    w.is_stranger = t.failures != 0 && !guess_is_home(a->guesses, &t);
    result = judge(a, &t, &w);
    if (result == AUTH_FAILED && rq->echoed != NULL) {
        *rq->echoed = w.is_ours && w.is_young;
    }
    if (result != AUTH_OK) {
        return result;
    }
    if (!take_count(a, rq, c)) {
        return AUTH_STALE;
    }
    guess_note_home(a->guesses, &t);
    if (w.is_stranger) { /* the owner himself, at a new place */
        guess_right(a->guesses, &t);
    }
    *user = account;
    return AUTH_OK;
}

enum auth_result auth_check(struct auth *a, const struct auth_request *rq, int *user)
{
    const struct policy_users *users = &policy_def(rq->policy)->users;
    enum auth_result result;
    struct sip_auth c;

    if (users->present && a->assumed != NULL) {
        *user = policy_user_by_name(rq->policy, sl_str(a->assumed));
        return *user >= 0 ? AUTH_OK : AUTH_FAILED;
    }
    if (!users->present || !find_credentials(rq->msg, sl_str(users->domain), &c) ||
        !usable(&c, users)) {
        return AUTH_CHALLENGE;
    }
    result = check_answer(a, rq, &c, user);
    if (result == AUTH_OK || result == AUTH_HELD) {
        stat_inc(result == AUTH_OK ? STAT_AUTH_OK : STAT_AUTH_HELD);
    }
    return result;
}

void auth_note_home(struct auth *a, struct sl user, const struct addr *source, int64_t wall_ms)
{
    guess_note_home(a->guesses,
                    &(struct guess_try){.user = user, .source = source, .wall_ms = wall_ms});
}

uint32_t auth_guessed(const struct auth *a, const struct policy *p, int user, int64_t wall_ms,
                      uint32_t *held_s)
{
    const struct policy_users *users = &policy_def(p)->users;
    const struct guess_try t = {.user = sl_str(users->accounts[user].name),
                                .wall_ms = wall_ms,
                                .failures = users->guesses.failures,
                                .block_s = users->guesses.block_s};

    *held_s = 0;
    return t.failures != 0 ? guess_look(a->guesses, &t, held_s) : 0;
}
