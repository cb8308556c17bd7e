/* test_flow_samples.c - every sample of tests/data/sdp through the negotiation, from either side
 * and between every pair of profiles: taken or refused, nothing of it that must not reaches the
 * other side, and the call ends in order (attacks.md 25 to 34). */
#include "secure.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define DIR_NAME "tests/data/sdp/"
#define SAMPLES_MAX 128
#define BODY_MAX (1 << 16)

static char names[SAMPLES_MAX][64];
static size_t n_names;
static char body[BODY_MAX + 1];
static char message[BODY_MAX + 4096];

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void find_samples(void)
{
    DIR *d = opendir(DIR_NAME);
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        if (sl_ends(sl_str(e->d_name), SL(".sdp"))) {
            assert_true(n_names < SAMPLES_MAX);
            assert_int_equal(sl_cstr(sl_str(e->d_name), names[n_names++], sizeof(names[0])), 0);
        }
    }
    closedir(d);
    qsort(names, n_names, sizeof(names[0]), by_name);
    assert_true(n_names > 80);
}

static struct sl read_sample(const char *name)
{
    char path[256];
    FILE *f;
    size_t n;

    snprintf(path, sizeof(path), DIR_NAME "%s", name);
    f = fopen(path, "rb");
    assert_non_null(f);
    n = fread(body, 1, BODY_MAX, f);
    fclose(f);
    body[n] = '\0';
    return sl_make(body, n);
}

/* Secrets of the sample that are long enough not to be found by chance. */
static void note_secrets(struct rig *r, unsigned side, struct sl text)
{
    static const char *const marks[] = {
        " inline:", "a=fingerprint:", "a=ice-ufrag:", "a=ice-pwd:", " cname:",
        " msid:",   " raddr ",        "c=IN IP4 ",    "c=IN IP6 ",  "k=clear:",
        "a=msid:",  "mslabel:",       "a=key-mgmt:"};
    static char fake[BODY_MAX + 64];

    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        struct sl rest = text;
        ptrdiff_t at;

        while ((at = sl_find(rest, sl_str(marks[i]))) >= 0) {
            size_t n = 0;

            rest = sl_from(rest, (size_t)at + strlen(marks[i]));
            while (n < rest.n && n < RIG_ID_MAX - 1 && strchr(" |\r\n;/", rest.p[n]) == NULL) {
                n++;
            }
            if (n < 8 || r->ids[side].n >= RIG_IDS_MAX - 40) {
                continue;
            }
            snprintf(fake, sizeof(fake), "X SIP/2.0\r\nCall-ID: %.*s\r\n\r\n", (int)n, rest.p);
            leak_note(r, side, sl_str(fake), true);
        }
    }
}

/* A request of p's with a body of any size. */
static void send_invite(struct phone *p, struct sl sdp)
{
    int n = snprintf(message, sizeof(message),
                     "INVITE sip:+4930123@203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
                     "%s;branch=z9hG4bK-s-%u;rport\r\nMax-Forwards: 70\r\nFrom: %s;tag=%s\r\nTo: "
                     "<sip:+4930123@203.0.113.1>\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\nContact: "
                     "<sip:dev-%s-%u@%s>\r\nContent-Type: application/sdp\r\nContent-Length: "
                     "%zu\r\n\r\n",
                     p->at, ++p->r->next_name, p->local, p->tag, p->call_id, p->user, p->side,
                     p->at, sdp.n);

    assert_true(n > 0 && (size_t)n + sdp.n < sizeof(message));
    memcpy(p->invite, message, (size_t)n + 1);
    snprintf(p->remote, sizeof(p->remote), "<sip:+4930123@203.0.113.1>");
    p->cseq = 1;
    memcpy(message + n, sdp.p, sdp.n);
    leak_note(p->r, p->side, sl_str(p->invite), false);
    note_secrets(p->r, p->side, sdp);
    rig_input(p->r, p->worker, &p->flow, sl_make(message, (size_t)n + sdp.n));
}

