/* test_registrar_bindings.c - REGISTER on the worker that owns the user, replicas, expiry,
 * connections, and the rows that bring bindings back. The store's posting side is this file's own.
 */
#include "registrar/registrar.h"

#include "rig_tx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define REALM "example.test"
#define KEEP(dst, s) assert_int_equal(sl_cstr((s), (dst), sizeof(dst)), 0)

struct row {
    bool used;
    char user[64], contact[600], instance[160], call_id[64], flow[160], received[64], transport[8];
    char listener[32], user_agent[160];
    uint32_t cseq;
    int64_t expires_ms, updated_ms;
};

struct store {
    struct row rows[64];
    size_t n_put, n_del;
};

struct office {
    struct txrig rig;
    struct store store;
    struct auth *auth;
    struct registrar *reg[2];
    struct policy_account accounts[3];
    struct policy_def def;
    struct policy *policy;
    size_t n_published;
    int holds;
    unsigned owner; /* of 1001 */
    struct flow flow;
    char answer[16384];
    uint32_t cseq;
    char call_id[32];
    const char *user, *password;
};
static const char *const listeners[] = {"outside", "inside"};

/* --- the store --- */

static struct row *row_of(struct store *s, struct sl user, struct sl contact)
{
    struct row *unused = NULL;

    for (size_t i = 0; i < COUNT_OF(s->rows); i++) {
        struct row *r = &s->rows[i];

        if (r->used && sl_eq(sl_str(r->user), user) && sl_eq(sl_str(r->contact), contact)) {
            return r;
        }
        unused = unused == NULL && !r->used ? r : unused;
    }
    return unused;
}

int store_put_binding(struct store *s, const struct store_binding *b)
{
    struct row *r = row_of(s, b->user, b->contact);

    assert_non_null(r);
    *r = (struct row){
        .used = true, .cseq = b->cseq, .expires_ms = b->expires_ms, .updated_ms = b->updated_ms};
    KEEP(r->user, b->user);
    KEEP(r->contact, b->contact);
    KEEP(r->instance, b->instance);
    KEEP(r->call_id, b->call_id);
    KEEP(r->flow, b->flow);
    KEEP(r->received, b->received);
    KEEP(r->transport, b->transport);
    KEEP(r->listener, b->listener);
    KEEP(r->user_agent, b->user_agent);
    s->n_put++;
    return 0;
}

int store_del_binding(struct store *s, struct sl user, struct sl contact)
{
    row_of(s, user, contact)->used = false;
    s->n_del++;
    return 0;
}

static size_t rows(const struct store *s)
{
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(s->rows); i++) {
        n += s->rows[i].used ? 1 : 0;
    }
    return n;
}

/* --- the office --- */

static void publish(void *arg, const struct reg_update *u)
{
    struct office *o = arg;
    struct reg_update *copy = reg_update_clone(u);

    assert_non_null(copy);
    o->n_published++;
    registrar_apply(o->reg[1 - o->owner], copy);
    reg_update_free(&copy);
}

static void hold(void *arg, const struct flow *flow, int delta)
{
    (void)flow;
    ((struct office *)arg)->holds += delta;
}

static void open_registrars(struct office *o)
{
    for (uint8_t i = 0; i < 2; i++) {
        assert_int_equal(registrar_new(&o->reg[i], &(struct registrar_params){.loop = o->rig.loop,
                                                                              .tab = o->rig.tab,
                                                                              .auth = o->auth,
                                                                              .store = &o->store,
                                                                              .worker = i,
                                                                              .n_workers = 2,
                                                                              .publish = publish,
                                                                              .hold = hold,
                                                                              .arg = o}),
                         0);
        registrar_set_policy(o->reg[i], o->policy, listeners, 2);
    }
    o->owner = registrar_owner(o->reg[0], sl_str(o->user));
    assert_int_equal(o->owner, registrar_owner(o->reg[1], sl_str(o->user)));
}

