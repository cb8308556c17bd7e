/* test_media_dtls.c - DTLS-SRTP on a side of the relay: both roles against plain, SDES and DTLS on
 * the other side, early handshakes, wrong certificates, and who may take part (attacks.md 74 to
 * 76). */
#include "media_dtls_rig.h"

#include <malloc.h>

#define A SRTP_AES_CM_128_HMAC_SHA1_80

enum kind { PLAIN, SDES, DTLS_PASSIVE, DTLS_ACTIVE };

static bool is_dtls(enum kind k)
{
    return k == DTLS_PASSIVE || k == DTLS_ACTIVE;
}

/* The relay's role is the kind's; the phone has the other one. */
static void side_up(struct rig *r, unsigned side, enum kind k, struct handset *h)
{
    struct media_flow *f = &rig_side(r, side)->rtp;

    *h = (struct handset){.fd = r->phone[side]};
    if (k == SDES) {
        rig_sdes(r, side, &h->end, A, (uint8_t)(40 * side + 1));
    }
    if (!is_dtls(k)) {
        return;
    }
    r->remote[side].mux = true; /* as with every DTLS peer of note */
    rig_describe(r, side);
    handset_up(h, k == DTLS_PASSIVE, r->phone[side]);
    handset_introduce(h);
    assert_int_equal(
        relay_dtls(r, side, k == DTLS_ACTIVE ? MEDIA_DTLS_ACTIVE : MEDIA_DTLS_PASSIVE, h), 0);
    dtls_start(h->d, clock_now_ms(&r->clock));
    handset_talk(r, h, f);
    assert_int_equal(dtls_state(h->d), DTLS_READY);
    assert_int_equal(rig_stats(r, side).dtls, MEDIA_DTLS_DONE);
    handset_take_keys(h);
}

static void side_down(enum kind k, struct handset *h)
{
    if (is_dtls(k)) {
        handset_down(h);
    } else {
        rig_end_free(&h->end);
    }
}

static void every_pair_with_dtls_is_bridged(void **state)
{
    static const struct {
        enum kind side[2];
    } cells[] = {
        {{DTLS_PASSIVE, PLAIN}}, {{DTLS_ACTIVE, PLAIN}}, {{PLAIN, DTLS_PASSIVE}},
        {{DTLS_PASSIVE, SDES}},  {{SDES, DTLS_ACTIVE}},  {{DTLS_PASSIVE, DTLS_ACTIVE}},
    };

    (void)state;
    for (size_t k = 0; k < COUNT_OF(cells); k++) {
        struct handset h[2];
        struct rig r;

        dtls_up(&r);
        side_up(&r, 0, cells[k].side[0], &h[0]);
        side_up(&r, 1, cells[k].side[1], &h[1]);
        for (uint16_t seq = 1; seq < 4; seq++) {
            for (unsigned side = 0; side < 2; side++) {
                rig_speak(&r, side, &h[side].end, seq);
                if (!rig_hears(&r, !side, &h[!side].end, seq)) {
                    fail_msg("cell %zu, from side %u", k, side);
                }
            }
        }
        media_session_close(&r.s);
        side_down(cells[k].side[0], &h[0]);
        side_down(cells[k].side[1], &h[1]);
        rig_down(&r);
    }
}

static void before_the_keys_nothing_passes(void **state)
{
    struct handset h;
    struct rig r;

    (void)state;
    dtls_up(&r);
    handset_up(&h, true, r.phone[0]);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_PASSIVE, &h), 0);
    rig_say(&r, 0, r.phone[0]);
    rig_say(&r, 1, r.phone[1]);
    assert_false(rig_got(r.phone[0]) || rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).no_keys, 1);
    assert_int_equal(rig_stats(&r, 1).no_keys, 1); /* of the other side */
    assert_int_equal(rig_stats(&r, 0).dtls, MEDIA_DTLS_WAITING);
    assert_int_equal(media_diagnose(r.s, 0, 0), MEDIA_DIAG_DTLS_PENDING);
    assert_int_equal(media_set_sdes(r.s, 0, 0, NULL, NULL), EPROTO);
    dtls_down(&r, &h, NULL);
}

