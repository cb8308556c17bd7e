/* test_policy_egress.c - what is found in bytes and what is not: addresses in any spelling, names,
 * identifiers and keys, in any kind of body; and all that only looks like them. */
#include "policy_rig.h"
#include "sbc-policy/egress_int.h"

struct found {
    char text[256]; /* what was found, each followed by a bar */
    const char *bytes;
};

static struct rig rig;
static struct policy_egress *set;

static int house_up(void **state)
{
    static const char *names[] = {"*.pbx.corp.example", "sbc7.pbx.corp.example", "example.test",
                                  "anonymous.invalid"};
    static const char *dialled[] = {"tls.lab.example"};
    static struct policy_uri_target targets[1];
    const struct policy_place places[] = {
        [OUTSIDE] = {rig_addr("198.51.100.1"), rig_addr("203.0.113.1")},
        [INSIDE] = {rig_addr("172.16.5.1"), rig_addr("172.16.5.1")},
    };

    (void)state;
    rig_up(&rig);
    targets[0] = (struct policy_uri_target){.addr = rig_addr("fd00:5::20")};
    rig.peers[PBX].certificates = names;
    rig.peers[PBX].n_certificates = COUNT_OF(names);
    rig.peers[PBX].tls.names = dialled;
    rig.peers[PBX].tls.n_names = COUNT_OF(dialled);
    rig.peers[PBX].targets = targets;
    rig.peers[PBX].n_targets = 1;
    rig_compile(&rig);
    return policy_egress_build(&set, rig.policy, places, COUNT_OF(places));
}

static int house_down(void **state)
{
    (void)state;
    policy_egress_free(&set);
    rig_down(&rig);
    return 0;
}

static void on_found(const struct policy_hit *hit, void *arg)
{
    struct found *f = arg;
    size_t n = strlen(f->text);

    assert_true(n + hit->n + 2 < sizeof(f->text));
    memcpy(f->text + n, f->bytes + hit->at, hit->n);
    memcpy(f->text + n + hit->n, "|", 2);
}

static void on_counted(const struct policy_hit *hit, void *arg)
{
    size_t *n = arg;

    assert_true(hit->n != 0);
    *n += 1;
}

static const char *scan(const struct policy_sight *l, const char *bytes)
{
    static struct found f;

    f = (struct found){.bytes = bytes};
    policy_egress_scan(l, sl_str(bytes), on_found, &f);
    return f.text;
}

static struct policy_sight to_carrier(void)
{
    return (struct policy_sight){
        .set = set, .to = {.kind = POLICY_PEER, .peer = CARRIER}, .listener = OUTSIDE};
}

static const char *at_carrier(const char *bytes)
{
    struct policy_sight l = to_carrier();

    return scan(&l, bytes);
}

static void addresses_are_found_in_any_spelling(void **state)
{
    (void)state;
    assert_string_equal(at_carrier("Via: SIP/2.0/UDP 172.16.5.1:5060;x"), "172.16.5.1|");
    assert_string_equal(at_carrier("172.16.5.1"), "172.16.5.1|");
    assert_string_equal(at_carrier("x172.16.5.1, (172.16.005.001)."), "172.16.5.1|172.16.005.001|");
    assert_string_equal(at_carrier("1234-172.16.5.1@h <sip:172.16.5.1>"), "172.16.5.1|172.16.5.1|");
    assert_string_equal(at_carrier("c=IN IP6 fd00:5::20\r\n"), "fd00:5::20|");
    assert_string_equal(at_carrier("<sip:[FD00:0005:0:0::0020]:5060>"), "FD00:0005:0:0::0020|");
    assert_string_equal(at_carrier("see fd00:5:0:0:0:0:0:20: there"), "fd00:5:0:0:0:0:0:20|");
    assert_string_equal(at_carrier("10.200.3.4 of a network"), "10.200.3.4|");
    assert_string_equal(at_carrier("2001:db8::77"), "2001:db8::77|");
}

