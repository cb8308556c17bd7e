/* policy_rig.h - a small house for the policy tests: two listeners, three peers, users, routes. */
#ifndef POSTERN_TEST_POLICY_RIG_H
#define POSTERN_TEST_POLICY_RIG_H

#include "sbc-policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { OUTSIDE, INSIDE }; /* listeners */
enum { PBX, CARRIER, OFFICE };
enum { R_INTERNAL, R_OUTBOUND, R_BLOCKED, R_DOMAIN, R_METHOD, R_CALLING, R_INBOUND, R_N };

struct rig {
    struct prefix sources[8];
    struct policy_peer peers[3];
    struct policy_account accounts[2];
    struct policy_media_profile profiles[1];
    struct policy_ref from_users[1], from_pbx[2], from_carrier[1], from_office[1];
    struct policy_route routes[R_N];
    struct policy_def def;
    struct policy_book *book;
    struct policy *policy;
};

static const char *const rig_listeners[] = {"outside", "inside"};

static inline struct prefix rig_prefix(const char *text)
{
    struct prefix p = {0};

    assert_int_equal(prefix_parse(sl_str(text), &p), 0);
    return p;
}

static inline struct addr rig_addr(const char *text)
{
    struct addr a = {0};

    assert_int_equal(addr_parse(sl_str(text), 5060, &a), 0);
    return a;
}

static inline void rig_fill_peers(struct rig *r)
{
    static const char *const sources[] = {"10.0.0.0/8",   "2001:db8::/32", "192.0.2.1",
                                          "192.0.2.0/24", "10.1.0.0/16",   "10.1.2.3",
                                          "::/0"};

    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        r->sources[i] = rig_prefix(sources[i]);
    }
    r->peers[PBX] = (struct policy_peer){
        .name = "pbx", .listener = INSIDE, .sources = r->sources, .n_sources = 2};
    r->peers[CARRIER] = (struct policy_peer){
        .name = "carrier", .listener = OUTSIDE, .sources = r->sources + 2, .n_sources = 2};
    r->peers[OFFICE] = (struct policy_peer){
        .name = "office", .listener = INSIDE, .sources = r->sources + 4, .n_sources = 3};
}

static inline void rig_fill_routes(struct rig *r)
{
    const struct policy_ref users = {.kind = POLICY_USERS},
                            pbx = {.kind = POLICY_PEER, .peer = PBX},
                            carrier = {.kind = POLICY_PEER, .peer = CARRIER},
                            office = {.kind = POLICY_PEER, .peer = OFFICE};

    r->from_users[0] = users;
    r->from_pbx[0] = users;
    r->from_pbx[1] = pbx;
    r->from_carrier[0] = carrier;
    r->from_office[0] = office;
    r->routes[R_INTERNAL] = (struct policy_route){.name = "internal",
                                                  .from = r->from_users,
                                                  .n_from = 1,
                                                  .called = "1???",
                                                  .to = {users},
                                                  .n_to = 1};
    r->routes[R_OUTBOUND] = (struct policy_route){.name = "outbound",
                                                  .from = r->from_pbx,
                                                  .n_from = 2,
                                                  .called = "+*",
                                                  .to = {carrier, pbx},
                                                  .n_to = 2};
    r->routes[R_BLOCKED] = (struct policy_route){
        .name = "blocked", .called = "0900*", .refuse_code = 603, .refuse_reason = "Not for us"};
    r->routes[R_DOMAIN] = (struct policy_route){.name = "domain",
                                                .from = r->from_office,
                                                .n_from = 1,
                                                .domain = "*.Example.TEST",
                                                .to = {pbx},
                                                .n_to = 1};
    r->routes[R_METHOD] = (struct policy_route){.name = "method",
                                                .from = r->from_office,
                                                .n_from = 1,
                                                .method = "MESSAGE",
                                                .to = {users},
                                                .n_to = 1};
    r->routes[R_CALLING] = (struct policy_route){.name = "calling",
                                                 .from = r->from_office,
                                                 .n_from = 1,
                                                 .calling = "2*",
                                                 .called = "5",
                                                 .to = {carrier},
                                                 .n_to = 1};
    r->routes[R_INBOUND] = (struct policy_route){
        .name = "inbound", .from = r->from_carrier, .n_from = 1, .to = {pbx}, .n_to = 1};
}

/* Change r->def before rig_compile(). */
static inline void rig_up(struct rig *r)
{
    *r = (struct rig){0};
    rig_fill_peers(r);
    rig_fill_routes(r);
    r->accounts[0] = (struct policy_account){"1001", "a"};
    r->accounts[1] = (struct policy_account){"1002", "b"};
    r->profiles[0] = (struct policy_media_profile){.name = "plain"};
    r->def = (struct policy_def){
        .listeners = rig_listeners,
        .n_listeners = 2,
        .profiles = r->profiles,
        .n_profiles = 1,
        .peers = r->peers,
        .n_peers = 3,
        .users = {.present = true,
                  .domain = "example.test",
                  .listener = OUTSIDE,
                  .accounts = r->accounts,
                  .n_accounts = 2},
        .routes = r->routes,
        .n_routes = R_N,
    };
    assert_int_equal(policy_book_new(&r->book), 0);
}

static inline void rig_compile(struct rig *r)
{
    assert_int_equal(policy_compile(&r->policy, &r->def, r->book), 0);
}

static inline void rig_down(struct rig *r)
{
    policy_free(&r->policy);
    policy_book_free(&r->book);
}

/* A call from a peer's address; change what matters. */
static inline struct policy_request rig_call(uint8_t listener, const char *source,
                                             const char *called)
{
    return (struct policy_request){.method = SL("INVITE"),
                                   .listener = listener,
                                   .source = rig_addr(source),
                                   .called = sl_str(called),
                                   .called_host = SL("example.test"),
                                   .calling = SL("100"),
                                   .auth_user = -1,
                                   .new_call = true};
}

#endif
