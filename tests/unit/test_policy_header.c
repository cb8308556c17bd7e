/* test_policy_header.c - header rules on a list of fields, their words in the configuration, and
 * what they may never touch. */
#include "config_rig.h"

#define PEER "peers:\n  p:\n    listener: a\n    sources: 127.0.0.2\n"

static const struct {
    const char *rules; /* of the peer p */
    const char *direction, *method, *lines, *other, *want;
} cases[] = {
    {"[{action: add, name: X-A, value: one}]", "out", "INVITE", "Allow: BYE\r\n", "",
     "Allow: BYE\r\nX-A: one\r\n"},
    {"[{action: add, name: X-A, value: one}]", "in", "INVITE", "X-A: zero\r\n", "",
     "X-A: zero\r\n"},
    {"[{action: set, name: x-a, value: two}]", "out", "INVITE", "X-A: 1\r\nX-B: 2\r\nX-A: 3\r\n",
     "", "X-B: 2\r\nx-a: two\r\n"},
    {"[{action: remove, name: X-A}]", "out", "BYE", "X-A: 1\r\nX-B: 2\r\n", "", "X-B: 2\r\n"},
    {"[{action: rename, name: X-A, to: X-C}]", "out", "BYE", "X-A: 1\r\nX-B: 2\r\nx-a: 3\r\n", "",
     "X-C: 1\r\nX-B: 2\r\nX-C: 3\r\n"},
    {"[{action: replace, name: X-A, pattern: '^0(\\d)', value: '+49\\1'}]", "out", "BYE",
     "X-A: 030\r\nX-A: 7\r\n", "", "X-A: +4930\r\nX-A: 7\r\n"},
    {"[{action: replace, name: X-A, pattern: '(a)|(b)', value: '[\\1\\2\\0\\\\]'}]", "out", "BYE",
     "X-A: xbx\r\n", "", "X-A: x[bb\\]x\r\n"},
    {"[{action: replace, name: X-A, pattern: '(a+)+[b-d]', value: x}]", "out", "BYE",
     "X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", "",
     "X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"},
    {"[{action: copy, name: X-A, to: X-Z}, {action: copy, name: X-B}]", "out", "INVITE",
     "X-A: mine\r\n", "X-A: 1\r\nX-B: 2\r\nx-A: 3\r\n",
     "X-A: mine\r\nX-Z: 1\r\nX-Z: 3\r\nX-B: 2\r\n"},
    {"[{direction: in, action: copy, name: X-A, to: X-Z}]", "in", "INVITE", "X-A: 1\r\n",
     "X-A: 2\r\n", "X-A: 1\r\nX-Z: 1\r\n"},
    {"[{action: set, name: X-A, value: '1', methods: [INVITE]}, {action: set, name: X-B, value: "
     "'1', methods: [BYE, INFO]}, {action: set, name: X-C, value: '1', messages: responses}, "
     "{action: set, name: X-D, value: '1', messages: requests}]",
     "out", "BYE", "", "", "X-B: 1\r\nX-D: 1\r\n"},
    {"[{action: set, name: X-B, value: '1', if: X-A}, {action: set, name: X-C, value: '1', if: "
     "[X-A, '!X-B']}, {action: set, name: X-D, value: '1', if: 'X-A: t*'}]",
     "out", "BYE", "X-A: two\r\n", "", "X-A: two\r\nX-B: 1\r\nX-D: 1\r\n"},
};

static void fill(struct policy_fields *f, const char *lines)
{
    policy_fields_init(f);
    policy_fields_read(f, sl_str(lines));
    assert_int_equal(f->lost, 0);
}

static void each_action_does_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        static struct policy_fields f, other;
        char text[2048], out[2048];
        struct config *c;
        struct buf b;

        snprintf(text, sizeof(text), RIG_BASE PEER "    headers: %s\n", cases[i].rules);
        c = rig_good(text);
        fill(&f, cases[i].lines);
        fill(&other, cases[i].other);
        policy_headers_apply(c->def.peers[0].headers, c->def.peers[0].n_headers,
                             cases[i].direction[0] == 'i' ? POLICY_IN : POLICY_OUT,
                             &(struct policy_message){.method = sl_str(cases[i].method)}, &f,
                             &other);
        buf_init_fixed(&b, out, sizeof(out) - 1);
        policy_fields_put(&b, &f);
        out[b.n] = '\0';
        assert_string_equal(out, cases[i].want);
        config_unref(&c);
    }
}

