/* The resources of the admin API over a real connection: what they show, filter, page and refuse.
 */
#include "admin_rig.h"

#define DETAIL                                                                                     \
    "{\"live\":false,\"legs\":[{\"leg\":\"a\",\"q\":\"}]\\\"\"}], \"media\" : [1,{\"x\":[2]}],"    \
    "\"state\":\"forged\",\"extra\":{\"a\":1},\"trace\":[],\"attempts\":[]}"

static int rig_up(void **state)
{
    (void)state;
    return rig_prepare() != 0 ? -1 : rig_start("127.0.0.1");
}

static void flush(void)
{
    struct store_health h = {.backlog = 1};

    for (int i = 0; i < 5000 && h.backlog != 0; i++) {
        (void)poll(NULL, 0, 1);
        store_get_health(rig.store, &h);
    }
    assert_int_equal(h.backlog, 0);
}

static void put_calls(void)
{
    static const struct store_call calls[] = {
        {.id = 1,
         .state = STORE_CALL_ENDED,
         .start_ms = 1700000000000,
         .ring_ms = 1700000000100,
         .answer_ms = 1700000002000,
         .end_ms = 1700000012001,
         .source = SL("peer:carrier"),
         .target = SL("user:1001"),
         .calling = SL("+4930"),
         .called = SL("1001"),
         .route = SL("inbound"),
         .a_remote = SL("192.0.2.1:5060"),
         .a_call_id = SL("a@x"),
         .end_code = 200,
         .end_by = SL("caller"),
         .end_reason = SL("BYE"),
         .detail = SL(DETAIL),
         .ladder = SL("stored"),
         .config_version = 7},
        {.id = 2,
         .state = STORE_CALL_ENDED,
         .start_ms = 1700000100000,
         .end_ms = 1700000100500,
         .source = SL("user:1001"),
         .calling = SL("1001"),
         .called = SL("\xff\"<b>"),
         .end_code = 486,
         .end_by = SL("callee"),
         .ladder = SL("bad")},
        {.id = 3, .state = STORE_CALL_ENDED, .start_ms = 1700000200000, .end_ms = 1700000200000},
        {.id = 4,
         .state = STORE_CALL_RINGING,
         .start_ms = 1700000300000,
         .ring_ms = 1700000300100,
         .calling = SL("1002"),
         .called = SL("+4930")},
    };

    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        assert_int_equal(store_put_call(rig.store, &calls[i]), 0);
    }
    flush();
}

/* Ids of the items without the leading zeros: "4 3 2 ". */
static const char *item_ids(void)
{
    check_json();
    return json_query("SELECT ifnull(group_concat(ltrim(json_extract(value,'$.id'),'0')||' ',''),"
                      "'') FROM json_each(?1,'$.items')");
}

static void lists_are_filtered_by_the_query(void **state)
{
    static const struct {
        const char *target, *ids;
    } rows[] = {
        {"/v1/calls", "4 3 2 1 "},
        {"/v1/calls?state=live", "4 "},
        {"/v1/calls?state=ended", "3 2 1 "},
        {"/v1/calls?state=all&limit=1000", "4 3 2 1 "},
        {"/v1/calls?source=carrier", "1 "},
        {"/v1/calls?source=user%3A1001", "2 "},
        {"/v1/calls?target=1001", "1 "},
        {"/v1/calls?called=%2B4930", "4 "},
        {"/v1/calls?called=+4930", "4 "},
        {"/v1/calls?party=+4930", "4 1 "},
        {"/v1/calls?party=1001&state=ended&code=486", "2 "},
        {"/v1/calls?calling=1001", "2 "},
        {"/v1/calls?route=inbound", "1 "},
        {"/v1/calls?since=1700000200000", "4 3 "},
        {"/v1/calls?until=2023-11-14T22:15:00.000Z", "2 1 "},
        {"/v1/calls?since=2023-11-14T23:15:00+01:00&until=2023-11-14T22:16:40Z", "3 2 "},
        {"/v1/cdrs", "3 2 1 "},
        {"/v1/cdrs?code=200", "1 "},
        {"/v1/cdrs?limit=1", "3 "},
    };

    (void)state;
    put_calls();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(get(rows[i].target), 200);
        assert_string_equal(item_ids(), rows[i].ids);
    }
}