static int office_setup(void **state)
{
    struct office *o = test_calloc(1, sizeof(*o));

    assert_int_equal(txrig_up(&o->rig, SIP_UDP, 100), 0);
    log_set_level(LOG_ERROR);
    o->accounts[0] = (struct policy_account){.name = "1001", .password = "one"};
    o->accounts[1] = (struct policy_account){.name = "1002", .password = "two"};
    o->accounts[2] = (struct policy_account){.name = "a b", .password = "three"};
    o->def.users = (struct policy_users){.present = true,
                                         .domain = REALM,
                                         .nonce_life_s = 300,
                                         .expires_min_s = 60,
                                         .expires_max_s = 3600,
                                         .expires_default_s = 1800,
                                         .max_contacts = 3,
                                         .accounts = o->accounts,
                                         .n_accounts = 3};
    assert_int_equal(policy_compile(&o->policy, &o->def, NULL), 0);
    assert_int_equal(auth_new(&o->auth), 0);
    o->user = "1001";
    o->password = "one";
    memcpy(o->call_id, "reg-1", 6);
    o->flow = o->rig.flow;
    o->flow.conn_slot = FLOW_NO_CONN;
    open_registrars(o);
    *state = o;
    return 0;
}

static int office_teardown(void **state)
{
    struct office *o = *state;

    registrar_free(&o->reg[0]);
    registrar_free(&o->reg[1]);
    auth_free(&o->auth);
    policy_free(&o->policy);
    assert_int_equal(txrig_down(&o->rig), 0);
    test_free(o);
    return 0;
}

static void md5(const char *text, char out[33])
{
    struct sl part = sl_str(text);
    uint8_t raw[CRYPTO_MD5_LEN];
    struct buf b;

    assert_int_equal(crypto_digest(CRYPTO_MD5, &part, 1, raw), 0);
    buf_init_fixed(&b, out, 33);
    buf_putx(&b, raw, sizeof(raw));
    out[32] = '\0';
}

/* An Authorization line for a nonce made on the way. */
static void authorize(struct office *o, char *out, size_t cap)
{
    char text[512], ha1[33], ha2[33], rsp[33];
    struct sl s, nonce = SL_NULL;
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    auth_put_challenge(&b, o->auth,
                       &(struct auth_challenge){.users = &policy_def(o->policy)->users,
                                                .source = &o->flow.remote,
                                                .wall_ms = loop_wall_ms(o->rig.loop)});
    s = sl_from(buf_sl(&b), (size_t)sl_find(buf_sl(&b), SL("nonce=\"")) + 7);
    assert_int_equal(sl_next(&s, '"', &nonce), 0);
    snprintf(out, cap, "%.*s", SL_ARG(nonce));
    snprintf(text, sizeof(text), "%s:" REALM ":%s", o->user, o->password);
    md5(text, ha1);
    md5("REGISTER:sip:" REALM, ha2);
    snprintf(text, sizeof(text), "%s:%s:00000001:cafe:auth:%s", ha1, out, ha2);
    md5(text, rsp);
    memcpy(text, out, 64);
    snprintf(out, cap,
             "Authorization: Digest username=\"%s\", realm=\"" REALM
             "\", nonce=\"%s\", uri=\"sip:" REALM
             "\", response=\"%s\", qop=auth, nc=00000001, cnonce=\"cafe\"\r\n",
             o->user, text, rsp);
}

/* Sends a REGISTER with these field lines to the owner; returns the status and keeps the answer. */
static unsigned say_raw(struct office *o, const char *aor, const char *lines)
{
    struct sip_msg *m =
        txrig_msg(&o->rig,
                  "REGISTER sip:" REALM " SIP/2.0\r\n"
                  "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKr%u;rport\r\n"
                  "From: <%s>;tag=1\r\nTo: <%s>\r\nCall-ID: %s\r\nCSeq: %u REGISTER\r\n"
                  "Max-Forwards: 70\r\nUser-Agent: a phone\r\n%sContent-Length: 0\r\n\r\n",
                  (unsigned)o->rig.n_sent + 1000, aor, aor, o->call_id, ++o->cseq, lines);
    size_t before = o->rig.n_sent;
    struct tx *tx = NULL;
    struct buf challenge;
    uint32_t status = 0;
    struct reg_caller caller;

    assert_non_null(m);
    buf_init_fixed(&challenge, o->answer, sizeof(o->answer) - 1);
    if (!registrar_admit(o->reg[o->owner], m, &o->flow.remote, &caller, &challenge)) {
        sip_msg_unref(&m);
        o->answer[challenge.n] = '\0';
        return 401;
    }
    assert_int_equal(tx_server_new(&tx, o->rig.tab, m, &o->flow, NULL, NULL), 0);
    registrar_request(o->reg[o->owner], tx, m, caller.user);
    tx_close(tx);
    tx_unref(&tx);
    sip_msg_unref(&m);
    o->answer[0] = '\0';
    if (o->rig.n_sent != before) {
        KEEP(o->answer, txrig_last(&o->rig));
        assert_int_equal(sl_u32(sl_make(o->answer + 8, 3), 999, &status), 0);
    }
    return status;
}

