/* test_admin_config.c - /v1/config: what it asks for, which refusal is which, and what it tells. */
#include "admin_rig.h"
#include "life/life.h"

#define CONFIG(extra)                                                                              \
    "config: {source: api}\n" extra "listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}}}\n"

static struct life *life;
static char file[128];
static unsigned committed;

static int on_prepare(void *arg, struct config *cfg, struct buf *why)
{
    (void)arg;
    (void)cfg;
    (void)why;
    return 0;
}

static void on_commit(void *arg, struct config *cfg)
{
    (void)arg;
    (void)cfg;
    committed++;
}

static void on_abandon(void *arg, struct config *cfg)
{
    (void)arg;
    (void)cfg;
}

static const struct life_ops ops = {on_prepare, on_commit, on_abandon};

static int up(void **state)
{
    struct store_params sp = {.path = rig.db, .node = "edge1", .batch_ms = 1};
    struct admin_params ap = {.token = TOKEN, .store_path = rig.db};
    struct life_params lp = {.file = file};
    struct config_errors errs;
    FILE *f;

    (void)state;
    if (rig_prepare() != 0 || addr_parse(SL("127.0.0.1"), 0, &ap.listen) != 0) {
        return -1;
    }
    snprintf(file, sizeof(file), "%s/x.yaml", rig.dir);
    f = fopen(file, "w");
    if (f == NULL) {
        return -1;
    }
    fprintf(f, "store: {path: %s}\n%s", rig.db, CONFIG(""));
    fclose(f);
    clock_init_real(&lp.clock);
    if (life_new(&life, &lp) != 0 || life_read(life, &errs) != 0 ||
        store_open(&rig.store, &sp) != 0 || life_start(life, rig.store, &errs) != 0) {
        return -1;
    }
    life_attach(life, &ops, NULL);
    ap.life = life;
    committed = 0;
    return admin_start(&rig.admin, &ap);
}

static int down(void **state)
{
    admin_stop(&rig.admin);
    life_free(&life);
    (void)unlink(file);
    return rig_down(state);
}

static int send_body(const char *method, const char *target, const char *headers, const char *body)
{
    char all[2048];

    snprintf(all, sizeof(all), WITH_TOKEN "%sContent-Length: %zu\r\n\r\n%s", headers, strlen(body),
             body);
    return ask(method, target, all);
}

static const char *text_of(unsigned drain_s)
{
    static char text[512];

    snprintf(text, sizeof(text), "store: {path: %s}\nnode: {drain: %us}\n%s", rig.db, drain_s,
             CONFIG(""));
    return text;
}

static void a_put_says_what_it_was_made_from(void **state)
{
    (void)state;
    assert_int_equal(get("/v1/config"), 200);
    assert_non_null(strstr(rig.head, "ETag: \"1\""));
    assert_string_equal(json_at("$.version"), "1");
    assert_string_equal(json_at("$.source"), "api");
    assert_int_equal(send_body("PUT", "/v1/config", "", text_of(1)), 428);
    assert_int_equal(send_body("PUT", "/v1/config", "If-Match: \"9\"\r\n", text_of(1)), 412);
    assert_int_equal(send_body("PUT", "/v1/config", "If-Match: x\r\n", text_of(1)), 412);
    assert_int_equal(committed, 0);
    assert_int_equal(send_body("PUT", "/v1/config", "If-Match: \"1\"\r\n", text_of(1)), 200);
    assert_int_equal(committed, 1);
    assert_non_null(strstr(rig.head, "ETag: \"2\""));
    assert_int_equal(get("/v1/config?format=yaml"), 200);
    assert_string_equal(rig.body, text_of(1));
    assert_int_equal(get("/v1/config/versions/1/diff"), 200);
    assert_string_equal(json_at("$.changes[0].path"), "node");
    assert_string_equal(json_at("$.to"), "2");
}

static void every_error_has_its_place(void **state)
{
    (void)state;
    assert_int_equal(send_body("POST", "/v1/config/validate", "", "peers:\n  p: {lisener: a}\n"),
                     422);
    check_json();
    assert_string_equal(json_query("SELECT count(*) FROM json_each(?1,'$.errors')"), "4");
    assert_string_equal(
        json_query("SELECT json_extract(value,'$.line')||':'||json_extract(value,'$.column') FROM "
                   "json_each(?1,'$.errors') WHERE json_extract(value,'$.message') LIKE "
                   "'%lisener%'"),
        "2:7");
    assert_int_equal(send_body("POST", "/v1/config/validate", "", text_of(3)), 200);
    assert_string_equal(json_at("$.changes[0].new"), "{drain: 3s}");
    assert_int_equal(committed, 0);
}

static void a_window_is_confirmed_or_ended(void **state)
{
    (void)state;
    assert_int_equal(send_body("POST", "/v1/config/confirm", "", ""), 409);
    assert_int_equal(
        send_body("PUT", "/v1/config?confirm_within=soon", "If-Match: *\r\n", text_of(1)), 400);
    assert_int_equal(send_body("PUT", "/v1/config?confirm_within=1h&comment=c&who=ann",
                               "If-Match: *\r\n", text_of(1)),
                     200);
    assert_string_equal(json_at("$.waits.else_back_to"), "1");
    assert_int_equal(send_body("PUT", "/v1/config", "If-Match: *\r\n", text_of(2)), 409);
    assert_int_equal(send_body("POST", "/v1/config/confirm?version=7", "", ""), 412);
    assert_int_equal(send_body("POST", "/v1/config/rollback", "", ""), 200);
    assert_string_equal(json_at("$.version"), "1");
    assert_int_equal(get("/v1/config/versions"), 200);
    assert_string_equal(json_at("$.items[0].state"), "rolled_back");
    assert_string_equal(json_at("$.items[0].comment"), "c");
    assert_int_equal(send_body("POST", "/v1/config/rollback?version=99", "", ""), 404);
    assert_int_equal(get("/v1/config/versions/99"), 404);
    assert_int_equal(get("/v1/config/versions/x"), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_put_says_what_it_was_made_from, up, down),
        cmocka_unit_test_setup_teardown(every_error_has_its_place, up, down),
        cmocka_unit_test_setup_teardown(a_window_is_confirmed_or_ended, up, down),
    };
    int failed;

    if (crypto_init() != 0) {
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    crypto_deinit();
    return failed;
}
