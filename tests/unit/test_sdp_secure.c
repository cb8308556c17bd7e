/* test_sdp_secure.c - what a description says of keys, certificates, ICE and shared transports. */
#include "media/srtp_suite.h"
#include "sdp/sdp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD "v=0\r\no=u 7 7 IN IP4 198.51.100.1\r\ns=x\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n"
#define AUDIO "m=audio 40000 RTP/SAVP 0\r\n"
#define K80 "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"

static struct sdp s;
static char text[8192];

static void parse(const char *session, const char *media)
{
    const char *why = NULL;
    int n = snprintf(text, sizeof(text), HEAD "%s%s", session, media);

    assert_true(n > 0 && (size_t)n < sizeof(text));
    assert_int_equal(sdp_parse(sl_make(text, (size_t)n), &s, &why), 0);
}

/* --- a=crypto --- */

static void each_suite_takes_keys_of_exactly_its_length(void **state)
{
    static const struct {
        const char *suite;
        enum sdp_suite is;
        unsigned n; /* bytes of key and salt */
    } rows[] = {{"AES_CM_128_HMAC_SHA1_80", SDP_AES_CM_128_HMAC_SHA1_80, 30},
                {"AES_CM_128_HMAC_SHA1_32", SDP_AES_CM_128_HMAC_SHA1_32, 30},
                {"AES_256_CM_HMAC_SHA1_80", SDP_AES_256_CM_HMAC_SHA1_80, 46},
                {"AES_256_CM_HMAC_SHA1_32", SDP_AES_256_CM_HMAC_SHA1_32, 46},
                {"AEAD_AES_128_GCM", SDP_AEAD_AES_128_GCM, 28},
                {"AEAD_AES_256_GCM", SDP_AEAD_AES_256_GCM, 44}};

    (void)state;
    assert_int_equal(COUNT_OF(rows), SDP_SUITE_N);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned n = 20; n < 60; n++) {
            char line[256], key[128];
            struct sdp_crypto c;
            uint16_t pos = 0;
            int want = n == rows[i].n ? 0 : EBADMSG;

            memset(key, 'A', sizeof(key));
            key[(n * 8 + 5) / 6] = '\0';
            snprintf(line, sizeof(line), AUDIO "a=crypto:5 %s inline:%s\r\n", rows[i].suite, key);
            parse("", line);
            assert_int_equal(sdp_crypto_next(&s, 0, &pos, &c), want);
            if (want == 0) {
                assert_true(c.tag == 5 && c.n == n && c.key[0] == 0 && c.key[n - 1] == 0);
                assert_int_equal(c.suite, rows[i].is);
                assert_int_equal(sdp_suite_key_len(c.suite) + sdp_suite_salt_len(c.suite), n);
            }
            assert_int_equal(sdp_crypto_next(&s, 0, &pos, &c), ENOENT);
        }
    }
}