static void nothing_gets_a_line_end_into_a_field(void **state)
{
    static struct policy_fields f;
    char out[64];
    struct buf b;

    (void)state;
    policy_fields_init(&f);
    policy_fields_add(&f, SL("X-A"), SL("a\r\nVia: x\t\x7f\x01y\xc3\xa9"));
    buf_init_fixed(&b, out, sizeof(out) - 1);
    policy_fields_put(&b, &f);
    out[b.n] = '\0';
    assert_string_equal(out, "X-A: aVia: x\ty\xc3\xa9\r\n");
}

static void what_a_stranger_sends_cannot_grow_without_end(void **state)
{
    static const struct policy_header_rule copy[] = {
        {.direction = POLICY_OUT, .op = POLICY_OP_COPY, .name = "X-A"},
        {.direction = POLICY_OUT, .op = POLICY_OP_COPY, .name = "X-A", .to = "X-B"}};
    static struct policy_fields f, other;
    static char big[POLICY_VALUE_MAX + 1];
    static char out[32768];
    struct buf b;

    (void)state;
    memset(big, 'x', sizeof(big));
    policy_fields_init(&f);
    policy_fields_init(&other);
    policy_fields_add(&other, SL("X-A"), sl_make(big, sizeof(big)));
    for (int i = 0; i < 200; i++) {
        policy_fields_add(&other, SL("X-A"), sl_make(big, POLICY_VALUE_MAX));
    }
    assert_int_equal(other.n, POLICY_FIELDS_MAX);
    policy_headers_apply(copy, 2, POLICY_OUT, &(struct policy_message){.method = SL("INVITE")}, &f,
                         &other);
    assert_int_equal(f.n, POLICY_FIELDS_MEM / POLICY_VALUE_MAX);
    assert_true(f.lost > 100);
    buf_init_fixed(&b, out, sizeof(out));
    policy_fields_put(&b, &f);
    assert_int_equal(buf_err(&b), 0);
}

static void reply_codes_become_others_by_the_first_rule_that_fits(void **state)
{
    struct config *c = rig_good(
        RIG_BASE PEER "    replies: [{codes: 480, status: 486}, {codes: 4xx, status: 603}, "
                      "{direction: out, codes: 500-504, status: 503}]\n");
    const struct policy_peer *p = &c->def.peers[0];

    (void)state;
    assert_int_equal(policy_reply_status(p->replies, p->n_replies, POLICY_IN, 480), 486);
    assert_int_equal(policy_reply_status(p->replies, p->n_replies, POLICY_IN, 404), 603);
    assert_int_equal(policy_reply_status(p->replies, p->n_replies, POLICY_IN, 500), 500);
    assert_int_equal(policy_reply_status(p->replies, p->n_replies, POLICY_OUT, 504), 503);
    assert_int_equal(policy_reply_status(p->replies, p->n_replies, POLICY_OUT, 480), 480);
    config_unref(&c);
}

/* Long and compact, whatever the case, as source and as destination. */
static void what_makes_a_message_work_is_refused_with_a_reason(void **state)
{
    static const char *const names[] = {"Via",
                                        "v",
                                        "VIA",
                                        "Call-ID",
                                        "i",
                                        "CSeq",
                                        "From",
                                        "f",
                                        "To",
                                        "t",
                                        "Contact",
                                        "m",
                                        "Content-Length",
                                        "l",
                                        "Content-Type",
                                        "c",
                                        "Route",
                                        "Record-Route",
                                        "Max-Forwards",
                                        "Require",
                                        "Supported",
                                        "k",
                                        "Session-Expires",
                                        "x",
                                        "RSeq",
                                        "RAck",
                                        "Authorization",
                                        "Proxy-Authorization",
                                        "WWW-Authenticate",
                                        "Proxy-Authenticate",
                                        "Refer-To",
                                        "Replaces",
                                        "P-Asserted-Identity",
                                        "Privacy",
                                        "Content-Encoding",
                                        "e",
                                        "Event",
                                        "o"};

    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(names); i++) {
        const char *name = names[i / 2], *lines;
        char text[512], want[256];

        snprintf(text, sizeof(text),
                 i % 2 == 0 ? RIG_BASE PEER "    headers: [{action: remove, name: %s}]\n"
                            : RIG_BASE PEER "    headers: [{action: copy, name: Q, to: %s}]\n",
                 name);
        snprintf(want, sizeof(want), "t:6:%d: peers.p.headers[0].%s: no rule may touch '%s': %s\n",
                 i % 2 == 0 ? 38 : 43, i % 2 == 0 ? "name" : "to", name,
                 policy_field_is_ours(sl_str(name)));
        assert_null(rig_parse(text, &lines));
        assert_string_equal(lines, want);
    }
    assert_null(policy_field_is_ours(SL("X-Via")));
    assert_null(policy_field_is_ours(SL("User-Agent")));
}

