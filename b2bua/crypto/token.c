/* token.c - the token: one AES-128 block that names worker, kind and slot, written in base32.
 * Nothing authenticates it beyond the check bits; slot and generation decide, see base/slot.h. */
#include "crypto/crypto_int.h"

#include <openssl/err.h>

#define TOKEN_BLOCK 16
#define TOKEN_LEG_BITS 5
#define TOKEN_LEG_MASK 0x1f
#define TOKEN_NODE_HI 0x03

_Static_assert(TOKEN_STATELESS < 8, "the kind has three bits");

/* Plain block, big endian: kind 3 bits and leg 5, check 2 bytes, worker 6 bits and node 10, slot 3
 * bytes, gen 4, check 1, random 3. The 24 check bits tell our tokens from other texts, and those of
 * older keys from those of the current one: one in 16 million passes by chance. */
static const uint8_t token_check[3] = {0xb2, 0x6b, 0x5c};

struct token_ring {
    struct token_keys keys;
    size_t writes; /* with which: 0 the current, else older[writes - 1] */
    EVP_CIPHER_CTX *enc;
    EVP_CIPHER_CTX *dec[1 + TOKEN_OLDER_MAX]; /* current, older (NULL: no more) */
};

static EVP_CIPHER_CTX *token_ctx(const uint8_t *key, int enc)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (ctx == NULL) {
        return NULL;
    }
    if (EVP_CipherInit_ex2(ctx, crypto_algs.aes, key, NULL, enc, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(ctx, 0) != 1) {
        ERR_clear_error();
        EVP_CIPHER_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static const struct token_key *token_key_at(const struct token_keys *keys, size_t i)
{
    return i == 0 ? &keys->current : &keys->older[i - 1];
}

static int token_ring_new(struct token_ring **rp, const struct token_keys *keys, size_t writes)
{
    struct token_ring *r;
    bool ok;

    if (crypto_algs.aes == NULL) {
        return ENOTSUP;
    }
    r = mem_zalloc(sizeof(*r));
    if (r == NULL) {
        return ENOMEM;
    }
    r->keys = *keys;
    r->writes = writes;
    r->enc = token_ctx(token_key_at(keys, writes)->key, 1);
    r->dec[0] = token_ctx(keys->current.key, 0);
    ok = r->enc != NULL && r->dec[0] != NULL;
    for (size_t i = 0; i < TOKEN_OLDER_MAX && keys->older[i].made_ms != 0; i++) {
        r->dec[1 + i] = token_ctx(keys->older[i].key, 0);
        ok = ok && r->dec[1 + i] != NULL;
    }
    if (!ok) {
        token_ring_free(&r);
        return ENOMEM;
    }
    *rp = r;
    return 0;
}

static void token_key_make(struct token_key *k, int64_t made_ms)
{
    crypto_random(k->key, sizeof(k->key));
    k->made_ms = made_ms > 0 ? made_ms : 1;
}

static int64_t token_wall_ms(void)
{
    struct clock real;

    clock_init_real(&real);
    return clock_wall_ms(&real);
}

static int token_keys_load(struct token_keys *keys, const char *path)
{
    int err = token_file_read(path, keys);

    if (err == ENOENT) {
        token_key_make(&keys->current, token_wall_ms());
        err = token_file_write(path, keys);
    }
    return err;
}

/* next->current takes the place of was->current: what may still be needed comes after it. */
static int token_keys_turn(struct token_keys *next, const struct token_keys *was,
                           const struct token_turn *turn)
{
    size_t n = 0;

    memset(next->older, 0, sizeof(next->older)); /* what another file knows is not ours */
    for (size_t i = 0; i <= TOKEN_OLDER_MAX; i++) {
        struct token_key k = *token_key_at(was, i);

        k.left_ms = i == 0 ? turn->wall_ms : k.left_ms;
        if (k.made_ms == 0 || turn->wall_ms - k.left_ms >= turn->life_ms ||
            memcmp(k.key, next->current.key, sizeof(k.key)) == 0) {
            continue;
        }
        if (n == TOKEN_OLDER_MAX) {
            return ENOBUFS;
        }
        next->older[n++] = k;
    }
    return 0;
}

/* The keys that come after r's: known by everybody before anybody writes with the new one. */
static int token_ring_next(struct token_ring **out, const struct token_ring *r,
                           const struct token_keys *keys)
{
    const struct token_key *was = token_key_at(&r->keys, r->writes);
    size_t i = TOKEN_OLDER_MAX;

    while (i > 0 && memcmp(token_key_at(keys, i)->key, was->key, sizeof(was->key)) != 0) {
        i--;
    }
    return token_ring_new(out, keys, i);
}

int token_ring_follow(struct token_ring **out, const struct token_ring *r, const char *path,
                      const struct token_turn *turn)
{
    struct token_keys keys = {0};
    int err = token_keys_load(&keys, path);

    if (err == 0) {
        err = token_keys_turn(&keys, &r->keys, turn);
    }
    if (err == 0) {
        err = token_ring_next(out, r, &keys);
    }
    mem_wipe(&keys, sizeof(keys));
    return err;
}

int token_ring_load(struct token_ring **rp, const char *path)
{
    struct token_keys keys = {0};
    int err = token_keys_load(&keys, path);

    if (err == 0) {
        err = token_ring_new(rp, &keys, 0);
    }
    mem_wipe(&keys, sizeof(keys));
    return err;
}

int token_ring_random(struct token_ring **rp)
{
    struct token_keys keys = {0};
    int err;

    token_key_make(&keys.current, token_wall_ms());
    err = token_ring_new(rp, &keys, 0);
    mem_wipe(&keys, sizeof(keys));
    return err;
}

int token_ring_rotate(struct token_ring **out, const struct token_ring *r, const char *path,
                      const struct token_turn *turn)
{
    struct token_keys keys = {0};
    struct token_ring *next = NULL;
    int err;

    token_key_make(&keys.current, turn->wall_ms);
    err = token_keys_turn(&keys, &r->keys, turn);
    if (err == 0) {
        err = token_ring_next(&next, r, &keys);
    }
    if (err == 0 && path != NULL) {
        err = token_file_write(path, &keys);
    }
    mem_wipe(&keys, sizeof(keys));
    if (err != 0) {
        token_ring_free(&next);
        return err;
    }
    *out = next;
    return 0;
}

int token_ring_clone(struct token_ring **out, const struct token_ring *r)
{
    return token_ring_new(out, &r->keys, r->writes);
}

bool token_ring_waits(const struct token_ring *r)
{
    return r->writes != 0;
}

int token_ring_begin(struct token_ring *r)
{
    EVP_CIPHER_CTX *enc = token_ctx(r->keys.current.key, 1);

    if (enc == NULL) {
        return ENOMEM;
    }
    EVP_CIPHER_CTX_free(r->enc);
    r->enc = enc;
    r->writes = 0;
    return 0;
}

int64_t token_ring_made_ms(const struct token_ring *r)
{
    return r->keys.current.made_ms;
}

void token_ring_free(struct token_ring **rp)
{
    struct token_ring *r = *rp;

    *rp = NULL;
    if (r != NULL) {
        EVP_CIPHER_CTX_free(r->enc);
        for (size_t i = 0; i <= TOKEN_OLDER_MAX; i++) {
            EVP_CIPHER_CTX_free(r->dec[i]);
        }
        mem_wipe(r, sizeof(*r));
        mem_free(r);
    }
}

static bool token_crypt(EVP_CIPHER_CTX *ctx, const uint8_t *in, uint8_t *out)
{
    int n = 0;

    return EVP_CipherUpdate(ctx, out, &n, in, TOKEN_BLOCK) == 1 && n == TOKEN_BLOCK;
}

static void token_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static uint32_t token_from_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* RFC 4648 section 6 in lower case, without padding characters. */
static void token_to_text(const uint8_t *block, char *out)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t acc = 0;
    unsigned bits = 0, at = 0;

    for (size_t i = 0; i < TOKEN_BLOCK; i++) {
        acc = acc << 8 | block[i];
        for (bits += 8; bits >= 5; bits -= 5) {
            out[at++] = alphabet[acc >> (bits - 5) & 31];
        }
    }
    out[at] = alphabet[acc << (5 - bits) & 31];
}

static int token_digit(char c) /* -1: not of the alphabet */
{
    if (c >= '2' && c <= '7') {
        return c - '2' + 26;
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'z' ? c - 'a' : -1;
}

static bool token_from_text(struct sl text, uint8_t *block)
{
    uint32_t acc = 0;
    unsigned bits = 0, at = 0;

    for (size_t i = 0; i < TOKEN_TEXT_LEN; i++) {
        int d = token_digit(text.p[i]);

        if (d < 0) {
            return false;
        }
        acc = acc << 5 | (uint32_t)d;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            block[at++] = (uint8_t)(acc >> bits);
        }
    }
    return (acc & 3) == 0; /* the two spare bits: one text per block */
}

void token_put(const struct token_ring *r, const struct token *t, char out[TOKEN_TEXT_LEN])
{
    uint8_t plain[TOKEN_BLOCK], block[TOKEN_BLOCK] = {0};

    plain[0] = (uint8_t)(t->kind << TOKEN_LEG_BITS | (t->leg & TOKEN_LEG_MASK));
    plain[1] = token_check[0];
    plain[2] = token_check[1];
    plain[3] = (uint8_t)(t->worker << 2 | (t->node >> 8 & TOKEN_NODE_HI));
    plain[4] = (uint8_t)t->node;
    plain[5] = (uint8_t)(t->slot >> 16);
    plain[6] = (uint8_t)(t->slot >> 8);
    plain[7] = (uint8_t)t->slot;
    token_be32(plain + 8, t->gen);
    plain[12] = token_check[2];
    crypto_random(plain + 13, 3);
    if (!token_crypt(r->enc, plain, block)) {
        ERR_clear_error(); /* out of reach for a whole block; the text is then nobody's token */
    }
    token_to_text(block, out);
}

static bool token_open(EVP_CIPHER_CTX *ctx, const uint8_t *block, struct token *out)
{
    uint8_t plain[TOKEN_BLOCK];
    uint8_t kind;

    if (ctx == NULL || !token_crypt(ctx, block, plain)) {
        return false;
    }
    kind = plain[0] >> TOKEN_LEG_BITS;
    if (plain[1] != token_check[0] || plain[2] != token_check[1] || plain[12] != token_check[2] ||
        kind == TOKEN_NONE || kind > TOKEN_STATELESS) {
        return false;
    }
    *out = (struct token){.node = (uint16_t)((plain[3] & TOKEN_NODE_HI) << 8 | plain[4]),
                          .worker = plain[3] >> 2,
                          .kind = kind,
                          .leg = plain[0] & TOKEN_LEG_MASK,
                          .slot = (uint32_t)plain[5] << 16 | (uint32_t)plain[6] << 8 | plain[7],
                          .gen = token_from_be32(plain + 8)};
    return true;
}

bool token_get(const struct token_ring *r, struct sl text, struct token *out)
{
    uint8_t block[TOKEN_BLOCK];

    if (text.n != TOKEN_TEXT_LEN || !token_from_text(text, block)) {
        return false;
    }
    for (size_t i = 0; i <= TOKEN_OLDER_MAX && r->dec[i] != NULL; i++) {
        if (token_open(r->dec[i], block, out)) {
            return true;
        }
    }
    return false;
}
