/* DTLS-SRTP against the openssl program, over UDP on the loopback: another stack's timing and
 * datagrams, its view of the fingerprints, and the keys that it exports. */
#include "crypto/crypto.h"
#include "crypto_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUARD_MS 60000 /* for a machine that does ten other things */
#define EXPORT "EXTRACTOR-dtls_srtp"

static struct rig {
    char dir[64], cert[96], key[96];
    struct crypto_pool *pool;
    struct dtls_ctx *ctx;
    struct dtls_hub *hub;
    struct dtls *d;
    struct clock clock;
    int udp;
    struct addr peer;
    pid_t child;
    int in, out; /* the child's standard input and output */
    char text[65536];
    size_t n;
} rig;

/* --- the program --- */

static void child_start(char *const argv[])
{
    int in[2], out[2];

    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    rig.child = fork();
    assert_true(rig.child >= 0);
    if (rig.child == 0) {
        if (dup2(in[0], 0) == 0 && dup2(out[1], 1) == 1 && dup2(out[1], 2) == 2) {
            (void)close(in[1]);
            (void)execvp(argv[0], argv);
        }
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    rig.in = in[1];
    rig.out = out[0];
    rig.n = 0;
    rig.text[0] = '\0';
}

/* Reads what is there; false: the child has closed its output. */
static bool child_read(void)
{
    ssize_t n = read(rig.out, rig.text + rig.n, sizeof(rig.text) - 1 - rig.n);

    rig.n += n > 0 ? (size_t)n : 0;
    rig.text[rig.n] = '\0';
    return n > 0;
}

static int child_end(void)
{
    int status = -1;

    if (rig.child > 0) {
        (void)close(rig.in);
        (void)close(rig.out);
        (void)kill(rig.child, SIGTERM);
        (void)waitpid(rig.child, &status, 0);
    }
    rig.child = 0;
    return status;
}

static void openssl(char *const argv[])
{
    int status = -1;

    child_start(argv);
    while (child_read()) {
    }
    assert_int_equal(waitpid(rig.child, &status, 0), rig.child);
    (void)close(rig.in);
    (void)close(rig.out);
    rig.child = 0;
    if (status != 0) {
        fail_msg("%s: %s", argv[1], rig.text);
    }
}

/* What follows `mark` in the child's output; NULL: it has not said it yet. */
static const char *said(const char *mark)
{
    const char *at = strstr(rig.text, mark);

    return at != NULL && strchr(at, '\n') != NULL ? at + strlen(mark) : NULL;
}

/* --- up and down --- */

static int up(void **state)
{
    const struct dtls_ctx_params cp = {0};
    struct dtls_hub_params hp = {0};

    (void)state;
    memset(&rig, 0, sizeof(rig));
    rig.udp = -1;
    clock_init_real(&rig.clock);
    (void)snprintf(rig.dir, sizeof(rig.dir), "/tmp/postern-dtls-XXXXXX");
    if (mkdtemp(rig.dir) == NULL || crypto_pool_new(&rig.pool, 0, 4) != 0 ||
        dtls_ctx_new(&rig.ctx, &cp) != 0) {
        return -1;
    }
    (void)snprintf(rig.cert, sizeof(rig.cert), "%s/cert.pem", rig.dir);
    (void)snprintf(rig.key, sizeof(rig.key), "%s/key.pem", rig.dir);
    hp.ctx = rig.ctx;
    hp.pool = rig.pool;
    return dtls_hub_new(&rig.hub, &hp);
}

static int down(void **state)
{
    (void)state;
    (void)child_end();
    if (rig.udp >= 0) {
        (void)close(rig.udp);
    }
    dtls_free(&rig.d);
    crypto_pool_stop(rig.pool);
    dtls_hub_free(&rig.hub);
    crypto_pool_free(&rig.pool);
    dtls_ctx_free(&rig.ctx);
    (void)unlink(rig.cert);
    (void)unlink(rig.key);
    return rmdir(rig.dir);
}

static void make_certificate(const char *kind, const char *option)
{
    openssl((char *[]){"openssl", "req", "-x509", "-newkey", (char *)kind, "-pkeyopt",
                       (char *)option, "-nodes", "-keyout", rig.key, "-out", rig.cert, "-subj",
                       "/CN=peer", "-days", "2", NULL});
}

/* As the program computes it, not as we do. */
static struct dtls_fingerprint fingerprint(const char *hash, const char *name)
{
    struct dtls_fingerprint fp;
    char text[256];
    const char *hex;

    openssl((char *[]){"openssl", "x509", "-in", rig.cert, "-noout", "-fingerprint", (char *)hash,
                       NULL});
    hex = said("Fingerprint=");
    assert_non_null(hex);
    (void)snprintf(text, sizeof(text), "%s %s", name, hex);
    assert_int_equal(dtls_fingerprint_parse(sl_str(text), &fp), 0);
    return fp;
}

static uint16_t udp_open(void)
{
    struct addr a;
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);

    assert_int_equal(addr_parse(SL("127.0.0.1"), 0, &a), 0);
    rig.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(rig.udp, &a.u.sa, addr_len(&a)), 0);
    assert_int_equal(getsockname(rig.udp, (struct sockaddr *)&ss, &len), 0);
    addr_from_sockaddr(&a, (struct sockaddr *)&ss, len);
    return addr_port(&a);
}