static unsigned say(struct office *o, const char *lines)
{
    char all[2048], aor[128];
    size_t n;

    authorize(o, all, sizeof(all));
    n = strlen(all);
    snprintf(all + n, sizeof(all) - n, "%s", lines);
    snprintf(aor, sizeof(aor), "sip:%s@" REALM, o->user);
    return say_raw(o, aor, all);
}

static size_t bound(struct office *o, const char *user)
{
    const struct binding *list[REG_BINDINGS_MAX];
    size_t n = registrar_lookup(o->reg[0], sl_str(user), list);

    assert_int_equal(registrar_lookup(o->reg[1], sl_str(user), list), n); /* the replica agrees */
    return n;
}

static const struct binding *first(struct office *o)
{
    static const struct binding *list[REG_BINDINGS_MAX];

    assert_true(registrar_lookup(o->reg[1 - o->owner], SL("1001"), list) != 0);
    return list[0];
}

/* --- tests --- */

static void a_registration_without_credentials_is_challenged_without_a_trace(void **state)
{
    struct office *o = *state;

    assert_int_equal(say_raw(o, "sip:1001@" REALM, "Contact: <sip:d@192.0.2.9>\r\n"), 401);
    assert_non_null(strstr(o->answer, "WWW-Authenticate: Digest realm=\"" REALM "\""));
    o->password = "wrong";
    assert_int_equal(say(o, "Contact: <sip:d@192.0.2.9>\r\n"), 401);
    assert_int_equal(bound(o, "1001"), 0);
    assert_int_equal(o->store.n_put, 0);
    assert_int_equal(stat_sum(STAT_AUTH_FAIL), 1);
    assert_int_equal(stat_sum(STAT_AUTH_CHALLENGE), 1);
}

static void a_contact_is_bound_where_it_came_from_and_everywhere_known(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:d@192.168.1.1;transport=udp>;q=0.5\r\nExpires: 600\r\n"),
                     200);
    assert_non_null(
        strstr(o->answer, "Contact: <sip:d@192.168.1.1;transport=udp>;expires=600\r\n"));
    assert_int_equal(bound(o, "1001"), 1);
    assert_true(addr_eq(&first(o)->flow.remote, &o->flow.remote));
    assert_true(sl_eq(first(o)->contact, SL("sip:d@192.168.1.1;transport=udp")));
    assert_true(first(o)->flow.proven);
    assert_int_equal(rows(&o->store), 1);
    assert_string_equal(o->store.rows[0].received, "192.0.2.9:5060");
    assert_string_equal(o->store.rows[0].transport, "udp");
    assert_string_equal(o->store.rows[0].listener, "outside");
    assert_string_equal(o->store.rows[0].user_agent, "a phone");
    assert_int_equal(o->store.rows[0].expires_ms - loop_wall_ms(o->rig.loop), 600000);
}

static void the_time_is_taken_from_parameter_header_or_default_and_bounded(void **state)
{
    static const struct {
        const char *lines, *expires;
    } cases[] = {{"Contact: <sip:d@h>;expires=120\r\nExpires: 600\r\n", ";expires=120\r\n"},
                 {"Contact: <sip:d@h>\r\nExpires: 600\r\n", ";expires=600\r\n"},
                 {"Contact: <sip:d@h>\r\n", ";expires=1800\r\n"},
                 {"Contact: <sip:d@h>;expires=99999\r\n", ";expires=3600\r\n"},
                 {"Contact: <sip:d@h>;expires=4294967295\r\n", ";expires=3600\r\n"},
                 {"Contact: <sip:d@h>;expires=soon\r\nExpires: 60\r\n", ";expires=60\r\n"},
                 {"Contact: <sip:d@h>;expires=\"x\"\r\nExpires: never\r\n", ";expires=1800\r\n"}};
    struct office *o = *state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(say(o, cases[i].lines), 200);
        assert_non_null(strstr(o->answer, cases[i].expires));
        assert_int_equal(bound(o, "1001"), 1);
    }
}

