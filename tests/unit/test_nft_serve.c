/* The helper without a kernel: what the wire lets pass, and what reconciliation asks for. */
#include "nft/nft.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct nft_elem elem(const char *text, uint64_t ms)
{
    struct nft_elem e;
    struct prefix p;

    assert_int_equal(prefix_parse(sl_str(text), &p), 0);
    assert_true(nft_elem_of(&p, ms, &e));
    return e;
}

static struct nft_msg ask(enum nft_op op, const char *text, uint64_t ms)
{
    struct nft_msg m = {.magic = NFT_MAGIC, .op = op, .seq = 9};

    if (text != NULL) {
        m.elem = elem(text, ms);
    }
    return m;
}

/* --- wire --- */

static void each_wrong_byte_of_a_request_is_refused(void **state)
{
    struct nft_msg good = ask(NFT_ADD, "203.0.113.64/26", 5000);

    (void)state;
    assert_int_equal(nft_check_request(&good), 0);
    for (size_t i = 0; i < sizeof(good); i++) {
        bool is_seq = i >= offsetof(struct nft_msg, seq) && i < offsetof(struct nft_msg, err);
        bool is_free = i >= offsetof(struct nft_msg, elem.addr) &&
                       i < offsetof(struct nft_msg, elem.addr) + 3; /* another network */
        struct nft_msg bad = good;

        ((unsigned char *)&bad)[i] ^= 0x81;
        if (i == offsetof(struct nft_msg, elem.ms)) {
            continue; /* another time, as good */
        }
        if (!is_seq && !is_free && i != offsetof(struct nft_msg, elem.ms) + 1 &&
            i != offsetof(struct nft_msg, elem.ms) + 2 &&
            i != offsetof(struct nft_msg, elem.ms) + 3) {
            assert_int_equal(nft_check_request(&bad), EPROTO);
        }
    }
}

static void the_limits_of_a_request(void **state)
{
    static const struct {
        const char *text;
        enum nft_op op;
        uint64_t ms;
        int err;
    } cases[] = {{"10.0.0.0/8", NFT_ADD, 1, 0},
                 {"203.0.113.9/32", NFT_ADD, NFT_MS_MAX, 0},
                 {"203.0.113.9/32", NFT_ADD, NFT_MS_MAX + 1, EPROTO},
                 {"203.0.113.9/32", NFT_ADD, 0, EPROTO},
                 {"203.0.113.9/32", NFT_DEL, 0, 0},
                 {"203.0.113.9/32", NFT_DEL, 1, EPROTO},
                 {"2001::/16", NFT_ADD, 1, 0},
                 {"2001:db8:1:2::/64", NFT_ADD, 1, 0},
                 {"203.0.113.9/32", NFT_SYNC, 0, EPROTO},
                 {"203.0.113.9/32", NFT_BYE, 0, EPROTO},
                 {NULL, NFT_SYNC, 0, 0},
                 {NULL, NFT_SYNC_END, 0, 0},
                 {NULL, NFT_BYE, 0, 0},
                 {NULL, NFT_ADD, 0, EPROTO},
                 {NULL, NFT_READY, 0, EPROTO},
                 {NULL, NFT_SYNCED, 0, EPROTO},
                 {NULL, (enum nft_op)0, 0, EPROTO}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct nft_msg m = ask(cases[i].op, cases[i].text, cases[i].ms);

        assert_int_equal(nft_check_request(&m), cases[i].err);
    }
}

static void prefixes_that_would_shut_out_too_many_do_not_travel(void **state)
{
    static const char *const wide[] = {"10.0.0.0/7", "0.0.0.0/0", "2000::/15", "::/0"};
    struct nft_msg m;
    struct nft_elem e;
    struct prefix p;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(wide); i++) {
        if (prefix_parse(sl_str(wide[i]), &p) == 0) {
            assert_false(nft_elem_of(&p, 1000, &e));
            m = (struct nft_msg){.magic = NFT_MAGIC, .op = NFT_ADD, .elem = e};
            assert_int_equal(nft_check_request(&m), EPROTO);
        }
    }
    assert_int_equal(prefix_parse(SL("2001:db8::1/128"), &p), 0);
    assert_false(nft_elem_of(&p, 1000, &e));
}

