/* auth.c - digest credentials and challenges (RFC 7616 3.3, 3.4). Other schemes: only their name.
 */
#include "sip/sip_int.h"

static const struct auth_field {
    struct sl name;
    size_t off;
} auth_fields[] = {
    {{"username", 8}, offsetof(struct sip_auth, username)},
    {{"realm", 5}, offsetof(struct sip_auth, realm)},
    {{"nonce", 5}, offsetof(struct sip_auth, nonce)},
    {{"uri", 3}, offsetof(struct sip_auth, uri)},
    {{"response", 8}, offsetof(struct sip_auth, response)},
    {{"algorithm", 9}, offsetof(struct sip_auth, algorithm)},
    {{"cnonce", 6}, offsetof(struct sip_auth, cnonce)},
    {{"opaque", 6}, offsetof(struct sip_auth, opaque)},
    {{"qop", 3}, offsetof(struct sip_auth, qop)},
    {{"nc", 2}, offsetof(struct sip_auth, nc)},
};

/* One field given twice is a trap for whoever reads the other one. */
static int auth_set(struct sip_auth *auth, struct sl name, struct sl value, uint32_t *seen)
{
    for (size_t i = 0; i < COUNT_OF(auth_fields); i++) {
        if (sl_ieq(auth_fields[i].name, name)) {
            if ((*seen & (1U << i)) != 0) {
                return EBADMSG;
            }
            *seen |= 1U << i;
            memcpy((char *)auth + auth_fields[i].off, &value, sizeof(value));
            return 0;
        }
    }
    if (sl_ieq(name, SL("stale"))) {
        auth->stale = sl_ieq(value, SL("true"));
    }
    return 0;
}

/* Unquoted value up to ',' or LWS. */
static size_t auth_word_end(struct sl s, size_t at)
{
    while (at < s.n && s.p[at] != ',' && s.p[at] != '"' && sip_is(s.p[at], C_PRINT)) {
        at++;
    }
    return at;
}

/* name = value at *at, which moves behind it. */
static int auth_pair(struct sl s, size_t *at, struct sl *name, struct sl *value)
{
    size_t end = sip_run(s, *at, C_TOKEN);
    size_t from = sip_skip_lws(s, end);

    if (end == *at || from == s.n || s.p[from] != '=') {
        return EBADMSG;
    }
    *name = sip_cut(s, *at, end);
    from = sip_skip_lws(s, from + 1);
    if (from < s.n && s.p[from] == '"') {
        end = sip_quoted_end(s, from);
        if (end == 0) {
            return EBADMSG;
        }
        *value = sip_cut(s, from + 1, end - 1);
    } else {
        end = auth_word_end(s, from);
        *value = sip_cut(s, from, end);
    }
    *at = sip_skip_lws(s, end);
    return *at == s.n || s.p[*at] == ',' ? 0 : EBADMSG;
}

static size_t auth_skip_commas(struct sl s, size_t at)
{
    while (at < s.n && (s.p[at] == ',' || sip_is_lws(s.p[at]))) {
        at++;
    }
    return at;
}

int sip_auth_parse(struct sl value, struct sip_auth *out)
{
    struct sip_auth auth = {.stale = false};
    struct sl s = sip_trim(value), name, v;
    size_t at = sip_run(s, 0, C_TOKEN);
    uint32_t seen = 0;

    if (at == 0 || (at < s.n && !sip_is_lws(s.p[at]))) {
        return EBADMSG;
    }
    auth.scheme = sip_head(s, at);
    if (!sl_ieq(auth.scheme, SL("Digest"))) {
        *out = auth;
        return 0;
    }
    for (at = auth_skip_commas(s, at); at < s.n; at = auth_skip_commas(s, at)) {
        if (auth_pair(s, &at, &name, &v) != 0 || auth_set(&auth, name, v, &seen) != 0) {
            return EBADMSG;
        }
    }
    *out = auth;
    return 0;
}
