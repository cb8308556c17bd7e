/* test_admin_explain.c - /v1/explain and /v1/config/diff: what reaches the house, what a body may
 * be, and what is refused before it is read. */
#include "admin_rig.h"

static int up(void **state)
{
    (void)state;
    memset(&tried, 0, sizeof(tried));
    return rig_prepare() != 0 ? -1 : rig_start("127.0.0.1");
}

static int post(const char *target, const char *headers, const char *body, size_t n)
{
    char head[1024];
    int head_n = snprintf(head, sizeof(head),
                          "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                          "Content-Length: %zu\r\n%s\r\n",
                          target, n, headers);
    int fd = rig_connect();

    assert_int_equal(send(fd, head, (size_t)head_n, MSG_NOSIGNAL), head_n);
    while (n != 0) {
        ssize_t sent = send(fd, body, n, MSG_NOSIGNAL);

        if (sent <= 0) {
            break; /* refused before all of it was there */
        }
        body += sent;
        n -= (size_t)sent;
    }
    rig_read(fd);
    return rig.status;
}

static int post_text(const char *target, const char *text)
{
    return post(target, WITH_TOKEN, text, strlen(text));
}

static void put_asked(uint64_t id, const char *asked)
{
    struct store_call c = {.id = id,
                           .state = STORE_CALL_ENDED,
                           .start_ms = (int64_t)id,
                           .end_ms = (int64_t)id,
                           .called = SL("1001")};
    struct store_health h = {.backlog = 1};

    assert_int_equal(store_put_call(rig.store, &c), 0);
    if (asked != NULL) {
        struct store_asked a = {.id = id, .asked = sl_str(asked)};

        assert_int_equal(store_put_asked(rig.store, &a), 0);
    }
    for (int i = 0; i < 5000 && h.backlog != 0; i++) {
        (void)poll(NULL, 0, 1);
        store_get_health(rig.store, &h);
    }
    assert_int_equal(h.backlog, 0);
}

static void a_message_reaches_the_house_with_its_facts(void **state)
{
    (void)state;
    assert_int_equal(
        post_text("/v1/explain?source=192.0.2.1&listener=outside&user=1001", "INVITE x"), 200);
    assert_string_equal(json_at("$.class"), "trusted");
    assert_string_equal(tried.message, "INVITE x");
    assert_string_equal(tried.listener, "outside");
    assert_string_equal(tried.user, "1001");
    assert_int_equal(addr_port(&tried.source), 5060);
    assert_int_equal(post_text("/v1/explain", "INVITE y"), 200);
    assert_int_equal(addr_family(&tried.source), AF_UNSPEC);
}

static void a_past_call_is_asked_for_by_its_id(void **state)
{
    (void)state;
    put_asked(5, "as it was");
    put_asked(6, NULL);
    put_asked(7, "bad");
    assert_int_equal(post_text("/v1/explain?call=0000000000005", ""), 200);
    assert_string_equal(tried.message, "as it was");
    assert_string_equal(tried.listener, "recalled");
    assert_int_equal(post_text("/v1/explain?call=0000000000006", ""), 404);
    assert_int_equal(post_text("/v1/explain?call=0000000000007", ""), 500);
    assert_int_equal(post_text("/v1/explain?call=nonsense!", ""), 400);
    assert_int_equal(tried.asked, 1);
}

static void questions_that_cannot_be_answered_are_problems(void **state)
{
    (void)state;
    assert_int_equal(post_text("/v1/explain", ""), 400);
    assert_int_equal(post_text("/v1/explain?call=0000000000005", "INVITE x"), 400);
    assert_int_equal(post_text("/v1/explain?source=here", "INVITE x"), 400);
    assert_string_equal(json_at("$.errors[0].parameter"), "source");
    assert_int_equal(post_text("/v1/explain?sauce=here", "INVITE x"), 400);
    assert_int_equal(get("/v1/explain"), 405);
    assert_int_equal(tried.asked, 0);
    rig.err = EINVAL;
    assert_int_equal(post_text("/v1/explain", "INVITE x"), 400);
    assert_string_equal(json_at("$.detail"), "there is no such thing");
    rig.err = ETIMEDOUT;
    assert_int_equal(post_text("/v1/explain", "INVITE x"), 503);
    rig.err = ENOMEM;
    assert_int_equal(post_text("/v1/explain", "INVITE x"), 503);
}