static void what_only_looks_like_one_is_not_found(void **state)
{
    (void)state;
    assert_string_equal(at_carrier("172.16.5.10 172.16.5.1.2 4.172.16.5.1 172.16.5 172.16.5.1000"),
                        "");
    assert_string_equal(at_carrier("1172.16.5.1"), ""); /* 1172 is no octet */
    assert_string_equal(at_carrier("SIP/2.0 1.3.6.1.4.1.10.1.1 v10.2 12:30:45 a:b:c ::"), "");
    assert_string_equal(at_carrier("fd00:5::201 fd00:5::2 xfd00:5:0:0:0:0:0:0:20"), "");
    assert_string_equal(at_carrier("a=fingerprint:sha-256 FD:00:05:00:00:00:00:20:AA:BB"), "");
    assert_string_equal(at_carrier("Date: Sat, 21 Nov 2026 10:20:30 GMT"), "");
}

static void ones_own_is_no_secret(void **state)
{
    struct policy_sight l = to_carrier();
    struct policy_said own = {.n = 0};

    (void)state;
    assert_string_equal(at_carrier("198.51.100.1 203.0.113.1 192.0.2.1 192.0.2.77"), "");
    assert_string_equal(at_carrier("0.0.0.0 8.8.8.8 example.test anonymous.invalid"), "");
    policy_said_host(&own, SL("10.200.3.4"));
    l.own = &own;
    assert_string_equal(scan(&l, "10.200.3.4 10.200.3.5"), "10.200.3.5|");
    l.to.peer = PBX; /* of the inside: the networks are its own, the outside is not */
    l.listener = INSIDE;
    l.own = NULL;
    assert_string_equal(scan(&l, "10.200.3.4 172.16.5.1 fd00:5::20 203.0.113.1"), "203.0.113.1|");
}

static void a_network_as_wide_as_the_world_hides_nothing(void **state)
{
    struct policy_sight l = to_carrier();

    (void)state;
    l.listener = INSIDE; /* OFFICE speaks from ::/0 */
    assert_string_equal(scan(&l, "2400:1::1"), "");
}

static void names_are_found_with_what_is_below_them(void **state)
{
    (void)state;
    assert_string_equal(at_carrier("<sip:100@PBX.corp.example:5060>"), "PBX.corp.example|");
    assert_string_equal(at_carrier("a.b.pbx.corp.example."), "a.b.pbx.corp.example|");
    assert_string_equal(at_carrier("corp.example xpbx.corp.example pbx.corp.example.org pbx"), "");
}

/* Whoever has them in a certificate: the users' domain and RFC 3323's name are everybody's. */
static void names_of_nobody_alone_are_no_secret(void **state)
{
    (void)state;
    assert_string_equal(at_carrier("<sip:tls.lab.example>"), "tls.lab.example|");
    assert_string_equal(at_carrier("<sip:1001@example.test>;a@anonymous.invalid"), "");
}

static void what_the_other_side_said_is_found(void **state)
{
    struct policy_sight l = {.listener = OUTSIDE};
    struct policy_said other = {.n = 0}, own = {.n = 0};

    (void)state;
    policy_said_host(&other, SL("192.168.7.7"));
    policy_said_host(&other, SL("phone7.home.example"));
    policy_said_host(&other, SL("phone"));   /* any word could be that */
    policy_said_host(&other, SL("0.0.0.0")); /* on hold */
    policy_said_sdp(&other, SL("v=0\r\no=- 1 1 IN IP4 192.168.7.8\r\ns=1.2.3.4 call\r\n"
                               "c=IN IP4 239.1.1.1/127\r\na=rtcp:9 IN IP4 192.168.7.9\r\n"
                               "a=candidate:1 1 UDP 1 ab12.local 9 typ host raddr 192.168.7.10\r\n"
                               "a=ice-pwd:abcdefghijklmnopqrstuv\r\n"
                               "a=crypto:1 X inline:AAbbCCddEEffGGhh/IIjjKKll+MM|2^20\r\n"));
    l.others[l.n_others++] = &other;
    l.own = &own;
    assert_string_equal(scan(&l, "192.168.7.7 192.168.7.8 192.168.7.9 192.168.7.10 192.168.7.1"),
                        "192.168.7.7|192.168.7.8|192.168.7.9|192.168.7.10|");
    assert_string_equal(scan(&l, "phone7.home.example x.phone7.home.example phone 0.0.0.0 1.2.3.4 "
                                 "239.1.1.1 home.example"),
                        "phone7.home.example|");
    assert_string_equal(scan(&l, "<ab12.local> k=AAbbCCddEEffGGhh, p:abcdefghijklmnopqrstuv;"),
                        "ab12.local|AAbbCCddEEffGGhh|abcdefghijklmnopqrstuv|");
    policy_said_host(&own, SL("192.168.7.7")); /* both sit behind the same door */
    assert_string_equal(scan(&l, "192.168.7.7"), "");
}

