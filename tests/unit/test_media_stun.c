/* STUN messages: the vectors of RFC 5769, every way to cut or bend one, and our answers. */
#include "stun_rig.h"

#include <stdlib.h>

static const char password[] = "VOkJxbRl1RmTxUk/WvJxBt";

static const uint8_t request[] = {
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73,
    0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff,
    0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09,
    0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14,
    0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49,
    0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf};
static const uint8_t response4[] = {
    0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
    0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9,
    0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96};
static const uint8_t response6[] = {
    0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa,
    0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14,
    0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75,
    0xbf, 0xe3, 0xed, 0x41, 0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c};

/* RFC 5769 2.1 */
static void the_published_request_is_read(void **state)
{
    struct stun_msg m;

    (void)state;
    assert_int_equal(stun_parse(sl_make(request, sizeof(request)), &m), 0);
    assert_int_equal(m.cls, STUN_REQUEST);
    assert_int_equal(m.method, STUN_METHOD_BINDING);
    assert_memory_equal(m.txid, request + 8, STUN_TXID_LEN);
    assert_true(sl_eq(m.username, SL("evtj:h6vY")));
    assert_true(m.has_fingerprint && m.has_integrity && m.has_priority && !m.use_candidate);
    assert_int_equal(m.priority, 0x6e0001ff);
    assert_int_equal(m.role, STUN_ROLE_CONTROLLED);
    assert_true(m.tie_breaker == 0x932ff9b151263b36);
    assert_int_equal(m.n_unknown, 0);
    assert_int_equal(stun_check_integrity(&m, sl_str(password)), 0);
    assert_int_equal(stun_check_integrity(&m, SL("VOkJxbRl1RmTxUk/WvJxBT")), EACCES);
    assert_int_equal(stun_check_integrity(&m, SL_NULL), EACCES);
}

/* RFC 5769 2.2 and 2.3 */
static void the_published_responses_are_read(void **state)
{
    const struct addr want4 = rig_addr("192.0.2.1:32853");
    const struct addr want6 = rig_addr("[2001:db8:1234:5678:11:2233:4455:6677]:32853");
    struct stun_msg m;

    (void)state;
    assert_int_equal(stun_parse(sl_make(response4, sizeof(response4)), &m), 0);
    assert_int_equal(m.cls, STUN_SUCCESS);
    assert_true(addr_eq(&m.mapped, &want4));
    assert_int_equal(stun_check_integrity(&m, sl_str(password)), 0);
    assert_int_equal(stun_parse(sl_make(response6, sizeof(response6)), &m), 0);
    assert_true(addr_eq(&m.mapped, &want6));
    assert_int_equal(stun_check_integrity(&m, sl_str(password)), 0);
}

/* In a block of its own size, so that a sanitizer sees one byte too much. */
static int parse_alone(const uint8_t *p, size_t n, struct stun_msg *m)
{
    uint8_t *copy = mem_alloc(n);
    int err;

    assert_non_null(copy);
    memcpy(copy, p, n);
    err = stun_parse(sl_make(copy, n), m);
    mem_free(copy);
    return err;
}

static void every_cut_message_is_refused(void **state)
{
    const struct sl all[] = {sl_make(request, sizeof(request)),
                             sl_make(response4, sizeof(response4)),
                             sl_make(response6, sizeof(response6))};
    struct stun_msg m;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        for (size_t n = 0; n < all[i].n; n++) {
            uint8_t fixed[128];

            assert_int_equal(parse_alone((const uint8_t *)all[i].p, n, &m), EBADMSG);
            if (n < 20) {
                continue;
            }
            memcpy(fixed, all[i].p, n); /* with the length that it then has */
            rig_be(fixed + 2, n - 20, 2);
            if (parse_alone(fixed, n, &m) == 0) {
                assert_false(m.has_fingerprint);
            }
        }
    }
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < sizeof(request) * 8; bit++) {
        uint8_t bent[sizeof(request)];
        struct stun_msg m;

        memcpy(bent, request, sizeof(bent));
        bent[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (stun_parse(sl_make(bent, sizeof(bent)), &m) == 0) {
            /* Something hides FINGERPRINT; only its own type may do so without harm. */
            assert_false(m.has_fingerprint);
            assert_true(stun_check_integrity(&m, sl_str(password)) == EACCES ||
                        bit / 8 >= sizeof(request) - 8);
        }
    }
}

