/* Addresses, prefixes, clocks. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <cmocka.h>

static struct addr must_parse(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_hostport(sl_str(text), 5060, &a), 0);
    return a;
}

static void addresses_are_read_and_written_back(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1:5060"},
        {"192.0.2.1:5080", "192.0.2.1:5080"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"255.255.255.255:65535", "255.255.255.255:65535"},
        {"2001:db8::1", "[2001:db8::1]:5060"},
        {"[2001:DB8::1]", "[2001:db8::1]:5060"},
        {"[::1]:5061", "[::1]:5061"},
        {"::ffff:192.0.2.7", "192.0.2.7:5060"},
        {"[::ffff:192.0.2.7]:99", "192.0.2.7:99"},
    };
    char text[ADDR_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct addr a = must_parse(rows[i].in);

        assert_string_equal(addr_text(&a, text), rows[i].out);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const rows[] = {
        "",           "example.com",  "192.0.2",         "192.0.2.256",  "192.0.2.01",
        "192.0.2.1:", "192.0.2.1:x",  "192.0.2.1:65536", "[::1",         "::1]",
        "[::1]x",     "[::1]:",       "[192.0.2.1]",     "fe80::1%eth0", "[]",
        ":5060",      " 192.0.2.1",   "1::2::3",         "192.0.2.1:-1", "0x7f.0.0.1",
        "2130706433", "[::1]:5060:1",
    };
    struct addr a;

    (void)state;
    memset(&a, 0x55, sizeof(a));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(addr_parse_hostport(sl_str(rows[i]), 5060, &a), EBADMSG);
    }
    assert_int_equal(addr_parse(SL("192.0.2.1\0"), 1, &a), EBADMSG);
    assert_int_equal(addr_port(&a), 0); /* untouched: no family that we know */
}

/* Texts of digits and dots that are nearly an address, or are one. */
static void four_octets_are_read_as_inet_pton_reads_them(void **state)
{
    static const char *const parts[] = {"0",   "1",    "9",   "10",  "99", "100",
                                        "249", "255",  "256", "300", "00", "01",
                                        "007", "1000", "",    "-1",  "1x", " 1"};
    const unsigned n = COUNT_OF(parts);
    unsigned taken = 0;

    (void)state;
    for (unsigned i = 0; i < n * n * n * n; i++) {
        static const char *const ends[] = {"", "", "", ".", ".5"};
        char text[40];
        struct in_addr want;
        struct addr a;
        bool is_one;

        (void)snprintf(text, sizeof(text), "%s.%s.%s.%s%s", parts[i % n], parts[i / n % n],
                       parts[i / n / n % n], parts[i / n / n / n], ends[i % COUNT_OF(ends)]);
        is_one = inet_pton(AF_INET, text, &want) == 1;
        assert_int_equal(addr_parse(sl_str(text), 7, &a), is_one ? 0 : EBADMSG);
        if (is_one) {
            assert_int_equal(a.u.in4.sin_addr.s_addr, want.s_addr);
            assert_int_equal(addr_port(&a), 7);
            taken++;
        }
    }
    assert_in_range(taken, 2000, 4096);
}

static void written_forms_suit_sdp_and_uris(void **state)
{
    struct addr v4 = must_parse("192.0.2.10"), v6 = must_parse("2001:db8::a");
    struct addr none = {0};
    char mem[200];
    struct buf b;

    (void)state;
    buf_init_fixed(&b, mem, sizeof(mem));
    addr_put_ip(&b, &v4);
    buf_putc(&b, ' ');
    addr_put_ip(&b, &v6);
    buf_putc(&b, ' ');
    addr_put_host(&b, &v4);
    buf_putc(&b, ' ');
    addr_put_host(&b, &v6);
    addr_put(&b, &none);
    assert_true(sl_eq(buf_sl(&b), SL("192.0.2.10 2001:db8::a 192.0.2.10 [2001:db8::a]")));
    assert_string_equal(addr_text(&none, mem), "-");
}

static void mapped_addresses_from_sockets_become_ipv4(void **state)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
    struct addr a, b = must_parse("10.1.2.3:7");

    (void)state;
    in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&in6.sin6_addr.s6_addr[12], "\x0a\x01\x02\x03", 4);
    addr_from_sockaddr(&a, (const struct sockaddr *)&in6, sizeof(in6));
    assert_int_equal(addr_family(&a), AF_INET);
    assert_int_equal(addr_len(&a), sizeof(struct sockaddr_in));
    assert_true(addr_eq(&a, &b));
    addr_from_sockaddr(&a, (const struct sockaddr *)&in6, 4); /* cut short */
    assert_int_equal(addr_family(&a), AF_UNSPEC);
    assert_int_equal(addr_len(&a), 0);
}

static void equality_looks_at_the_port_or_not(void **state)
{
    static const uint8_t key[16] = {1};
    struct addr a = must_parse("192.0.2.1:1"), b = must_parse("192.0.2.1:2");
    struct addr c = must_parse("[2001:db8::1]:1"), d = must_parse("[2001:db8::1]:1");

    (void)state;
    assert_false(addr_eq(&a, &b));
    assert_true(addr_eq_ip(&a, &b));
    assert_true(addr_hash(&a, key) != addr_hash(&b, key));
    assert_false(addr_eq_ip(&a, &c));
    assert_true(addr_eq(&c, &d));
    assert_int_equal(addr_hash(&c, key), addr_hash(&d, key));
    addr_set_port(&b, 1);
    assert_true(addr_eq(&a, &b));
    addr_set_port(&d, 9);
    assert_int_equal(addr_port(&d), 9);
}