static void send_answer(struct phone *p, struct sl sdp)
{
    struct sl req = sl_str(p->ring);
    int n = snprintf(message, sizeof(message),
                     "SIP/2.0 200 OK\r\nVia: %.*s\r\nFrom: %.*s\r\nTo: %.*s;tag=%s\r\nCall-ID: "
                     "%.*s\r\nCSeq: %.*s\r\nContact: <sip:dev-%s-%u@%s>\r\nContent-Type: "
                     "application/sdp\r\nContent-Length: %zu\r\n\r\n",
                     SL_ARG(msg_hdr(req, "Via", 0)), SL_ARG(msg_hdr(req, "From", 0)),
                     SL_ARG(msg_hdr(req, "To", 0)), p->tag, SL_ARG(msg_hdr(req, "Call-ID", 0)),
                     SL_ARG(msg_hdr(req, "CSeq", 0)), p->user, p->side, p->at, sdp.n);

    assert_true(n > 0 && (size_t)n + sdp.n < sizeof(message));
    memcpy(message + n, sdp.p, sdp.n);
    note_secrets(p->r, p->side, sdp);
    rig_input(p->r, p->worker, &p->flow, sl_make(message, (size_t)n + sdp.n));
}

/* What no description of ours holds, whatever the sample had. */
static void check_written(const char *name, const char *text)
{
    static const char *const never[] = {
        "\na=msid",  "\na=extmap", "\na=ssrc",     "\na=altc",    "\na=rid",       "\na=x-",
        "\na=pcfg",  "\na=acap",   "\na=key-mgmt", "\na=path",    "\na=tool",      "\nk=",
        "\na=simul", "\na=image",  "\na=curr",     "\na=des",     "\nu=",          "\ne=",
        "\np=",      "\ni=",       "\na=rtcp-rsi", "\na=remote-", "\na=ice-option"};
    struct sl sdp = msg_body(sl_str(text));

    for (size_t i = 0; i < COUNT_OF(never); i++) {
        if (sl_find(sdp, sl_str(never[i])) >= 0) {
            fail_msg("%s: %s in\n%s", name, never[i], text);
        }
    }
}

static bool is_final(const char *text)
{
    return text[8] >= '2';
}

/* Hears what the caller hears until the end of its INVITE; true: a 200. */
static bool hear(struct phone *a)
{
    while (phone_try(a, "")) {
        if (strncmp(a->got, "SIP/2.0", 7) == 0 && is_final(a->got)) {
            return a->got[8] == '2';
        }
    }
    return false;
}

static void hang_up(struct phone *a, struct phone *b)
{
    phone_bye(a);
    EXPECT(a, "200 BYE");
    while (phone_try(b, "")) {
        if (strncmp(b->got, "BYE", 3) == 0) {
            phone_answer(b, 200, NULL);
        }
    }
}

/* The callee does what it can with the offer; a 200 if it has something to answer. */
static void take_call(struct phone *b)
{
    bool has_audio = strstr(b->ring, "m=audio 0 ") == NULL && strstr(b->ring, "m=audio") != NULL;

    if (!has_audio || strstr(strstr(b->ring, "m=") + 2, "\r\nm=") != NULL) {
        phone_answer(b, 488, NULL); /* this phone knows one audio stream */
        return;
    }
    phone_answer(b, 200, secure_answer(b, b->ring, NULL));
}

static bool from_the_caller(struct pair *p, const char *name)
{
    struct pair t = *p;
    bool taken = false;

    phone_renew(&t.a);
    send_invite(&t.a, read_sample(name));
    if (phone_has_mail(&t.b)) {
        taken = true;
        EXPECT(&t.b, "INVITE");
        check_written(name, t.b.ring);
        take_call(&t.b);
        phone_try(&t.b, "ACK");
    }
    if (hear(&t.a)) {
        check_written(name, t.a.got);
        phone_ack(&t.a, NULL);
        phone_drop_mail(&t.b);
        hang_up(&t.a, &t.b);
    } else {
        assert_true(sl_starts(sl_str(t.a.got), SL("SIP/2.0 4")) ||
                    sl_starts(sl_str(t.a.got), SL("SIP/2.0 5")));
        phone_ack_failure(&t.a);
    }
    for (int i = 0; i < 3; i++) { /* a second target, an answer that could not be used */
        while (phone_try(&t.b, "")) {
            if (strncmp(t.b.got, "BYE", 3) == 0 || strncmp(t.b.got, "CANCEL", 6) == 0) {
                phone_answer(&t.b, 200, NULL);
            }
        }
    }
    return taken;
}

