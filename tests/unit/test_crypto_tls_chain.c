/* test_crypto_tls_chain.c - the links of a chain: revocation lists that exist for one authority and
 * not for another, what an authority between may vouch for, and certificates with many names. */
#include "tests/unit/tls_pair.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>

/* Both files in one, for a set of anchors. */
static void join(struct pki_cert *out, const char *name, const struct pki_cert *a,
                 const struct pki_cert *b)
{
    char text[16384] = "";
    const char *const files[] = {a->certificate, b->certificate};
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(files); i++) {
        FILE *f = fopen(files[i], "r");

        assert_non_null(f);
        n += fread(text + n, 1, sizeof(text) - 1 - n, f);
        (void)fclose(f);
    }
    text[n] = '\0';
    (void)pki_file(out->certificate, name, text);
}

static void client_is(const struct pki_cert *client, const struct pki_cert *trusted, int result)
{
    meet(pki_client(&ca, wanted, client), pki_server(&server_cert, trusted, TLS_VERIFY_REQUIRED));
    assert_int_equal(pair.b.result, result);
    pair_down();
}

static void a_list_of_one_authority_says_nothing_of_another(void **state)
{
    struct pki_cert listed, both, theirs, other_revoked;

    (void)state;
    pki_make(&theirs, "theirs",
             &(struct pki_spec){.cn = "x", .san = "DNS:x.example.net", .ca = &other_ca});
    pki_make_crl(&listed, "listed", &ca, &client_cert);
    join(&both, "both.pem", &listed, &other_ca);
    client_is(&client_cert, &both, EACCES); /* revoked */
    client_is(&theirs, &both, 0);           /* its authority has no list */
    pki_make_crl(&other_revoked, "listed2", &other_ca, &theirs);
    join(&both, "both2.pem", &listed, &other_revoked);
    client_is(&theirs, &both, EACCES);
}

static void a_revoked_authority_between_vouches_for_nobody(void **state)
{
    struct pki_cert between, leaf, listed;

    (void)state;
    pki_make(&between, "between", &(struct pki_spec){.cn = "Between", .ca = &ca, .is_ca = true});
    pki_make(&leaf, "leaf",
             &(struct pki_spec){
                 .cn = "x", .san = "DNS:x.example.net", .ca = &between, .chain = &between});
    client_is(&leaf, &ca, 0);
    pki_make_crl(&listed, "listed", &ca, &between);
    client_is(&leaf, &listed, EACCES);
}

static void an_authority_between_vouches_for_the_uses_it_has(void **state)
{
    static const struct {
        const char *between, *leaf;
        int result;
    } rows[] = {{NULL, NULL, 0},
                {"serverAuth", NULL, 0},
                {"serverAuth", "serverAuth,clientAuth", 0},
                {"anyExtendedKeyUsage", "1.3.6.1.5.5.7.3.20", 0},
                {"codeSigning", NULL, EACCES},
                {"emailProtection", "serverAuth", EACCES},
                {"clientAuth", "serverAuth", EACCES}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct pki_cert between, leaf;

        pki_make(
            &between, "between",
            &(struct pki_spec){.cn = "Between", .eku = rows[i].between, .ca = &ca, .is_ca = true});
        pki_make(&leaf, "leaf",
                 &(struct pki_spec){.cn = "x",
                                    .san = "DNS:x.example.net",
                                    .eku = rows[i].leaf,
                                    .ca = &between,
                                    .chain = &between});
        client_is(&leaf, &ca, rows[i].result);
    }
}

/* 40 names; the last one is who it is. */
static const char *many_names(void)
{
    static char san[2048];
    size_t n = 0;

    for (int i = 0; i < 39; i++) {
        n += (size_t)snprintf(san + n, sizeof(san) - n, "DNS:n%d.example.com,", i);
    }
    (void)snprintf(san + n, sizeof(san) - n, "DNS:sip.example.com");
    return san;
}

static void a_certificate_with_many_names_is_known_by_the_first_ones(void **state)
{
    struct sl names[2 * TLS_NAMES_MAX];
    struct pki_cert many;
    uint64_t before = stat_sum(STAT_TLS_NAMES);

    (void)state;
    pki_make(&many, "many", &(struct pki_spec){.cn = "x", .san = many_names(), .ca = &ca});
    meet(pki_client(&ca, wanted, &many), pki_server(&many, &ca, TLS_VERIFY_REQUIRED));
    assert_int_equal(pair.a.result, 0); /* whom a dialler looks for is found wherever it stands */
    assert_int_equal(pair.b.result, 0);
    assert_int_equal(tls_names(pair.b.tls, names, COUNT_OF(names)), TLS_NAMES_MAX);
    assert_true(sl_eq(names[TLS_NAMES_MAX - 1], SL("n31.example.com")));
    assert_int_equal(stat_sum(STAT_TLS_NAMES), before + 2);
    pair_down();
}

/* --- judged again --- */