/* Lengths that point out of the message, or into the next attribute. */
static void attributes_stay_within_their_message(void **state)
{
    static const size_t attrs[] = {20, 40, 48, 60, 76, 100};
    static const uint16_t lengths[] = {0,  1,  3,  5,      7,      9,      12,    15,
                                       17, 19, 21, 0x7fff, 0xfffc, 0xfffd, 0xffff};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(attrs); i++) {
        for (size_t j = 0; j < COUNT_OF(lengths); j++) {
            uint8_t bent[sizeof(request)];
            struct stun_msg m;

            memcpy(bent, request, sizeof(bent));
            if (request[attrs[i] + 2] == lengths[j] >> 8 &&
                request[attrs[i] + 3] == (lengths[j] & 0xff)) {
                continue;
            }
            rig_be(bent + attrs[i] + 2, lengths[j], 2);
            if (parse_alone(bent, sizeof(bent), &m) == 0) {
                fail_msg("attribute at %zu with length %u", attrs[i], lengths[j]);
            }
        }
    }
}

static void wrong_sizes_of_attributes_are_refused(void **state)
{
    static const struct {
        uint16_t type;
        uint8_t n;
    } rows[] = {{0x0008, 0}, {0x0008, 16}, {0x0008, 24}, {0x0009, 0}, {0x0009, 3},  {0x0020, 0},
                {0x0020, 3}, {0x0020, 4},  {0x0020, 7},  {0x0020, 9}, {0x0020, 20}, {0x0024, 0},
                {0x0024, 3}, {0x0024, 8},  {0x0025, 1},  {0x0025, 4}, {0x8028, 0},  {0x8028, 8},
                {0x8029, 4}, {0x8029, 7},  {0x802a, 0},  {0x802a, 16}};
    static const uint8_t zeros[64];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig_stun b;
        struct stun_msg m;

        rig_stun_begin(&b, 0x0001);
        rig_stun_attr(&b, rows[i].type, zeros, rows[i].n);
        if (parse_alone(b.p, b.n, &m) != EBADMSG) {
            fail_msg("type %04x with %u bytes", rows[i].type, rows[i].n);
        }
    }
}

/* RFC 8489 14.8: a class of 3 to 6 and a number of 0 to 99, in four bytes at least. */
static void error_codes_have_their_bounds(void **state)
{
    static const struct {
        uint8_t n, class, number;
        uint16_t want; /* 0: refused */
    } rows[] = {{4, 3, 0, 300}, {4, 6, 99, 699}, {4, 4, 87, 487}, {4, 2, 99, 0},
                {4, 7, 0, 0},   {4, 4, 100, 0},  {3, 4, 0, 0},    {9, 4, 20, 420}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const uint8_t value[16] = {0, 0, rows[i].class, rows[i].number, 'w', 'h', 'y'};
        struct rig_stun b;
        struct stun_msg m;

        rig_stun_begin(&b, 0x0111);
        rig_stun_attr(&b, 0x0009, value, rows[i].n);
        assert_int_equal(stun_parse(rig_stun_sl(&b), &m), rows[i].want != 0 ? 0 : EBADMSG);
        assert_true(rows[i].want == 0 || m.error_code == rows[i].want);
    }
}

static void a_mapped_address_has_the_length_of_its_family(void **state)
{
    static const struct {
        uint8_t family, n;
        bool good;
    } rows[] = {{1, 8, true},  {2, 20, true}, {1, 20, false},
                {2, 8, false}, {3, 8, false}, {0, 20, false}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const uint8_t value[20] = {0, rows[i].family, 1, 2, 3, 4, 5, 6};
        struct rig_stun b;
        struct stun_msg m;

        rig_stun_begin(&b, 0x0101);
        rig_stun_attr(&b, 0x0020, value, rows[i].n);
        assert_int_equal(stun_parse(rig_stun_sl(&b), &m), rows[i].good ? 0 : EBADMSG);
    }
}