/* The offer comes in the callee's 200. */
static bool from_the_callee(struct pair *p, const char *name)
{
    struct pair t = *p;
    bool taken = false;

    phone_renew(&t.a);
    phone_invite(&t.a, "sip:+4930123@203.0.113.1", NULL);
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    send_answer(&t.b, read_sample(name));
    if (hear(&t.a)) {
        taken = true;
        check_written(name, t.a.got);
        phone_ack(&t.a, secure_answer(&t.a, t.a.got, NULL));
        while (phone_try(&t.b, "")) {
            check_written(name, t.b.got);
            if (strncmp(t.b.got, "BYE", 3) == 0) {
                phone_answer(&t.b, 200, NULL);
            }
        }
        if (phone_try(&t.a, "BYE")) { /* one audio stream was not the answer to what was asked */
            phone_answer(&t.a, 200, NULL);
        } else {
            hang_up(&t.a, &t.b);
        }
    } else {
        phone_ack_failure(&t.a);
        while (phone_try(&t.b, "")) {
            if (strncmp(t.b.got, "BYE", 3) == 0) {
                phone_answer(&t.b, 200, NULL);
            }
        }
    }
    return taken;
}

#define CHUNK 12 /* samples that one house sees: it has room for so many identifiers */

static void one_pair(enum kind a, enum kind b, unsigned *taken)
{
    for (size_t i = 0; i < n_names; i += CHUNK) {
        struct rig *r = secure_up(kind_names[a], kind_names[b], "");
        struct pair t;

        pair_init(&t, r);
        for (size_t k = i; k < i + CHUNK && k < n_names; k++) {
            taken[a] += from_the_caller(&t, names[k]) ? 1 : 0;
            taken[b] += from_the_callee(&t, names[k]) ? 1 : 0;
        }
        rig_down(r);
    }
}

static void every_sample_passes_or_is_refused_in_order(void **state)
{
    unsigned taken[KIND_N] = {0};

    (void)state;
    find_samples();
    for (unsigned k = 0; k < KIND_N * KIND_N; k++) {
        one_pair((enum kind)(k / KIND_N), (enum kind)(k % KIND_N), taken);
    }
    for (unsigned k = 0; k < KIND_N; k++) {
        print_message("%s took %u\n", kind_names[k], taken[k]);
        assert_true(taken[k] >= 5);
    }
}