static void more_than_there_is_room_for_is_left_out(void **state)
{
    struct policy_said s = {.n = 0};

    (void)state;
    for (unsigned i = 0; i < POLICY_SAID_MAX + 5; i++) {
        char text[16];

        assert_true(snprintf(text, sizeof(text), "192.168.9.%u", i) > 0);
        policy_said_host(&s, sl_str(text));
        policy_said_host(&s, sl_str(text)); /* twice is once */
        assert_int_equal(s.is_full, i >= POLICY_SAID_MAX);
    }
    assert_int_equal(s.n, POLICY_SAID_MAX);
}

static void identifiers_are_whole_words(void **state)
{
    struct policy_sight l = {.listener = OUTSIDE};

    (void)state;
    policy_sight_id(&l, SL("a84b4c76e66710@pc33.example.com"));
    policy_sight_id(&l, SL("1-4711@127.0.0.1"));
    policy_sight_id(&l, SL("as58f4.b-9"));
    policy_sight_id(&l, SL("12345"));      /* too short */
    policy_sight_id(&l, SL("491512345"));  /* a telephone number is as long */
    policy_sight_id(&l, SL("1928301774")); /* as the tag of RFC 3261's example */
    policy_sight_id(&l, SL_NULL);
    assert_int_equal(l.n_ids, 4);
    assert_string_equal(scan(&l, "Call-ID: a84b4c76e66710@pc33.example.com\r\n"),
                        "a84b4c76e66710@pc33.example.com|");
    assert_string_equal(scan(&l, "a84b4c76e66710@pc33.example.comm xa84b4c76e66710@pc33.example.com"
                                 " A84b4c76e66710@pc33.example.com a84b4c76e66710"),
                        "");
    assert_string_equal(scan(&l, "1-4711@127.0.0.1 11-4711@127.0.0.1;as58f4.b-9;as58f4.b-99"),
                        "1-4711@127.0.0.1|as58f4.b-9|");
    assert_string_equal(scan(&l, "12345 491512345 tag=1928301774 19283017740"), "1928301774|");
}

/* Kinds of bodies that may carry them; the search does not ask for the kind. */
static void bodies_of_all_kinds_are_searched(void **state)
{
    static const char *const bodies[] = {
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 172.16.5.1;branch=z9hG4bK1\r\n", /* message/sipfrag */
        "<presence entity='pres:a@172.16.5.1'><tuple id='x'/></presence>",   /* PIDF */
        "<reginfo><contact><uri>sip:a@172.16.5.1:5062</uri></contact></reginfo>",
        "<dialog-info><dialog><remote><target uri=\"sip:172.16.5.1\"/></remote></dialog>",
        ("--b1\r\nContent-Type: multipart/mixed;boundary=b2\r\n\r\n--b2\r\nContent-Type: "
         "application/sdp\r\n\r\nv=0\r\nc=IN IP4 172.16.5.1\r\n--b2--\r\n--b1--\r\n"),
        "{\"addr\":\"172.16.5.1\"}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        assert_string_equal(at_carrier(bodies[i]), "172.16.5.1|");
    }
}

