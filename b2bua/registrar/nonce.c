/* nonce.c - nonces without memory (time, random bytes, HMAC over them with the source) and the one
 * shared table of counts, so that an answer cannot be replayed on any worker. */
#include "registrar/registrar_int.h"

#include <stdatomic.h>

#define RAW_LEN 24 /* 4 time, 8 random, 12 HMAC */
#define BUCKETS 16384u
#define WAYS 4
#define NC_BITS 20
#define NC_USED_UP ((1u << NC_BITS) - 1)
#define TIME_MASK 0xfffffu /* seconds, 12 days */

/* An entry: fingerprint 24 | issue time 20 | highest count 20; 0 is free. The watermark is the
 * issue time of the newest nonce that was pushed out alive: what is older and unknown is not
 * trusted. */
struct bucket {
    _Atomic uint64_t way[WAYS];
    _Atomic uint32_t watermark;
};

struct nonce_keeper {
    uint8_t key[32];
    struct bucket *buckets;
};

int nonce_keeper_new(struct nonce_keeper **kp)
{
    struct nonce_keeper *k = mem_zalloc(sizeof(*k));

    if (k != NULL) {
        k->buckets = mem_zalloc(BUCKETS * sizeof(*k->buckets));
    }
    if (k == NULL || k->buckets == NULL) {
        nonce_keeper_free(&k);
        return ENOMEM;
    }
    crypto_random(k->key, sizeof(k->key));
    *kp = k;
    return 0;
}

void nonce_keeper_free(struct nonce_keeper **kp)
{
    struct nonce_keeper *k = *kp;

    *kp = NULL;
    if (k != NULL) {
        mem_free(k->buckets);
        mem_wipe(k->key, sizeof(k->key));
        mem_free(k);
    }
}

static bool sign(const struct nonce_keeper *k, const uint8_t head[12], struct sl realm,
                 const struct addr *source, uint8_t out[CRYPTO_SHA256_LEN])
{
    char ip[ADDR_TEXT_MAX];
    struct buf b;
    struct sl parts[3];

    buf_init_fixed(&b, ip, sizeof(ip));
    addr_put_ip(&b, source);
    parts[0] = sl_make(head, 12);
    parts[1] = buf_sl(&b);
    parts[2] = realm;
    return crypto_hmac_sha256(sl_make(k->key, sizeof(k->key)), parts, 3, out) == 0;
}