static void a_cursor_goes_on_where_the_page_ended(void **state)
{
    char target[256] = "/v1/calls?limit=3", seen[64] = "", cursor[64];

    (void)state;
    put_calls();
    for (int page = 0; page < 9 && target[0] != '\0'; page++) {
        size_t n = strlen(seen);

        assert_int_equal(get(target), 200);
        (void)snprintf(seen + n, sizeof(seen) - n, "%s|", item_ids());
        (void)snprintf(cursor, sizeof(cursor), "%s", json_at("$.next_cursor"));
        (void)snprintf(target, sizeof(target), "/v1/calls?limit=1&cursor=%s", cursor);
        target[0] = sl_eq(sl_str(cursor), SL("(null)")) ? '\0' : '/';
    }
    assert_string_equal(seen, "4 3 2 |1 |");
    assert_int_equal(get("/v1/calls?limit=1"), 200);
    (void)snprintf(target, sizeof(target), "/v1/calls?cursor=%s", json_at("$.next_cursor"));
    assert_int_equal(get(target), 200);
    target[strlen(target) - 1] ^= 1;
    assert_int_equal(get(target), 400);
    assert_int_equal(get("/v1/calls?cursor=c"), 400);
}

static void a_record_counts_its_times(void **state)
{
    static const char want[] =
        "{\"id\":\"0000000000001\",\"node\":\"edge1\",\"start\":\"2023-11-14T22:13:20.000Z\","
        "\"ring\":\"2023-11-14T22:13:20.100Z\",\"answer\":\"2023-11-14T22:13:22.000Z\","
        "\"end\":\"2023-11-14T22:13:32.001Z\",\"pdd_ms\":100,\"ring_ms\":1900,"
        "\"duration_ms\":12001,\"billsec\":11,\"source\":\"peer:carrier\","
        "\"target\":\"user:1001\",\"calling\":\"+4930\",\"called\":\"1001\","
        "\"route\":\"inbound\",\"a_remote\":\"192.0.2.1:5060\",\"b_remote\":null,"
        "\"a_call_id\":\"a@x\",\"b_call_id\":null,\"end_code\":200,\"end_by\":\"caller\","
        "\"end_reason\":\"BYE\",\"config_version\":7}";

    (void)state;
    put_calls();
    assert_int_equal(get("/v1/cdrs?code=200"), 200);
    assert_non_null(strstr(rig.body, want));
    assert_int_equal(get("/v1/cdrs?code=486"), 200);
    assert_non_null(strstr(rig.body, "\"pdd_ms\":null,\"ring_ms\":null,\"duration_ms\":500,"
                                     "\"billsec\":0,"));
    assert_non_null(strstr(rig.body, "\"called\":\"\xEF\xBF\xBD\\\"<b>\"")); /* repaired */
    check_json();
}

static void check_at(const char *json_path, const char *want)
{
    const char *got = json_at(json_path);

    if (!sl_eq(sl_str(got), sl_str(want))) {
        fail_msg("%s is %s, not %s, in %s", json_path, got, want, rig.body);
    }
}

static void a_call_shows_its_row_and_its_detail_once_each(void **state)
{
    (void)state;
    put_calls();
    assert_int_equal(get("/v1/calls/0000000000001"), 200);
    check_at("$.state", "ended");
    check_at("$.live", "0");
    check_at("$.duration_ms", "12001");
    check_at("$.legs[0].q", "}]\"");
    check_at("$.media", "[1,{\"x\":[2]}]");
    check_at("$.extra.a", "1");

    assert_int_equal(get("/v1/calls/0000000000003"), 200); /* no detail was stored */
    check_at("$.legs", "[]");
    check_at("$.attempts", "[]");

    rig.live_id = 4;
    rig.detail = "{\"live\":true,\"legs\":[1,2]}";
    assert_int_equal(get("/v1/calls/0000000000004"), 200);
    check_at("$.state", "ringing");
    check_at("$.live", "1");
    check_at("$.legs", "[1,2]");
    check_at("$.media", "[]");

    rig.live_id = 99; /* so young that it has no row */
    assert_int_equal(get("/v1/calls/0000000000033"), 200);
    check_at("$.live", "1");
    check_at("$.state", "(null)");
}

