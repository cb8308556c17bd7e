/* edge.h - what the tests of the edge share: a house, a scanner, a guesser, a harmless question. */
#ifndef POSTERN_FLOW_EDGE_H
#define POSTERN_FLOW_EDGE_H

#include "rig.h"

#include <stdio.h>

#define LISTENERS                                                                                  \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"    \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060, tcp: 5060}, rtp: {ports: 30000-30999}}\n"
#define PARTIES                                                                                    \
    "peers:\n"                                                                                     \
    "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: [\"sip:10.1.1.20:5070\"]}\n"      \
    "  carrier: {listener: outside, sources: [192.0.2.30/32],\n"                                   \
    "            targets: [\"sip:192.0.2.30:5060\"]}\n"                                            \
    "users: {domain: example.test, listener: outside, accounts: [{name: \"1001\", password: one}]" \
    "}\n"                                                                                          \
    "routes:\n"                                                                                    \
    "  - {name: outbound, from: users, to: [carrier]}\n"                                           \
    "  - {name: inbound, from: carrier, to: [pbx]}\n"

static inline void scan(struct phone *s, const char *at, enum sip_transport t, struct rig *r)
{
    phone_init(s, r, 0, "100", at);
    phone_on(s, 0, t);
    snprintf(s->local, sizeof(s->local), "\"sipvicious\" <sip:100@1.1.1.1>");
    phone_request(s, "OPTIONS", "sip:100@198.51.100.1", NULL);
}

static inline void asks_in_vain(struct phone *s)
{
    phone_renew(s);
    snprintf(s->local, sizeof(s->local), "<sip:100@192.0.2.99>");
    phone_request(s, "OPTIONS", "sip:198.51.100.1", NULL);
    QUIET(s);
}

static inline void asks(struct phone *s)
{
    phone_renew(s);
    snprintf(s->local, sizeof(s->local), "<sip:100@192.0.2.99>");
    phone_request(s, "OPTIONS", "sip:198.51.100.1", NULL);
    EXPECT(s, "200 OPTIONS");
}

/* A wrong password for an account that is there, or not. */
static inline void guess(struct phone *s, const char *user, bool answers)
{
    phone_renew(s);
    snprintf(s->local, sizeof(s->local), "<sip:%s@example.test>", user);
    snprintf(s->remote, sizeof(s->remote), "<sip:%s@example.test>", user);
    snprintf(s->user, sizeof(s->user), "%s", user);
    phone_request(s, "REGISTER", "sip:example.test", NULL);
    EXPECT(s, "401 REGISTER");
    if (answers) {
        phone_credentials(s, "REGISTER", "sip:example.test");
        phone_request(s, "REGISTER", "sip:example.test", NULL);
        EXPECT(s, "401 REGISTER");
    }
}

#endif
