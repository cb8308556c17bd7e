/* Dialogs: identity, route set, target, CSeq and requests inside (RFC 3261 12). */
#include "dialog/dialog.h"
#include "rig_tx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct leg {
    struct txrig r;
    struct arena arena;
    struct dialog d;
};

static void up(struct leg *l)
{
    *l = (struct leg){.d = {.state = DIALOG_NONE}};
    assert_int_equal(txrig_up(&l->r, SIP_UDP, 10), 0);
    arena_init(&l->arena, 1024, 65536);
}

static void down(struct leg *l)
{
    dialog_deinit(&l->d);
    arena_free(&l->arena);
    assert_int_equal(txrig_down(&l->r), 0);
}

static struct sip_msg *invite(struct leg *l, const char *extra)
{
    return txrig_msg(&l->r,
                     "INVITE sip:100@edge.example SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n"
                     "From: \"Bob\" <sip:bob@pbx.example>;tag=theirs;x=y\r\n"
                     "To: sip:100@edge.example\r\nCall-ID: call-1\r\nCSeq: 11 INVITE\r\n"
                     "%sContent-Length: 0\r\n\r\n",
                     extra);
}

static int init_uas(struct leg *l, const char *extra)
{
    struct sip_msg *m = invite(l, extra);
    int err;

    if (m == NULL) {
        return EBADMSG; /* the parser has refused some of it before */
    }
    err = dialog_init_uas(&l->d, &l->arena, m, SL("ours"), &l->r.flow);
    sip_msg_unref(&m);
    return err;
}

static void init_uac(struct leg *l)
{
    struct dialog_uac p = {.call_id = SL("call-2"),
                           .local_tag = SL("ours"),
                           .local = SL("\"A\" <sip:100@edge.example>"),
                           .remote = SL("<sip:bob@pbx.example>"),
                           .target = SL("sip:bob@pbx.example"),
                           .flow = &l->r.flow};

    assert_int_equal(dialog_init_uac(&l->d, &l->arena, &p), 0);
}

static int learn(struct leg *l, uint16_t status, const char *tag, const char *extra)
{
    struct sip_msg *m =
        txrig_msg(&l->r,
                  "SIP/2.0 %u X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"
                  "From: \"A\" <sip:100@edge.example>;tag=ours\r\n"
                  "To: <sip:bob@pbx.example>%s%s\r\nCall-ID: call-2\r\n"
                  "CSeq: 1 INVITE\r\n%sContent-Length: 0\r\n\r\n",
                  status, tag != NULL ? ";tag=" : "", tag != NULL ? tag : "", extra);
    int err;

    assert_non_null(m);
    err = dialog_learn(&l->d, m);
    sip_msg_unref(&m);
    return err;
}

static int check(struct leg *l, const char *method, uint32_t cseq, const char *extra)
{
    struct sip_msg *m = txrig_msg(&l->r,
                                  "%s sip:x@192.0.2.1 SIP/2.0\r\n"
                                  "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKb\r\n"
                                  "Max-Forwards: 70\r\nFrom: <sip:bob@pbx.example>;tag=theirs\r\n"
                                  "To: <sip:100@edge.example>;tag=ours\r\nCall-ID: %.*s\r\n"
                                  "CSeq: %u %s\r\n%sContent-Length: 0\r\n\r\n",
                                  method, SL_ARG(l->d.call_id), cseq, method, extra);
    int err;

    assert_non_null(m);
    err = dialog_check_request(&l->d, m);
    sip_msg_unref(&m);
    return err;
}

/* The request as text, NUL-terminated in mem. */
static const char *request(struct leg *l, char *mem, size_t cap, enum sip_method method)
{
    struct dialog_request rq = {.method = method,
                                .cseq = dialog_next_cseq(&l->d),
                                .branch = SL("z9hG4bKbranch"),
                                .via = &l->r.flow.local,
                                .transport = SIP_UDP,
                                .contact = SL("sip:token@192.0.2.1:5060")};
    struct buf b;

    buf_init_fixed(&b, mem, cap);
    dialog_put_request(&b, &l->d, &rq);
    buf_putc(&b, '\0');
    assert_int_equal(buf_err(&b), 0);
    return mem;
}