static void answers_and_packets_are_checked_too(void **state)
{
    struct nft_msg m = {.magic = NFT_MAGIC, .op = NFT_SYNCED, .err = ENOENT, .held = 4};

    (void)state;
    assert_int_equal(nft_check_reply(&m), 0);
    m.held = 3ull * NFT_ELEMS_MAX + 1;
    assert_int_equal(nft_check_reply(&m), EPROTO);
    m.held = 0;
    m.err = 4096;
    assert_int_equal(nft_check_reply(&m), EPROTO);
    m.err = 0;
    m.op = NFT_ADD;
    assert_int_equal(nft_check_reply(&m), EPROTO);
    m.op = NFT_DONE;
    m.elem.bits = 1;
    assert_int_equal(nft_check_reply(&m), EPROTO);
    assert_int_equal(nft_packet_msgs(0), 0);
    assert_int_equal(nft_packet_msgs(sizeof(m) - 1), 0);
    assert_int_equal(nft_packet_msgs(sizeof(m)), 1);
    assert_int_equal(nft_packet_msgs(sizeof(m) + 1), 0);
    assert_int_equal(nft_packet_msgs(NFT_PACKET_MSGS * sizeof(m)), NFT_PACKET_MSGS);
    assert_int_equal(nft_packet_msgs((NFT_PACKET_MSGS + 1) * sizeof(m)), 0);
}

/* --- serving --- */

struct fake { /* a kernel that remembers, refuses as nf_tables does, and can be told to fail */
    struct nft_list have;
    unsigned batches, ensured, added, deleted, replaced;
    int ensure_err, dump_err, drop_err;
    bool is_dropped;
    bool no_room; /* for one element: 192.0.2.99 */
};

static size_t fake_find(const struct fake *k, const struct nft_elem *e)
{
    size_t i = 0;

    while (i < k->have.n && nft_elem_order(&k->have.e[i], e) != 0) {
        i++;
    }
    return i;
}

static int fake_ensure(void *arg)
{
    struct fake *k = arg;

    k->ensured++;
    return k->ensure_err;
}

static int fake_check(const struct fake *k, const struct nft_change *c)
{
    struct nft_elem full = elem("192.0.2.99/32", 1);

    if (c->kind == NFT_CHANGE_DEL) {
        return fake_find(k, &c->elem) < k->have.n ? 0 : ENOENT;
    }
    return k->no_room && nft_elem_order(&full, &c->elem) == 0 ? ENFILE : 0;
}

static int fake_apply(void *arg, const struct nft_change *c, size_t n)
{
    struct fake *k = arg;

    k->batches++;
    assert_in_range(n, 1, NFT_CHANGES_MAX);
    for (size_t i = 0; i < n; i++) {
        int err = fake_check(k, &c[i]);

        if (err != 0) {
            return err;
        }
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = fake_find(k, &c[i].elem);

        k->added += c[i].kind == NFT_CHANGE_ADD;
        k->deleted += c[i].kind == NFT_CHANGE_DEL;
        k->replaced += c[i].kind == NFT_CHANGE_REPLACE;
        if (c[i].kind == NFT_CHANGE_DEL) {
            k->have.e[at] = k->have.e[--k->have.n];
        } else if (at < k->have.n) {
            k->have.e[at] = c[i].elem;
        } else {
            assert_int_equal(nft_list_add(&k->have, &c[i].elem), 0);
        }
    }
    return 0;
}

static int fake_dump(void *arg, struct nft_list *out)
{
    struct fake *k = arg;
    int err = k->dump_err;

    for (size_t i = 0; err == 0 && i < k->have.n; i++) {
        err = nft_list_add(out, &k->have.e[i]);
    }
    out->packets = 77;
    return err;
}

static int fake_drop(void *arg)
{
    struct fake *k = arg;

    k->is_dropped = k->drop_err == 0;
    return k->drop_err;
}

static const struct nft_kernel_ops fake_ops = {
    .ensure = fake_ensure, .apply = fake_apply, .dump = fake_dump, .drop = fake_drop};

struct rig {
    struct fake k;
    struct nft_server s;
    struct nft_msg reply;
};