static void a_ladder_is_the_live_one_or_the_stored_one(void **state)
{
    static const struct {
        const char *id;
        int status;
        const char *part;
    } rows[] = {
        {"0000000000001", 200, "{\"id\":\"0000000000001\",\"live\":false,\"items\":[\"stored\"]}"},
        {"0000000000002", 500, "\"status\":500"},
        {"0000000000003", 200, "\"items\":[]}"},
        {"0000000000004", 200, "\"live\":true,\"items\":[\"live\"]}"},
        {"0000000000005", 404, "\"status\":404"},
        {"nonsense", 404, "\"status\":404"}};

    (void)state;
    put_calls();
    rig.live_id = 4;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char target[64];

        (void)snprintf(target, sizeof(target), "/v1/calls/%s/ladder", rows[i].id);
        assert_int_equal(get(target), rows[i].status);
        assert_non_null(strstr(rig.body, rows[i].part));
        check_json();
    }
}

static void hanging_up_tells_living_ended_and_unknown_calls_apart(void **state)
{
    (void)state;
    put_calls();
    rig.live_id = 4;
    assert_int_equal(ask("DELETE", "/v1/calls/0000000000004", WITH_TOKEN), 202);
    assert_string_equal(rig.body, "{\"id\":\"0000000000004\",\"status\":\"ending\"}");
    assert_true(rig.hung_up == 4);
    assert_int_equal(ask("DELETE", "/v1/calls/0000000000001", WITH_TOKEN), 409);
    assert_int_equal(ask("DELETE", "/v1/calls/0000000000009", WITH_TOKEN), 404);
    assert_int_equal(ask("DELETE", "/v1/calls/9", WITH_TOKEN), 404);
    rig.err = ETIMEDOUT;
    assert_int_equal(ask("DELETE", "/v1/calls/0000000000004", WITH_TOKEN), 503);
    assert_non_null(strstr(rig.head, "Retry-After: 1\r\n"));
    assert_int_equal(get("/v1/calls/0000000000004"), 503);
    assert_int_equal(get("/v1/system"), 503);
    assert_int_equal(get("/v1/peers"), 503);
    check_json();
}

static void bans_are_listed_made_explained_and_lifted(void **state)
{
    (void)state;
    rig.err = 0;
    assert_int_equal(get("/v1/bans?limit=2"), 200);
    assert_string_equal(item_ids(), "3 2 ");
    assert_string_not_equal(json_at("$.next_cursor"), "");
    assert_int_equal(get("/v1/bans"), 200);
    assert_string_equal(item_ids(), "3 2 1 ");
    assert_int_equal(get("/v1/bans?cursor=x"), 400);
    assert_int_equal(get("/v1/bans?reason=x"), 400);
    assert_int_equal(get("/v1/bans/2"), 200);
    assert_string_equal(json_at("$.evidence"), "OPTIONS sip:100@x");
    assert_int_equal(get("/v1/bans/9"), 404);
    assert_int_equal(get("/v1/bans/2001:db8::1"), 200);
    assert_int_equal(get("/v1/bans/nobody"), 404);
}

static void the_operator_bans_and_lifts_by_id_and_address(void **state)
{
    (void)state;
    rig.err = 0;
    assert_int_equal(ask("POST", "/v1/bans?prefix=203.0.113.0/24&for=2h&reason=rude", WITH_TOKEN),
                     201);
    assert_int_equal(rig.ban.bits, 24);
    assert_int_equal(rig.ban_ms, 7200000);
    assert_string_equal(rig.ban_reason, "rude");
    assert_string_equal(json_at("$.id"), "4");
    assert_int_equal(ask("POST", "/v1/bans?prefix=203.0.113.9", WITH_TOKEN), 201);
    assert_int_equal(rig.ban_ms, 3600000);
    assert_int_equal(ask("POST", "/v1/bans", WITH_TOKEN), 400);
    assert_int_equal(ask("POST", "/v1/bans?prefix=203.0.113.9&for=1w", WITH_TOKEN), 400);
    assert_int_equal(ask("POST", "/v1/bans?prefix=203.0.113.9&for=301d", WITH_TOKEN), 400);
    assert_int_equal(ask("POST", "/v1/bans?prefix=203.0.113.9&limit=1", WITH_TOKEN), 400);
    rig.err = EPERM;
    assert_int_equal(ask("POST", "/v1/bans?prefix=203.0.113.9", WITH_TOKEN), 409);
    rig.err = EINVAL;
    assert_int_equal(ask("POST", "/v1/bans?prefix=203.0.113.9", WITH_TOKEN), 400);
    rig.err = 0;
    assert_int_equal(ask("POST", "/v1/bans?prefix=203.0.113.9", ""), 401);
    assert_int_equal(ask("DELETE", "/v1/bans/2", WITH_TOKEN), 200);
    assert_int_equal(rig.unbanned, 2);
    assert_int_equal(ask("DELETE", "/v1/bans/203.0.113.9", WITH_TOKEN), 200);
    assert_int_equal(rig.unbanned, 3);
    assert_string_equal(json_at("$.prefix"),
                        "203.0.113.0/24"); /* what was lifted, not the question */
    rig.unbanned = 0;
    assert_int_equal(ask("DELETE", "/v1/bans/203.0.113.0%2F24", WITH_TOKEN), 200);
    assert_int_equal(rig.unbanned, 3);
    assert_int_equal(ask("DELETE", "/v1/bans/203.0.113.9%2f32", WITH_TOKEN), 404);
    assert_int_equal(ask("DELETE", "/v1/bans/203.0.113.0/24", WITH_TOKEN), 404); /* two segments */
    assert_int_equal(ask("DELETE", "/v1/bans/203.0.113.0%252F24", WITH_TOKEN), 404);
    assert_int_equal(get("/v1/bans/203.0.113.0%2F24"), 200);
    assert_int_equal(get("/v1/bans/%32"), 200);
    assert_int_equal(get("/v1/bans/2%"), 404);
    assert_int_equal(ask("DELETE", "/v1/bans/203.0.114.10", WITH_TOKEN), 404);
    assert_int_equal(ask("DELETE", "/v1/bans/77", WITH_TOKEN), 404);
    assert_int_equal(ask("DELETE", "/v1/bans", WITH_TOKEN), 405);
}

