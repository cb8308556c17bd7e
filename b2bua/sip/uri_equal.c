/* uri_equal.c - when two URIs are the same (RFC 3261 19.1.4; RFC 3966 4), and URI parameters
 * whose names may be escaped. */
#include "sip/sip_int.h"

#define PARAMS_COMPARED_MAX 32 /* per URI; above it only identical texts are equal */

/* One character of s at *i as a number: an escape of a reserved byte is never that byte. */
static unsigned uri_unit(struct sl s, size_t *i, bool fold)
{
    unsigned c = (unsigned char)s.p[(*i)++];

    if (c == '%' && s.n - *i >= 2) {
        c = (unsigned)(sip_hex(s.p[*i]) << 4 | sip_hex(s.p[*i + 1])) & 0xff;
        *i += 2;
        if (c == 0 || strchr(";/?:@&=+$,", (int)c) != NULL) {
            return 0x100 | c;
        }
    }
    return fold && c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool uri_same(struct sl a, struct sl b, bool fold)
{
    size_t i = 0, k = 0;

    while (i < a.n && k < b.n) {
        if (uri_unit(a, &i, fold) != uri_unit(b, &k, fold)) {
            return false;
        }
    }
    return i == a.n && k == b.n;
}

/* Next piece of a list "a=1;b" (stop ';') or "a=1&b=2" (stop '&'). False: end. */
static bool uri_piece(struct sl *in, char stop, struct sl *name, struct sl *value)
{
    struct sl piece;
    ptrdiff_t eq;

    if (sl_next(in, stop, &piece) != 0) {
        return false;
    }
    eq = sip_chr(piece, '=');
    *name = eq < 0 ? piece : sip_head(piece, (size_t)eq);
    *value = eq < 0 ? SL_NULL : sip_from(piece, (size_t)eq + 1);
    return true;
}

static bool uri_find(struct sl list, char stop, struct sl name, struct sl *value)
{
    struct sl n;

    while (uri_piece(&list, stop, &n, value)) {
        if (uri_same(n, name, true)) {
            return true;
        }
    }
    return false;
}

static size_t uri_count(struct sl list, char stop)
{
    size_t n = list.n != 0 ? 1 : 0;

    for (size_t i = 0; i < list.n; i++) {
        n += list.p[i] == stop;
    }
    return n;
}

/* Parameters that make a difference even when only one side has them (RFC 3261 19.1.4). */
static bool uri_param_matters(struct sl name)
{
    static const struct sl names[] = {
        {"user", 4}, {"ttl", 3}, {"method", 6}, {"maddr", 5}, {"transport", 9}};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (uri_same(name, names[i], true)) {
            return true;
        }
    }
    return false;
}

/* Each of a's that b has too is the same there; what b lacks may not matter, unless all do. */
static bool uri_list_in(struct sl a, struct sl b, char stop, bool all_matter)
{
    struct sl name, mine, theirs;

    while (uri_piece(&a, stop, &name, &mine)) {
        if (uri_find(b, stop, name, &theirs)) {
            if (!uri_same(mine, theirs, true)) {
                return false;
            }
        } else if (all_matter || uri_param_matters(name)) {
            return false;
        }
    }
    return true;
}

static bool uri_lists_equal(struct sl a, struct sl b, char stop, bool all_matter)
{
    size_t n_a = uri_count(a, stop), n_b = uri_count(b, stop);

    if (n_a > PARAMS_COMPARED_MAX || n_b > PARAMS_COMPARED_MAX) {
        return sl_eq(a, b); /* the pairwise search stays bounded */
    }
    if (all_matter && n_a != n_b) {
        return false;
    }
    return uri_list_in(a, b, stop, all_matter) && uri_list_in(b, a, stop, all_matter);
}

static bool uri_hosts_equal(const struct sip_uri *a, const struct sip_uri *b)
{
    struct addr x, y;

    if (a->host_is_v6 == b->host_is_v6 && sl_ieq(a->host, b->host)) {
        return true;
    }
    if (!a->host_is_v6 && !b->host_is_v6) {
        return false;
    }
    /* One address has many spellings, and a mapped one is the IPv4 address (RFC 5118 4.9). */
    return addr_parse(a->host, 0, &x) == 0 && addr_parse(b->host, 0, &y) == 0 && addr_eq_ip(&x, &y);
}

static bool uri_sip_equal(const struct sip_uri *a, const struct sip_uri *b)
{
    return uri_same(a->user, b->user, false) && uri_same(a->password, b->password, false) &&
           (a->password.p == NULL) == (b->password.p == NULL) && a->port == b->port &&
           uri_hosts_equal(a, b) && uri_lists_equal(a->params, b->params, ';', false) &&
           uri_lists_equal(a->headers, b->headers, '&', true);
}

static size_t tel_skip(struct sl s, size_t i)
{
    while (i < s.n && memchr("-.()", s.p[i], 4) != NULL) {
        i++;
    }
    return i;
}

/* RFC 3966 4: visual separators do not count. */
static bool tel_same(struct sl a, struct sl b)
{
    size_t i = tel_skip(a, 0), k = tel_skip(b, 0);

    while (i < a.n && k < b.n) {
        if (uri_unit(a, &i, true) != uri_unit(b, &k, true)) {
            return false;
        }
        i = tel_skip(a, i);
        k = tel_skip(b, k);
    }
    return i == a.n && k == b.n;
}

bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b)
{
    if (a->scheme != b->scheme || sl_eq(a->text, b->text)) {
        return a->scheme == b->scheme;
    }
    switch (a->scheme) {
    case SIP_SCHEME_SIP:
    case SIP_SCHEME_SIPS:
        return uri_sip_equal(a, b);
    case SIP_SCHEME_TEL:
        return tel_same(a->user, b->user) && uri_lists_equal(a->params, b->params, ';', true);
    case SIP_SCHEME_OTHER:
        break;
    }
    return false;
}

bool sip_uri_param(const struct sip_uri *u, struct sl name, struct sl *value)
{
    struct sl v;

    if (!uri_find(u->params, ';', name, &v)) {
        return false;
    }
    *value = v;
    return true;
}

enum sip_transport sip_uri_transport(const struct sip_uri *u, enum sip_transport dflt)
{
    struct sl value;

    return sip_uri_param(u, SL("transport"), &value) ? sip_transport_of(value) : dflt;
}