static const struct crypto_row {
    const char *value;
    int err;
    uint64_t lifetime;
    unsigned mki_len, mki;
} crypto_rows[] = {
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80, 0, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|2^20", 0, 1 << 20, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|2^48", 0, (uint64_t)1 << 48, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|1000", 0, 1000, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|1:4", 0, 0, 4, 1},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|2^20|66051:3", 0, 1 << 20, 3, 0x010203},
    {"1  AES_CM_128_HMAC_SHA1_80\tinline:" K80 " WSH=64 -ext", 0, 0, 0, 0},
    {"999999999 AES_CM_128_HMAC_SHA1_80 INLINE:" K80, 0, 0, 0, 0},
    {"1 AEAD_AES_128_GCM inline:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3Bxcg==", 0, 0, 0, 0},
    {"1 AEAD_AES_128_GCM inline:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3Bxcg=", 0, 0, 0, 0},
    {"1 AEAD_AES_128_GCM inline:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3Bxcg", 0, 0, 0, 0},
    {"1 AEAD_AES_128_GCM inline:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3Bxcg===", EBADMSG, 0, 0, 0},
    {"1000000000 AES_CM_128_HMAC_SHA1_80 inline:" K80, EBADMSG, 0, 0, 0},
    {"x AES_CM_128_HMAC_SHA1_80 inline:" K80, EBADMSG, 0, 0, 0},
    {"-1 AES_CM_128_HMAC_SHA1_80 inline:" K80, EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 " K80, EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:", EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80", EBADMSG, 0, 0, 0},
    {"1", EBADMSG, 0, 0, 0},
    {"", EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:=" K80, EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGV%", EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|2^49", EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|soon", EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|2^20|2^20", EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|1:4|1:4", EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|1:0", EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|256:1", EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|1:129", EBADMSG, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|1:17", ENOTSUP, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "|2^20|1:4;inline:" K80 "|2^20|2:4", ENOTSUP, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 " UNENCRYPTED_SRTP", ENOTSUP, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 " UNENCRYPTED_SRTCP", ENOTSUP, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 " UNAUTHENTICATED_SRTP", ENOTSUP, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 " KDR=1", ENOTSUP, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 " FEC_ORDER=FEC_SRTP", ENOTSUP, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_80 inline:" K80 " new-and-mandatory", ENOTSUP, 0, 0, 0},
    {"1 F8_128_HMAC_SHA1_80 inline:" K80, ENOTSUP, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_8 inline:" K80, ENOTSUP, 0, 0, 0},
    {"1 AES_CM_128_HMAC_SHA1_800 inline:" K80, ENOTSUP, 0, 0, 0},
    {"1 aes_cm_128_hmac_sha1_80 inline:" K80, ENOTSUP, 0, 0, 0}, /* RFC 4568 9.1 */
};

/* sdp/ knows nothing of media/, so each has a table of its own: the same. */
static void lengths_are_those_that_the_engines_use(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (unsigned i = SRTP_SUITE_NONE + 1; i < SRTP_N_SUITES; i++) {
        enum sdp_suite suite = sdp_suite_of(srtp_suite_name((enum srtp_suite)i));

        assert_true(suite < SDP_SUITE_N);
        seen |= 1u << suite;
        assert_int_equal(sdp_suite_key_len(suite), srtp_key_len((enum srtp_suite)i));
        assert_int_equal(sdp_suite_salt_len(suite), srtp_salt_len((enum srtp_suite)i));
    }
    assert_int_equal(seen, (1u << SDP_SUITE_N) - 1);
}

static void a_crypto_line_is_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(crypto_rows); i++) {
        const struct crypto_row *row = &crypto_rows[i];
        char media[1024];
        struct sdp_crypto c;
        uint16_t pos = 0;
        unsigned mki = 0;
        int err;

        snprintf(media, sizeof(media), AUDIO "a=crypto:%s\r\n", row->value);
        parse("", media);
        err = sdp_crypto_next(&s, 0, &pos, &c);
        if (err != row->err) {
            fail_msg("%s: %d", row->value, err);
        }
        if (err != 0) {
            for (size_t k = 0; k < sizeof(c.key); k++) {
                assert_int_equal(c.key[k], 0);
            }
            continue;
        }
        assert_true(c.lifetime == row->lifetime);
        assert_int_equal(c.mki_len, row->mki_len);
        for (unsigned k = 0; k < c.mki_len; k++) {
            mki = mki << 8 | c.mki[k];
        }
        assert_int_equal(mki, row->mki);
    }
}

