/* test_sip_frame.c - one message out of a stream, at every split, and what loses the frame. */
#include "sip/sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define HEAD                                                                                       \
    "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"   \
    "To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"

static int frame_exact(struct sl text, size_t max, size_t *len)
{
    char *exact = malloc(text.n != 0 ? text.n : 1);
    int err;

    assert_non_null(exact);
    if (text.n != 0) {
        memcpy(exact, text.p, text.n);
    }
    err = sip_frame(sl_make(exact, text.n), max, len);
    free(exact);
    return err;
}

static void a_message_is_whole_at_its_last_byte_and_not_before(void **state)
{
    static const struct {
        const char *text;
        size_t body;
    } rows[] = {
        {HEAD "Content-Length: 0\r\n\r\n", 0},
        {HEAD "l:\r\n\t 005 \r\nX: y\r\n\r\n\r\n\r\n!", 5},
        {HEAD "CONTENT-LENGTH \t: 3\r\n\r\nabc", 3},
        {HEAD "X: y\r\n l: 7\r\nl: 3\r\n\r\nabc", 3},
        {"SIP/2.0 200 OK\r\nl: 2\r\n\r\nab", 2},
        {"sip/2.0 180\r\nl: 0\r\n\r\n", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t n = strlen(rows[i].text), len;
        char more[600];

        for (size_t cut = 0; cut < n; cut++) {
            int err = frame_exact(sl_make(rows[i].text, cut), 1000, &len);

            if (err != ENODATA) {
                fail_msg("row %zu cut at %zu: %d", i, cut, err);
            }
            assert_int_equal(len, cut >= n - rows[i].body ? n : 0);
        }
        assert_int_equal(frame_exact(sl_make(rows[i].text, n), 1000, &len), 0);
        assert_int_equal(len, n);
        memcpy(more, rows[i].text, n);
        memcpy(more + n, "BYE ", 4);
        assert_int_equal(frame_exact(sl_make(more, n + 4), 1000, &len), 0);
        assert_int_equal(len, n);
    }
}

static void whatever_is_doubtful_loses_the_frame(void **state)
{
    static const char *const rows[] = {
        /* not SIP, as early as can be told */
        "\x16\x03\x01",
        "GET / HTTP/1.1\r\n",
        "{",
        " OPTIONS sip:a SIP/2.0\r\n",
        "SIPX/2.0",
        "HTTP/1.1",
        "\n",
        "\r\n",
        "\rX",
        "hello\r\n",
        "OPTIONS\r\n",
        "SSH-2.0-x\r\n",
        /* Content-Length */
        HEAD "\r\n",
        HEAD "l: -1\r\n\r\n",
        HEAD "l: +1\r\n\r\n",
        HEAD "l: five\r\n\r\n",
        HEAD "l:\r\n\r\n",
        HEAD "l: 1 2\r\n\r\n",
        HEAD "l: 1,1\r\n\r\n",
        HEAD "l: 0x1\r\n\r\n",
        HEAD "l: 1\r\n 2\r\n\r\n",
        HEAD "l: 99999999999999999999\r\n\r\n",
        HEAD "l: 4294967296\r\n\r\n",
        HEAD "l: 0\r\nl: 0\r\n\r\n",
        HEAD "l: 0\r\nContent-Length: 5\r\n\r\n",
        HEAD "Content-Length: 5\r\nX: y\r\nl: 0\r\n\r\n",
        /* line ends and names that another reader may see otherwise */
        HEAD "l: 0\n\r\n",
        "OPTIONS sip:a SIP/2.0\nl: 0\r\n\r\n",
        HEAD "X: a\nl: 5\r\nl: 0\r\n\r\n",
        HEAD "X: a\rl: 5\r\nl: 0\r\n\r\n",
        HEAD "l\r\n : 5\r\nl: 0\r\n\r\n",
        HEAD "Content-Length\x0b: 5\r\nl: 0\r\n\r\n",
        HEAD "no colon\r\nl: 0\r\n\r\n",
        "OPTIONS sip:a SIP/2.0\r\n l: 0\r\nl: 0\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = 77;

        if (frame_exact(sl_str(rows[i]), 1000, &len) != EBADMSG) {
            fail_msg("taken: %s", rows[i]);
        }
        assert_true(len == 0 || (len <= strlen(rows[i]) && len >= 4));
    }
}

static void half_a_keepalive_is_waited_for(void **state)
{
    size_t len;

    (void)state;
    assert_int_equal(frame_exact(SL("\r"), 100, &len), ENODATA);
    assert_int_equal(frame_exact(SL(""), 100, &len), ENODATA);
}

static void nothing_grows_beyond_the_maximum(void **state)
{
    static char endless[SIP_MSG_MAX];
    struct sl msg = SL(HEAD "l: 10\r\n\r\n0123456789");
    size_t len;

    (void)state;
    assert_int_equal(frame_exact(msg, msg.n, &len), 0);
    assert_int_equal(frame_exact(msg, msg.n - 1, &len), EMSGSIZE);
    assert_int_equal(len, msg.n - 10);
    assert_int_equal(frame_exact(sl_head(msg, msg.n - 10), msg.n - 1, &len), EMSGSIZE);
    assert_int_equal(frame_exact(sl_head(msg, msg.n - 12), msg.n - 13, &len), EMSGSIZE);
    assert_int_equal(len, 0);
    assert_int_equal(frame_exact(SL(HEAD "l: 2147483647\r\n\r\n"), 65535, &len), EMSGSIZE);
    memset(endless, 'M', sizeof(endless));
    assert_int_equal(frame_exact(sl_make(endless, 256), 65535, &len), ENODATA);
    assert_int_equal(frame_exact(sl_make(endless, 257), 65535, &len), EBADMSG);
    endless[10] = ' ';
    assert_int_equal(frame_exact(sl_make(endless, SIP_HDR_LINE_MAX), 65535, &len), ENODATA);
    assert_int_equal(frame_exact(sl_make(endless, SIP_HDR_LINE_MAX + 1), 65535, &len), EMSGSIZE);
}

/* What sip_frame() says of the header area alone is enough to answer before closing. */
static void the_header_area_of_a_lost_frame_can_be_parsed_for_an_answer(void **state)
{
    struct sip_pool *pool = NULL;
    struct sip_msg *m = NULL;
    struct sip_bad bad;
    struct sl text = SL(HEAD "l: -5\r\n\r\nxx");
    size_t len;

    (void)state;
    assert_int_equal(sip_pool_new(&pool), 0);
    assert_int_equal(sip_frame(text, 1000, &len), EBADMSG);
    assert_int_equal(len, text.n - 2);
    assert_int_equal(sip_msg_parse(pool, sl_head(text, len), &m, &bad), EBADMSG);
    assert_int_equal(bad.status, 400);
    assert_non_null(m);
    sip_msg_unref(&m);
    sip_pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_whole_at_its_last_byte_and_not_before),
        cmocka_unit_test(whatever_is_doubtful_loses_the_frame),
        cmocka_unit_test(half_a_keepalive_is_waited_for),
        cmocka_unit_test(nothing_grows_beyond_the_maximum),
        cmocka_unit_test(the_header_area_of_a_lost_frame_can_be_parsed_for_an_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