static void what_a_resumed_client_cannot_show_again_is_lost(void **state)
{
    struct pki_cert between, leaf, both;
    struct tls_client *c;
    struct tls_server *s, *after, *same;
    struct sl names[4];

    (void)state;
    pki_make(&between, "between", &(struct pki_spec){.cn = "Between", .ca = &ca, .is_ca = true});
    pki_make(&leaf, "leaf",
             &(struct pki_spec){
                 .cn = "x", .san = "DNS:x.example.net", .ca = &between, .chain = &between});
    join(&both, "both.pem", &ca, &other_ca);
    c = pki_client(&ca, wanted, &leaf);
    s = pki_server(&server_cert, &ca, TLS_VERIFY_REQUIRED);
    same = pki_server(&server_cert, &ca, TLS_VERIFY_REQUIRED);
    after = pki_server(&server_cert, &both, TLS_VERIFY_REQUIRED);
    for (int resumed = 0; resumed < 2; resumed++) {
        meet(tls_client_ref(c), tls_server_ref(s));
        talk(&pair.b, &pair.a, SL("hello")); /* with it the ticket */
        assert_int_equal(info_of(&pair.b).resumed, resumed);
        assert_int_equal(tls_recheck(pair.b.tls, same, NULL), TLS_HOLDS);
        assert_int_equal(tls_names(pair.b.tls, names, COUNT_OF(names)), 1);
        assert_int_equal(tls_recheck(pair.b.tls, after, NULL), resumed ? TLS_LOST : TLS_HOLDS);
        assert_int_equal(tls_names(pair.b.tls, names, COUNT_OF(names)), resumed ? 0 : 1);
        pair_down();
    }
    tls_client_unref(&c);
    tls_server_unref(&s);
    tls_server_unref(&same);
    tls_server_unref(&after);
}

/* --- the system's authorities: a directory, read as it is needed, by all threads of the pool ---
 */

enum { LEAVES = 8, READERS = 4 };

struct reader {
    pthread_t thread;
    unsigned first;
    X509_STORE *store;
    X509 *const *leaves;
    unsigned good;
};

static void *read_all(void *arg)
{
    struct reader *r = arg;

    for (unsigned i = 0; i < LEAVES; i++) {
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();

        (void)X509_STORE_CTX_init(ctx, r->store, r->leaves[(r->first + i) % LEAVES], NULL);
        r->good += tls_chain_verify(ctx, NULL, NULL);
        X509_STORE_CTX_free(ctx);
        ERR_clear_error();
    }
    return NULL;
}

/* Puts an authority where OpenSSL looks for it, and gives a certificate of its. */
static X509 *leaf_in_directory(unsigned i)
{
    char text[16384] = "", path[PKI_PATH_MAX], name[32];
    struct pki_cert root, leaf;
    X509 *cert;
    FILE *f;

    (void)snprintf(name, sizeof(name), "System CA %u", i);
    pki_make(&root, "root", &(struct pki_spec){.cn = name});
    pki_make(&leaf, "leaf", &(struct pki_spec){.cn = "x", .ca = &root});
    cert = pki_read(&root);
    (void)snprintf(name, sizeof(name), "%08lx.0", X509_subject_name_hash(cert));
    X509_free(cert);
    f = fopen(root.certificate, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof(text) - 1, f) != 0);
    (void)fclose(f);
    (void)pki_file(path, name, text);
    *strrchr(path, '/') = '\0';
    (void)setenv("SSL_CERT_DIR", path, 1);
    return pki_read(&leaf);
}

static void the_systems_authorities_are_read_by_many_threads(void **state)
{
    X509 *leaves[LEAVES];
    struct reader readers[READERS];
    struct tls_anchors *anchors = NULL;
    struct tls_problem why;

    (void)state;
    for (unsigned i = 0; i < LEAVES; i++) {
        leaves[i] = leaf_in_directory(i);
    }
    assert_int_equal(tls_anchors_load(&anchors, NULL, &why), 0);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){
            .first = i * LEAVES / READERS, .store = anchors->store, .leaves = leaves};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_all, &readers[i]), 0);
    }
    for (unsigned i = 0; i < READERS; i++) {
        (void)pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].good, LEAVES);
    }
    for (unsigned i = 0; i < LEAVES; i++) {
        X509_free(leaves[i]);
    }
    tls_anchors_unref(&anchors);
    (void)unsetenv("SSL_CERT_DIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_one_authority_says_nothing_of_another),
        cmocka_unit_test(a_revoked_authority_between_vouches_for_nobody),
        cmocka_unit_test(an_authority_between_vouches_for_the_uses_it_has),
        cmocka_unit_test(a_certificate_with_many_names_is_known_by_the_first_ones),
        cmocka_unit_test(what_a_resumed_client_cannot_show_again_is_lost),
        cmocka_unit_test(the_systems_authorities_are_read_by_many_threads),
    };

    return cmocka_run_group_tests(tests, pair_setup, pair_teardown);
}
