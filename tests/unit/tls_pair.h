/* tls_pair.h - a dialler and a listener of TLS in one thread, and the wire between them. */
#ifndef POSTERN_TEST_TLS_PAIR_H
#define POSTERN_TEST_TLS_PAIR_H

#include "tests/unit/tls_rig.h"
#include "crypto/tls_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define WIRE_MAX 262144

static struct pki_cert ca, other_ca, server_cert, client_cert;
static const char *const wanted[] = {"sip.example.com", NULL};

struct end {
    struct tls *tls;
    size_t n; /* bytes on their way to the other end */
    char wire[WIRE_MAX];
    int result;        /* of the handshake; ENODATA: goes on */
    char plain[65536]; /* received */
    size_t plain_n;
};

struct pair {
    struct end a; /* dialler */
    struct end b; /* listener */
    size_t chunk; /* bytes fed at once */
};

static struct pair pair;

static inline int end_out(void *arg, struct sl bytes)
{
    struct end *e = arg;

    assert_true(e->n + bytes.n <= sizeof(e->wire));
    memcpy(e->wire + e->n, bytes.p, bytes.n);
    e->n += bytes.n;
    return 0;
}

static inline struct addr at_peer(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_hostport(sl_str(text), 5061, &a), 0);
    return a;
}

static inline void pair_up(struct tls_client *c, struct tls_server *s, size_t chunk)
{
    struct addr to = at_peer("127.0.0.1:5061");

    memset(&pair, 0, sizeof(pair));
    pair.chunk = chunk;
    pair.a.result = pair.b.result = ENODATA;
    assert_int_equal(tls_dial(&pair.a.tls, c, &to, end_out, &pair.a), 0);
    assert_int_equal(tls_accept(&pair.b.tls, s, end_out, &pair.b), 0);
}

static inline void pair_down(void)
{
    tls_free(&pair.a.tls);
    tls_free(&pair.b.tls);
}

static inline void end_read(struct end *e, struct sl *in)
{
    int err = 0;

    while (err == 0) {
        size_t n = 0;

        err = tls_read(e->tls, in, e->plain + e->plain_n, sizeof(e->plain) - e->plain_n, &n);
        e->plain_n += n;
    }
    if (err != ENODATA) {
        e->result = err;
    }
}

/* Hands over what waits at `from`, in pieces. */
static inline void deliver(struct end *from, struct end *to)
{
    static char wire[WIRE_MAX];
    size_t n = from->n;

    memcpy(wire, from->wire, n);
    from->n = 0;
    for (size_t at = 0; at < n;) {
        size_t len = n - at < pair.chunk ? n - at : pair.chunk;
        struct sl in = sl_make(wire + at, len);

        if (to->result == ENODATA) {
            to->result = tls_step(to->tls, &in);
        }
        if (to->result == 0) {
            end_read(to, &in);
        }
        at += len;
    }
}

/* Until nothing moves any more. */
static inline void settle(void)
{
    while (pair.a.n != 0 || pair.b.n != 0) {
        deliver(&pair.a, &pair.b);
        deliver(&pair.b, &pair.a);
    }
}

static inline void shake(void)
{
    struct sl none = SL_NULL;

    pair.a.result = tls_step(pair.a.tls, &none);
    assert_int_equal(pair.a.result, ENODATA);
    settle();
}

static inline struct tls_info info_of(const struct end *e)
{
    struct tls_info info;

    tls_info(e->tls, &info);
    return info;
}

/* Handshake between these two; both references are given away. */
static inline void meet(struct tls_client *c, struct tls_server *s)
{
    pair_up(c, s, WIRE_MAX);
    shake();
    tls_client_unref(&c);
    tls_server_unref(&s);
}

static inline void talk(struct end *from, struct end *to, struct sl what)
{
    to->plain_n = 0;
    assert_int_equal(tls_write(from->tls, what), 0);
    settle();
    assert_int_equal(to->plain_n, what.n);
    assert_memory_equal(to->plain, what.p, what.n);
}

static inline int pair_setup(void **state)
{
    (void)state;
    assert_int_equal(crypto_init(), 0);
    pki_make(&ca, "ca", &(struct pki_spec){.cn = "Test CA"});
    pki_make(&other_ca, "other", &(struct pki_spec){.cn = "Other CA"});
    pki_make(&server_cert, "server",
             &(struct pki_spec){.cn = "server", .san = "DNS:sip.example.com", .ca = &ca});
    pki_make(
        &client_cert, "client",
        &(struct pki_spec){.cn = "client", .san = "DNS:PBX.example.net,IP:192.0.2.7", .ca = &ca});
    return 0;
}

static inline int pair_teardown(void **state)
{
    (void)state;
    crypto_deinit();
    return 0;
}

#endif
