/* tls_verify.c - whom a certificate names (RFC 5922 7.1), and whether that is who we want. */
#include "crypto/tls_int.h"

#include <openssl/err.h>

/* Hosts and addresses only: whatever else a certificate says is no name that could be meant. */
static bool name_is_clean(struct sl s)
{
    static const char marks[] = ".-_*:";

    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        bool is_alnum = (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z');

        if (!is_alnum && (ch == '\0' || strchr(marks, ch) == NULL)) {
            return false;
        }
    }
    return s.n != 0;
}

/* Where the names of a certificate go, one by one. */
struct name_sink {
    struct tls_names *out;         /* NULL: not kept */
    const struct tls_client *want; /* NULL: nobody in particular */
    struct sl to;                  /* with want: the address dialled */
    bool is_wanted;
    size_t n;
};

static void names_keep(struct tls_names *out, struct sl s)
{
    char *at = out->text + out->used;

    if (out->n == TLS_NAMES_MAX || s.n > sizeof(out->text) - out->used) {
        out->is_cut = true;
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        at[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i]);
    }
    out->name[out->n++] = sl_make(at, s.n);
    out->used += s.n;
}

/* Whole names, case aside; a wildcard stands for itself only (RFC 5922 7.2). */
static bool client_wants(const struct tls_client *c, struct sl to, struct sl name)
{
    for (size_t i = 0; i < c->n_names; i++) {
        if (sl_ieq(sl_str(c->names[i]), name)) {
            return true;
        }
    }
    return c->n_names == 0 && sl_ieq(to, name);
}

static void names_add(struct name_sink *k, struct sl s)
{
    if (s.n != 0 && s.p[s.n - 1] == '.') {
        s.n--; /* the root of the DNS */
    }
    if (!name_is_clean(s)) {
        return;
    }
    k->n++;
    if (k->out != NULL) {
        names_keep(k->out, s);
    }
    k->is_wanted = k->is_wanted || (k->want != NULL && client_wants(k->want, k->to, s));
}

static struct sl asn1_sl(const ASN1_STRING *s)
{
    return sl_make(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

/* "sip:example.com" names a domain; with a user part it names a user, which proves no domain. */
static struct sl sip_domain(struct sl uri)
{
    struct sl host;
    size_t n = 0;

    if (!sl_istarts(uri, SL("sip:")) || sl_chr(uri, '@') >= 0) {
        return SL_NULL;
    }
    host = sl_from(uri, 4);
    while (n < host.n && memchr(":;?", host.p[n], 3) == NULL) {
        n++; /* a NUL is no end: name_is_clean() refuses it */
    }
    return sl_head(host, n);
}

static void names_add_ip(struct name_sink *k, struct sl bytes)
{
    struct addr a = {0};
    char text[ADDR_TEXT_MAX];
    struct buf b;

    if (bytes.n == 4) {
        a.u.in4.sin_family = AF_INET;
        memcpy(&a.u.in4.sin_addr, bytes.p, 4);
    } else if (bytes.n == 16) {
        a.u.in6.sin6_family = AF_INET6;
        memcpy(&a.u.in6.sin6_addr, bytes.p, 16);
    } else {
        return;
    }
    buf_init_fixed(&b, text, sizeof(text));
    addr_put_ip(&b, &a);
    names_add(k, buf_sl(&b));
}

static void names_add_cn(struct name_sink *k, const X509 *cert)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at >= 0) {
        names_add(k, asn1_sl(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
    }
}

/* One kind of name; DNS names count only where no sip URI does. */
static void names_add_kind(struct name_sink *k, const GENERAL_NAMES *san, int kind)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(san); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(san, i);

        if (g->type != kind) {
            continue;
        }
        switch (kind) {
        case GEN_URI:
            names_add(k, sip_domain(asn1_sl(g->d.uniformResourceIdentifier)));
            break;
        case GEN_DNS:
            names_add(k, asn1_sl(g->d.dNSName));
            break;
        default:
            names_add_ip(k, asn1_sl(g->d.iPAddress));
            break;
        }
    }
}

static void names_walk(struct name_sink *k, const X509 *cert)
{
    GENERAL_NAMES *san = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    if (san == NULL) {
        if (X509_get_ext_by_NID(cert, NID_subject_alt_name, -1) < 0) {
            names_add_cn(k, cert); /* one that cannot be read is no excuse to look elsewhere */
        }
        ERR_clear_error();
        return;
    }
    names_add_kind(k, san, GEN_URI);
    if (k->n == 0) {
        names_add_kind(k, san, GEN_DNS);
    }
    names_add_kind(k, san, GEN_IPADD);
    GENERAL_NAMES_free(san);
}