static void rig_up(struct rig *r)
{
    *r = (struct rig){.s.ops = &fake_ops};
    r->s.kernel = &r->k;
}

static void rig_down(struct rig *r)
{
    nft_server_free(&r->s);
    nft_list_free(&r->k.have);
}

static void rig_has(struct rig *r, const char *text, uint64_t ms)
{
    struct nft_elem e = elem(text, ms);

    assert_int_equal(nft_list_add(&r->k.have, &e), 0);
}

static bool rig_holds(struct rig *r, const char *text, uint64_t ms)
{
    struct nft_elem e = elem(text, 1);
    size_t at = fake_find(&r->k, &e);

    return at < r->k.have.n && r->k.have.e[at].ms == ms;
}

static int say(struct rig *r, const struct nft_msg *m, size_t n)
{
    return nft_serve(&r->s, m, n, &r->reply);
}

static void reconciliation_touches_only_what_differs(void **state)
{
    struct nft_msg m[] = {ask(NFT_SYNC, NULL, 0),
                          ask(NFT_ADD, "203.0.113.1/32", 60000),
                          ask(NFT_ADD, "203.0.113.2/32", 60000),
                          ask(NFT_ADD, "203.0.113.3/32", 60000),
                          ask(NFT_ADD, "203.0.113.3/32", 50000), /* twice: the longer one */
                          ask(NFT_ADD, "2001:db8:1:2::/64", 60000),
                          ask(NFT_SYNC_END, NULL, 0)};
    struct rig r;

    (void)state;
    rig_up(&r);
    rig_has(&r, "203.0.113.2/32", 3600000); /* another time */
    rig_has(&r, "198.51.100.0/24", 60000);  /* nobody's */
    rig_has(&r, "203.0.113.1/32", 58000);   /* as good as the same */
    assert_int_equal(say(&r, m, COUNT_OF(m)), 0);
    assert_int_equal(r.reply.op, NFT_SYNCED);
    assert_int_equal(r.reply.err, 0);
    assert_int_equal(r.reply.held, 4);
    assert_int_equal(r.reply.packets, 77);
    assert_int_equal(r.reply.seq, 9);
    assert_int_equal(r.k.ensured, 1);
    assert_int_equal(r.k.added, 2);
    assert_int_equal(r.k.replaced, 1);
    assert_int_equal(r.k.deleted, 1);
    assert_true(rig_holds(&r, "203.0.113.1/32", 58000));
    assert_true(rig_holds(&r, "203.0.113.2/32", 60000));
    assert_true(rig_holds(&r, "203.0.113.3/32", 60000));
    assert_true(rig_holds(&r, "2001:db8:1:2::/64", 60000));
    r.k.batches = 0;
    assert_int_equal(say(&r, m, COUNT_OF(m)), 0);
    assert_int_equal(r.k.batches, 0); /* all is well: nothing to do */
    rig_down(&r);
}

static void a_comparison_may_take_many_packets_and_batches(void **state)
{
    struct nft_msg begin = ask(NFT_SYNC, NULL, 0), end = ask(NFT_SYNC_END, NULL, 0);
    struct rig r;

    (void)state;
    rig_up(&r);
    assert_int_equal(say(&r, &begin, 1), EINPROGRESS);
    for (unsigned i = 0; i < 1000; i++) {
        struct nft_msg m = ask(NFT_ADD, "10.0.0.0/32", 60000);

        m.elem.addr[2] = (uint8_t)(i >> 8);
        m.elem.addr[3] = (uint8_t)i;
        assert_int_equal(say(&r, &m, 1), EINPROGRESS);
    }
    assert_int_equal(r.k.batches, 0);
    assert_int_equal(say(&r, &end, 1), 0);
    assert_int_equal(r.k.have.n, 1000);
    assert_int_equal(r.k.batches, (1000 + NFT_CHANGES_MAX - 1) / NFT_CHANGES_MAX);
    rig_down(&r);
}

