/* test_media_latch.c - the ranks of sources: who is heard, who takes over, who stays a stranger. */
#include "media_rig.h"

#define SDP "198.51.100.10:40000"
#define SIG "203.0.113.5"
#define EXACT SDP
#define SAME_IP "198.51.100.10:41000"
#define SAME_IP2 "198.51.100.10:41002"
#define SIG_IP "203.0.113.5:50000"
#define SIG_IP2 "203.0.113.5:50002"
#define ALIEN "192.0.2.66:40000"

struct step {
    int64_t at_ms;
    const char *src; /* NULL: a new description with the address in sdp */
    bool accepted;
    uint8_t rank; /* afterwards */
    bool locked;
    const char *dest; /* where packets go afterwards; NULL: not looked at */
    const char *sdp;
};

struct story {
    const char *name;
    const char *sdp; /* NULL: none described */
    struct step steps[8];
};

static const struct story stories[] = {
    {"nothing is learned yet: packets go to the description",
     SDP,
     {{0, ALIEN, false, 0, false, SDP, NULL}}},
    {"the exact source locks at once",
     SDP,
     {{0, EXACT, true, 1, true, SDP, NULL},
      {1, SAME_IP, false, 1, true, SDP, NULL},
      {2, SIG_IP, false, 1, true, SDP, NULL},
      {3, ALIEN, false, 1, true, SDP, NULL},
      {4, EXACT, true, 1, true, SDP, NULL}}},
    {"the same address with another port is used at once and locked later",
     SDP,
     {{0, SAME_IP, true, 2, false, SAME_IP, NULL},
      {2999, SAME_IP, true, 2, false, SAME_IP, NULL},
      {3000, SAME_IP, true, 2, true, SAME_IP, NULL},
      {3001, EXACT, false, 2, true, SAME_IP, NULL}}},
    {"the signalling address is used at once and locked later",
     SDP,
     {{0, SIG_IP, true, 3, false, SIG_IP, NULL},
      {3000, SIG_IP, true, 3, true, SIG_IP, NULL},
      {3001, EXACT, false, 3, true, SIG_IP, NULL}}},
    {"a better source wins within the hold-off",
     SDP,
     {{0, SIG_IP, true, 3, false, SIG_IP, NULL},
      {100, SAME_IP, true, 2, false, SAME_IP, NULL},
      {200, SIG_IP, false, 2, false, SAME_IP, NULL},
      {300, EXACT, true, 1, true, EXACT, NULL},
      {400, SAME_IP, false, 1, true, EXACT, NULL}}},
    {"the hold-off ends even when only a better source speaks then",
     SDP,
     {{0, SIG_IP, true, 3, false, NULL, NULL}, {3000, EXACT, false, 3, true, SIG_IP, NULL}}},
    {"a better source does not open the window again",
     SDP,
     {{0, SIG_IP, true, 3, false, NULL, NULL},
      {2000, SAME_IP, true, 2, false, NULL, NULL},
      {3000, EXACT, false, 2, true, SAME_IP, NULL}}},
    {"a second source of the same rank is a stranger, first come",
     SDP,
     {{0, SAME_IP, true, 2, false, NULL, NULL},
      {10, SAME_IP2, false, 2, false, SAME_IP, NULL},
      {20, SAME_IP, true, 2, false, SAME_IP, NULL}}},
    {"without a description only the signalling address is heard",
     NULL,
     {{0, EXACT, false, 0, false, "-", NULL},
      {1, ALIEN, false, 0, false, "-", NULL},
      {2, SIG_IP, true, 3, false, SIG_IP, NULL},
      {3, SIG_IP2, false, 3, false, SIG_IP, NULL}}},
    {"the same description again changes nothing",
     SDP,
     {{0, SAME_IP, true, 2, false, NULL, NULL},
      {10, NULL, false, 2, false, SAME_IP, SDP},
      {3000, SAME_IP, true, 2, true, NULL, NULL},
      {3001, NULL, false, 2, true, SAME_IP, SDP},
      {3002, EXACT, false, 2, true, SAME_IP, NULL}}},
    {"a new description keeps the old source until the new one speaks",
     SDP,
     {{0, EXACT, true, 1, true, NULL, NULL},
      {10, NULL, false, 0, false, "198.51.100.77:41000", "198.51.100.77:41000"},
      {11, EXACT, true, 0, false, "198.51.100.77:41000", NULL},
      {12, ALIEN, false, 0, false, NULL, NULL},
      {13, "198.51.100.77:41000", true, 1, true, "198.51.100.77:41000", NULL},
      {14, EXACT, false, 1, true, "198.51.100.77:41000", NULL}}},
    {"what is on its way from the old port does not shut the new one out",
     SDP,
     {{0, EXACT, true, 1, true, NULL, NULL},
      {10, NULL, false, 0, false, "198.51.100.10:44444", "198.51.100.10:44444"},
      {11, EXACT, true, 0, false, "198.51.100.10:44444", NULL},
      {12, "198.51.100.10:55555", true, 2, false, "198.51.100.10:55555", NULL},
      {13, EXACT, false, 2, false, NULL, NULL},
      {14, "198.51.100.10:44444", true, 1, true, "198.51.100.10:44444", NULL}}},
    {"behind NAT the new mapping wins over the old one",
     SDP,
     {{0, SIG_IP, true, 3, false, NULL, NULL},
      {5000, NULL, false, 0, false, NULL, "198.51.100.10:44444"},
      {5001, SIG_IP, true, 0, false, NULL, NULL},
      {5002, SIG_IP2, true, 3, false, SIG_IP2, NULL},
      {5003, SIG_IP, false, 3, false, SIG_IP2, NULL}}},
    {"an old source that stays alone becomes the new one",
     SDP,
     {{0, SIG_IP, true, 3, false, NULL, NULL},
      {5000, NULL, false, 0, false, NULL, "198.51.100.10:44444"},
      {7999, SIG_IP, true, 0, false, "198.51.100.10:44444", NULL},
      {8000, SIG_IP, true, 3, false, SIG_IP, NULL},
      {11000, SIG_IP, true, 3, true, SIG_IP, NULL}}},
    {"held without an address the source is heard, not reached, and kept",
     SDP,
     {{0, SIG_IP, true, 3, false, NULL, NULL},
      {5000, SIG_IP, true, 3, true, SIG_IP, NULL},
      {5001, NULL, false, 3, true, "-", "0.0.0.0:40000"},
      {5002, SIG_IP, true, 3, true, "-", NULL},
      {5003, ALIEN, false, 3, true, "-", NULL},
      {5004, NULL, false, 3, true, SIG_IP, SDP},
      {5005, SIG_IP, true, 3, true, SIG_IP, NULL}}},
    {"back from hold at another address learning starts again",
     SDP,
     {{0, EXACT, true, 1, true, NULL, NULL},
      {1, NULL, false, 1, true, "-", "0.0.0.0:40000"},
      {2, NULL, false, 0, false, "198.51.100.77:41000", "198.51.100.77:41000"},
      {3, EXACT, true, 0, false, NULL, NULL},
      {4, "198.51.100.77:41000", true, 1, true, NULL, NULL}}},
    {"a stranger has no chance between two descriptions",
     SDP,
     {{0, EXACT, true, 1, true, NULL, NULL},
      {10, NULL, false, 0, false, NULL, "192.0.2.77:41000"},
      {11, ALIEN, false, 0, false, NULL, NULL},
      {12, SAME_IP, false, 0, false, NULL, NULL},
      {13, EXACT, true, 0, false, NULL, NULL},
      {14, SIG_IP2, true, 3, false, SIG_IP2, NULL},
      {15, EXACT, false, 3, false, SIG_IP2, NULL}}},
    {"an address that cannot be sent to counts as none",
     "233.252.0.1:40000",
     {{0, "233.252.0.1:40000", false, 0, false, "-", NULL},
      {1, SIG_IP, true, 3, false, SIG_IP, NULL}}},
    {"port 0 is nobody's source", SDP, {{0, "198.51.100.10:0", false, 0, false, SDP, NULL}}},
    {"IPv6 ranks as IPv4 does",
     "[2001:db8::1]:40000",
     {{0, "[2001:db8::1]:41000", true, 2, false, "[2001:db8::1]:41000", NULL},
      {1, "[2001:db8::2]:40000", false, 2, false, NULL, NULL},
      {2, "[2001:db8::1]:40000", true, 1, true, "[2001:db8::1]:40000", NULL}}},
};