#define CONTACT "Contact: <sip:bob@192.0.2.9:5062>\r\n"

static void uas_dialog_takes_all_from_the_invite(void **state)
{
    char text[2048];
    struct leg l;

    (void)state;
    up(&l);
    assert_int_equal(init_uas(&l,
                              CONTACT "Record-Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n"
                                      "Record-Route: <sip:p3.example;lr>\r\n"),
                     0);
    assert_int_equal(l.d.state, DIALOG_EARLY);
    assert_false(l.d.is_uac);
    dialog_confirm(&l.d);
    assert_int_equal(l.d.state, DIALOG_CONFIRMED);
    assert_string_equal(request(&l, text, sizeof(text), SIP_BYE),
                        "BYE sip:bob@192.0.2.9:5062 SIP/2.0\r\n"
                        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKbranch;rport\r\n"
                        "Max-Forwards: 70\r\n"
                        "From: <sip:100@edge.example>;tag=ours\r\n"
                        "To: \"Bob\" <sip:bob@pbx.example>;tag=theirs\r\n"
                        "Call-ID: call-1\r\n"
                        "CSeq: 1 BYE\r\n"
                        "Route: <sip:p1.example;lr>\r\n"
                        "Route: <sip:p2.example;lr>\r\n"
                        "Route: <sip:p3.example;lr>\r\n"
                        "Contact: <sip:token@192.0.2.1:5060>\r\n");
    down(&l);
}

static void uac_dialog_learns_from_the_answers_and_turns_the_routes_round(void **state)
{
    char text[2048];
    struct leg l;

    (void)state;
    up(&l);
    init_uac(&l);
    assert_int_equal(l.d.state, DIALOG_NONE);
    assert_non_null(strstr(request(&l, text, sizeof(text), SIP_INVITE),
                           "INVITE sip:bob@pbx.example SIP/2.0\r\n"));
    assert_non_null(strstr(text, "To: <sip:bob@pbx.example>\r\n"));
    assert_int_equal(learn(&l, 100, NULL, ""), 0);
    assert_int_equal(learn(&l, 180, NULL, CONTACT), 0);
    assert_int_equal(l.d.state, DIALOG_NONE);
    assert_int_equal(learn(&l, 183, "theirs", ""), 0);
    assert_int_equal(l.d.state, DIALOG_EARLY);
    assert_string_equal(l.d.target, "sip:bob@pbx.example");
    assert_int_equal(learn(&l, 200, "theirs",
                           CONTACT "Record-Route: <sip:p1.example;lr>\r\n"
                                   "Record-Route: <sip:p2.example;lr>\r\n"),
                     0);
    assert_int_equal(l.d.state, DIALOG_CONFIRMED);
    assert_string_equal(l.d.target, "sip:bob@192.0.2.9:5062");
    assert_non_null(strstr(request(&l, text, sizeof(text), SIP_BYE),
                           "Route: <sip:p2.example;lr>\r\nRoute: <sip:p1.example;lr>\r\n"));
    assert_non_null(strstr(text, "To: <sip:bob@pbx.example>;tag=theirs\r\n"));
    assert_non_null(strstr(text, "From: \"A\" <sip:100@edge.example>;tag=ours\r\n"));
    assert_non_null(strstr(text, "CSeq: 2 BYE\r\n"));
    down(&l);
}

static void final_answer_of_another_fork_replaces_the_early_one(void **state)
{
    struct leg l;

    (void)state;
    up(&l);
    init_uac(&l);
    assert_int_equal(
        learn(&l, 180, "fork1", "Contact: <sip:one@192.0.2.11>\r\nRecord-Route: <sip:p1;lr>\r\n"),
        0);
    assert_int_equal(l.d.n_routes, 1);
    l.d.has_remote_cseq = true;
    assert_int_equal(learn(&l, 183, "fork2", "Contact: <sip:two@192.0.2.12>\r\n"), 0);
    assert_true(sl_eq(l.d.remote_tag, SL("fork2")));
    assert_false(l.d.has_remote_cseq);
    assert_int_equal(l.d.n_routes, 0);
    assert_int_equal(learn(&l, 200, "theirs", CONTACT), 0);
    assert_true(sl_eq(l.d.remote_tag, SL("theirs")));
    assert_string_equal(l.d.target, "sip:bob@192.0.2.9:5062");
    assert_int_equal(learn(&l, 200, "fork1", "Contact: <sip:one@192.0.2.11>\r\n"), EPROTO);
    assert_true(sl_eq(l.d.remote_tag, SL("theirs")));
    assert_string_equal(l.d.target, "sip:bob@192.0.2.9:5062");
    down(&l);
}