static void to_hex(const uint8_t *raw, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < RAW_LEN; i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(struct sl text, uint8_t raw[RAW_LEN])
{
    if (text.n != NONCE_TEXT_LEN) {
        return false;
    }
    for (size_t i = 0; i < RAW_LEN; i++) {
        int hi = nibble(text.p[2 * i]), lo = nibble(text.p[2 * i + 1]);

        if (hi < 0 || lo < 0) {
            return false;
        }
        raw[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

static uint32_t issue_time(const uint8_t raw[RAW_LEN])
{
    return (uint32_t)raw[0] << 24 | (uint32_t)raw[1] << 16 | (uint32_t)raw[2] << 8 | raw[3];
}

void nonce_make(struct nonce_keeper *k, struct sl realm, const struct addr *source, int64_t wall_ms,
                char out[NONCE_TEXT_LEN])
{
    uint32_t now = (uint32_t)(wall_ms / 1000);
    uint8_t raw[RAW_LEN], mac[CRYPTO_SHA256_LEN] = {0};

    for (int i = 0; i < 4; i++) {
        raw[i] = (uint8_t)(now >> (24 - 8 * i));
    }
    crypto_random(raw + 4, 8);
    if (!sign(k, raw, realm, source, mac)) {
        crypto_random(mac, sizeof(mac)); /* a nonce that nobody can use */
    }
    memcpy(raw + 12, mac, 12);
    to_hex(raw, out);
}

bool nonce_is_ours(struct nonce_keeper *k, struct sl nonce, struct sl realm,
                   const struct addr *source, int64_t wall_ms, int64_t *age_s)
{
    uint8_t raw[RAW_LEN], mac[CRYPTO_SHA256_LEN];

    if (!from_hex(nonce, raw) || !sign(k, raw, realm, source, mac) ||
        !crypto_equal(mac, raw + 12, 12)) {
        return false;
    }
    *age_s = wall_ms / 1000 - (int64_t)issue_time(raw);
    return true;
}

static uint64_t entry_of(uint32_t print, uint32_t issued, uint32_t nc)
{
    return (uint64_t)print << 40 | (uint64_t)(issued & TIME_MASK) << NC_BITS | nc;
}

static bool is_expired(uint64_t e, uint32_t now, uint32_t life_s)
{
    uint32_t issued = (uint32_t)(e >> NC_BITS) & TIME_MASK;

    return ((now - issued) & TIME_MASK) > life_s;
}

/* Where a new nonce may stand: a free or expired way, else the oldest one. */
static unsigned pick_way(const struct bucket *b, uint32_t now, uint32_t life_s)
{
    unsigned oldest = 0;
    uint32_t oldest_age = 0;

    for (unsigned i = 0; i < WAYS; i++) {
        uint64_t e = atomic_load(&b->way[i]);
        uint32_t age = (now - ((uint32_t)(e >> NC_BITS) & TIME_MASK)) & TIME_MASK;

        if (e == 0 || is_expired(e, now, life_s)) {
            return i;
        }
        if (age >= oldest_age) {
            oldest_age = age;
            oldest = i;
        }
    }
    return oldest;
}

static void raise_watermark(struct bucket *b, uint32_t issued)
{
    uint32_t w = atomic_load(&b->watermark);

    while (issued > w && !atomic_compare_exchange_weak(&b->watermark, &w, issued)) {
    }
}

enum take { TAKE_OK, TAKE_USED, TAKE_AGAIN };

static enum take take_known(struct bucket *b, uint32_t print, uint32_t nc, bool *known)
{
    for (unsigned i = 0; i < WAYS; i++) {
        uint64_t e = atomic_load(&b->way[i]);

        if (e == 0 || (uint32_t)(e >> 40) != print) {
            continue;
        }
        *known = true;
        if (nc <= (e & NC_USED_UP)) {
            return TAKE_USED;
        }
        return atomic_compare_exchange_strong(&b->way[i], &e, (e & ~(uint64_t)NC_USED_UP) | nc)
                   ? TAKE_OK
                   : TAKE_AGAIN;
    }
    *known = false;
    return TAKE_AGAIN;
}

/* Another worker may have looked for it at the same time, found nothing either, and put it into
 * another way: all of this is in one order for all, so at least one of the two sees the other. */
static bool stands_twice(struct bucket *b, unsigned mine, uint32_t print)
{
    for (unsigned i = 0; i < WAYS; i++) {
        uint64_t e = atomic_load(&b->way[i]);

        if (i != mine && e != 0 && (uint32_t)(e >> 40) == print) {
            return true;
        }
    }
    return false;
}

static enum take take_new(struct bucket *b, uint32_t print, uint32_t issued, uint32_t nc,
                          uint32_t now, uint32_t life_s)
{
    unsigned i = pick_way(b, now, life_s);
    uint64_t e = atomic_load(&b->way[i]);
    bool pushed_out = e != 0 && !is_expired(e, now, life_s);
    uint32_t was = (now & ~TIME_MASK) | ((uint32_t)(e >> NC_BITS) & TIME_MASK);

    if (issued <= atomic_load(&b->watermark)) {
        return TAKE_USED;
    }
    if ((uint32_t)(e >> 40) == print) {
        return TAKE_AGAIN; /* somebody has put it there since */
    }
    if (pushed_out) { /* before it is gone: who does not find it any more must not trust it */
        raise_watermark(b, was > now ? was - (TIME_MASK + 1) : was);
    }
    if (!atomic_compare_exchange_strong(&b->way[i], &e, entry_of(print, issued, nc))) {
        return TAKE_AGAIN;
    }
    return stands_twice(b, i, print) ? TAKE_USED : TAKE_OK;
}

bool nonce_take(struct nonce_keeper *k, struct sl nonce, uint32_t nc, int64_t wall_ms,
                uint32_t life_s)
{
    uint32_t now = (uint32_t)(wall_ms / 1000), print;
    uint8_t raw[RAW_LEN];
    struct bucket *b;

    if (!from_hex(nonce, raw) || nc > NC_USED_UP) {
        return false;
    }
    nc = nc == 0 ? NC_USED_UP : nc;
    print = ((uint32_t)raw[4] << 16 | (uint32_t)raw[5] << 8 | raw[6]) | 1; /* never 0 */
    b = &k->buckets[((uint32_t)raw[8] << 16 | (uint32_t)raw[9] << 8 | raw[10]) % BUCKETS];
    for (int tries = 0; tries < 16; tries++) {
        bool known;
        enum take t = take_known(b, print, nc, &known);

        if (t == TAKE_AGAIN && !known) {
            t = take_new(b, print, issue_time(raw), nc, now, life_s);
        }
        if (t != TAKE_AGAIN) {
            return t == TAKE_OK;
        }
    }
    return false; /* sixteen lost races: the client asks again */
}
