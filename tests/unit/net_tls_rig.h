/* net_tls_rig.h - the TLS transport on real sockets: one struct net that dials itself, with an
 * authority, a server's certificate and that of peer 7. */
#ifndef POSTERN_TEST_NET_TLS_RIG_H
#define POSTERN_TEST_NET_TLS_RIG_H

#include "tests/unit/net_rig.h"
#include "tests/unit/tls_rig.h"

static struct rig rig;
static struct pki_cert ca, other_ca, server_cert, peer_cert;
static const char *const wanted[] = {"sip.example.com", NULL};
static char msg[40000];
static size_t msg_len;

/* Both take the reference over. */
static inline void set_server(struct tls_server *s)
{
    net_set_tls(rig.net, 1, s);
    tls_server_unref(&s);
}

static inline void set_dialler(struct tls_client *c)
{
    tls_client_unref(&rig.dialler);
    rig.dialler = c;
}

/* A listener with TLS, and a dialler that takes it for peer 7 or 8. */
static inline void tls_up(const struct net_limits *limits)
{
    rig_up_tls(&rig, limits);
    rig_listen(&rig, SIP_TLS, "127.0.0.1:0");
    set_server(pki_server(&server_cert, &ca, TLS_VERIFY_OPTIONAL));
    rig.dialler = pki_client(&ca, wanted, &peer_cert);
    rig.known = "pbx.example.net";
    msg_len = rig_request(msg, sizeof(msg), "one", 10);
}

static inline struct flow flow_to(uint32_t peer, const struct addr *to)
{
    struct flow f = rig_flow(SIP_TLS, to);

    f.peer = peer;
    return f;
}

static inline int request(struct flow *f)
{
    return rig_send(&rig, f, sl_make(msg, msg_len));
}

static inline void until_messages(unsigned n)
{
    rig.want = n;
    rig_until(&rig, rig_has_messages);
}

static inline void until_gone(unsigned n)
{
    rig.want = n;
    rig_until(&rig, rig_has_gone);
}

static inline int net_tls_setup(void **state)
{
    (void)state;
    assert_int_equal(crypto_init(), 0);
    pki_make(&ca, "ca", &(struct pki_spec){.cn = "Test CA"});
    pki_make(&other_ca, "other", &(struct pki_spec){.cn = "Other CA"});
    pki_make(&server_cert, "server",
             &(struct pki_spec){.cn = "server", .san = "DNS:sip.example.com", .ca = &ca});
    pki_make(&peer_cert, "peer",
             &(struct pki_spec){.cn = "peer", .san = "DNS:pbx.example.net", .ca = &ca});
    return 0;
}

static inline int net_tls_teardown(void **state)
{
    (void)state;
    crypto_deinit();
    return 0;
}

#endif