static struct addr addr_or_none(const char *text)
{
    return text != NULL ? rig_addr(text) : (struct addr){0};
}

static void run_step(const struct story *st, unsigned i, struct media_flow *f)
{
    const struct step *s = &st->steps[i];
    const struct addr *dest;
    char text[ADDR_TEXT_MAX] = "-";

    if (s->src == NULL) {
        struct addr sdp = addr_or_none(s->sdp);

        media_flow_expect(f, &sdp, 5000 + s->at_ms);
    } else {
        struct addr src = rig_addr(s->src);

        if (rig_accept(f, &src, 5000 + s->at_ms) != s->accepted) {
            fail_msg("%s, step %u: %s was%s heard", st->name, i, s->src, s->accepted ? " not" : "");
        }
    }
    if (f->rank != s->rank || f->locked != s->locked) {
        fail_msg("%s, step %u: rank %u, %slocked", st->name, i, f->rank, f->locked ? "" : "not ");
    }
    dest = media_flow_dest(f);
    if (dest != NULL) {
        (void)addr_text(dest, text);
    }
    if (s->dest != NULL && !sl_eq(sl_str(text), sl_str(s->dest))) {
        fail_msg("%s, step %u: packets go to %s", st->name, i, text);
    }
}

static void sources_are_ranked_learned_and_locked(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT_OF(stories); k++) {
        struct media_side side = {.signalling = rig_addr(SIG)};
        struct media_flow f = {.side = &side};
        struct addr sdp = addr_or_none(stories[k].sdp);

        media_flow_expect(&f, &sdp, 5000);
        for (unsigned i = 0; i < COUNT_OF(stories[k].steps); i++) {
            if (stories[k].steps[i].src != NULL || stories[k].steps[i].sdp != NULL) {
                run_step(&stories[k], i, &f);
            }
        }
    }
}