static void a_time_too_short_is_a_423_that_names_the_least(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:d@h>;expires=59\r\n"), 423);
    assert_non_null(strstr(o->answer, "Min-Expires: 60\r\n"));
    assert_int_equal(bound(o, "1001"), 0);
}

static void expires_zero_removes_one_and_star_removes_all(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:a@h>, <sip:b@h>\r\nContact: <sip:c@h>\r\n"), 200);
    assert_int_equal(bound(o, "1001"), 3);
    assert_int_equal(say(o, "Contact: <sip:b@h>;expires=0\r\n"), 200);
    assert_int_equal(bound(o, "1001"), 2);
    assert_null(strstr(o->answer, "sip:b@h"));
    assert_int_equal(say(o, "Contact: <sip:x@h>;expires=0\r\n"), 200); /* never was there */
    assert_int_equal(bound(o, "1001"), 2);
    assert_int_equal(say(o, "Contact: *\r\nExpires: 0\r\n"), 200);
    assert_null(strstr(o->answer, "Contact:"));
    assert_int_equal(bound(o, "1001"), 0);
    assert_int_equal(rows(&o->store), 0);
    assert_int_equal(registrar_count(o->reg[0]) + registrar_count(o->reg[1]), 0);
}

static void a_star_that_means_anything_else_is_a_400(void **state)
{
    static const char *const cases[] = {"Contact: *\r\n",
                                        "Contact: *\r\nExpires: 60\r\n",
                                        "Contact: *, <sip:a@h>\r\nExpires: 0\r\n",
                                        "Contact: <sip:a@h>\r\nContact: *\r\nExpires: 0\r\n",
                                        "Contact: <tel:+49>\r\n",
                                        "Contact: <mailto:a@b>\r\n",
                                        "Contact: <http://h/>\r\n"};
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:d@h>\r\n"), 200);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(say(o, cases[i]), 400);
        assert_int_equal(bound(o, "1001"), 1);
    }
}

static void a_question_without_contact_lists_what_is_bound(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, ""), 200);
    assert_null(strstr(o->answer, "Contact:"));
    assert_int_equal(say(o, "Contact: <sip:a@h>;expires=600\r\n"), 200);
    txrig_at_ms(&o->rig, 100500);
    assert_int_equal(say(o, ""), 200);
    assert_non_null(strstr(o->answer, "Contact: <sip:a@h>;expires=500\r\n"));
}

static void the_same_contact_in_other_words_is_refreshed_and_not_doubled(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:dev@host.example:5062;transport=tcp;ob>\r\n"), 200);
    assert_int_equal(say(o, "Contact: <sip:dev@HOST.example:5062;ob;transport=TCP>\r\n"), 200);
    assert_int_equal(bound(o, "1001"), 1);
    assert_int_equal(rows(&o->store), 1);
    assert_int_equal(say(o, "Contact: <sip:DEV@host.example:5062;transport=tcp;ob>\r\n"), 200);
    assert_int_equal(bound(o, "1001"), 2); /* user parts differ by case */
}

static void what_arrives_out_of_order_changes_nothing(void **state)
{
    struct office *o = *state;

    o->cseq = 10;
    assert_int_equal(say(o, "Contact: <sip:d@h>;expires=600\r\n"), 200);
    o->cseq = 9; /* an older one that was held up */
    assert_int_equal(say(o, "Contact: <sip:d@h>;expires=0\r\n"), 500);
    assert_int_equal(bound(o, "1001"), 1);
    o->cseq = 8;
    assert_int_equal(say(o, "Contact: *\r\nExpires: 0\r\n"), 500);
    assert_int_equal(bound(o, "1001"), 1);
    memcpy(o->call_id, "reg-2", 6); /* the phone started anew */
    o->cseq = 0;
    assert_int_equal(say(o, "Contact: <sip:d@h>;expires=0\r\n"), 200);
    assert_int_equal(bound(o, "1001"), 0);
}