static void new_keys_are_asked_for_by_call_and_side(void **state)
{
    (void)state;
    put_calls();
    rig.live_id = 4;
    assert_int_equal(ask("POST", "/v1/calls/0000000000004/rekey", WITH_TOKEN), 202);
    assert_string_equal(rig.body,
                        "{\"id\":\"0000000000004\",\"status\":\"rekeying\",\"side\":\"both\"}");
    assert_true(rig.rekeyed == 4 && rig.sides == (int)B2BUA_BOTH);
    assert_int_equal(ask("POST", "/v1/calls/0000000000004/rekey?side=callee", WITH_TOKEN), 202);
    assert_true(rig.sides == (int)B2BUA_CALLEE);
    assert_int_equal(ask("POST", "/v1/calls/0000000000004/rekey?side=caller", WITH_TOKEN), 202);
    assert_true(rig.sides == (int)B2BUA_CALLER);
    rig.rekeyed = 0;
    assert_int_equal(ask("POST", "/v1/calls/0000000000004/rekey?side=left", WITH_TOKEN), 400);
    assert_int_equal(ask("POST", "/v1/calls/0000000000004/rekey?leg=a", WITH_TOKEN), 400);
    assert_int_equal(ask("POST", "/v1/calls/9/rekey", WITH_TOKEN), 404);
    assert_true(rig.rekeyed == 0);
    assert_int_equal(ask("POST", "/v1/calls/0000000000001/rekey", WITH_TOKEN), 409);
    assert_non_null(strstr(rig.body, "ended"));
    assert_int_equal(ask("POST", "/v1/calls/0000000000009/rekey", WITH_TOKEN), 404);
    assert_int_equal(ask("POST", "/v1/calls/0000000000004/rekey", ""), 401);
    assert_int_equal(get("/v1/calls/0000000000004/rekey"), 405);
    assert_non_null(strstr(rig.head, "Allow: POST\r\n"));
    rig.err = EPROTO;
    assert_int_equal(ask("POST", "/v1/calls/0000000000004/rekey", WITH_TOKEN), 409);
    assert_non_null(strstr(rig.body, "no SDES keys"));
    rig.err = ETIMEDOUT;
    assert_int_equal(ask("POST", "/v1/calls/0000000000004/rekey", WITH_TOKEN), 503);
    check_json();
}