static void headers_that_are_not_stun_are_refused(void **state)
{
    struct rig_stun b;
    struct stun_msg m;

    (void)state;
    rig_stun_begin(&b, 0x0001);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), 0);
    b.p[0] = 0x40; /* the two highest bits */
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), EBADMSG);
    rig_stun_begin(&b, 0x0001);
    b.p[7] ^= 1; /* RFC 3489 */
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), EBADMSG);
    rig_stun_begin(&b, 0x0001);
    rig_be(b.p + 2, 4, 2); /* longer than the datagram */
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), EBADMSG);
    b.n = 24; /* room for an attribute of no bytes and no type */
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), 0);
    rig_be(b.p + 2, 0, 2); /* shorter */
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), EBADMSG);
}

static void class_and_method_are_taken_apart(void **state)
{
    static const struct {
        uint16_t type, method;
        enum stun_class cls;
    } rows[] = {
        {0x0001, 1, STUN_REQUEST},   {0x0011, 1, STUN_INDICATION}, {0x0101, 1, STUN_SUCCESS},
        {0x0111, 1, STUN_ERROR},     {0x0003, 3, STUN_REQUEST},    {0x3eef, 0xfff, STUN_REQUEST},
        {0x3fff, 0xfff, STUN_ERROR}, {0x0020, 0x10, STUN_REQUEST}, {0x0200, 0x80, STUN_REQUEST},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig_stun b;
        struct stun_msg m;

        rig_stun_begin(&b, rows[i].type);
        assert_int_equal(stun_parse(rig_stun_sl(&b), &m), 0);
        assert_int_equal(m.method, rows[i].method);
        assert_int_equal(m.cls, rows[i].cls);
    }
}

static void the_number_of_attributes_is_bounded(void **state)
{
    struct rig_stun b;
    struct stun_msg m;

    (void)state;
    rig_stun_begin(&b, 0x0001);
    for (unsigned i = 0; i < STUN_ATTRS_MAX; i++) {
        rig_stun_attr(&b, (uint16_t)(0x7000 + i), NULL, 0);
    }
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), 0);
    assert_int_equal(m.n_unknown, STUN_UNKNOWN_MAX);
    assert_int_equal(m.unknown[0], 0x7000);
    rig_stun_attr(&b, 0x8000, NULL, 0);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), EBADMSG);
}

static void unknown_attributes_from_8000_on_are_optional(void **state)
{
    struct rig_stun b;
    struct stun_msg m;

    (void)state;
    rig_stun_begin(&b, 0x0001);
    rig_stun_attr(&b, 0x8000, NULL, 0);
    rig_stun_attr(&b, 0xffff, NULL, 0);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), 0);
    assert_int_equal(m.n_unknown, 0);
    rig_stun_attr(&b, 0x7fff, NULL, 0);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), 0);
    assert_int_equal(m.n_unknown, 1);
}

static void what_follows_the_integrity_is_ignored(void **state)
{
    struct rig_stun b;
    struct stun_msg m;

    (void)state;
    rig_stun_begin(&b, 0x0001);
    rig_stun_int(&b, 0x0024, 5, 4);
    rig_stun_integrity(&b, sl_str(password));
    rig_stun_attr(&b, 0x0025, NULL, 0);     /* USE-CANDIDATE that nobody signed */
    rig_stun_attr(&b, 0x0006, "a:b", 3);    /* a user name */
    rig_stun_int(&b, 0x7fff, 1, 4);         /* a strange one */
    rig_stun_attr(&b, 0x0008, request, 20); /* another integrity */
    rig_stun_fingerprint(&b);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), 0);
    assert_false(m.use_candidate);
    assert_null(m.username.p);
    assert_int_equal(m.n_unknown, 0);
    assert_true(m.has_fingerprint);
    assert_int_equal(stun_check_integrity(&m, sl_str(password)), 0);
}