static void a_change_is_made_whole_or_not_at_all(void **state)
{
    struct office *o = *state;

    o->cseq = 5;
    assert_int_equal(say(o, "Contact: <sip:old@h>\r\n"), 200);
    assert_int_equal(say(o, "Contact: <sip:new@h>, <sip:old@h>\r\n"), 200);
    assert_int_equal(bound(o, "1001"), 2);
    o->cseq = 6; /* the same number again, in another transaction */
    assert_int_equal(say(o, "Contact: <sip:third@h>, <sip:old@h>\r\n"), 500);
    assert_int_equal(bound(o, "1001"), 2);
    assert_int_equal(say(o, "Contact: <sip:third@h>, <sip:fourth@h>;expires=5\r\n"), 423);
    assert_int_equal(bound(o, "1001"), 2);
}

static void a_device_with_an_instance_replaces_its_own_binding_only(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:d@1.1.1.1>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\n"),
                     200);
    assert_int_equal(say(o, "Contact: <sip:d@1.1.1.2>;+sip.instance=\"<urn:uuid:2>\";reg-id=1\r\n"),
                     200);
    assert_int_equal(bound(o, "1001"), 2);
    memcpy(o->call_id, "reg-2", 6);
    assert_int_equal(say(o, "Contact: <sip:d@9.9.9.9>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\n"),
                     200);
    assert_int_equal(bound(o, "1001"), 2);
    assert_true(sl_eq(first(o)->contact, SL("sip:d@9.9.9.9")));
    assert_int_equal(say(o, "Contact: <sip:d@9.9.9.8>;+sip.instance=\"<urn:uuid:1>\";reg-id=2\r\n"),
                     200);
    assert_int_equal(bound(o, "1001"), 3); /* a second way to the same device (RFC 5626) */
    assert_int_equal(rows(&o->store), 3);
}

static void restart(struct office *o);

#define FLOW_1 "+sip.instance=\"<urn:uuid:1>\";reg-id=1"
#define FLOW_2 "+sip.instance=\"<urn:uuid:1>\";reg-id=2"

/* A phone has one address and two ways to it (RFC 5626 4.2): the Contact does not tell them apart.
 */
static void flows_of_a_device_may_share_their_contact(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:d@h>;" FLOW_1 "\r\n"), 200);
    assert_int_equal(say(o, "Contact: <sip:d@h>;" FLOW_2 "\r\n"), 200);
    assert_int_equal(bound(o, "1001"), 2);
    assert_int_equal(first(o)->reg_id, 2);
    assert_int_equal(say(o, "Contact: <sip:d@h>;" FLOW_1 "\r\n"), 200);
    assert_int_equal(bound(o, "1001"), 2);
    assert_int_equal(first(o)->reg_id, 1);
    assert_int_equal(say(o, "Contact: <sip:d@h>;" FLOW_1 ";expires=0\r\n"), 200);
    assert_int_equal(bound(o, "1001"), 1);
    assert_int_equal(first(o)->reg_id, 2);
    assert_int_equal(rows(&o->store), 1); /* the one that is left still has its row */
    restart(o);
    assert_int_equal(first(o)->reg_id, 2);
    assert_int_equal(say(o, "Contact: <sip:d@h>;expires=0\r\n"), 200); /* an old phone's way */
    assert_int_equal(bound(o, "1001"), 0);
}

static void a_flow_that_came_back_from_the_store_is_known_by_its_number(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:d1@h>;" FLOW_1 "\r\n"), 200);
    txrig_at_ms(&o->rig, 1000);
    assert_int_equal(say(o, "Contact: <sip:a2@h>;" FLOW_2 "\r\n"), 200);
    txrig_at_ms(&o->rig, 2000);
    assert_int_equal(say(o, "Contact: <sip:e1@h>;" FLOW_1 "\r\n"), 200);
    restart(o);
    assert_int_equal(bound(o, "1001"), 2);
    assert_true(sl_eq(first(o)->contact, SL("sip:e1@h"))); /* the newest first, as before */
    assert_int_equal(say(o, "Contact: <sip:f2@h>;" FLOW_2 "\r\n"), 200);
    assert_int_equal(bound(o, "1001"), 2);
    assert_true(sl_eq(first(o)->contact, SL("sip:f2@h")));
}