static const struct rig_case bad_rules[] = {
    {"headers: [{action: remove, name: Q, methods: [INVITE, ACK]}]\n",
     "t:6:59: peers.p.headers[0].methods[1]: no rule of this direction works on 'ACK'; those of "
     "out work on INVITE, UPDATE, PRACK, BYE, INFO, MESSAGE and OPTIONS\n"},
    {"headers: [{action: remove, name: Q, methods: [INVITE, CANCEL]}]\n",
     "t:6:59: peers.p.headers[0].methods[1]: no rule of this direction works on 'CANCEL'; those of "
     "out work on INVITE, UPDATE, PRACK, BYE, INFO, MESSAGE and OPTIONS\n"},
    {"headers: [{action: remove, name: Q, methods: [INVITE, FROBNICATE]}]\n",
     "t:6:59: peers.p.headers[0].methods[1]: no rule of this direction works on 'FROBNICATE'; "
     "those of out work on INVITE, UPDATE, PRACK, BYE, INFO, MESSAGE and OPTIONS\n"},
    {"headers: [{action: remove, name: Q, methods: [INVITE, invite]}]\n",
     "t:6:59: peers.p.headers[0].methods[1]: no rule of this direction works on 'invite'; those of "
     "out work on INVITE, UPDATE, PRACK, BYE, INFO, MESSAGE and OPTIONS\n"},
    {"headers: [{action: remove, name: Q, methods: [INVITE, REGISTER]}]\n",
     "t:6:59: peers.p.headers[0].methods[1]: no rule of this direction works on 'REGISTER'; those "
     "of out work on INVITE, UPDATE, PRACK, BYE, INFO, MESSAGE and OPTIONS\n"},
    {"headers: [{action: remove, name: Q, direction: in, methods: BYE}]\n",
     "t:6:65: peers.p.headers[0].methods: no rule of this direction works on 'BYE'; those of in "
     "work on INVITE, INFO and MESSAGE\n"},
    {"headers: [{action: remove, name: Q, methods: []}]\n",
     "t:6:50: peers.p.headers[0].methods: must name at least one\n"},
    {"headers: [{name: Q}]\n", "t:6:15: peers.p.headers[0].action: is missing\n"},
    {"headers: [{action: add, name: Q}]\n", "t:6:15: peers.p.headers[0]: 'add' needs 'value'\n"},
    {"headers: [{action: remove, name: Q, value: y, to: z}]\n",
     "t:6:41: peers.p.headers[0].value: is of no use with 'remove'\n"
     "t:6:51: peers.p.headers[0].to: is of no use with 'remove'\n"},
    {"headers: [{action: rename, name: Q}]\n", "t:6:15: peers.p.headers[0]: 'rename' needs 'to'\n"},
    {"headers: [{action: copy, direction: in, name: Q}]\n",
     "t:6:15: peers.p.headers[0]: 'copy' of what comes in needs 'to'\n"},
    {"headers: [{action: replace, name: Q, value: '\\2', pattern: (a)}]\n",
     "t:6:49: peers.p.headers[0].value: the pattern has no group 2\n"},
    {"headers: [{action: replace, name: Q, value: 'a\\', pattern: (a)}]\n",
     "t:6:49: peers.p.headers[0].value: after a backslash comes 0 to 9, or another\n"},
    {"headers: [{action: set, name: 'X Y', value: v}]\n",
     "t:6:35: peers.p.headers[0].name: 'X Y' is not the name of a header field\n"},
    {"headers: [{action: set, name: '!X', value: v}]\n",
     "t:6:35: peers.p.headers[0].name: '!X' is not the name of a header field\n"},
    {"headers: [{action: set, name: Q, value: \"a\\r\\nVia: b\"}]\n",
     "t:6:45: control characters and line ends are not allowed in a value\n"},
    {"replies: [{codes: 180, status: 486}, {codes: 480, status: 401}]\n",
     "t:6:23: peers.p.replies[0].codes: '180' is not a failure such as 503, 5xx or 480-488\n"
     "t:6:63: peers.p.replies[1].status: 401 needs header fields of its own; nobody could act on "
     "it\n"},
    {"identity: {trust: maybe}\n",
     "t:6:23: peers.p.identity.trust: 'maybe' is not one of false, true\n"},
};

static void bad_rules_are_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE PEER "    ", bad_rules, COUNT_OF(bad_rules));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_action_does_what_it_says),
        cmocka_unit_test(nothing_gets_a_line_end_into_a_field),
        cmocka_unit_test(what_a_stranger_sends_cannot_grow_without_end),
        cmocka_unit_test(reply_codes_become_others_by_the_first_rule_that_fits),
        cmocka_unit_test(what_makes_a_message_work_is_refused_with_a_reason),
        cmocka_unit_test(bad_rules_are_refused_line_by_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