static void repeated_answers_take_no_more_memory(void **state)
{
    size_t used;
    struct leg l;

    (void)state;
    up(&l);
    init_uac(&l);
    assert_int_equal(learn(&l, 180, "theirs", CONTACT "Record-Route: <sip:p1;lr>\r\n"), 0);
    used = l.arena.used;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(learn(&l, 180, "theirs", CONTACT "Record-Route: <sip:p1;lr>\r\n"), 0);
    }
    assert_int_equal(learn(&l, 200, "theirs", CONTACT "Record-Route: <sip:p1;lr>\r\n"), 0);
    assert_int_equal(learn(&l, 200, "theirs", CONTACT "Record-Route: <sip:p1;lr>\r\n"), 0);
    assert_int_equal(l.arena.used, used);
    down(&l);
}

static void answer_to_a_re_invite_refreshes_the_target_but_not_the_routes(void **state)
{
    struct leg l;

    (void)state;
    up(&l);
    init_uac(&l);
    assert_int_equal(learn(&l, 200, "theirs", CONTACT), 0);
    assert_int_equal(
        learn(&l, 200, "theirs", "Contact: <sip:new@192.0.2.77>\r\nRecord-Route: <sip:p9;lr>\r\n"),
        0);
    assert_string_equal(l.d.target, "sip:new@192.0.2.77");
    assert_int_equal(l.d.n_routes, 0);
    assert_int_equal(learn(&l, 200, "theirs", ""), 0);
    assert_string_equal(l.d.target, "sip:new@192.0.2.77");
    down(&l);
}