static void one_registration_is_for_one_flow(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:d@h>;" FLOW_1 ", <sip:e@h>;" FLOW_2 "\r\n"), 400);
    assert_int_equal(bound(o, "1001"), 0);
    assert_int_equal(say(o, "Contact: <sip:d@h>;" FLOW_1 ", <sip:e@h>;" FLOW_2 ";expires=0\r\n"),
                     200);
    assert_int_equal(bound(o, "1001"), 1);
}

static void a_flow_number_without_a_device_means_nothing(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:d@h>;reg-id=7\r\nSupported: outbound\r\n"), 200);
    assert_int_equal(first(o)->reg_id, 0);
    assert_true(sl_find(txrig_last(&o->rig), SL("outbound")) < 0);
}

static void beyond_the_limit_the_oldest_device_makes_room(void **state)
{
    struct office *o = *state;
    const char *const devices[] = {"Contact: <sip:1@h>\r\n", "Contact: <sip:2@h>\r\n",
                                   "Contact: <sip:3@h>\r\n", "Contact: <sip:4@h>\r\n"};

    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        assert_int_equal(say(o, devices[i]), 200);
    }
    assert_int_equal(bound(o, "1001"), 3);
    assert_int_equal(rows(&o->store), 3);
    assert_null(strstr(o->answer, "sip:1@h"));
    assert_true(sl_eq(first(o)->contact, SL("sip:4@h")));
}

static void a_contact_too_long_or_too_many_at_once_are_refused(void **state)
{
    struct office *o = *state;
    char lines[1024], many[1024] = "Contact: <sip:0@h>";
    size_t n;

    snprintf(lines, sizeof(lines), "Contact: <sip:%0500d@h.example>\r\n", 7);
    assert_int_equal(say(o, lines), 400);
    for (int i = 1; i < 17; i++) {
        n = strlen(many);
        snprintf(many + n, sizeof(many) - n, ", <sip:%d@h>", i);
    }
    n = strlen(many);
    snprintf(many + n, sizeof(many) - n, "\r\n");
    assert_int_equal(say(o, many), 400);
    assert_int_equal(bound(o, "1001"), 0);
}

static void nobody_registers_for_somebody_else(void **state)
{
    struct office *o = *state;
    char all[1024];

    authorize(o, all, sizeof(all));
    memcpy(all + strlen(all), "Contact: <sip:d@h>\r\n", sizeof("Contact: <sip:d@h>\r\n"));
    assert_int_equal(say_raw(o, "sip:1002@" REALM, all), 403);
    assert_int_equal(bound(o, "1001") + bound(o, "1002"), 0);
    authorize(o, all, sizeof(all));
    assert_int_equal(say_raw(o, "tel:1001", all), 400);
}

static void a_binding_ends_by_itself_on_every_worker_and_in_the_store(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:a@h>;expires=60, <sip:b@h>;expires=120\r\n"), 200);
    txrig_at_ms(&o->rig, 59999);
    assert_int_equal(bound(o, "1001"), 2);
    txrig_at_ms(&o->rig, 60002);
    assert_int_equal(bound(o, "1001"), 1);
    assert_int_equal(rows(&o->store), 1);
    txrig_at_ms(&o->rig, 120002);
    assert_int_equal(registrar_count(o->reg[0]) + registrar_count(o->reg[1]), 0);
    assert_int_equal(rows(&o->store), 0);
}

static void a_refreshed_binding_lives_on(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:a@h>;expires=60\r\n"), 200);
    txrig_at_ms(&o->rig, 50000);
    assert_int_equal(say(o, "Contact: <sip:a@h>;expires=60\r\n"), 200);
    txrig_at_ms(&o->rig, 100000);
    assert_int_equal(bound(o, "1001"), 1);
    txrig_at_ms(&o->rig, 110002);
    assert_int_equal(bound(o, "1001"), 0);
}