static void keys_at_session_level_and_of_other_streams_do_not_count(void **state)
{
    struct sdp_crypto c;
    uint16_t pos = 0;

    (void)state;
    parse("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "\r\n", AUDIO AUDIO
          "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "\r\na=crypto:2 X inline:\r\n");
    assert_int_equal(sdp_crypto_next(&s, 0, &pos, &c), ENOENT);
    pos = 0;
    assert_int_equal(sdp_crypto_next(&s, 1, &pos, &c), 0);
    assert_int_equal(sdp_crypto_next(&s, 1, &pos, &c), ENOTSUP);
    assert_int_equal(sdp_crypto_next(&s, 1, &pos, &c), ENOENT);
}

static void what_is_written_is_padded_and_read_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SDP_SUITE_N; i++) {
        struct sdp_crypto c = {.tag = i + 1, .suite = (enum sdp_suite)i}, back;
        char mem[1024];
        struct buf b;
        uint16_t pos = 0;
        struct sl key;

        c.n = (uint8_t)(sdp_suite_key_len(c.suite) + sdp_suite_salt_len(c.suite));
        for (unsigned k = 0; k < c.n; k++) {
            c.key[k] = (uint8_t)(k * 37 + i);
        }
        buf_init_fixed(&b, mem, sizeof(mem) - 1);
        buf_puts(&b, AUDIO);
        sdp_put_crypto(&b, &c);
        mem[b.n] = '\0';
        parse("", mem);
        assert_true(sdp_attr(&s, 0, SL("crypto"), &key));
        key = sl_from(key, (size_t)sl_find(key, SL("inline:")) + 7);
        assert_int_equal(key.n % 4, 0);
        assert_int_equal(sdp_crypto_next(&s, 0, &pos, &back), 0);
        assert_true(back.tag == c.tag && back.suite == c.suite && back.n == c.n);
        assert_memory_equal(back.key, c.key, c.n);
    }
}

/* --- fingerprints and roles --- */

#define F256                                                                                       \
    "7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:"   \
    "19:08"