static void special_addresses_are_known(void **state)
{
    static const struct {
        const char *text;
        bool unspecified, loopback, multicast;
    } rows[] = {
        {"0.0.0.0", true, false, false},         {"::", true, false, false},
        {"127.1.2.3", false, true, false},       {"::1", false, true, false},
        {"128.0.0.1", false, false, false},      {"224.0.0.1", false, false, true},
        {"239.255.255.255", false, false, true}, {"240.0.0.1", false, false, false},
        {"255.255.255.255", false, false, true}, {"ff02::1", false, false, true},
        {"2001:db8::1", false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct addr a = must_parse(rows[i].text);

        assert_int_equal(addr_is_unspecified(&a), rows[i].unspecified);
        assert_int_equal(addr_is_loopback(&a), rows[i].loopback);
        assert_int_equal(addr_is_multicast(&a), rows[i].multicast);
    }
}

static void addresses_of_a_link_are_known(void **state)
{
    static const struct {
        const char *text;
        bool link_local;
    } rows[] = {{"169.253.255.255", false}, {"169.254.0.0", true}, {"169.254.255.255", true},
                {"169.255.0.0", false},     {"fe80::1", true},     {"febf::1", true},
                {"fec0::1", false},         {"fd00::1", false}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct addr a = must_parse(rows[i].text);

        assert_int_equal(addr_is_link_local(&a), rows[i].link_local);
    }
}

static void addresses_without_meaning_outside_are_known(void **state)
{
    static const struct {
        const char *text;
        bool is_private;
    } rows[] = {{"9.255.255.255", false},
                {"10.0.0.0", true},
                {"10.255.255.255", true},
                {"11.0.0.0", false},
                {"172.15.255.255", false},
                {"172.16.0.0", true},
                {"172.31.255.255", true},
                {"172.32.0.0", false},
                {"192.167.255.255", false},
                {"192.168.0.0", true},
                {"192.169.0.0", false},
                {"100.63.255.255", false},
                {"100.64.0.0", true},
                {"100.127.255.255", true},
                {"100.128.0.0", false},
                {"127.0.0.1", true},
                {"169.254.1.1", true},
                {"fbff::1", false},
                {"fc00::1", true},
                {"fdff::1", true},
                {"fe80::1", true},
                {"2001:db8::1", false},
                {"::1", true}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct addr a = must_parse(rows[i].text);

        assert_int_equal(addr_is_private(&a), rows[i].is_private);
    }
}

static void prefixes_contain_what_they_should(void **state)
{
    static const struct {
        const char *prefix, *addr;
        bool has;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "::1", false},
        {"10.0.0.0/9", "10.127.0.1", true},
        {"10.0.0.0/9", "10.128.0.1", false},
        {"192.0.2.1", "192.0.2.1:99", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"2001:db8::1", "2001:db8::1", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct addr a = must_parse(rows[i].addr);
        struct prefix p;

        assert_int_equal(prefix_parse(sl_str(rows[i].prefix), &p), 0);
        assert_int_equal(prefix_has(&p, &a), rows[i].has);
    }
    assert_false(prefix_has(&(struct prefix){0}, &(struct addr){0}));
}

static void sloppy_prefixes_are_refused(void **state)
{
    static const char *const rows[] = {
        "192.0.2.1/24", "192.0.2.0/33",   "192.0.2.0/",        "192.0.2.0/x",
        "/24",          "2001:db8::/129", "2001:db8::1/64",    "::ffff:192.0.2.0/120",
        "192.0.2/24",   "192.0.2.0/24/8", "192.0.2.0:5060/24",
    };
    struct prefix p;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(prefix_parse(sl_str(rows[i]), &p), EBADMSG);
    }
}

static void virtual_clocks_move_only_when_told(void **state)
{
    struct clock c;

    (void)state;
    clock_init_virtual(&c, 1000, 1795243697123);
    assert_int_equal(clock_now_ms(&c), 1000);
    assert_int_equal(clock_now_us(&c), 1000000);
    clock_advance(&c, 250);
    assert_int_equal(clock_now_ms(&c), 1250);
    assert_int_equal(clock_wall_ms(&c), 1795243697373);
    clock_init_virtual(&c, 0, 0);
    assert_int_equal(clock_now_ms(&c), 1); /* never 0 */
}

static void real_clocks_run_forward(void **state)
{
    struct clock c;
    int64_t us;

    (void)state;
    clock_init_real(&c);
    us = clock_now_us(&c);
    assert_true(us > 0);
    assert_true(clock_now_us(&c) >= us);
    assert_true(clock_now_ms(&c) >= us / 1000);
    assert_true(clock_wall_ms(&c) > 1600000000000);
}

static void times_are_written_as_rfc_3339(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1795243697123, "2026-11-21T06:48:17.123Z"},
        {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {1709251199001, "2024-02-29T23:59:59.001Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {-1, "1970-01-01T00:00:00.000Z"},
    };
    char text[CLOCK_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(clock_text(rows[i].ms, text), rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written_back),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(four_octets_are_read_as_inet_pton_reads_them),
        cmocka_unit_test(written_forms_suit_sdp_and_uris),
        cmocka_unit_test(mapped_addresses_from_sockets_become_ipv4),
        cmocka_unit_test(equality_looks_at_the_port_or_not),
        cmocka_unit_test(special_addresses_are_known),
        cmocka_unit_test(addresses_of_a_link_are_known),
        cmocka_unit_test(addresses_without_meaning_outside_are_known),
        cmocka_unit_test(prefixes_contain_what_they_should),
        cmocka_unit_test(sloppy_prefixes_are_refused),
        cmocka_unit_test(virtual_clocks_move_only_when_told),
        cmocka_unit_test(real_clocks_run_forward),
        cmocka_unit_test(times_are_written_as_rfc_3339),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