static void nobody_is_heard_when_nothing_is_known(void **state)
{
    static const char *const sources[] = {EXACT, SIG_IP, "[2001:db8::1]:40000"};
    struct media_side side = {0};
    struct media_flow f = {.side = &side};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        struct addr src = rig_addr(sources[i]);

        assert_false(rig_accept(&f, &src, 1));
    }
    assert_null(media_flow_dest(&f));
}

/* A description is believed once something came from its address. */
static void whoever_must_show_himself_gets_nothing_before(void **state)
{
    static const struct row {
        const char *what, *src;
        bool on_rtcp;
        const char *rtp, *rtcp; /* destinations afterwards */
    } rows[] = {
        {"nothing came", NULL, false, "-", "-"},
        {"a stranger came", ALIEN, false, "-", "-"},
        {"RTP from behind NAT", SIG_IP, false, SIG_IP, "-"},
        {"RTCP from behind NAT", SIG_IP, true, "-", SIG_IP},
        {"RTP from the description", EXACT, false, SDP, "198.51.100.10:40001"},
        {"RTCP from the description", "198.51.100.10:40001", true, SDP, "198.51.100.10:40001"},
        {"RTP from its address", SAME_IP, false, SAME_IP, "198.51.100.10:40001"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct media_side side = {.signalling = rig_addr(SIG), .wait_for_source = true};
        struct addr rtp = rig_addr(SDP), rtcp = rig_addr("198.51.100.10:40001");
        const struct addr *to[2];
        const char *const want[2] = {rows[i].rtp, rows[i].rtcp};

        side.rtp.side = side.rtcp.side = &side;
        side.rtcp.is_rtcp = true;
        media_flow_expect(&side.rtp, &rtp, 1);
        media_flow_expect(&side.rtcp, &rtcp, 1);
        if (rows[i].src != NULL) {
            struct addr src = rig_addr(rows[i].src);

            (void)rig_accept(rows[i].on_rtcp ? &side.rtcp : &side.rtp, &src, 2);
        }
        to[0] = media_flow_dest(&side.rtp);
        to[1] = media_flow_dest(&side.rtcp);
        for (unsigned k = 0; k < 2; k++) {
            char text[ADDR_TEXT_MAX] = "-";

            if (to[k] != NULL) {
                (void)addr_text(to[k], text);
            }
            if (!sl_eq(sl_str(text), sl_str(want[k]))) {
                fail_msg("%s: %s goes to %s", rows[i].what, k == 0 ? "RTP" : "RTCP", text);
            }
        }
    }
}

static void a_known_address_with_new_ports_must_show_itself_again(void **state)
{
    struct media_side side = {.signalling = rig_addr(SIG), .wait_for_source = true};
    struct addr src = rig_addr(EXACT), next = rig_addr("198.51.100.10:44444");
    struct media_flow *const flows[] = {&side.rtp, &side.rtcp};

    (void)state;
    side.rtcp.is_rtcp = true;
    for (unsigned i = 0; i < 2; i++) {
        flows[i]->side = &side;
        media_flow_expect(flows[i], &src, 1);
        assert_true(rig_accept(flows[i], &src, 2));
        assert_non_null(media_flow_dest(flows[i]));
    }
    media_flow_expect(&side.rtp, &next, 3);
    media_flow_expect(&side.rtcp, &next, 3);
    assert_null(media_flow_dest(&side.rtp));
    assert_null(media_flow_dest(&side.rtcp));
}

static void destinations_are_usable_or_not(void **state)
{
    static const struct row {
        const char *addr;
        bool usable;
    } rows[] = {
        {"198.51.100.1:4000", true}, {"127.0.0.1:4000", true},  {"[::1]:4000", true},
        {"198.51.100.1:0", false},   {"0.0.0.0:4000", false},   {"0.1.2.3:4000", false},
        {"224.0.0.1:4000", false},   {"240.0.0.1:4000", false}, {"255.255.255.255:4000", false},
        {"[ff02::1]:4000", false},   {"[::]:4000", false},      {"[2001:db8::1]:0", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct addr a = rig_addr(rows[i].addr);

        if (media_addr_is_usable(&a) != rows[i].usable) {
            fail_msg("%s", rows[i].addr);
        }
    }
    assert_false(media_addr_is_usable(&(struct addr){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_are_ranked_learned_and_locked),
        cmocka_unit_test(nobody_is_heard_when_nothing_is_known),
        cmocka_unit_test(whoever_must_show_himself_gets_nothing_before),
        cmocka_unit_test(a_known_address_with_new_ports_must_show_itself_again),
        cmocka_unit_test(destinations_are_usable_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