/* We offered; their hello comes before their answer. Without ICE nobody has proved anything then:
 * one is kept, and answered when the answer speaks for its source. */
/* A phone begins before its answer. */
static void begin_early(struct rig *r, struct handset *h)
{
    dtls_up(r);
    rig_side(r, 1)->has_remote = false;
    rig_side(r, 1)->rtp.sdp = (struct addr){0};
    rig_side(r, 1)->signalling = (struct addr){0};
    handset_up(h, true, r->phone[1]);
    handset_introduce(h);
    assert_int_equal(relay_dtls(r, 1, MEDIA_DTLS_PASSIVE, NULL), 0);
    dtls_start(h->d, 1);
}

static void an_early_hello_is_kept_until_the_answer(void **state)
{
    struct handset h;
    struct rig r;

    (void)state;
    begin_early(&r, &h);
    (void)handset_send(&h, &rig_side(&r, 1)->rtp);
    assert_false(handset_receive(&h, 1));
    rig_describe(&r, 1);
    handset_talk(&r, &h, &rig_side(&r, 1)->rtp);
    assert_int_equal(rig_stats(&r, 1).dtls, MEDIA_DTLS_WAITING); /* done, but whose is it? */
    rig_say(&r, 1, r.phone[1]);
    assert_false(rig_got(r.phone[0]));
    assert_int_equal(relay_dtls(&r, 1, MEDIA_DTLS_PASSIVE, &h), 0);
    assert_int_equal(rig_stats(&r, 1).dtls, MEDIA_DTLS_DONE);
    handset_take_keys(&h);
    rig_speak(&r, 1, &h.end, 1);
    assert_true(rig_hears(&r, 0, &(struct end){0}, 1));
    dtls_down(&r, &h, NULL);
}

/* Bytes [at, at + n) of the phone's hello as a datagram; number: its record's (RFC 6347 4.2.3). */
static void send_piece(struct media_flow *to, int fd, struct sl hello, size_t at, size_t n,
                       char number)
{
    char p[2048];

    memcpy(p, hello.p, 25);
    p[10] = number;
    p[11] = (char)((12 + n) >> 8);
    p[12] = (char)(12 + n);
    p[20] = (char)(at >> 8);
    p[21] = (char)at;
    p[23] = (char)(n >> 8);
    p[24] = (char)n;
    memcpy(p + 25, hello.p + 25 + at, n);
    rig_send(to, fd, p, 25 + n);
}

static void all_pieces_of_an_early_hello_are_kept(void **state)
{
    struct handset h;
    struct rig r;
    struct sl hello;

    (void)state;
    begin_early(&r, &h);
    dtls_hub_collect(h.hub, 1);
    assert_true(dtls_next_out(h.d, &hello));
    for (unsigned times = 0; times < 2; times++) { /* it repeats itself, and is no longer heard */
        size_t len = hello.n - 25;

        send_piece(&rig_side(&r, 1)->rtp, h.fd, hello, 0, 80, (char)(20 * times));
        send_piece(&rig_side(&r, 1)->rtp, h.fd, hello, 80, len - 80, (char)(times + 40));
    }
    assert_false(handset_receive(&h, 1));
    rig_describe(&r, 1);
    assert_int_equal(relay_dtls(&r, 1, MEDIA_DTLS_PASSIVE, &h), 0);
    handset_talk(&r, &h, &rig_side(&r, 1)->rtp);
    assert_int_equal(rig_stats(&r, 1).dtls, MEDIA_DTLS_DONE);
    dtls_down(&r, &h, NULL);
}

/* A target with DTLS was tried and refused; the next one, by another profile, is plain. */
static void what_was_only_offered_binds_nobody(void **state)
{
    struct handset h;
    struct rig r;

    (void)state;
    dtls_up(&r);
    assert_int_equal(relay_dtls(&r, 1, MEDIA_DTLS_PASSIVE, NULL), 0);
    assert_int_equal(media_set_sdes(r.s, 0, 1, NULL, NULL), 0);
    rig_say(&r, 0, r.phone[0]);
    assert_true(rig_got(r.phone[1]));
    handset_up(&h, true, r.phone[1]);
    assert_int_equal(relay_dtls(&r, 1, MEDIA_DTLS_PASSIVE, &h), 0);
    assert_int_equal(media_set_sdes(r.s, 0, 1, NULL, NULL), EPROTO);
    dtls_down(&r, &h, NULL);
}