/* --- the conversation --- */

static void send_all(void)
{
    struct sl out;

    dtls_hub_collect(rig.hub, clock_now_ms(&rig.clock));
    while (dtls_next_out(rig.d, &out)) {
        assert_true(out.n <= DTLS_MTU);
        (void)sendto(rig.udp, out.p, out.n, 0, &rig.peer.u.sa, addr_len(&rig.peer));
    }
}

static void receive(void)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    char datagram[DTLS_DATAGRAM_MAX];
    ssize_t n = recvfrom(rig.udp, datagram, sizeof(datagram), 0, (struct sockaddr *)&ss, &len);

    if (n > 0) {
        addr_from_sockaddr(&rig.peer, (struct sockaddr *)&ss, len);
        dtls_feed(rig.d, sl_make(datagram, (size_t)n), clock_now_ms(&rig.clock));
    }
}

/* One wait for the network, the program or the clock. */
static void turn(void)
{
    struct pollfd fds[] = {{.fd = rig.udp, .events = POLLIN}, {.fd = rig.out, .events = POLLIN}};
    int64_t wait = rig.d != NULL ? dtls_timeout_ms(rig.d, clock_now_ms(&rig.clock)) : -1;

    (void)poll(fds, COUNT_OF(fds), wait >= 0 && wait < 1000 ? (int)wait : 1000);
    if (fds[1].revents != 0) {
        (void)child_read();
    }
    if (fds[0].revents != 0) {
        receive();
    }
    dtls_on_timeout(rig.d, clock_now_ms(&rig.clock));
    send_all();
}

static void until(const char *mark)
{
    int64_t end = clock_now_ms(&rig.clock) + GUARD_MS;

    while (said(mark) == NULL || dtls_state(rig.d) == DTLS_HANDSHAKE) {
        if (clock_now_ms(&rig.clock) > end) {
            fail_msg("no \"%s\"; state %d, error %d: %s", mark, dtls_state(rig.d),
                     dtls_error(rig.d), rig.text);
        }
        turn();
    }
}

static void put_hex(char *to, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(to + 2 * i, 3, "%02X", p[i]);
    }
}

/* RFC 5764 4.2: client key, server key, client salt, server salt; the program prints them. */
static void assert_same_keys(bool we_are_client, uint16_t profile)
{
    struct dtls_srtp_keys k;
    const struct dtls_srtp_key *client = we_are_client ? &k.local : &k.remote;
    const struct dtls_srtp_key *server = we_are_client ? &k.remote : &k.local;
    char want[256];
    size_t at = 0;
    const char *theirs;

    assert_int_equal(dtls_take_keys(rig.d, &k), 0);
    assert_int_equal(k.profile, profile);
    put_hex(want, client->key, k.key_len);
    put_hex(want + (at += 2u * k.key_len), server->key, k.key_len);
    put_hex(want + (at += 2u * k.key_len), client->salt, k.salt_len);
    put_hex(want + (at += 2u * k.salt_len), server->salt, k.salt_len);
    at += 2u * k.salt_len;
    theirs = said("Keying material: ");
    assert_non_null(theirs);
    assert_int_equal(strncmp(theirs, want, at), 0);
    assert_int_equal(theirs[at], '\n');
}

static void open_association(bool active)
{
    const struct dtls_params p = {.active = active, .deadline_ms = GUARD_MS};

    assert_int_equal(dtls_new(&rig.d, rig.hub, &p), 0);
}

