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

static void names_add(struct tls_names *out, struct sl s)
{
    char *at = out->text + out->used;

    if (s.n != 0 && s.p[s.n - 1] == '.') {
        s.n--; /* the root of the DNS */
    }
    if (!name_is_clean(s) || out->n == TLS_NAMES_MAX || s.n > sizeof(out->text) - out->used) {
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        at[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i]);
    }
    out->name[out->n++] = sl_make(at, s.n);
    out->used += s.n;
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

static void names_add_ip(struct tls_names *out, struct sl bytes)
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
    names_add(out, buf_sl(&b));
}

static void names_add_cn(struct tls_names *out, const X509 *cert)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at >= 0) {
        names_add(out, asn1_sl(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
    }
}

/* One kind of name; DNS names count only where no sip URI does. */
static void names_add_kind(struct tls_names *out, const GENERAL_NAMES *san, int kind)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(san); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(san, i);

        if (g->type != kind) {
            continue;
        }
        switch (kind) {
        case GEN_URI:
            names_add(out, sip_domain(asn1_sl(g->d.uniformResourceIdentifier)));
            break;
        case GEN_DNS:
            names_add(out, asn1_sl(g->d.dNSName));
            break;
        default:
            names_add_ip(out, asn1_sl(g->d.iPAddress));
            break;
        }
    }
}

void tls_names_of(const X509 *cert, struct tls_names *out)
{
    GENERAL_NAMES *san = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    out->n = 0;
    out->used = 0;
    if (san == NULL) {
        if (X509_get_ext_by_NID(cert, NID_subject_alt_name, -1) < 0) {
            names_add_cn(out, cert); /* one that cannot be read is no excuse to look elsewhere */
        }
        ERR_clear_error();
        return;
    }
    names_add_kind(out, san, GEN_URI);
    if (out->n == 0) {
        names_add_kind(out, san, GEN_DNS);
    }
    names_add_kind(out, san, GEN_IPADD);
    GENERAL_NAMES_free(san);
}

/* Whole names, case aside; a wildcard stands for itself only (RFC 5922 7.2). */
bool tls_names_has(const struct tls_names *names, struct sl name)
{
    for (size_t i = 0; i < names->n; i++) {
        if (sl_ieq(names->name[i], name)) {
            return true;
        }
    }
    return false;
}

/* SIP elements are servers and clients with one certificate (RFC 5922 4), and public authorities
 * write only serverAuth into it: either use will do, and so does RFC 5924's own. */
static bool cert_may_speak_sip(X509 *cert)
{
    EXTENDED_KEY_USAGE *uses = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
    bool may = uses == NULL && X509_get_ext_by_NID(cert, NID_ext_key_usage, -1) < 0;

    for (int i = 0; uses != NULL && !may && i < sk_ASN1_OBJECT_num(uses); i++) {
        const ASN1_OBJECT *use = sk_ASN1_OBJECT_value(uses, i);
        char oid[64];

        may = OBJ_obj2txt(oid, sizeof(oid), use, 1) > 0 &&
              (sl_eq(sl_str(oid), SL("1.3.6.1.5.5.7.3.1")) ||  /* serverAuth */
               sl_eq(sl_str(oid), SL("1.3.6.1.5.5.7.3.2")) ||  /* clientAuth */
               sl_eq(sl_str(oid), SL("1.3.6.1.5.5.7.3.20")) || /* sipDomain */
               sl_eq(sl_str(oid), SL("2.5.29.37.0")));         /* any */
    }
    EXTENDED_KEY_USAGE_free(uses);
    return may;
}

static bool client_wants(const struct tls_client *c, const struct tls_names *names,
                         const struct addr *to)
{
    char text[ADDR_TEXT_MAX];
    struct buf b;

    for (size_t i = 0; i < c->n_names; i++) {
        if (tls_names_has(names, sl_str(c->names[i]))) {
            return true;
        }
    }
    buf_init_fixed(&b, text, sizeof(text));
    addr_put_ip(&b, to);
    return c->n_names == 0 && tls_names_has(names, buf_sl(&b));
}

static int verify_refuse(X509_STORE_CTX *ctx, int error)
{
    X509_STORE_CTX_set_error(ctx, error);
    return 0;
}

int tls_verify_cb(X509_STORE_CTX *ctx, void *arg)
{
    const struct tls_client *c = arg;
    X509 *cert = X509_STORE_CTX_get0_cert(ctx);
    const struct tls *t =
        tls_of_ssl(X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx()));
    struct tls_names names;

    if (X509_verify_cert(ctx) != 1) {
        return 0;
    }
    if (!cert_may_speak_sip(cert)) {
        return verify_refuse(ctx, X509_V_ERR_INVALID_PURPOSE);
    }
    if (c != NULL) {
        tls_names_of(cert, &names);
        if (!client_wants(c, &names, &t->to)) {
            return verify_refuse(ctx, X509_V_ERR_HOSTNAME_MISMATCH);
        }
    }
    return 1;
}