/* A phone that the relay waits for, and a thief with a certificate of its own who is at it too,
 * from elsewhere or from another port of the phone's address. */
struct theft {
    struct rig r;
    struct handset phone, thief;
    struct media_flow *flow;
    int near;
};

static void theft_up(struct theft *t, bool is_near)
{
    dtls_up(&t->r);
    t->flow = &rig_side(&t->r, 0)->rtp;
    t->near = rig_socket(rig_ip(10));
    handset_up(&t->phone, true, t->r.phone[0]);
    handset_introduce(&t->phone);
    handset_up(&t->thief, true, is_near ? t->near : t->r.stranger);
}

static void theft_describe(struct theft *t)
{
    t->r.remote[0].mux = true;
    rig_describe(&t->r, 0);
}

static void theft_expect(struct theft *t)
{
    assert_int_equal(relay_dtls(&t->r, 0, MEDIA_DTLS_PASSIVE, &t->phone), 0);
}

static void theft_hello(struct theft *t, struct handset *who)
{
    dtls_start(who->d, 1);
    (void)handset_send(who, t->flow);
}

static void theft_down(struct theft *t)
{
    (void)close(t->near);
    dtls_down(&t->r, &t->phone, &t->thief);
}

/* attacks.md 74: a hello from elsewhere changes nothing. */
static void a_strangers_hello_is_no_hello(void **state)
{
    struct theft t;

    (void)state;
    theft_up(&t, false);
    theft_describe(&t);
    theft_expect(&t);
    theft_hello(&t, &t.thief);
    loop_advance(t.r.loop, 0);
    assert_false(rig_got(t.r.stranger));
    assert_int_equal(rig_stats(&t.r, 0).strangers, 1);
    assert_int_equal(rig_stats(&t.r, 0).dtls, MEDIA_DTLS_WAITING);
    dtls_start(t.phone.d, 1);
    handset_finish(&t.r, &t.phone, 0);
    theft_down(&t);
}

/* Nor does one from the phone's own address, once the phone itself is at it. */
static void a_worse_source_cannot_take_a_handshake_over(void **state)
{
    struct theft t;

    (void)state;
    theft_up(&t, true);
    theft_expect(&t);
    theft_hello(&t, &t.phone);
    loop_advance(t.r.loop, 0);
    theft_hello(&t, &t.thief);
    loop_advance(t.r.loop, 0);
    assert_false(rig_got(t.near));
    assert_int_equal(rig_stats(&t.r, 0).strangers, 1);
    handset_finish(&t.r, &t.phone, 0);
    theft_down(&t);
}

/* attacks.md 74: a neighbour of the phone, behind the same NAT, is at it first, with a certificate
 * of its own. The call goes on, and the phone gets its turn. */
static void a_neighbour_with_a_wrong_certificate_ends_no_call(void **state)
{
    struct theft t;

    (void)state;
    theft_up(&t, true);
    theft_describe(&t);
    theft_expect(&t);
    dtls_start(t.thief.d, 1);
    handset_talk(&t.r, &t.thief, t.flow);
    assert_int_equal(rig_stats(&t.r, 0).dtls, MEDIA_DTLS_WAITING);
    loop_advance(t.r.loop, 1);
    assert_int_equal(t.r.silences, 0);
    handset_again(&t.thief, true); /* once refused, it is a stranger */
    theft_hello(&t, &t.thief);
    assert_int_equal(rig_stats(&t.r, 0).strangers, 1);
    dtls_start(t.phone.d, 1);
    handset_finish(&t.r, &t.phone, 0);
    theft_down(&t);
}

/* The phone's NAT gave it another port than it knows of: nothing speaks for it more than for its
 * neighbour, whose handshake only begins. */