/* Whatever stands in a message of the greatest length, the work stays proportional to it. */
static void the_worst_bytes_end_soon(void **state)
{
    static const char *const bad[] = {":", "1.", "1.1.1.1.", "a.", "::1:", "f:", "aaaa.bbbb.", "."};
    static char bytes[65536 + 1];
    struct policy_sight l = to_carrier();

    (void)state;
    policy_sight_id(&l, SL("aaaa.bbbb.aaaa.bbbb"));
    policy_sight_id(&l, SL("aaaa.bbbb.aaaa.bbbc"));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        size_t n = strlen(bad[i]), found = 0;

        for (size_t k = 0; k < sizeof(bytes) - 1; k++) {
            bytes[k] = bad[i][k % n];
        }
        policy_egress_scan(&l, sl_make(bytes, sizeof(bytes) - 1), on_counted, &found);
        assert_true(found <= sizeof(bytes) / 10);
    }
}

/* Blocks are looked at with the machine's vectors; byte by byte the same must come out. */
static void blocks_are_marked_as_their_bytes_are(void **state)
{
    char bytes[3 * EGRESS_BLOCK];

    (void)state;
    for (unsigned seed = 0; seed < 2000; seed++) {
        size_t n = seed % sizeof(bytes);
        struct egress_marks m, each;

        for (size_t i = 0; i < n; i++) {
            bytes[i] = (char)(seed * 31 + i * (seed % 7 + 1));
            if (seed % 2 == 0) {
                bytes[i] = " ::.a1-["[(unsigned char)bytes[i] / 3 % 8];
            }
        }
        m = egress_marks(sl_make(bytes, n));
        each = egress_marks_each(sl_make(bytes, n));
        assert_int_equal(m.alnum, each.alnum);
        assert_int_equal(m.dots, each.dots);
    }
}

static void on_last(const struct policy_hit *hit, void *arg)
{
    *(struct policy_hit *)arg = *hit;
}

/* Wherever a message puts it: at the edges of blocks and of the whole, and behind much else. */
static void an_id_is_found_at_every_place(void **state)
{
    static const char id[] =
        "k3v9-q2m7x1c5b8n4l6j0h2g7f5a1s2d3f4g5h6j7k8l9p0o9i8u7y6t5r4e3w2q1abcd";
    char bytes[4 * EGRESS_BLOCK];
    struct policy_sight l = to_carrier();
    size_t n = sizeof(id) - 1;

    (void)state;
    policy_sight_id(&l, sl_make(id, n));
    for (size_t at = 1; at + n < sizeof(bytes); at++) {
        struct policy_hit hit = {.n = 0};

        memset(bytes, ' ', sizeof(bytes));
        memcpy(bytes, "a.example.net 10.9.9.9", at < 22 ? at - 1 : 22);
        bytes[at - 1] = '=';
        memcpy(bytes + at, id, n);
        policy_egress_scan(&l, sl_make(bytes, at % 2 == 0 ? at + n : sizeof(bytes)), on_last, &hit);
        assert_int_equal(hit.kind, POLICY_HIT_ID);
        assert_int_equal(hit.at, at);
        assert_int_equal(hit.n, n);
    }
}