static void bindings_of_a_connection_go_with_it_and_hold_it(void **state)
{
    struct office *o = *state;
    struct flow other;

    assert_int_equal(say(o, "Contact: <sip:udp@h>\r\n"), 200);
    o->flow.transport = SIP_TCP;
    o->flow.proven = true;
    o->flow.conn_slot = 5;
    assert_int_equal(say(o, "Contact: <sip:tcp@h;transport=tcp>\r\n"), 200);
    assert_int_equal(o->holds, 1);
    assert_int_equal(say(o, "Contact: <sip:tcp@h;transport=tcp>\r\n"), 200);
    assert_int_equal(o->holds, 1);
    other = o->flow;
    other.conn_slot = 6;
    registrar_flow_gone(o->reg[0], &other);
    registrar_flow_gone(o->reg[1], &other);
    assert_int_equal(bound(o, "1001"), 2);
    registrar_flow_gone(o->reg[0], &o->flow);
    registrar_flow_gone(o->reg[1], &o->flow);
    assert_int_equal(bound(o, "1001"), 1);
    assert_true(sl_eq(first(o)->contact, SL("sip:udp@h")));
    assert_int_equal(o->holds, 0);
    assert_int_equal(rows(&o->store), 1);
}

static void many_long_contacts_are_all_answered(void **state)
{
    struct office *o = *state;
    char line[700], long_name[481];
    size_t n = 0;

    o->def.users.max_contacts = REG_BINDINGS_MAX;
    policy_free(&o->policy);
    assert_int_equal(policy_compile(&o->policy, &o->def, NULL), 0);
    registrar_set_policy(o->reg[0], o->policy, listeners, 2);
    registrar_set_policy(o->reg[1], o->policy, listeners, 2);
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = 0;
    for (unsigned i = 0; i < REG_BINDINGS_MAX; i++) {
        snprintf(line, sizeof(line), "Contact: <sip:%s%02u@h>\r\n", long_name, i);
        n = o->rig.n_sent;
        (void)say(o, line);
        assert_int_equal(o->rig.n_sent, n + 1);
    }
    assert_true(txrig_last(&o->rig).n > 8192);
    assert_true(txrig_last_is(&o->rig, "SIP/2.0 200 "));
    assert_int_equal(bound(o, "1001"), REG_BINDINGS_MAX);
}

static bool give_row(const struct row *r, struct store_binding *b)
{
    *b = (struct store_binding){.user = sl_str(r->user),
                                .contact = sl_str(r->contact),
                                .instance = sl_str(r->instance),
                                .call_id = sl_str(r->call_id),
                                .cseq = r->cseq,
                                .user_agent = sl_str(r->user_agent),
                                .expires_ms = r->expires_ms,
                                .updated_ms = r->updated_ms,
                                .flow = sl_str(r->flow),
                                .received = sl_str(r->received),
                                .transport = sl_str(r->transport),
                                .listener = sl_str(r->listener)};
    return r->used;
}

static void restart(struct office *o)
{
    struct store before = o->store;

    registrar_free(&o->reg[0]);
    registrar_free(&o->reg[1]);
    open_registrars(o);
    for (size_t i = 0; i < COUNT_OF(before.rows); i++) {
        struct store_binding b;

        if (give_row(&before.rows[i], &b)) {
            registrar_load(o->reg[0], &b);
            registrar_load(o->reg[1], &b);
        }
    }
}

static void udp_bindings_come_back_from_the_store_as_they_were(void **state)
{
    struct office *o = *state;

    o->cseq = 40;
    assert_int_equal(say(o, "Contact: <sip:a@h>;+sip.instance=\"<urn:uuid:1>\";expires=100\r\n"),
                     200);
    restart(o);
    assert_int_equal(bound(o, "1001"), 1);
    assert_true(addr_eq(&first(o)->flow.remote, &o->flow.remote));
    assert_true(addr_eq(&first(o)->flow.local, &o->flow.local));
    assert_int_equal(first(o)->flow.transport, SIP_UDP);
    assert_true(sl_eq(first(o)->instance, SL("<urn:uuid:1>")));
    o->cseq = 30;
    assert_int_equal(say(o, "Contact: <sip:a@h>;expires=0\r\n"), 500); /* order is remembered */
    txrig_at_ms(&o->rig, 100002);
    assert_int_equal(bound(o, "1001"), 0);
    assert_int_equal(rows(&o->store), 0);
}