static void unusable_answers_are_refused(void **state)
{
    static const struct {
        uint16_t status;
        const char *tag, *extra;
        int err;
    } cases[] = {
        {200, "t", "", EBADMSG},
        {200, NULL, CONTACT, EBADMSG},
        {200, "t", "Contact: *\r\n", EBADMSG},
        {200, "t", "Contact: <tel:+4930123>\r\n", EBADMSG},
        {200, "t", "Contact: <http://x>\r\n", EBADMSG},
        {200, "t", "Contact: <sip:b ob@x>\r\n", EBADMSG},
        {200, "t", CONTACT "Record-Route: <sip:p1;lr\r\n", EBADMSG},
        {180, "t", "Record-Route: nonsense\r\n", EBADMSG},
        {180, "t", "Contact: *\r\n", 0}, /* the 2xx may do better */
        {486, "t", "", 0},
        {302, "t", "Contact: <sip:elsewhere@x>\r\n", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct leg l;

        up(&l);
        init_uac(&l);
        assert_int_equal(learn(&l, cases[i].status, cases[i].tag, cases[i].extra), cases[i].err);
        assert_int_not_equal(l.d.state, DIALOG_CONFIRMED);
        assert_string_equal(l.d.target, strstr(cases[i].extra, CONTACT) != NULL
                                            ? "sip:bob@192.0.2.9:5062" /* what ends it goes there */
                                            : "sip:bob@pbx.example");
        if (cases[i].status == 200) {
            assert_true(sl_eq(l.d.remote_tag, sl_str(cases[i].tag)));
        }
        down(&l);
    }
}

static void unusable_invites_are_refused(void **state)
{
    static const struct {
        const char *extra;
        int err;
    } cases[] = {
        {"", EBADMSG},
        {"Contact: *\r\n", EBADMSG},
        {"Contact: <tel:+4930123>\r\n", EBADMSG},
        {"Contact: <mailto:a@b>\r\n", EBADMSG},
        {CONTACT "Record-Route: <sip:p1;lr\r\n", EBADMSG},
        {CONTACT "Record-Route: <sip:1;lr>,<sip:2;lr>,<sip:3;lr>,<sip:4;lr>,<sip:5;lr>,<sip:6;lr>,"
                 "<sip:7;lr>,<sip:8;lr>,<sip:9;lr>,<sip:10;lr>,<sip:11;lr>,<sip:12;lr>\r\n",
         0},
        {CONTACT "Record-Route: <sip:1;lr>,<sip:2;lr>,<sip:3;lr>,<sip:4;lr>,<sip:5;lr>,<sip:6;lr>,"
                 "<sip:7;lr>,<sip:8;lr>,<sip:9;lr>,<sip:10;lr>,<sip:11;lr>,<sip:12;lr>\r\n"
                 "Record-Route: <sip:13;lr>\r\n",
         EMSGSIZE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct leg l;

        up(&l);
        assert_int_equal(init_uas(&l, cases[i].extra), cases[i].err);
        down(&l);
    }
}

static void request_is_ours_only_by_call_id_and_both_tags(void **state)
{
    static const struct {
        const char *call_id, *from_tag, *to_tag;
        int err;
    } cases[] = {
        {"call-1", "theirs", "ours", 0},      {"CALL-1", "theirs", "ours", EPROTO},
        {"call-1", "THEIRS", "ours", EPROTO}, {"call-1", "theirs", "OURS", EPROTO},
        {"call-1", "theirs", "our", EPROTO},  {"call-12", "theirs", "ours", EPROTO},
        {"call-1", "ours", "theirs", EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sip_msg *m;
        struct leg l;

        up(&l);
        assert_int_equal(init_uas(&l, CONTACT), 0);
        m = txrig_msg(
            &l.r,
            "BYE sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKb\r\n"
            "Max-Forwards: 70\r\nFrom: <sip:b@x>;tag=%s\r\nTo: <sip:a@y>;tag=%s\r\n"
            "Call-ID: %s\r\nCSeq: 12 BYE\r\nContent-Length: 0\r\n\r\n",
            cases[i].from_tag, cases[i].to_tag, cases[i].call_id);
        assert_non_null(m);
        assert_int_equal(dialog_check_request(&l.d, m), cases[i].err);
        assert_int_equal(l.d.remote_cseq, cases[i].err == 0 ? 12 : 11);
        sip_msg_unref(&m);
        down(&l);
    }
}

static void cseq_of_requests_must_rise(void **state)
{
    struct leg l;

    (void)state;
    up(&l);
    assert_int_equal(init_uas(&l, CONTACT), 0);
    assert_int_equal(check(&l, "INFO", 11, ""), ERANGE);
    assert_int_equal(check(&l, "INFO", 1, ""), ERANGE);
    assert_int_equal(check(&l, "ACK", 11, ""), 0); /* that of its INVITE */
    assert_int_equal(check(&l, "CANCEL", 11, ""), 0);
    assert_int_equal(check(&l, "INFO", 12, ""), 0);
    assert_int_equal(check(&l, "INFO", 2000000000, ""), 0); /* gaps are fine: 12.2.2 */
    assert_int_equal(check(&l, "INFO", 13, ""), ERANGE);
    down(&l);
}

static void first_request_of_the_callee_sets_its_cseq(void **state)
{
    struct leg l;

    (void)state;
    up(&l);
    init_uac(&l);
    assert_int_equal(check(&l, "BYE", 1, ""), EPROTO); /* no answer yet: no dialog */
    assert_int_equal(learn(&l, 200, "theirs", CONTACT), 0);
    assert_int_equal(check(&l, "INFO", 700, ""), 0);
    assert_int_equal(check(&l, "INFO", 700, ""), ERANGE);
    down(&l);
}

static void re_invite_and_update_move_the_target(void **state)
{
    struct leg l;

    (void)state;
    up(&l);
    assert_int_equal(init_uas(&l, CONTACT), 0);
    assert_int_equal(check(&l, "INVITE", 12, "Contact: <sip:b@192.0.2.20>\r\n"), 0);
    assert_string_equal(l.d.target, "sip:b@192.0.2.20");
    assert_int_equal(check(&l, "UPDATE", 13, "Contact: <sip:b@192.0.2.21>\r\n"), 0);
    assert_string_equal(l.d.target, "sip:b@192.0.2.21");
    assert_int_equal(check(&l, "INFO", 14, "Contact: <sip:b@192.0.2.22>\r\n"), 0);
    assert_int_equal(check(&l, "INVITE", 15, ""), 0);
    assert_string_equal(l.d.target, "sip:b@192.0.2.21");
    assert_int_equal(check(&l, "INVITE", 16, "Contact: *\r\n"), EBADMSG);
    assert_string_equal(l.d.target, "sip:b@192.0.2.21");
    assert_int_equal(check(&l, "INVITE", 16, CONTACT), ERANGE);
    down(&l);
}

static void strict_first_route_swaps_with_the_target(void **state)
{
    char text[2048];
    struct leg l;

    (void)state;
    up(&l);
    assert_int_equal(init_uas(&l, CONTACT "Record-Route: <sip:old@192.0.2.50:5080>\r\n"
                                          "Record-Route: <sip:p2.example;lr>\r\n"),
                     0);
    assert_non_null(strstr(request(&l, text, sizeof(text), SIP_BYE),
                           "BYE sip:old@192.0.2.50:5080 SIP/2.0\r\n"));
    assert_non_null(strstr(text, "CSeq: 1 BYE\r\nRoute: <sip:p2.example;lr>\r\n"
                                 "Route: <sip:bob@192.0.2.9:5062>\r\nContact: "));
    down(&l);
}

static void request_uri_has_no_headers(void **state)
{
    char text[2048];
    struct leg l;

    (void)state;
    up(&l);
    assert_int_equal(init_uas(&l, "Contact: <sip:b?b@192.0.2.9;ob?Subject=x>\r\n"), 0);
    assert_non_null(
        strstr(request(&l, text, sizeof(text), SIP_BYE), "BYE sip:b?b@192.0.2.9;ob SIP/2.0\r\n"));
    down(&l);
}

static void line_breaks_never_pass_into_a_request(void **state)
{
    char text[2048];
    struct leg l;

    (void)state;
    up(&l);
    init_uac(&l);
    l.d.local = SL("<sip:a@x>\r\nEvil: 1");
    l.d.remote = SL("<sip:b@y>\nEvil: 2");
    l.d.routes[0] = SL("<sip:p;lr>\r\n\r\nbody");
    l.d.n_routes = 1;
    (void)request(&l, text, sizeof(text), SIP_INFO);
    assert_null(strstr(text, "\nEvil"));
    assert_null(strstr(text, "\r\n\r\n"));
    down(&l);
}

static void next_hop_follows_route_target_or_flow(void **state)
{
    static const struct {
        const char *extra;
        bool pin;
        enum sip_transport transport;
        const char *want;
    } cases[] = {
        {CONTACT, false, SIP_UDP, "192.0.2.9:5062"},
        {"Contact: <sip:b@192.0.2.33>\r\n", false, SIP_UDP, "192.0.2.33:5060"},
        {CONTACT, true, SIP_UDP, "192.0.2.9:5060"},
        {CONTACT, false, SIP_TCP, "192.0.2.9:5060"},
        {"Contact: <sip:b@phone.example>\r\n", false, SIP_UDP, "192.0.2.9:5060"},
        {"Contact: <sip:b@192.0.2.33;transport=tcp>\r\n", false, SIP_UDP, "192.0.2.9:5060"},
        {"Contact: <sips:b@192.0.2.33>\r\n", false, SIP_UDP, "192.0.2.9:5060"},
        {"Contact: <sip:b@[2001:db8::1]>\r\n", false, SIP_UDP, "192.0.2.9:5060"},
        {"Contact: <sip:b@0.0.0.0>\r\n", false, SIP_UDP, "192.0.2.9:5060"},
        {"Contact: <sip:b@224.0.1.75>\r\n", false, SIP_UDP, "192.0.2.9:5060"},
        {"Contact: <sip:b@255.255.255.255>\r\n", false, SIP_UDP, "192.0.2.9:5060"},
        {CONTACT "Record-Route: <sip:192.0.2.44:5090;lr>\r\n", false, SIP_UDP, "192.0.2.44:5090"},
        {CONTACT "Record-Route: <sip:192.0.2.44;transport=udp>\r\n", false, SIP_UDP,
         "192.0.2.44:5060"},
        {CONTACT "Record-Route: <sip:p.example;lr>\r\n", false, SIP_UDP, "192.0.2.9:5060"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct addr want;
        struct flow out;
        struct leg l;

        up(&l);
        assert_int_equal(init_uas(&l, cases[i].extra), 0);
        l.d.pin_flow = cases[i].pin;
        l.d.flow.transport = (uint8_t)cases[i].transport;
        dialog_next_hop(&l.d, &out);
        assert_int_equal(addr_parse_hostport(sl_str(cases[i].want), 0, &want), 0);
        assert_true(addr_eq(&out.remote, &want));
        assert_true(addr_eq(&out.local, &l.r.flow.local));
        down(&l);
    }
}

static void via_names_transport_and_address(void **state)
{
    char mem[256];
    struct addr v6;
    struct buf b;

    (void)state;
    assert_int_equal(addr_parse_hostport(SL("[2001:db8::1]:5070"), 0, &v6), 0);
    buf_init_fixed(&b, mem, sizeof(mem));
    dialog_put_via(&b, SIP_TCP, &v6, SL("z9hG4bKx"));
    assert_true(sl_eq(buf_sl(&b), SL("Via: SIP/2.0/TCP [2001:db8::1]:5070;branch=z9hG4bKx\r\n")));
}

/* One walk over everything that allocates; whatever fails, nothing is lost. */
static void memory_may_run_out_at_any_step(void **state)
{
    bool hit = true;
    uint64_t n;

    (void)state;
    for (n = 1; hit && n < 200; n++) {
        struct leg l;
        struct sip_msg *m;
        int err;

        up(&l);
        m = invite(&l, CONTACT "Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n");
        assert_non_null(m);
        arena_init(&l.arena, 64, 65536); /* small chunks: many allocations */
        mem_fault_arm(n);
        err = dialog_init_uas(&l.d, &l.arena, m, SL("ours"), &l.r.flow);
        hit = mem_fault_hit();
        mem_fault_arm(0);
        assert_int_equal(err, hit ? ENOMEM : 0);
        sip_msg_unref(&m);
        down(&l);
    }
    assert_true(n > 3);
    assert_false(hit);
}

static void arena_at_its_limit_is_an_error(void **state)
{
    struct leg l;

    (void)state;
    up(&l);
    arena_free(&l.arena);
    arena_init(&l.arena, 64, 48);
    assert_int_equal(init_uas(&l, CONTACT), ENOMEM);
    down(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uas_dialog_takes_all_from_the_invite),
        cmocka_unit_test(uac_dialog_learns_from_the_answers_and_turns_the_routes_round),
        cmocka_unit_test(final_answer_of_another_fork_replaces_the_early_one),
        cmocka_unit_test(repeated_answers_take_no_more_memory),
        cmocka_unit_test(answer_to_a_re_invite_refreshes_the_target_but_not_the_routes),
        cmocka_unit_test(unusable_answers_are_refused),
        cmocka_unit_test(unusable_invites_are_refused),
        cmocka_unit_test(request_is_ours_only_by_call_id_and_both_tags),
        cmocka_unit_test(cseq_of_requests_must_rise),
        cmocka_unit_test(first_request_of_the_callee_sets_its_cseq),
        cmocka_unit_test(re_invite_and_update_move_the_target),
        cmocka_unit_test(strict_first_route_swaps_with_the_target),
        cmocka_unit_test(request_uri_has_no_headers),
        cmocka_unit_test(line_breaks_never_pass_into_a_request),
        cmocka_unit_test(next_hop_follows_route_target_or_flow),
        cmocka_unit_test(via_names_transport_and_address),
        cmocka_unit_test(memory_may_run_out_at_any_step),
        cmocka_unit_test(arena_at_its_limit_is_an_error),
    };

    return cmocka_run_group_tests_name("dialog", tests, NULL, NULL);
}