/* What each profile must say to a sample of its kind. */
static void samples_are_judged_as_their_index_says(void **state)
{
    static const struct {
        const char *name;
        enum kind profile;
        bool taken;
    } rows[] = {
        {"sdes_aes80.sdp", KIND_SDES, true},
        {"sdes_multi_suite.sdp", KIND_SDES, true},
        {"sdes_optional_avp.sdp", KIND_SDES, true},
        {"sdes_optional_avp.sdp", KIND_OFFERED, true},
        {"sdes_optional_avp.sdp", KIND_RTP, true},
        {"sdes_two_mlines_avp_savp.sdp", KIND_SDES, true},
        {"teams_direct_routing_style.sdp", KIND_SDES, true},
        {"sdes_bad_base64.sdp", KIND_SDES, false},
        {"sdes_crypto_no_inline.sdp", KIND_SDES, false},
        {"sdes_long_key.sdp", KIND_SDES, false},
        {"sdes_short_key.sdp", KIND_SDES, false},
        {"sdes_no_crypto.sdp", KIND_SDES, false},
        {"sdes_no_crypto.sdp", KIND_OFFERED, false},
        {"sdes_unknown_suite.sdp", KIND_SDES, false},
        {"sdes_unknown_suite.sdp", KIND_OFFERED, false},
        {"webrtc_chrome_audio_only.sdp", KIND_BROWSER, true},
        {"webrtc_chrome_av_bundle.sdp", KIND_BROWSER, true},
        {"webrtc_chrome_trickle_nocand.sdp", KIND_BROWSER, true},
        {"webrtc_firefox.sdp", KIND_BROWSER, true},
        {"webrtc_dtls_setup_active.sdp", KIND_BROWSER, true},
        {"webrtc_safari_plan_b_legacy.sdp", KIND_BROWSER, false}, /* sha-1 */
        {"webrtc_fingerprint_malformed.sdp", KIND_BROWSER, false},
        {"webrtc_chrome_audio_only.sdp", KIND_RTP, false},
        {"basic_pcmu_pcma.sdp", KIND_SDES, false},
        {"basic_pcmu_pcma.sdp", KIND_OFFERED, true},
        {"basic_pcmu_pcma.sdp", KIND_DTLS, false},
        {"ice_lite_peer.sdp", KIND_RTP, true},
        {"ice_candidate_flood.sdp", KIND_RTP, true},
        {"ice_candidate_malformed.sdp", KIND_RTP, true},
        {"odd_group_mid_bad.sdp", KIND_RTP, true},
        {"odd_many_mlines.sdp", KIND_RTP, false},
        {"odd_multicast_ttl.sdp", KIND_RTP, false},
        {"odd_fqdn_connection.sdp", KIND_RTP, false},
        {"t38_reinvite.sdp", KIND_RTP, true},
        {"t38_reinvite.sdp", KIND_SDES, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig *r = secure_up(kind_names[rows[i].profile], "plain", "");
        struct pair t;
        bool taken;

        pair_init(&t, r);
        taken = from_the_caller(&t, rows[i].name);
        rig_down(r);
        if (taken != rows[i].taken) {
            fail_msg("%s with %s: %s", rows[i].name, kind_names[rows[i].profile],
                     taken ? "taken" : "refused");
        }
    }
}

/* attacks.md 28: caps on streams and payload types, ports only after validation. */
static void two_hundred_streams_and_a_thousand_payload_types_take_no_port(void **state)
{
    static char sdp[BODY_MAX];
    struct rig *r = secure_up("plain", "plain", "");
    struct media_counts c;
    struct pair t;

    (void)state;
    pair_init(&t, r);
    for (int round = 0; round < 2; round++) {
        struct buf b;

        buf_init_fixed(&b, sdp, sizeof(sdp));
        buf_puts(&b, "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\n");
        for (int i = 0; round == 0 && i < 200; i++) {
            buf_putf(&b, "m=audio %d RTP/AVP 0\r\n", 20000 + 2 * i);
        }
        buf_puts(&b, round == 1 ? "m=audio 20000 RTP/AVP" : "");
        for (int i = 0; round == 1 && i < 1000; i++) {
            buf_putf(&b, " %d", i % 128);
        }
        buf_puts(&b, "\r\n");
        assert_int_equal(buf_err(&b), 0);
        phone_renew(&t.a);
        send_invite(&t.a, buf_sl(&b));
        EXPECT(&t.a, "100 INVITE");
        EXPECT(&t.a, "488 INVITE");
        phone_ack_failure(&t.a);
        media_counts(r->b.workers[0]->media, &c);
        assert_true(c.sessions == 0 && c.ports_used == 0);
    }
    rig_down(r);
}

/* attacks.md 32: aimed at us, at loopback, at a low port, at nobody. */
static void addresses_that_aim_elsewhere_are_refused(void **state)
{
    static const char *const lines[] = {
        "c=IN IP4 203.0.113.1\r\nm=audio 20010 RTP/AVP 0\r\n", /* our own media */
        "c=IN IP4 198.51.100.1\r\nm=audio 20010 RTP/AVP 0\r\n",
        "c=IN IP4 127.0.0.1\r\nm=audio 40000 RTP/AVP 0\r\n",
        "c=IN IP4 224.2.1.1/127\r\nm=audio 40000 RTP/AVP 0\r\n",
        "c=IN IP4 255.255.255.255\r\nm=audio 40000 RTP/AVP 0\r\n",
        "c=IN IP4 192.0.2.30\r\nm=audio 53 RTP/AVP 0\r\n",
        "c=IN IP6 ::1\r\nm=audio 40000 RTP/AVP 0\r\n",
        "c=IN IP6 ::ffff:127.0.0.1\r\nm=audio 40000 RTP/AVP 0\r\n",
        "c=IN IP4 victim.example.com\r\nm=audio 40000 RTP/AVP 0\r\n",
    };
    struct rig *r = secure_up("plain", "plain", "");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        int n = snprintf(body, sizeof(body),
                         "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nt=0 0\r\n%s", lines[i]);

        phone_renew(&t.a);
        send_invite(&t.a, sl_make(body, (size_t)n));
        EXPECT(&t.a, "100 INVITE");
        EXPECT(&t.a, "488 INVITE");
        phone_ack_failure(&t.a);
        talk_record_is("system", "no media stream that we can carry", 488);
    }
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_passes_or_is_refused_in_order),
        cmocka_unit_test(samples_are_judged_as_their_index_says),
        cmocka_unit_test(two_hundred_streams_and_a_thousand_payload_types_take_no_port),
        cmocka_unit_test(addresses_that_aim_elsewhere_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