void tls_names_of(const X509 *cert, struct tls_names *out)
{
    struct name_sink k = {.out = out};

    out->n = 0;
    out->used = 0;
    out->is_cut = false;
    names_walk(&k, cert);
    if (out->is_cut) {
        stat_inc(STAT_TLS_NAMES);
    }
}

static bool cert_is_wanted(const X509 *cert, const struct tls_client *c, const struct addr *to)
{
    struct name_sink k = {.want = c};
    char text[ADDR_TEXT_MAX];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    addr_put_ip(&b, to);
    k.to = buf_sl(&b);
    names_walk(&k, cert);
    return k.is_wanted;
}

/* SIP elements are servers and clients with one certificate (RFC 5922 4), and public authorities
 * write only serverAuth into it: either use will do, and so does RFC 5924's own. */
enum { USE_SERVER = 1, USE_CLIENT = 2, USE_SIP = 4, USE_ANY = 7 };

static unsigned cert_uses(const X509 *cert)
{
    static const struct {
        struct sl oid;
        unsigned use;
    } known[] = {{{"1.3.6.1.5.5.7.3.1", 17}, USE_SERVER},
                 {{"1.3.6.1.5.5.7.3.2", 17}, USE_CLIENT},
                 {{"1.3.6.1.5.5.7.3.20", 18}, USE_SIP},
                 {{"2.5.29.37.0", 11}, USE_ANY}};
    EXTENDED_KEY_USAGE *all = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
    unsigned uses = 0;

    if (all == NULL && X509_get_ext_by_NID(cert, NID_ext_key_usage, -1) < 0) {
        return USE_ANY;
    }
    for (int i = 0; all != NULL && i < sk_ASN1_OBJECT_num(all); i++) {
        char oid[64];

        if (OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(all, i), 1) <= 0) {
            continue;
        }
        for (size_t k = 0; k < COUNT_OF(known); k++) {
            uses |= sl_eq(sl_str(oid), known[k].oid) ? known[k].use : 0;
        }
    }
    EXTENDED_KEY_USAGE_free(all);
    return uses;
}

/* An authority between us and the anchor may be bound to other uses (RFC 5280 4.2.1.12, as
 * everybody reads it): one use must be common to all. What the anchor may do, the operator has
 * said. */
static bool chain_may_speak_sip(const X509_STORE_CTX *ctx)
{
    const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
    unsigned uses = USE_ANY;

    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (i == 0 || i != sk_X509_num(chain) - 1) {
            uses &= cert_uses(sk_X509_value(chain, i));
        }
    }
    return uses != 0;
}

/* The operator's files hold a list of this certificate's issuer. The system's authorities are
 * fetched when they are needed, so that another thread may be adding one: the lock. */
static bool has_crl(const X509_STORE_CTX *ctx, const X509 *cert)
{
    X509_STORE *store = X509_STORE_CTX_get0_store(ctx);
    const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);
    bool has = false;

    (void)X509_STORE_lock(store);
    for (int i = 0; !has && i < sk_X509_OBJECT_num(all); i++) {
        const X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));

        has =
            crl != NULL && X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(cert)) == 0;
    }
    (void)X509_STORE_unlock(store);
    return has;
}

/* A list of one authority says nothing of the others. */
static int on_chain_error(int ok, X509_STORE_CTX *ctx)
{
    X509 *cert = X509_STORE_CTX_get_current_cert(ctx);

    if (ok != 1 && X509_STORE_CTX_get_error(ctx) == X509_V_ERR_UNABLE_TO_GET_CRL && cert != NULL &&
        !has_crl(ctx, cert)) {
        X509_STORE_CTX_set_error(ctx, X509_V_OK);
        return 1;
    }
    return ok;
}

static bool verify_refuse(X509_STORE_CTX *ctx, int error)
{
    X509_STORE_CTX_set_error(ctx, error);
    return false;
}

bool tls_chain_verify(X509_STORE_CTX *ctx, const struct tls_client *c, const struct addr *to)
{
    X509_STORE_CTX_set_verify_cb(ctx, on_chain_error);
    if (X509_verify_cert(ctx) != 1) {
        return false;
    }
    if (!chain_may_speak_sip(ctx)) {
        return verify_refuse(ctx, X509_V_ERR_INVALID_PURPOSE);
    }
    if (c != NULL && !cert_is_wanted(X509_STORE_CTX_get0_cert(ctx), c, to)) {
        return verify_refuse(ctx, X509_V_ERR_HOSTNAME_MISMATCH);
    }
    return true;
}

int tls_verify_cb(X509_STORE_CTX *ctx, void *arg)
{
    const struct tls *t =
        tls_of_ssl(X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx()));

    return tls_chain_verify(ctx, arg, &t->to) ? 1 : 0;
}