static void a_neighbour_that_dawdles_gives_way(void **state)
{
    struct theft t;

    (void)state;
    theft_up(&t, true);
    addr_set_port(&t.r.remote[0].rtp, 9);
    theft_describe(&t);
    theft_expect(&t);
    theft_hello(&t, &t.thief);
    loop_advance(t.r.loop, 899);
    theft_hello(&t, &t.phone);
    assert_int_equal(rig_stats(&t.r, 0).strangers, 1); /* not yet: it may be the phone */
    loop_advance(t.r.loop, 1);
    handset_again(&t.phone, true);
    handset_introduce(&t.phone);
    dtls_start(t.phone.d, 1);
    handset_finish(&t.r, &t.phone, 0);
    theft_down(&t);
}

/* attacks.md 75: whoever forges a source makes us send nothing to it, however much it sends. */
static void a_forged_source_gets_no_answer_to_amplify(void **state)
{
    struct theft t;

    (void)state;
    theft_up(&t, false);
    theft_describe(&t);
    for (unsigned lap = 0; lap < 20; lap++) { /* before the description of keys, and after */
        if (lap == 10) {
            theft_expect(&t);
        }
        handset_again(&t.thief, true);
        dtls_start(t.thief.d, 1);
        assert_true(handset_send(&t.thief, t.flow));
        loop_advance(t.r.loop, 1000); /* retransmissions as well */
        assert_false(rig_got(t.r.stranger));
    }
    assert_false(rig_got(t.r.phone[0]));
    dtls_start(t.phone.d, 1);
    handset_finish(&t.r, &t.phone, 0);
    assert_false(rig_got(t.r.stranger));
    theft_down(&t);
}

/* attacks.md 76: no media, and whoever holds the session is told. */
static void a_certificate_that_fits_no_fingerprint_loses_the_side(void **state)
{
    struct handset h, other;
    struct rig r;

    (void)state;
    dtls_up(&r);
    handset_up(&h, true, r.phone[0]);
    handset_introduce(&h);
    handset_up(&other, true, -1);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_PASSIVE, &other), 0); /* we expect another */
    dtls_start(h.d, 1);
    r.close_on_silence = true;
    for (unsigned lap = 0; lap < 4 && r.s != NULL; lap++) {
        (void)handset_send(&h, &rig_side(&r, 0)->rtp);
        loop_advance(r.loop, 0);
        (void)handset_receive(&h, 1);
        if (r.s != NULL && rig_stats(&r, 0).dtls == MEDIA_DTLS_FAILED) {
            assert_int_equal(media_diagnose(r.s, 0, 0), MEDIA_DIAG_DTLS_FAILED);
            loop_advance(r.loop, 1);
        }
    }
    assert_int_equal(r.silences, 1);
    assert_int_equal(r.silent_side, 0);
    assert_null(r.s);
    handset_down(&h);
    handset_down(&other);
    rig_down(&r);
}

static void another_fingerprint_means_another_handshake_and_old_keys_until_then(void **state)
{
    struct handset h, next;
    struct rig r;

    (void)state;
    dtls_up(&r);
    side_up(&r, 0, DTLS_PASSIVE, &h);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_PASSIVE, &h), 0); /* the same: nothing */
    assert_int_equal(rig_stats(&r, 0).dtls, MEDIA_DTLS_DONE);
    handset_up(&next, true, r.phone[0]);
    handset_introduce(&next);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_PASSIVE, &next), 0);
    assert_int_equal(rig_stats(&r, 0).dtls, MEDIA_DTLS_WAITING);
    rig_speak(&r, 0, &h.end, 1);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 1));
    rig_speak(&r, 1, &(struct end){0}, 1);
    assert_true(rig_hears(&r, 0, &h.end, 1));
    dtls_start(next.d, 1);
    handset_finish(&r, &next, 0);
    handset_take_keys(&next);
    rig_speak(&r, 0, &next.end, 2);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 2));
    rig_speak(&r, 0, &h.end, 3);
    assert_false(rig_got(r.phone[1]));
    dtls_down(&r, &h, &next);
}

/* Until a packet under the new key proves that the phone is done, its last flight may have to be
 * repeated to it; what that takes is all of OpenSSL's memory for it, of tens of KiB. */