static void registrations_are_paged_and_hide_the_expired(void **state)
{
    static const struct {
        const char *user, *contact;
        int64_t expires_ms;
    } rows[] = {{"1001", "sip:1001@192.0.2.1;x=\"\xff\"", 4000000000000},
                {"1001", "sip:b", 4000000000000},
                {"1002", "sip:old", 1000},
                {"1003", "sip:c", 4000000000000}};
    char target[512];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct store_binding b = {.user = sl_str(rows[i].user),
                                  .contact = sl_str(rows[i].contact),
                                  .expires_ms = rows[i].expires_ms,
                                  .flow = SL("\1\2"),
                                  .transport = SL("udp")};

        assert_int_equal(store_put_binding(rig.store, &b), 0);
    }
    flush();
    assert_int_equal(get("/v1/registrations"), 200);
    assert_string_equal(json_query("SELECT json_array_length(?1,'$.items')"), "3");
    check_at("$.next_cursor", "(null)");
    assert_int_equal(get("/v1/registrations?limit=1"), 200);
    (void)snprintf(target, sizeof(target), "/v1/registrations?cursor=%s", json_at("$.next_cursor"));
    assert_int_equal(get(target), 200);
    assert_null(strstr(rig.body, "192.0.2.1"));
    assert_non_null(
        strstr(rig.body, "{\"user\":\"1001\",\"contact\":\"sip:b\",\"instance\":null,"));
    assert_non_null(strstr(rig.body, "\"user\":\"1003\""));
    target[strlen(target) - 1] ^= 1;
    assert_int_equal(get(target), 400);
    assert_int_equal(get("/v1/registrations?user=1003"), 200);
    assert_null(strstr(rig.body, "1001"));
    assert_non_null(strstr(rig.body, "\"expires\":\"2096-10-02T07:06:40.000Z\""));
}

static void a_wrong_query_is_told_with_the_nearest_word(void **state)
{
    static const struct {
        const char *target, *parameter, *message;
    } rows[] = {
        {"/v1/calls?sorce=x", "sorce", "nearest is \\\"source\\\""},
        {"/v1/calls?offset=3", "offset", "nearest is"},
        {"/v1/cdrs?state=live", "state", "nearest is"},
        {"/v1/system?x=1", "x", "takes none"},
        {"/v1/calls?limit=0", "limit", "from 1 to 1000"},
        {"/v1/calls?limit=1001", "limit", "from 1 to 1000"},
        {"/v1/calls?limit=ten", "limit", "from 1 to 1000"},
        {"/v1/calls?limit=1&limit=2", "limit", "given twice"},
        {"/v1/calls?code=99", "code", "from 100 to 699"},
        {"/v1/calls?state=dead", "state", "not one of ended, live, all"},
        {"/v1/calls?since=yesterday", "since", "not a time"},
        {"/v1/calls?until=2023-02-29T00:00:00Z", "until", "not a time"},
        {"/v1/calls?called=", "called", "empty"},
        {"/v1/calls?called=%00", "called", "empty"},
        {"/v1/registrations?cursor=xyz", "cursor", "not one of ours"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(get(rows[i].target), 400);
        assert_non_null(strstr(rig.body, rows[i].message));
        check_at("$.errors[0].parameter", rows[i].parameter);
    }
    assert_int_equal(get("/v1/calls?a=1&limit=x&b=2"), 400);
    assert_non_null(strstr(rig.body, "3 mistakes"));
}

static void the_index_the_system_and_the_peers_answer(void **state)
{
    (void)state;
    assert_int_equal(get("/"), 200);
    check_json();
    assert_int_equal(get("/v1"), 200);
    assert_non_null(strstr(rig.body, "\"version\":\"1.2.3\""));
    assert_non_null(
        strstr(rig.body, "{\"path\":\"/v1/calls/{id}\",\"methods\":[\"GET\",\"DELETE\"]"));
    assert_int_equal(get("/v1/system"), 200);
    assert_string_equal(rig.body, "{\"node\":\"edge1\"}");
    assert_int_equal(get("/v1/peers"), 200);
    assert_string_equal(rig.body, "{\"items\":[{\"name\":\"pbx\"}],\"next_cursor\":null}");
}

static void a_peer_and_a_target_are_drained_and_taken_back(void **state)
{
    (void)state;
    assert_int_equal(ask("POST", "/v1/peers/pbx/drain", WITH_TOKEN), 200);
    assert_string_equal(rig.body, "{\"peer\":\"pbx\",\"target\":\"\",\"drained\":true}");
    assert_int_equal(rig.drained, 1);
    assert_int_equal(ask("DELETE", "/v1/peers/pbx/drain", WITH_TOKEN), 200);
    assert_int_equal(rig.drained, 0);
    assert_int_equal(ask("POST", "/v1/peers/pbx/drain?target=sip:10.0.0.1", WITH_TOKEN), 200);
    assert_int_equal(rig.drained, 2);
    assert_int_equal(ask("POST", "/v1/peers/pbx/drain?target=sip:10.0.0.2", WITH_TOKEN), 404);
    assert_int_equal(ask("POST", "/v1/peers/other/drain", WITH_TOKEN), 404);
    assert_int_equal(ask("POST", "/v1/peers/pbx/drain?side=a", WITH_TOKEN), 400);
    assert_int_equal(ask("POST", "/v1/peers/pbx/drain", ""), 401);
    assert_int_equal(ask("GET", "/v1/peers/pbx/drain", WITH_TOKEN), 405);
}

static void health_and_metrics_need_no_token_here(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/healthz", ""), 200);
    assert_string_equal(rig.body, "{\"status\":\"ok\"}");
    assert_int_equal(ask("GET", "/readyz", ""), 200);
    assert_non_null(strstr(rig.body, "\"status\":\"ready\""));
    rig.ready = false;
    assert_int_equal(ask("GET", "/readyz", ""), 503);
    assert_non_null(strstr(rig.body, "\"store\":false,\"store_read\":true"));
    assert_non_null(strstr(rig.body, "store: locked"));
    assert_int_equal(ask("GET", "/metrics", ""), 200);
    assert_non_null(strstr(rig.head, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(rig.body, "\npostern_calls 3\n"));
    assert_non_null(strstr(rig.body, "\npostern_scrape_complete 1\n"));
    rig.err = ETIMEDOUT;
    assert_int_equal(ask("GET", "/metrics", ""), 200);
    assert_null(strstr(rig.body, "postern_calls 3"));
    assert_non_null(strstr(rig.body, "\npostern_scrape_complete 0\n"));
}

static size_t count_of(const char *text, const char *part)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        n++;
    }
    return n;
}