static void fingerprints_are_strict_in_length_and_free_in_case(void **state)
{
    static const struct {
        const char *session, *media;
        int err;
        size_t n;
    } rows[] = {
        {"", "", ENOENT, 0},
        {"a=fingerprint:sha-256 " F256 "\r\n", "", 0, 1},
        {"", "a=fingerprint:SHA-256 " F256 "\r\n", 0, 1},
        {"",
         "a=fingerprint:sha-256 "
         "7b:8b:f0:65:5f:78:e2:51:3b:ac:6f:f3:3f:46:1b:35:dc:b8:5f:64:1a:24:c2:43:"
         "f0:a1:58:d0:a1:2c:19:08\r\n",
         0, 1},
        {"a=fingerprint:sha-256 zz\r\n", "a=fingerprint:sha-256 " F256 "\r\n", 0, 1}, /* not ours */
        {"",
         "a=fingerprint:sha-256 " F256 "\r\na=fingerprint:sha-1 4A:AD\r\n"
         "a=fingerprint:sha-256 " F256 "\r\n",
         0, 2},
        {"", "a=fingerprint:sha-1 4A:AD\r\n", ENOTSUP, 0},
        {"", "a=fingerprint:md5 4A:AD\r\na=fingerprint:sha-999 AA:BB\r\n", ENOTSUP, 0},
        {"", "a=fingerprint:sha-256 " F256 ":00\r\n", EBADMSG, 0},
        {"", "a=fingerprint:sha-256 00\r\n", EBADMSG, 0},
        {"", "a=fingerprint:sha-256\r\n", EBADMSG, 0},
        {"", "a=fingerprint\r\n", EBADMSG, 0},
        {"", "a=fingerprint:sha-384 " F256 "\r\n", EBADMSG, 0},
        {"", "a=fingerprint:sha-256 " F256 "\r\na=fingerprint:sha-256 x\r\n", EBADMSG, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sl out[SDP_FINGERPRINTS_MAX];
        char media[1024];
        size_t n = 99;

        snprintf(media, sizeof(media), AUDIO "%s", rows[i].media);
        parse(rows[i].session, media);
        if (sdp_fingerprints(&s, 0, out, &n) != rows[i].err ||
            (rows[i].err == 0 && n != rows[i].n)) {
            fail_msg("%s%s", rows[i].session, rows[i].media);
        }
    }
}

static void at_most_four_fingerprints_are_kept(void **state)
{
    struct sl out[SDP_FINGERPRINTS_MAX];
    size_t n;

    (void)state;
    parse("", AUDIO "a=fingerprint:sha-256 " F256 "\r\na=fingerprint:sha-256 " F256
                    "\r\na=fingerprint:sha-256 " F256 "\r\na=fingerprint:sha-256 " F256
                    "\r\na=fingerprint:sha-256 " F256 "\r\n");
    assert_int_equal(sdp_fingerprints(&s, 0, out, &n), 0);
    assert_int_equal(n, 4);
}

static void the_role_of_the_stream_goes_before_the_session(void **state)
{
    (void)state;
    parse("a=setup:active\r\n",
          AUDIO "a=setup:PASSIVE\r\n" AUDIO AUDIO "a=setup:both\r\n" AUDIO "a=setup:holdconn\r\n");
    assert_int_equal(sdp_setup(&s, 0), SDP_PASSIVE);
    assert_int_equal(sdp_setup(&s, 1), SDP_ACTIVE);
    assert_int_equal(sdp_setup(&s, 2), SDP_SETUP_BAD);
    assert_int_equal(sdp_setup(&s, 3), SDP_HOLDCONN);
    parse("", AUDIO);
    assert_int_equal(sdp_setup(&s, 0), SDP_SETUP_NONE);
}

/* --- ICE --- */

static void credentials_have_their_lengths_and_letters(void **state)
{
    static const struct {
        const char *session, *media;
        bool ok, lite;
    } rows[] = {
        {"", "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n", true, false},
        {"a=ice-ufrag:ab+/\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=ice-lite\r\n", "", true, true},
        {"", "a=ice-ufrag:abc\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n", false, false},
        {"", "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstu\r\n", false, false},
        {"", "a=ice-ufrag:ab cd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n", false, false},
        {"", "a=ice-ufrag:ab:cd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n", false, false},
        {"", "a=ice-ufrag:abcd\r\n", false, false},
        {"", "", false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char media[1024];
        struct sdp_ice ice;

        snprintf(media, sizeof(media), AUDIO "%s", rows[i].media);
        parse(rows[i].session, media);
        assert_int_equal(sdp_ice(&s, 0, &ice), rows[i].ok);
        assert_int_equal(ice.is_lite, rows[i].lite);
    }
}

static void the_extension_that_carries_the_mid_is_found(void **state)
{
    static const struct {
        const char *session, *media;
        uint8_t id;
    } rows[] = {
        {"", "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n", 4},
        {"", "a=extmap:1 urn:x\r\na=extmap:14/sendonly urn:ietf:params:rtp-hdrext:sdes:mid a\r\n",
         14},
        {"a=extmap:255 urn:ietf:params:rtp-hdrext:sdes:mid\r\n", "", 255},
        {"", "a=extmap:4/recvonly urn:ietf:params:rtp-hdrext:sdes:mid\r\n", 0},
        {"", "a=extmap:0 urn:ietf:params:rtp-hdrext:sdes:mid\r\n", 0},
        {"", "a=extmap:256 urn:ietf:params:rtp-hdrext:sdes:mid\r\n", 0},
        {"", "a=extmap:4098 urn:ietf:params:rtp-hdrext:sdes:mid\r\n", 0},
        {"", "a=extmap: urn:ietf:params:rtp-hdrext:sdes:mid\r\n", 0},
        {"", "a=extmap:4\r\n", 0},
        {"", "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n", 0},
    };
    char media[512];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(media, sizeof(media), "m=audio 40000 RTP/AVP 0\r\n%s", rows[i].media);
        parse(rows[i].session, media);
        assert_int_equal(sdp_mid_ext(&s, 0), rows[i].id);
    }
}

/* --- BUNDLE --- */

static void bundle_is(const char *session, const char *media, const char *want)
{
    uint8_t leader[SDP_STREAMS_MAX];
    char got[SDP_STREAMS_MAX + 1] = "";

    parse(session, media);
    sdp_bundle(&s, leader);
    for (unsigned i = 0; i < s.n_streams; i++) {
        got[i] = (char)('0' + leader[i]);
    }
    assert_string_equal(got, want);
}

static void streams_of_a_group_follow_its_first_live_one(void **state)
{
    static const char three[] =
        "m=audio 1 RTP/AVP 0\r\na=mid:a\r\nm=video 2 RTP/AVP 31\r\na=mid:v\r\n"
        "m=audio 3 RTP/AVP 0\r\na=mid:b\r\n";

    (void)state;
    bundle_is("", three, "012");
    bundle_is("a=group:BUNDLE a v b\r\n", three, "000");
    bundle_is("a=group:BUNDLE v b\r\n", three, "011");
    bundle_is("a=group:BUNDLE b a\r\n", three, "212");
    bundle_is("a=group:BUNDLE a v\r\na=group:BUNDLE v b\r\n", three, "002");
    bundle_is("a=group:LS a v\r\n", three, "012");
    bundle_is("a=group:BUNDLE x y a\r\n", three, "012");
    bundle_is("a=group:BUNDLE\r\n", three, "012");
    bundle_is("a=group:BUNDLE a b\r\n",
              "m=audio 1 RTP/AVP 0\r\na=mid:a\r\nm=audio 3 RTP/AVP 0\r\n"
              "a=mid:a\r\n",
              "01");
    bundle_is("a=group:BUNDLE a b\r\n",
              "m=audio 0 RTP/AVP 0\r\na=mid:a\r\nm=audio 3 RTP/AVP 0\r\n"
              "a=mid:b\r\n",
              "01");
}

static void a_bundle_only_stream_lives_where_its_leader_lives(void **state)
{
    static const char media[] = "m=audio 40000 RTP/AVP 0\r\na=mid:a\r\nm=video 0 RTP/AVP 31\r\n"
                                "a=mid:v\r\na=bundle-only\r\n";
    const char *why;

    (void)state;
    bundle_is("a=group:BUNDLE a v\r\n", media, "00");
    assert_true(s.streams[1].bundle_only && s.streams[1].port == 40000);
    assert_true(addr_eq(&s.streams[0].conn, &s.streams[1].conn));
    bundle_is("a=group:BUNDLE v a\r\n", media, "01"); /* it cannot lead */
    assert_int_equal(s.streams[1].port, 0);
    bundle_is("", media, "01");
    assert_int_equal(s.streams[1].port, 0);
    assert_int_equal(
        sdp_parse(SL(HEAD "a=group:BUNDLE a v\r\nm=audio 40000 RTP/AVP 0\r\na=mid:a\r\n"
                          "m=video 0 RTP/AVP x\r\na=mid:v\r\na=bundle-only\r\n"),
                  &s, &why),
        EBADMSG);
}

static void ssrcs_are_listed_once(void **state)
{
    uint32_t out[SDP_SSRCS_MAX];

    (void)state;
    parse("", AUDIO "a=ssrc:7 cname:x\r\na=ssrc:7 msid:y\r\na=ssrc:4294967295 cname:x\r\n"
                    "a=ssrc:x cname:y\r\na=ssrc:4294967296 cname:x\r\na=ssrc:\r\n");
    assert_int_equal(sdp_ssrcs(&s, 0, out), 2);
    assert_true(out[0] == 7 && out[1] == UINT32_MAX);
    parse("",
          AUDIO "a=ssrc:1 x\r\na=ssrc:2 x\r\na=ssrc:3 x\r\na=ssrc:4 x\r\na=ssrc:5 x\r\na=ssrc:6 x"
                "\r\na=ssrc:7 x\r\na=ssrc:8 x\r\na=ssrc:9 x\r\n");
    assert_int_equal(sdp_ssrcs(&s, 0, out), SDP_SSRCS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_suite_takes_keys_of_exactly_its_length),
        cmocka_unit_test(lengths_are_those_that_the_engines_use),
        cmocka_unit_test(a_crypto_line_is_read_or_refused),
        cmocka_unit_test(keys_at_session_level_and_of_other_streams_do_not_count),
        cmocka_unit_test(what_is_written_is_padded_and_read_back),
        cmocka_unit_test(fingerprints_are_strict_in_length_and_free_in_case),
        cmocka_unit_test(at_most_four_fingerprints_are_kept),
        cmocka_unit_test(the_role_of_the_stream_goes_before_the_session),
        cmocka_unit_test(credentials_have_their_lengths_and_letters),
        cmocka_unit_test(the_extension_that_carries_the_mid_is_found),
        cmocka_unit_test(streams_of_a_group_follow_its_first_live_one),
        cmocka_unit_test(a_bundle_only_stream_lives_where_its_leader_lives),
        cmocka_unit_test(ssrcs_are_listed_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