static void packets_under_the_old_key_settle_no_handshake(void **state)
{
    struct handset h, next;
    size_t before;
    struct rig r;

    (void)state;
    dtls_up(&r);
    side_up(&r, 0, DTLS_PASSIVE, &h);
    handset_up(&next, true, r.phone[0]);
    handset_introduce(&next);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_PASSIVE, &next), 0);
    dtls_start(next.d, 1);
    handset_finish(&r, &next, 0);
    before = mallinfo2().uordblks;
    rig_speak(&r, 0, &h.end, 1);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 1));
    assert_true(mallinfo2().uordblks + 8192 >= before);
    dtls_down(&r, &h, &next);
}

static void the_role_may_be_settled_by_the_answer(void **state)
{
    struct handset h;
    struct rig r;

    (void)state;
    dtls_up(&r);
    handset_up(&h, false, r.phone[0]);
    handset_introduce(&h);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_PASSIVE, NULL), 0); /* we offered actpass */
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_ACTIVE, &h), 0);    /* they chose passive */
    handset_finish(&r, &h, 0);
    dtls_down(&r, &h, NULL);
}

/* Another certificate and another place, as signalling says it: the place first. */
static void a_handshake_that_we_begin_goes_where_the_new_description_says(void **state)
{
    struct handset h, next;
    struct rig r;
    int fd;

    (void)state;
    dtls_up(&r);
    side_up(&r, 0, DTLS_ACTIVE, &h);
    fd = rig_socket(rig_ip(20));
    handset_up(&next, false, fd);
    handset_introduce(&next);
    r.remote[0].rtp = r.remote[0].rtcp = rig_name(fd);
    r.remote[0].signalling = rig_ip(20);
    rig_describe(&r, 0);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_ACTIVE, &next), 0);
    assert_false(rig_got(r.phone[0]));
    handset_finish(&r, &next, 0);
    (void)close(fd);
    dtls_down(&r, &h, &next);
}

/* The same certificate at another place, before anybody answered at the first. */
static void a_handshake_under_way_follows_the_description(void **state)
{
    struct handset h;
    struct rig r;
    int fd;

    (void)state;
    dtls_up(&r);
    fd = rig_socket(rig_ip(20));
    handset_up(&h, false, fd);
    handset_introduce(&h);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_ACTIVE, &h), 0);
    loop_advance(r.loop, 0);
    assert_true(rig_got(r.phone[0])); /* a hello, which that one does not answer */
    r.remote[0].rtp = r.remote[0].rtcp = rig_name(fd);
    r.remote[0].signalling = rig_ip(20);
    r.remote[0].mux = true;
    rig_describe(&r, 0);
    assert_false(rig_got(r.phone[0]));
    handset_finish(&r, &h, 0);
    (void)close(fd);
    dtls_down(&r, &h, NULL);
}

/* A relay in front of them has one certificate for all its calls: another of its ports is another
 * end (RFC 5763 6.6), and begins if it is to. Until then, and if it does not, the keys stay. */
static void another_place_with_the_same_certificate_may_begin_anew(void **state)
{
    struct handset h;
    struct end old;
    struct rig r;
    int fd;

    (void)state;
    dtls_up(&r);
    side_up(&r, 0, DTLS_PASSIVE, &h);
    fd = rig_socket(rig_ip(20));
    r.remote[0].rtp = r.remote[0].rtcp = rig_name(fd);
    r.remote[0].signalling = rig_ip(20);
    rig_describe(&r, 0);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_PASSIVE, &h), 0);
    assert_int_equal(rig_stats(&r, 0).dtls, MEDIA_DTLS_DONE);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(fd)); /* under the old key */
    h.fd = fd;
    old = h.end;
    h.end = (struct end){0};
    handset_again(&h, true);
    handset_introduce(&h);
    dtls_start(h.d, 1);
    handset_finish(&r, &h, 0);
    handset_take_keys(&h);
    rig_end_free(&old);
    dtls_down(&r, &h, NULL);
    (void)close(fd);
}