static void the_fingerprint_is_right_and_last(void **state)
{
    struct rig_stun b;
    struct stun_msg m;

    (void)state;
    rig_stun_begin(&b, 0x0001);
    rig_stun_fingerprint(&b);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), 0);
    rig_stun_attr(&b, 0x8022, NULL, 0);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), EBADMSG);
    b.n -= 4;
    rig_stun_length(&b, 0);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), 0);
    b.p[b.n - 1] ^= 1;
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), EBADMSG);
}

/* Of attributes that occur twice the first counts (RFC 8489 14). */
static void the_first_of_two_counts(void **state)
{
    static const uint8_t error[2][4] = {{0, 0, 4, 1}, {0, 0, 5, 0}};
    static const uint8_t mapped[2][8] = {{0, 1, 1, 1, 1, 1, 1, 1}, {0, 1, 2, 2, 2, 2, 2, 2}};
    struct rig_stun b;
    struct stun_msg m, one;

    (void)state;
    rig_stun_begin(&b, 0x0111);
    rig_stun_attr(&b, 0x0009, error[0], 4);
    rig_stun_attr(&b, 0x0020, mapped[0], 8);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &one), 0);
    rig_stun_attr(&b, 0x0009, error[1], 4);
    rig_stun_attr(&b, 0x0020, mapped[1], 8);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), 0);
    assert_int_equal(m.error_code, 401);
    assert_true(addr_eq(&m.mapped, &one.mapped));
    rig_stun_begin(&b, 0x0001);
    rig_stun_attr(&b, 0x0006, "first", 5);
    rig_stun_attr(&b, 0x0006, "second", 6);
    rig_stun_int(&b, 0x0024, 1, 4);
    rig_stun_int(&b, 0x0024, 2, 4);
    rig_stun_int(&b, 0x802a, 3, 8);
    rig_stun_int(&b, 0x8029, 4, 8);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), 0);
    assert_true(sl_eq(m.username, SL("first")));
    assert_int_equal(m.priority, 1);
    assert_int_equal(m.role, STUN_ROLE_CONTROLLING);
    assert_true(m.tie_breaker == 3);
}

static void user_names_are_bounded(void **state)
{
    static char name[STUN_USERNAME_MAX + 1];
    struct rig_stun b;
    struct stun_msg m;

    (void)state;
    memset(name, 'u', sizeof(name));
    rig_stun_begin(&b, 0x0001);
    rig_stun_attr(&b, 0x0006, name, STUN_USERNAME_MAX);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), 0);
    rig_stun_begin(&b, 0x0001);
    rig_stun_attr(&b, 0x0006, name, STUN_USERNAME_MAX + 1);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &m), EBADMSG);
}

static void successes_say_where_the_request_came_from(void **state)
{
    static const char *const sources[] = {"192.0.2.1:32853", "255.255.255.255:65535",
                                          "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
                                          "[::1]:1"};
    struct stun_msg rq, m;
    uint8_t mem[STUN_ANSWER_MAX];
    struct buf b;

    (void)state;
    assert_int_equal(stun_parse(sl_make(request, sizeof(request)), &rq), 0);
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        const struct addr from = rig_addr(sources[i]);

        buf_init_fixed(&b, mem, sizeof(mem));
        assert_int_equal(stun_put_success(&b, &rq, &from, sl_str(password)), 0);
        assert_int_equal(stun_parse(buf_sl(&b), &m), 0);
        assert_int_equal(m.cls, STUN_SUCCESS);
        assert_memory_equal(m.txid, rq.txid, STUN_TXID_LEN);
        assert_true(m.has_fingerprint);
        assert_int_equal(stun_check_integrity(&m, sl_str(password)), 0);
        assert_true(addr_eq(&m.mapped, &from));
    }
    buf_init_fixed(&b, mem, 70);
    assert_int_equal(stun_put_success(&b, &rq, &m.mapped, sl_str(password)), EMSGSIZE);
}