/* Which lengths are looked for depends on the ids; keys of all lengths are. */
static void an_id_is_found_whatever_its_length(void **state)
{
    static const char letters[] =
        "k3v9q2m7x1c5b8n4l6j0h2g7f5a1s2d3f4g5h6j7k8l9p0o9i8u7y6t5r4e3w2q1abcd";
    char bytes[2 * sizeof(letters)];

    (void)state;
    for (size_t n = 6; n < sizeof(letters); n++) {
        struct policy_hit hit = {.n = 0};
        struct policy_sight l = to_carrier();

        policy_sight_id(&l, sl_make(letters, n));
        memset(bytes, '=', sizeof(bytes));
        memcpy(bytes + 9, letters, n);
        policy_egress_scan(&l, sl_make(bytes, sizeof(bytes)), on_last, &hit);
        assert_int_equal(hit.at, 9);
        assert_int_equal(hit.n, n);
        policy_sight_id(&l, SL("k3v9q2")); /* a shorter one beside it */
        hit = (struct policy_hit){.n = 0};
        policy_egress_scan(&l, sl_make(bytes, sizeof(bytes)), on_last, &hit);
        assert_int_equal(hit.n, n);
    }
}

static void a_key_is_found_whatever_its_length(void **state)
{
    static const char letters[] =
        "k3v9q2m7x1c5b8n4l6j0h2g7f5a1s2d3f4g5h6j7k8l9p0o9i8u7y6t5r4e3w2q1abcd";

    (void)state;
    for (size_t n = 8; n < sizeof(letters); n++) {
        char sdp[sizeof(letters) + 64], bytes[2 * sizeof(letters)];
        struct policy_said other = {.n = 0};
        struct policy_hit hit = {.n = 0};
        struct policy_sight l = to_carrier();

        (void)snprintf(sdp, sizeof(sdp), "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:%.*s\r\n",
                       (int)n, letters);
        policy_said_sdp(&other, sl_str(sdp));
        l.others[l.n_others++] = &other;
        policy_sight_id(&l, SL("z9z9z9z9z9z9z9z9z9z9"));
        memset(bytes, '=', sizeof(bytes));
        memcpy(bytes + 9, letters, n);
        policy_egress_scan(&l, sl_make(bytes, sizeof(bytes)), on_last, &hit);
        assert_int_equal(hit.kind, POLICY_HIT_KEY);
        assert_int_equal(hit.n, n);
    }
}

static void an_address_is_found_once_at_every_place(void **state)
{
    static const char *const hidden[] = {"fd00:5:0:0:0:0:0:20", "203.0.113.77",
                                         "fd00:77::", "::ffff:203.0.113.77"};
    char bytes[3 * EGRESS_BLOCK];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(hidden); i++) {
        size_t n = strlen(hidden[i]);

        for (size_t at = 0; at + n < sizeof(bytes); at++) {
            struct policy_said other = {.n = 0};
            struct policy_sight l = to_carrier();
            size_t found = 0;

            policy_said_host(&other, sl_make(hidden[i], n));
            l.others[l.n_others++] = &other;
            memset(bytes, at % 2 == 0 ? '=' : ' ', sizeof(bytes));
            memcpy(bytes + at, hidden[i], n);
            policy_egress_scan(&l, sl_make(bytes, sizeof(bytes)), on_counted, &found);
            assert_int_equal(found, 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_found_once_at_every_place),
        cmocka_unit_test(blocks_are_marked_as_their_bytes_are),
        cmocka_unit_test(an_id_is_found_at_every_place),
        cmocka_unit_test(an_id_is_found_whatever_its_length),
        cmocka_unit_test(a_key_is_found_whatever_its_length),
        cmocka_unit_test(addresses_are_found_in_any_spelling),
        cmocka_unit_test(what_only_looks_like_one_is_not_found),
        cmocka_unit_test(ones_own_is_no_secret),
        cmocka_unit_test(a_network_as_wide_as_the_world_hides_nothing),
        cmocka_unit_test(names_are_found_with_what_is_below_them),
        cmocka_unit_test(names_of_nobody_alone_are_no_secret),
        cmocka_unit_test(what_the_other_side_said_is_found),
        cmocka_unit_test(more_than_there_is_room_for_is_left_out),
        cmocka_unit_test(identifiers_are_whole_words),
        cmocka_unit_test(bodies_of_all_kinds_are_searched),
        cmocka_unit_test(the_worst_bytes_end_soon),
    };

    return cmocka_run_group_tests(tests, house_up, house_down);
}