/* They were away, or had no answer from us yet. */
static void a_handshake_that_timed_out_may_be_tried_again(void **state)
{
    (void)state;
    for (unsigned active = 0; active < 2; active++) {
        enum media_dtls_role role = active == 1 ? MEDIA_DTLS_ACTIVE : MEDIA_DTLS_PASSIVE;
        struct handset h;
        struct rig r;

        dtls_up(&r);
        r.remote[0].mux = true;
        rig_describe(&r, 0);
        handset_up(&h, active == 0, r.phone[0]);
        handset_introduce(&h);
        assert_int_equal(relay_dtls(&r, 0, role, &h), 0);
        if (active == 0) {
            dtls_start(h.d, 1);
            (void)handset_send(&h, &rig_side(&r, 0)->rtp);
        }
        for (unsigned i = 0; i < 900; i++) {
            loop_advance(r.loop, 100);
            while (rig_got(r.phone[0])) {
            }
        }
        assert_int_equal(rig_stats(&r, 0).dtls,
                         active == 1 ? MEDIA_DTLS_FAILED : MEDIA_DTLS_WAITING);
        handset_again(&h, active == 0);
        handset_introduce(&h);
        if (active == 1) {
            assert_int_equal(relay_dtls(&r, 0, role, &h), 0);
        }
        dtls_start(h.d, clock_now_ms(&r.clock));
        handset_finish(&r, &h, 0);
        dtls_down(&r, &h, NULL);
    }
}

/* What another device left on the side does not bind the next one. */
static void a_side_that_was_reset_knows_nobody(void **state)
{
    struct media_ice_local ours;
    char ufrag[16] = "";
    struct handset h;
    struct rig r;

    (void)state;
    dtls_up(&r);
    side_up(&r, 1, DTLS_PASSIVE, &h);
    assert_int_equal(media_ice_local(r.s, 0, 1, &ours), 0);
    assert_int_equal(sl_cstr(ours.ufrag, ufrag, sizeof(ufrag)), 0);
    assert_int_equal(media_set_ice(r.s, 0, 1, SL("fork1"), SL("0123456789012345678901")), 0);
    media_side_reset(r.s, 0, 1);
    rig_say(&r, 0, r.phone[0]);
    assert_false(rig_got(r.phone[1]));
    rig_say(&r, 1, r.phone[1]);
    assert_false(rig_got(r.phone[0]));
    assert_int_equal(media_set_ice(r.s, 0, 1, SL("fork2"), SL("0123456789012345678901")), 0);
    assert_int_equal(media_ice_local(r.s, 0, 1, &ours), 0);
    assert_true(sl_eq(ours.ufrag, sl_str(ufrag))); /* that is what was offered */
    media_side_reset(r.s, 0, 1);
    assert_int_equal(media_set_sdes(r.s, 0, 1, NULL, NULL), 0);
    rig_describe(&r, 1);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(r.phone[0]));
    dtls_down(&r, &h, NULL);
}

/* RFC 5764 4.1.1: RTCP on a port of its own has a handshake of its own. */
static void rtcp_on_its_own_port_has_keys_of_its_own(void **state)
{
    static const uint8_t rr[8] = {0x80, 201, 0, 1, 'S', 'S', 'R', 'C'};
    _Alignas(8) uint8_t p[256], got[256];
    struct handset h, rtcp;
    size_t n = sizeof(rr);
    struct rig r;

    (void)state;
    dtls_up(&r);
    handset_up(&h, false, r.phone[0]);
    handset_up(&rtcp, false, r.phone_rtcp[0]);
    dtls_ctx_free(&rtcp.ctx); /* the same phone, the same certificate */
    dtls_free(&rtcp.d);
    dtls_hub_free(&rtcp.hub);
    rtcp.hub = NULL;
    assert_int_equal(
        dtls_hub_new(&rtcp.hub, &(struct dtls_hub_params){.ctx = h.ctx, .pool = house.pool}), 0);
    assert_int_equal(dtls_new(&rtcp.d, rtcp.hub, &(struct dtls_params){.active = false}), 0);
    handset_introduce(&h);
    handset_introduce(&rtcp);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_ACTIVE, &h), 0);
    handset_talk(&r, &h, &rig_side(&r, 0)->rtp);
    handset_talk(&r, &rtcp, &rig_side(&r, 0)->rtcp);
    handset_take_keys(&h);
    handset_take_keys(&rtcp);
    memcpy(p, rr, n);
    assert_int_equal(srtcp_protect(rtcp.end.tx, p, &n, sizeof(p)), 0);
    rig_send(&rig_side(&r, 0)->rtcp, r.phone_rtcp[0], p, n);
    assert_int_equal(rig_recv(r.phone_rtcp[1], got, sizeof(got), NULL), sizeof(rr));
    rig_send(&rig_side(&r, 1)->rtcp, r.phone_rtcp[1], rr, sizeof(rr));
    n = (size_t)rig_recv(r.phone_rtcp[0], got, sizeof(got), NULL);
    assert_int_equal(srtcp_unprotect(rtcp.end.rx, got, &n), 0);
    rig_speak(&r, 0, &h.end, 1);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 1));
    dtls_down(&r, &rtcp, &h);
}

