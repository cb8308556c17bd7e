/* auth.c - the bearer token (RFC 6750), and a limit on guessing it. */
#include "admin-http/admin_int.h"

#include <netinet/in.h>

int admin_auth_init(struct auth *au, const char *token)
{
    size_t n = token != NULL ? strlen(token) : 0;

    (void)pthread_mutex_init(&au->lock, NULL);
    if (n < ADMIN_TOKEN_MIN || n > ADMIN_TOKEN_MAX) {
        return EINVAL;
    }
    memcpy(au->token, token, n);
    return 0;
}

void admin_set_token(struct admin *a, const char *token)
{
    size_t n = strlen(token);

    (void)pthread_mutex_lock(&a->auth.lock);
    if (n >= ADMIN_TOKEN_MIN && n <= ADMIN_TOKEN_MAX) {
        memset(a->auth.token, 0, sizeof(a->auth.token));
        memcpy(a->auth.token, token, n);
    }
    (void)pthread_mutex_unlock(&a->auth.lock);
}

void admin_auth_free(struct auth *au)
{
    mem_wipe(au->token, sizeof(au->token));
    (void)pthread_mutex_destroy(&au->lock);
}

/* A user of IPv6 has 2^64 addresses: the prefix guesses, not the address. */
static struct addr auth_key(const struct addr *from)
{
    struct addr key = *from;

    if (addr_family(&key) == AF_INET6) {
        memset(key.u.in6.sin6_addr.s6_addr + 8, 0, 8);
    }
    return key;
}

static struct auth_source *auth_find(struct auth *au, const struct addr *key)
{
    for (size_t i = 0; i < au->n; i++) {
        if (addr_family(&au->sources[i].addr) == addr_family(key) &&
            addr_eq_ip(&au->sources[i].addr, key)) {
            return &au->sources[i];
        }
    }
    return NULL;
}

/* The table is full: who will be forgiven first makes room. */
static struct auth_source *auth_claim(struct auth *au)
{
    struct auth_source *first = &au->sources[0];

    if (au->n < AUTH_SOURCES) {
        return &au->sources[au->n++];
    }
    for (size_t i = 1; i < au->n; i++) {
        if (au->sources[i].until_ms < first->until_ms) {
            first = &au->sources[i];
        }
    }
    return first;
}

static void auth_note_failure(struct auth *au, const struct addr *key, int64_t now_ms)
{
    struct auth_source *s = auth_find(au, key);

    if (s == NULL) {
        s = auth_claim(au);
        *s = (struct auth_source){.addr = *key};
    }
    if (now_ms >= s->until_ms) {
        s->failures = 0;
        s->until_ms = now_ms + AUTH_WINDOW_MS;
    }
    s->failures++;
}

static bool auth_is_locked(struct auth *au, const struct addr *key, int64_t now_ms,
                           unsigned *retry_s)
{
    const struct auth_source *s = auth_find(au, key);

    if (s == NULL || s->failures < AUTH_FAILURES_MAX || now_ms >= s->until_ms) {
        return false;
    }
    *retry_s = (unsigned)((s->until_ms - now_ms + 999) / 1000);
    return true;
}

/* Takes the same time wherever the first difference is. */
static bool auth_is_token(struct auth *au, struct sl given)
{
    size_t n;
    unsigned diff;

    (void)pthread_mutex_lock(&au->lock);
    n = strlen(au->token);
    diff = given.n != n;
    for (size_t i = 0; i < n; i++) {
        diff |= (unsigned char)au->token[i] ^ (unsigned char)(i < given.n ? given.p[i] : 0);
    }
    (void)pthread_mutex_unlock(&au->lock);
    return diff == 0;
}

unsigned admin_auth_check(struct auth *au, const struct addr *from, const char *header,
                          int64_t now_ms, unsigned *retry_s)
{
    struct addr key = auth_key(from);
    struct sl value = sl_trim(sl_str(header));
    bool has_token = sl_istarts(value, SL("Bearer "));
    unsigned status = 401;

    if (has_token && auth_is_token(au, sl_trim(sl_from(value, sizeof("Bearer ") - 1)))) {
        return 200; /* 256 bits are not guessed: a neighbour's guesses must not lock the operator
                       out */
    }
    (void)pthread_mutex_lock(&au->lock);
    if (auth_is_locked(au, &key, now_ms, retry_s)) {
        status = 429;
    } else if (has_token) { /* a missing token is no guess */
        auth_note_failure(au, &key, now_ms);
    }
    (void)pthread_mutex_unlock(&au->lock);
    return status;
}