static void errors_say_their_code(void **state)
{
    static const uint16_t codes[] = {400, 401, 420, 487, 500};
    struct stun_msg rq, m;
    uint8_t mem[STUN_ANSWER_MAX];

    (void)state;
    assert_int_equal(stun_parse(sl_make(request, sizeof(request)), &rq), 0);
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        for (uint8_t n = 1; n <= STUN_UNKNOWN_MAX; n++) {
            struct sl pwd = n % 2 != 0 ? sl_str(password) : SL_NULL;
            struct buf b;

            rq.n_unknown = n;
            buf_init_fixed(&b, mem, sizeof(mem));
            assert_int_equal(stun_put_error(&b, &rq, codes[i], pwd), 0);
            assert_int_equal(b.n % 4, 0);
            assert_int_equal(stun_parse(buf_sl(&b), &m), 0);
            assert_int_equal(m.cls, STUN_ERROR);
            assert_int_equal(m.error_code, codes[i]);
            assert_int_equal(m.has_integrity, pwd.n != 0);
            assert_int_equal(stun_check_integrity(&m, sl_str(password)), pwd.n != 0 ? 0 : EACCES);
        }
    }
}

static void unknown_attributes_are_listed(void **state)
{
    struct rig_stun b;
    struct stun_msg rq;
    uint8_t mem[STUN_ANSWER_MAX];
    struct buf out;
    static const uint8_t want[] = {0x00, 0x0a, 0x00, 0x06, 0x00, 0x19, 0x7f, 0xff, 0x00, 0x1e};

    (void)state;
    rig_stun_begin(&b, 0x0001);
    rig_stun_int(&b, 0x0019, 1, 4);
    rig_stun_int(&b, 0x9999, 1, 4); /* may be ignored */
    rig_stun_int(&b, 0x7fff, 1, 4);
    rig_stun_int(&b, 0x001e, 1, 4);
    assert_int_equal(stun_parse(rig_stun_sl(&b), &rq), 0);
    assert_int_equal(rq.n_unknown, 3);
    buf_init_fixed(&out, mem, sizeof(mem));
    assert_int_equal(stun_put_error(&out, &rq, 420, SL_NULL), 0);
    assert_true(sl_find(buf_sl(&out), sl_make(want, sizeof(want))) > 0);
    assert_int_equal(stun_put_error(&out, &rq, 487, SL_NULL), 0); /* in place of the other */
    assert_int_equal(out.n, 20 + 4 + 4 + 16 + 8);
    assert_true(sl_find(buf_sl(&out), SL("Role Conflict")) > 0);
}

/* RFC 7983 7 */
static void the_first_byte_tells_what_a_packet_is(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 256; b++) {
        enum media_demux want = b <= 3                 ? MEDIA_DEMUX_STUN
                                : b >= 16 && b <= 19   ? MEDIA_DEMUX_ZRTP
                                : b >= 20 && b <= 63   ? MEDIA_DEMUX_DTLS
                                : b >= 128 && b <= 191 ? MEDIA_DEMUX_RTP
                                                       : MEDIA_DEMUX_BAD;

        assert_int_equal(media_demux((uint8_t)b, 20), want);
        assert_int_equal(media_demux((uint8_t)b, 0), MEDIA_DEMUX_BAD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_request_is_read),
        cmocka_unit_test(the_published_responses_are_read),
        cmocka_unit_test(every_cut_message_is_refused),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(attributes_stay_within_their_message),
        cmocka_unit_test(wrong_sizes_of_attributes_are_refused),
        cmocka_unit_test(error_codes_have_their_bounds),
        cmocka_unit_test(a_mapped_address_has_the_length_of_its_family),
        cmocka_unit_test(headers_that_are_not_stun_are_refused),
        cmocka_unit_test(class_and_method_are_taken_apart),
        cmocka_unit_test(the_number_of_attributes_is_bounded),
        cmocka_unit_test(unknown_attributes_from_8000_on_are_optional),
        cmocka_unit_test(what_follows_the_integrity_is_ignored),
        cmocka_unit_test(the_fingerprint_is_right_and_last),
        cmocka_unit_test(the_first_of_two_counts),
        cmocka_unit_test(user_names_are_bounded),
        cmocka_unit_test(successes_say_where_the_request_came_from),
        cmocka_unit_test(errors_say_their_code),
        cmocka_unit_test(unknown_attributes_are_listed),
        cmocka_unit_test(the_first_byte_tells_what_a_packet_is),
    };

    return cmocka_run_group_tests(tests, rig_crypto_up, rig_crypto_down);
}