static void bad_fingerprints_and_relays_without_dtls_are_refused(void **state)
{
    struct media_dtls_params p = {.n = 1, .fingerprints = {SL("sha-1 00:11")}};
    struct sl fp;
    struct rig r;

    (void)state;
    dtls_up(&r);
    assert_int_equal(media_set_dtls(r.s, 0, 0, &p), EBADMSG);
    p.n = MEDIA_FINGERPRINTS_MAX + 1;
    assert_int_equal(media_set_dtls(r.s, 0, 0, &p), EINVAL);
    assert_int_equal(media_set_dtls(r.s, 3, 0, &p), ENOENT);
    assert_int_equal(rig_stats(&r, 0).dtls, MEDIA_DTLS_NONE);
    media_dtls_fingerprint(r.m, &fp);
    assert_true(sl_eq(fp, dtls_ctx_fingerprint(house.ctx)));
    rig_down(&r);
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    p.n = 0;
    assert_int_equal(media_set_dtls(r.s, 0, 0, &p), ENOTSUP);
    media_dtls_fingerprint(r.m, &fp);
    assert_int_equal(fp.n, 0);
    rig_down(&r);
}

/* A session that ends in the middle of a step: what comes back finds nobody, and harms nobody. */
static void a_session_may_end_during_a_handshake(void **state)
{
    struct handset h;
    struct rig r;

    (void)state;
    dtls_up(&r);
    handset_up(&h, true, r.phone[0]);
    handset_introduce(&h);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_PASSIVE, &h), 0);
    dtls_start(h.d, 1);
    (void)handset_send(&h, &rig_side(&r, 0)->rtp);
    media_session_close(&r.s);
    loop_advance(r.loop, 30000);
    handset_down(&h);
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_with_dtls_is_bridged),
        cmocka_unit_test(before_the_keys_nothing_passes),
        cmocka_unit_test(an_early_hello_is_kept_until_the_answer),
        cmocka_unit_test(all_pieces_of_an_early_hello_are_kept),
        cmocka_unit_test(a_strangers_hello_is_no_hello),
        cmocka_unit_test(a_worse_source_cannot_take_a_handshake_over),
        cmocka_unit_test(what_was_only_offered_binds_nobody),
        cmocka_unit_test(a_neighbour_with_a_wrong_certificate_ends_no_call),
        cmocka_unit_test(a_neighbour_that_dawdles_gives_way),
        cmocka_unit_test(a_handshake_under_way_follows_the_description),
        cmocka_unit_test(a_forged_source_gets_no_answer_to_amplify),
        cmocka_unit_test(a_certificate_that_fits_no_fingerprint_loses_the_side),
        cmocka_unit_test(another_fingerprint_means_another_handshake_and_old_keys_until_then),
        cmocka_unit_test(packets_under_the_old_key_settle_no_handshake),
        cmocka_unit_test(the_role_may_be_settled_by_the_answer),
        cmocka_unit_test(a_handshake_that_we_begin_goes_where_the_new_description_says),
        cmocka_unit_test(another_place_with_the_same_certificate_may_begin_anew),
        cmocka_unit_test(a_handshake_that_timed_out_may_be_tried_again),
        cmocka_unit_test(a_side_that_was_reset_knows_nobody),
        cmocka_unit_test(rtcp_on_its_own_port_has_keys_of_its_own),
        cmocka_unit_test(bad_fingerprints_and_relays_without_dtls_are_refused),
        cmocka_unit_test(a_session_may_end_during_a_handshake),
    };

    return cmocka_run_group_tests(tests, house_up, house_down);
}