static void one_is_tried_at_a_time_and_the_rest_is_told_to_come_again(void **state)
{
    static const char first[] = "POST /v1/explain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                "Content-Length: 8\r\n" WITH_TOKEN "\r\nINVITE x";
    int fd = rig_connect();

    (void)state;
    tried.is_held = true;
    assert_int_equal(send(fd, first, sizeof(first) - 1, MSG_NOSIGNAL), sizeof(first) - 1);
    for (int i = 0; i < 5000 && !tried.is_inside; i++) {
        (void)poll(NULL, 0, 1);
    }
    assert_true(tried.is_inside);
    assert_int_equal(post_text("/v1/explain", "INVITE y"), 503);
    assert_int_equal(post_text("/v1/config/diff", "candidate"), 503);
    tried.is_held = false;
    rig_read(fd);
    assert_int_equal(rig.status, 200);
    assert_int_equal(tried.asked, 1);
}

static void a_body_has_its_limit_and_is_a_strangers_never(void **state)
{
    size_t max = B2BUA_EXPLAIN_MAX;
    char *big = mem_zalloc(max + 1);

    (void)state;
    assert_non_null(big);
    memset(big, 'x', max + 1);
    assert_int_equal(post("/v1/explain", WITH_TOKEN, big, max), 200);
    assert_int_equal(post("/v1/explain", WITH_TOKEN, big, max + 1), 413);
    assert_int_equal(tried.asked, 1);
    assert_int_equal(post("/v1/explain", "", big, 10), 401);
    assert_int_equal(post("/v1/explain", "Authorization: Bearer wrong\r\n", big, 10), 401);
    assert_int_equal(post("/v1/config/diff", WITH_TOKEN, big, max + 1),
                     200); /* a configuration is larger */
    assert_int_equal(tried.asked, 1);
    mem_free(big);
}

static void calls_that_would_change_are_listed_and_the_others_counted(void **state)
{
    (void)state;
    put_asked(1, "same");
    put_asked(2, "changed");
    put_asked(3, "limited");
    put_asked(4, NULL);
    put_asked(5, "unreadable");
    put_asked(6, "changed too");
    assert_int_equal(post_text("/v1/config/diff", "candidate"), 200);
    assert_string_equal(json_at("$.items[0].id"), "0000000000006");
    assert_string_equal(json_at("$.items[1].id"), "0000000000002");
    assert_string_equal(json_at("$.items[1].why"), "Changed");
    assert_string_equal(json_query("SELECT json_array_length(?1,'$.items')"), "2");
    assert_string_equal(json_at("$.compared"), "3");
    assert_string_equal(json_at("$.same"), "1");
    assert_string_equal(json_at("$.changed"), "2");
    assert_string_equal(json_at("$.skipped_limited"), "1");
    assert_string_equal(json_at("$.skipped_not_kept"), "2");
    assert_string_equal(json_at("$.next_cursor"), "(null)");
    assert_false(tried.is_open);
}

static void a_comparison_goes_on_where_it_ended(void **state)
{
    char target[512];

    (void)state;
    put_asked(1, "changed");
    put_asked(2, "changed");
    put_asked(3, "changed");
    assert_int_equal(post_text("/v1/config/diff?limit=2", "candidate"), 200);
    assert_string_equal(json_at("$.items[1].id"), "0000000000002");
    (void)snprintf(target, sizeof(target), "/v1/config/diff?limit=2&cursor=%s",
                   json_at("$.next_cursor"));
    assert_int_equal(post_text(target, "candidate"), 200);
    assert_string_equal(json_at("$.items[0].id"), "0000000000001");
    assert_string_equal(json_at("$.next_cursor"), "(null)");
    assert_int_equal(post_text("/v1/config/diff?called=9", "candidate"), 200);
    assert_string_equal(json_at("$.compared"), "0");
}

static void a_wrong_candidate_says_all_that_is_wrong(void **state)
{
    (void)state;
    assert_int_equal(post_text("/v1/config/diff", ""), 400);
    assert_int_equal(post_text("/v1/config/diff?limit=0", "candidate"), 400);
    assert_int_equal(post_text("/v1/config/diff", "bad"), 422);
    assert_string_equal(json_at("$.errors[0]"), "candidate:1:1: bad");
    rig.err = ENOMEM;
    assert_int_equal(post_text("/v1/config/diff", "candidate"), 503);
    assert_int_equal(tried.replayed, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, rig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_message_reaches_the_house_with_its_facts),
        T(a_past_call_is_asked_for_by_its_id),
        T(questions_that_cannot_be_answered_are_problems),
        T(one_is_tried_at_a_time_and_the_rest_is_told_to_come_again),
        T(a_body_has_its_limit_and_is_a_strangers_never),
        T(calls_that_would_change_are_listed_and_the_others_counted),
        T(a_comparison_goes_on_where_it_ended),
        T(a_wrong_candidate_says_all_that_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