static void rows_that_mean_nothing_any_more_are_removed(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:expired@h>;expires=60\r\n"), 200);
    txrig_at_ms(&o->rig, 30000);
    assert_int_equal(say(o, "Contact: <sip:good@h>;expires=3600\r\n"), 200);
    o->flow.transport = SIP_TCP;
    o->flow.conn_slot = 5;
    assert_int_equal(say(o, "Contact: <sip:stream@h>;expires=3600\r\n"), 200);
    registrar_free(&o->reg[0]);
    registrar_free(&o->reg[1]);
    txrig_at_ms(&o->rig, 61000);
    open_registrars(o);
    restart(o);
    assert_int_equal(bound(o, "1001"), 1);
    assert_true(sl_eq(first(o)->contact, SL("sip:good@h")));
    assert_int_equal(rows(&o->store), 1);
    memcpy(o->store.rows[1].listener, "nowhere", sizeof("nowhere"));
    o->store.rows[1].used = true;
    restart(o);
    assert_int_equal(rows(&o->store), 0);
}

static void a_user_with_an_escaped_name_is_the_same_user(void **state)
{
    struct office *o = *state;
    char all[1024];

    o->user = "a b";
    o->password = "three";
    o->owner = registrar_owner(o->reg[0], SL("a b"));
    authorize(o, all, sizeof(all));
    memcpy(all + strlen(all), "Contact: <sip:d@h>\r\n", sizeof("Contact: <sip:d@h>\r\n"));
    assert_int_equal(say_raw(o, "sip:a%20b@" REALM, all), 200);
    assert_int_equal(bound(o, "a b"), 1);
}

static void the_owner_publishes_each_change_once(void **state)
{
    struct office *o = *state;

    assert_int_equal(say(o, "Contact: <sip:a@h>, <sip:b@h>\r\n"), 200);
    assert_int_equal(o->n_published, 1);
    assert_int_equal(say(o, ""), 200);
    assert_int_equal(o->n_published, 1);
    assert_int_equal(say(o, "Contact: *\r\nExpires: 0\r\n"), 200);
    assert_int_equal(o->n_published, 2);
}

#define OFFICE(f) cmocka_unit_test_setup_teardown(f, office_setup, office_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OFFICE(a_registration_without_credentials_is_challenged_without_a_trace),
        OFFICE(a_contact_is_bound_where_it_came_from_and_everywhere_known),
        OFFICE(the_time_is_taken_from_parameter_header_or_default_and_bounded),
        OFFICE(a_time_too_short_is_a_423_that_names_the_least),
        OFFICE(expires_zero_removes_one_and_star_removes_all),
        OFFICE(a_star_that_means_anything_else_is_a_400),
        OFFICE(a_question_without_contact_lists_what_is_bound),
        OFFICE(the_same_contact_in_other_words_is_refreshed_and_not_doubled),
        OFFICE(what_arrives_out_of_order_changes_nothing),
        OFFICE(a_change_is_made_whole_or_not_at_all),
        OFFICE(a_device_with_an_instance_replaces_its_own_binding_only),
        OFFICE(flows_of_a_device_may_share_their_contact),
        OFFICE(a_flow_that_came_back_from_the_store_is_known_by_its_number),
        OFFICE(one_registration_is_for_one_flow),
        OFFICE(a_flow_number_without_a_device_means_nothing),
        OFFICE(beyond_the_limit_the_oldest_device_makes_room),
        OFFICE(a_contact_too_long_or_too_many_at_once_are_refused),
        OFFICE(nobody_registers_for_somebody_else),
        OFFICE(a_binding_ends_by_itself_on_every_worker_and_in_the_store),
        OFFICE(a_refreshed_binding_lives_on),
        OFFICE(bindings_of_a_connection_go_with_it_and_hold_it),
        OFFICE(many_long_contacts_are_all_answered),
        OFFICE(udp_bindings_come_back_from_the_store_as_they_were),
        OFFICE(rows_that_mean_nothing_any_more_are_removed),
        OFFICE(a_user_with_an_escaped_name_is_the_same_user),
        OFFICE(the_owner_publishes_each_change_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