static void client_start(uint16_t port, const char *profiles, const char *export_len)
{
    char to[32];

    (void)snprintf(to, sizeof(to), "127.0.0.1:%u", port);
    child_start((char *[]){"openssl", "s_client", "-dtls1_2", "-connect", to, "-cert", rig.cert,
                           "-key", rig.key, "-use_srtp", (char *)profiles, "-keymatexport", EXPORT,
                           "-keymatexportlen", (char *)export_len, NULL});
}

static void openssl_as_client_gets_the_same_keys(void **state)
{
    struct dtls_fingerprint fp;

    (void)state;
    make_certificate("ec", "ec_paramgen_curve:P-256");
    fp = fingerprint("-sha256", "sha-256");
    open_association(false);
    assert_int_equal(dtls_set_fingerprints(rig.d, &fp, 1), 0);
    client_start(udp_open(), "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM", "56");
    until("Keying material: ");
    assert_non_null(said("SRTP Extension negotiated, profile=SRTP_AEAD_AES_128_GCM"));
    assert_same_keys(false, DTLS_SRTP_AEAD_AES_128_GCM);
}

/* A certificate of RSA 2048 comes in several datagrams, and the fingerprint after the handshake. */
static void openssl_with_a_long_certificate_and_a_late_fingerprint(void **state)
{
    struct dtls_fingerprint fp;
    struct dtls_srtp_keys k;

    (void)state;
    make_certificate("rsa:2048", "rsa_keygen_pubexp:65537");
    fp = fingerprint("-sha512", "SHA-512");
    open_association(false);
    client_start(udp_open(), "SRTP_AES128_CM_SHA1_80", "60");
    until("Keying material: ");
    assert_int_equal(dtls_take_keys(rig.d, &k), EAGAIN);
    assert_int_equal(dtls_set_fingerprints(rig.d, &fp, 1), 0);
    assert_same_keys(false, DTLS_SRTP_AES128_CM_SHA1_80);
}

static void openssl_with_another_certificate_is_refused(void **state)
{
    struct dtls_fingerprint fp;

    (void)state;
    make_certificate("ec", "ec_paramgen_curve:P-256");
    fp = fingerprint("-sha256", "sha-256");
    make_certificate("ec", "ec_paramgen_curve:P-256");
    open_association(false);
    assert_int_equal(dtls_set_fingerprints(rig.d, &fp, 1), 0);
    client_start(udp_open(), "SRTP_AEAD_AES_128_GCM", "56");
    until("alert bad certificate");
    assert_int_equal(dtls_error(rig.d), EACCES);
}

/* "ACCEPT 127.0.0.1:40123" */
static void find_server(void)
{
    uint32_t port = 0;
    const char *at;
    struct sl line;

    while (said("ACCEPT 127.0.0.1:") == NULL && child_read()) {
    }
    at = said("ACCEPT 127.0.0.1:");
    assert_non_null(at);
    line = sl_make(at, strcspn(at, "\r\n"));
    assert_int_equal(sl_u32(line, 65535, &port), 0);
    assert_int_equal(addr_parse(SL("127.0.0.1"), (uint16_t)port, &rig.peer), 0);
}

static void openssl_as_server_gets_the_same_keys(void **state)
{
    struct dtls_fingerprint fp;

    (void)state;
    make_certificate("ec", "ec_paramgen_curve:P-256");
    fp = fingerprint("-sha384", "sha-384");
    open_association(true);
    assert_int_equal(dtls_set_fingerprints(rig.d, &fp, 1), 0);
    child_start((char *[]){"openssl", "s_server", "-dtls1_2", "-accept", "127.0.0.1:0", "-cert",
                           rig.cert, "-key", rig.key, "-Verify", "1", "-use_srtp",
                           "SRTP_AEAD_AES_256_GCM", "-keymatexport", EXPORT, "-keymatexportlen",
                           "88", NULL});
    find_server();
    (void)udp_open();
    dtls_start(rig.d, clock_now_ms(&rig.clock));
    send_all();
    until("Keying material: ");
    assert_same_keys(true, DTLS_SRTP_AEAD_AES_256_GCM);
}

static int up_crypto(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    return crypto_init();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
    const struct CMUnitTest tests[] = {
        T(openssl_as_client_gets_the_same_keys),
        T(openssl_with_a_long_certificate_and_a_late_fingerprint),
        T(openssl_with_another_certificate_is_refused),
        T(openssl_as_server_gets_the_same_keys),
    };

    return cmocka_run_group_tests(tests, up_crypto, rig_crypto_down);
}