static void each_metric_is_described_once_and_keeps_its_lines_together(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/metrics", ""), 200);
    for (size_t i = 0; i < STAT_N; i++) {
        char part[200];

        (void)snprintf(part, sizeof(part), "# TYPE %s counter\n", stat_defs[i].name);
        assert_int_equal(count_of(rig.body, part), 1);
        (void)snprintf(part, sizeof(part), "\n%s%s%s%s ", stat_defs[i].name,
                       stat_defs[i].labels[0] != '\0' ? "{" : "", stat_defs[i].labels,
                       stat_defs[i].labels[0] != '\0' ? "}" : "");
        assert_int_equal(count_of(rig.body, part), 1);
    }
    assert_non_null(strstr(rig.body, "postern_rtp_packets_total{direction=\"rx\"} 0\n"
                                     "postern_rtp_packets_total{direction=\"tx\"} 0\n"));
}

static void limits_are_shown_by_scope_and_page(void **state)
{
    char target[256];

    (void)state;
    assert_int_equal(get("/v1/limits?scope=peer"), 200);
    assert_int_equal(rig.scope, 1);
    assert_string_equal(json_at("$.row"), "0");
    (void)snprintf(target, sizeof(target), "/v1/limits?cursor=%s", json_at("$.next_cursor"));
    assert_int_equal(get(target), 200);
    assert_int_equal(rig.scope, -1);
    assert_string_equal(json_at("$.row"), "360287970189639687"); /* 5 << 56 | 7 */
    memcpy(target + 4, "calls", 5); /* "/v1/limits?" becomes "/v1/calls?" */
    memmove(target + 9, target + 10, strlen(target + 9));
    assert_int_equal(get(target), 400);
    check_at("$.errors[0].parameter", "cursor");
    assert_int_equal(get("/v1/limits?scope=moon"), 400);
    assert_int_equal(get("/v1/limits?cursor=x"), 400);
    rig.err = ETIMEDOUT;
    assert_int_equal(get("/v1/limits"), 503);
    rig.err = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_are_filtered_by_the_query),
        TEST(a_cursor_goes_on_where_the_page_ended),
        TEST(a_record_counts_its_times),
        TEST(a_call_shows_its_row_and_its_detail_once_each),
        TEST(a_ladder_is_the_live_one_or_the_stored_one),
        TEST(hanging_up_tells_living_ended_and_unknown_calls_apart),
        TEST(bans_are_listed_made_explained_and_lifted),
        TEST(the_operator_bans_and_lifts_by_id_and_address),
        TEST(limits_are_shown_by_scope_and_page),
        TEST(new_keys_are_asked_for_by_call_and_side),
        TEST(registrations_are_paged_and_hide_the_expired),
        TEST(a_wrong_query_is_told_with_the_nearest_word),
        TEST(the_index_the_system_and_the_peers_answer),
        TEST(a_peer_and_a_target_are_drained_and_taken_back),
        TEST(health_and_metrics_need_no_token_here),
        TEST(each_metric_is_described_once_and_keeps_its_lines_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
