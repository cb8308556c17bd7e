/* tls_rig.c - see tls_rig.h. */
#include "tests/unit/tls_rig.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define PKI_FILES_MAX 64

static char pki_dir[PKI_PATH_MAX / 2];
static char pki_files[PKI_FILES_MAX][PKI_PATH_MAX];
static size_t pki_n_files;

static void pki_cleanup(void)
{
    while (pki_n_files != 0) {
        (void)unlink(pki_files[--pki_n_files]);
    }
    (void)rmdir(pki_dir);
}

static void pki_path(char path[PKI_PATH_MAX], const char *name, const char *ext)
{
    if (pki_dir[0] == '\0') {
        (void)snprintf(pki_dir, sizeof(pki_dir), "/tmp/postern-pki-XXXXXX");
        assert_non_null(mkdtemp(pki_dir));
        (void)atexit(pki_cleanup);
    }
    (void)snprintf(path, PKI_PATH_MAX, "%s/%.60s%s", pki_dir, name, ext);
    if (access(path, F_OK) != 0) {
        assert_true(pki_n_files < PKI_FILES_MAX);
        memcpy(pki_files[pki_n_files++], path, PKI_PATH_MAX);
    }
}

static void pki_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

static void pki_write(const struct pki_cert *out, X509 *cert, EVP_PKEY *key)
{
    FILE *f = fopen(out->certificate, "w");

    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, cert), 1);
    (void)fclose(f);
    f = fopen(out->key, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(f);
}

static X509 *pki_read_cert(const char *path)
{
    FILE *f = fopen(path, "r");
    X509 *cert;

    assert_non_null(f);
    cert = PEM_read_X509(f, NULL, NULL, NULL);
    (void)fclose(f);
    assert_non_null(cert);
    return cert;
}

static EVP_PKEY *pki_read_key(const char *path)
{
    FILE *f = fopen(path, "r");
    EVP_PKEY *key;

    assert_non_null(f);
    key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    (void)fclose(f);
    assert_non_null(key);
    return key;
}

static void pki_append(const char *to, const char *from)
{
    FILE *in = fopen(from, "r"), *out = fopen(to, "a");
    int ch;

    assert_non_null(in);
    assert_non_null(out);
    while ((ch = fgetc(in)) != EOF) {
        (void)fputc(ch, out);
    }
    (void)fclose(in);
    (void)fclose(out);
}

struct x509_st *pki_read(const struct pki_cert *c)
{
    return pki_read_cert(c->certificate);
}

void pki_make(struct pki_cert *out, const char *name, const struct pki_spec *spec)
{
    static long serial = 1;
    bool is_dated = spec->from_s != 0 || spec->to_s != 0;
    X509 *cert = X509_new();
    X509 *issuer = spec->ca != NULL ? pki_read_cert(spec->ca->certificate) : cert;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    EVP_PKEY *signer = spec->ca != NULL ? pki_read_key(spec->ca->key) : key;
    X509_NAME *subject = X509_get_subject_name(cert);

    pki_path(out->certificate, name, ".pem");
    pki_path(out->key, name, ".key");
    assert_int_equal(X509_set_version(cert, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), is_dated ? spec->from_s : -3600));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), is_dated ? spec->to_s : 86400));
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                                (const unsigned char *)spec->cn, -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(issuer)), 1);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    if (spec->ca == NULL || spec->is_ca) {
        pki_extend(cert, issuer, NID_basic_constraints, "critical,CA:TRUE");
        pki_extend(cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    }
    pki_extend(cert, issuer, NID_subject_key_identifier, "hash");
    if (spec->san != NULL) {
        pki_extend(cert, issuer, NID_subject_alt_name, spec->san);
    }
    if (spec->eku != NULL) {
        pki_extend(cert, issuer, NID_ext_key_usage, spec->eku);
    }
    assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
    pki_write(out, cert, key);
    if (spec->chain != NULL) {
        pki_append(out->certificate, spec->chain->certificate);
    }
    if (spec->ca != NULL) {
        X509_free(issuer);
        EVP_PKEY_free(signer);
    }
    EVP_PKEY_free(key);
    X509_free(cert);
}

void pki_make_crl(struct pki_cert *out, const char *name, const struct pki_cert *from,
                  const struct pki_cert *revoked)
{
    X509 *issuer = pki_read_cert(from->certificate);
    EVP_PKEY *key = pki_read_key(from->key);
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *at = ASN1_TIME_new();
    FILE *f;

    assert_int_equal(X509_CRL_set_version(crl, 1), 1);
    assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)), 1);
    assert_non_null(X509_gmtime_adj(at, -3600));
    assert_int_equal(X509_CRL_set1_lastUpdate(crl, at), 1);
    if (revoked != NULL) {
        X509 *cert = pki_read_cert(revoked->certificate);
        X509_REVOKED *r = X509_REVOKED_new();

        assert_int_equal(X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(cert)), 1);
        assert_int_equal(X509_REVOKED_set_revocationDate(r, at), 1);
        assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
        X509_free(cert);
    }
    assert_non_null(X509_gmtime_adj(at, 86400));
    assert_int_equal(X509_CRL_set1_nextUpdate(crl, at), 1);
    assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
    pki_path(out->certificate, name, ".pem");
    pki_path(out->key, name, ".key");
    pki_write(out, issuer, key);
    f = fopen(out->certificate, "a");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509_CRL(f, crl), 1);
    (void)fclose(f);
    ASN1_TIME_free(at);
    X509_CRL_free(crl);
    EVP_PKEY_free(key);
    X509_free(issuer);
}

const char *pki_file(char path[PKI_PATH_MAX], const char *name, const char *text)
{
    FILE *f;

    pki_path(path, name, "");
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    (void)fclose(f);
    return path;
}

struct tls_identity pki_identity(const struct pki_cert *c)
{
    return (struct tls_identity){.certificate = c->certificate, .key = c->key};
}

struct tls_anchors *pki_anchors(const struct pki_cert *ca)
{
    struct tls_anchors *a = NULL;
    struct tls_problem why;

    assert_int_equal(tls_anchors_load(&a, ca->certificate, &why), 0);
    return a;
}

struct tls_server *pki_server(const struct pki_cert *c, const struct pki_cert *client_ca,
                              enum tls_verify verify)
{
    struct tls_identity id = pki_identity(c);
    struct tls_anchors *anchors = client_ca != NULL ? pki_anchors(client_ca) : NULL;
    struct tls_server *s = NULL;
    struct tls_problem why;

    assert_int_equal(
        tls_server_new(&s,
                       &(struct tls_server_params){
                           .ids = &id, .n_ids = 1, .client_ca = anchors, .verify = verify},
                       &why),
        0);
    tls_anchors_unref(&anchors);
    return s;
}

struct tls_client *pki_client(const struct pki_cert *ca, const char *const *names,
                              const struct pki_cert *own)
{
    struct tls_anchors *anchors = ca != NULL ? pki_anchors(ca) : NULL;
    struct tls_client_params p = {.ca = anchors, .verify = ca != NULL, .names = names};
    struct tls_client *c = NULL;
    struct tls_problem why;

    while (names != NULL && names[p.n_names] != NULL) {
        p.n_names++;
    }
    if (own != NULL) {
        p.id = pki_identity(own);
    }
    assert_int_equal(tls_client_new(&c, &p, &why), 0);
    tls_anchors_unref(&anchors);
    return c;
}