static void changes_come_in_one_batch_and_one_wrong_one_harms_no_other(void **state)
{
    struct nft_msg m[] = {ask(NFT_ADD, "203.0.113.1/32", 60000),
                          ask(NFT_ADD, "192.0.2.99/32", 60000),
                          ask(NFT_DEL, "203.0.113.2/32", 0), /* not there: that is fine */
                          ask(NFT_DEL, "203.0.113.3/32", 0)};
    struct rig r;

    (void)state;
    rig_up(&r);
    rig_has(&r, "203.0.113.2/32", 1000);
    rig_has(&r, "203.0.113.3/32", 1000);
    assert_int_equal(say(&r, m, COUNT_OF(m)), 0);
    assert_int_equal(r.k.batches, 1);
    assert_int_equal(r.reply.op, NFT_DONE);
    assert_int_equal(r.reply.err, 0);
    assert_int_equal(r.k.have.n, 2);
    r.k.no_room = true;
    rig_has(&r, "203.0.113.3/32", 1000);
    assert_int_equal(say(&r, m, COUNT_OF(m)), 0);
    assert_int_equal(r.reply.err, ENFILE);
    assert_false(rig_holds(&r, "203.0.113.3/32", 1000));
    assert_true(rig_holds(&r, "203.0.113.1/32", 60000));
    rig_down(&r);
}

static void a_kernel_that_refuses_is_told_of_and_nothing_is_lifted(void **state)
{
    struct nft_msg m[] = {ask(NFT_SYNC, NULL, 0), ask(NFT_SYNC_END, NULL, 0)};
    struct rig r;

    (void)state;
    rig_up(&r);
    rig_has(&r, "203.0.113.1/32", 60000);
    r.k.dump_err = EINTR;
    assert_int_equal(say(&r, m, 2), 0);
    assert_int_equal(r.reply.err, EINTR);
    assert_int_equal(r.k.have.n, 1);
    r.k.dump_err = 0;
    r.k.ensure_err = EPERM;
    assert_int_equal(say(&r, m, 2), 0);
    assert_int_equal(r.reply.err, EPERM);
    assert_int_equal(r.k.have.n, 1);
    rig_down(&r);
}

static void who_breaks_the_protocol_is_left(void **state)
{
    struct nft_msg end = ask(NFT_SYNC_END, NULL, 0), begin = ask(NFT_SYNC, NULL, 0);
    struct nft_msg del = ask(NFT_DEL, "203.0.113.1/32", 0), add = ask(NFT_ADD, "10.0.0.0/8", 1);
    struct nft_msg pair[2];
    struct rig r;

    (void)state;
    rig_up(&r);
    rig_has(&r, "203.0.113.1/32", 60000);
    assert_int_equal(say(&r, &end, 1), EPROTO);
    assert_int_equal(say(&r, &add, 0), EPROTO);
    pair[0] = add;
    pair[1] = add;
    pair[1].elem.zero[3] = 1;
    assert_int_equal(say(&r, pair, 2), EPROTO); /* looked at before anything is done */
    assert_int_equal(r.k.batches, 0);
    assert_int_equal(say(&r, &begin, 1), EINPROGRESS);
    assert_int_equal(say(&r, &del, 1), EPROTO);
    assert_int_equal(r.k.have.n, 1);
    rig_down(&r);
}

static void goodbye_takes_the_table_along(void **state)
{
    struct nft_msg bye = ask(NFT_BYE, NULL, 0);
    struct rig r;

    (void)state;
    rig_up(&r);
    r.k.drop_err = EPERM;
    assert_int_equal(say(&r, &bye, 1), EPERM);
    r.k.drop_err = 0;
    assert_int_equal(say(&r, &bye, 1), ECANCELED);
    assert_true(r.k.is_dropped);
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wrong_byte_of_a_request_is_refused),
        cmocka_unit_test(the_limits_of_a_request),
        cmocka_unit_test(prefixes_that_would_shut_out_too_many_do_not_travel),
        cmocka_unit_test(answers_and_packets_are_checked_too),
        cmocka_unit_test(reconciliation_touches_only_what_differs),
        cmocka_unit_test(a_comparison_may_take_many_packets_and_batches),
        cmocka_unit_test(changes_come_in_one_batch_and_one_wrong_one_harms_no_other),
        cmocka_unit_test(a_kernel_that_refuses_is_told_of_and_nothing_is_lifted),
        cmocka_unit_test(who_breaks_the_protocol_is_left),
        cmocka_unit_test(goodbye_takes_the_table_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
