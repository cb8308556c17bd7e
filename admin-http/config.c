/* config.c - /v1/config: what is in force, the next one, whether it would do, the window in which
 * it must be confirmed, and the way back. */
#include "admin-http/config_int.h"

#define CONFIRM_MAX_S 86400u

const char *const config_params[] = {"format", "who", "comment", "confirm_within", NULL};
const char *const config_confirm_params[] = {"version", "who", NULL};
const char *const config_rollback_params[] = {"version", "who", "comment", "confirm_within", NULL};

bool config_has_life(struct request *rq)
{
    if (rq->admin->life == NULL) {
        problem(rq, 503, "this process keeps no versions");
        return false;
    }
    return true;
}

/* --- what is told --- */

static void put_restart(struct json *j, const char *names)
{
    struct sl rest = sl_str(names), name;

    json_key(j, "needs_restart");
    json_arr(j);
    while (rest.n != 0) {
        if (sl_next(&rest, ',', &name) != 0) {
            name = rest;
            rest = SL_NULL;
        }
        json_str(j, sl_trim(name));
    }
    json_arr_end(j);
}

static void put_etag(struct request *rq, uint64_t version)
{
    struct buf b;

    buf_init_fixed(&b, rq->etag, sizeof(rq->etag) - 1);
    buf_putf(&b, "\"%llu\"", (unsigned long long)version);
    rq->etag[b.n] = '\0';
}

/* Members of the open object. */
static void put_status(struct request *rq)
{
    struct json *j = &rq->json;
    struct life_status s;

    life_get(rq->admin->life, &s);
    put_etag(rq, s.version);
    json_kint(j, "version", (int64_t)s.version);
    json_kcstr(j, "hash", s.hash);
    json_kcstr(j, "source", s.source == CONFIG_BY_API ? "api" : "file");
    json_ktime(j, "in_force_since", s.in_force_ms);
    json_key(j, "waits");
    if (s.confirm_until_ms != 0) {
        json_obj(j);
        json_ktime(j, "confirm_until", s.confirm_until_ms);
        json_kint(j, "else_back_to", (int64_t)s.base);
        json_obj_end(j);
    } else {
        json_cstr(j, NULL);
    }
    put_restart(j, s.restart);
}

/* "name:line:column: what", as a struct of it. */
static void put_error(struct json *j, struct sl text)
{
    struct sl file, line, column, rest = text;
    uint32_t l = 0, c = 0;
    bool is_whole = sl_next(&rest, ':', &file) == 0 && sl_next(&rest, ':', &line) == 0 &&
                    sl_next(&rest, ':', &column) == 0 && sl_u32(line, UINT32_MAX, &l) == 0 &&
                    sl_u32(column, UINT32_MAX, &c) == 0;

    json_obj(j);
    if (is_whole) {
        json_kstr(j, "file", file);
        json_kint(j, "line", l);
        json_kint(j, "column", c);
    }
    json_kstr(j, "message", is_whole ? sl_trim(rest) : text);
    json_kstr(j, "text", text);
    json_obj_end(j);
}

static void put_errors(struct request *rq, const struct config_errors *errs)
{
    struct json j;

    json_init(&j, &rq->errors);
    json_arr(&j);
    for (size_t i = 0; i < errs->n; i++) {
        put_error(&j, sl_str(errs->e[i].text));
    }
    json_arr_end(&j);
    problem(rq, 422, "%zu errors in the configuration", errs->n_total);
}

/* False: the refusal is written. Frees the list of errors. */
static bool is_done(struct request *rq, int err, struct life_result *out)
{
    static const struct {
        int err;
        unsigned status;
    } statuses[] = {{EINVAL, 422}, {EPERM, 409},         {ESTALE, 412}, {EALREADY, 409},
                    {ENOENT, 404}, {EADDRNOTAVAIL, 409}, {EIO, 503},    {ECANCELED, 503}};
    unsigned status = 0;

    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        status = statuses[i].err == err ? statuses[i].status : status;
    }
    if (err == EBADMSG) {
        put_errors(rq, &out->errs);
    } else if (status != 0) {
        rq->retry_after_s = status == 503 ? 1 : 0;
        rq->problem = err == EPERM ? "urn:postern:problem:config-managed-by-file" : NULL;
        problem(rq, status, "%s", out->why);
    } else if (err != 0) {
        problem_errno(rq, err, "configuration");
    }
    config_errors_free(&out->errs);
    return err == 0;
}

/* --- what is asked --- */

/* 0: any version; false: no number of one, and the fault is noted. */
static bool read_if_match(struct request *rq, bool is_needed, uint64_t *version)
{
    struct sl text =
        sl_trim(sl_str(MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, "If-Match")));

    *version = 0;
    if (text.n == 0 && is_needed) {
        problem(rq, 428,
                "say which version this is made from: If-Match with the ETag of GET /v1/config, "
                "or * for whichever is in force");
        return false;
    }
    if (text.n == 0 || sl_eq(text, SL("*"))) {
        return true;
    }
    if (text.n > 2 && text.p[0] == '"' && text.p[text.n - 1] == '"') {
        text = sl_make(text.p + 1, text.n - 2);
    }
    if (sl_u64(text, INT64_MAX, version) != 0 || *version == 0) {
        problem(rq, 412, "If-Match is the ETag of no version");
        return false;
    }
    return true;
}

static void read_who(struct request *rq, struct buf *who)
{
    struct sl given = query_text(rq, "who");
    char text[ADDR_TEXT_MAX];

    buf_putsl(who, given.n != 0 ? sl_head(given, 200) : SL("admin"));
    buf_putf(who, " from %s",
             addr_family(&rq->from) != AF_UNSPEC ? addr_text(&rq->from, text) : "unix");
}

static void read_confirm(struct request *rq, struct life_change *c)
{
    struct sl text = query_text(rq, "confirm_within");
    int64_t ms = text.n != 0 ? duration_parse(text, CONFIRM_MAX_S) : 0;

    if (text.n != 0 && ms == 0) {
        query_fault(rq, SL("confirm_within"), "not a duration such as 60s or 5m, at most 1d");
    }
    c->confirm_ms = (uint32_t)ms;
    c->comment = query_text(rq, "comment");
}

static void put_result(struct request *rq, const struct life_result *out)
{
    json_obj(&rq->json);
    put_status(rq);
    json_kbool(&rq->json, "unchanged", out->unchanged);
    json_obj_end(&rq->json);
}

void resource_config(struct request *rq)
{
    static const char *const formats[] = {"json", "yaml", NULL};
    bool is_yaml = query_choice(rq, "format", formats, 0) == 1;
    struct life_status s;

    if (!query_is_good(rq) || !config_has_life(rq)) {
        return;
    }
    life_get(rq->admin->life, &s);
    if (is_yaml) {
        put_etag(rq, s.version);
        config_put_yaml(rq, s.version);
        return;
    }
    json_obj(&rq->json);
    put_status(rq);
    config_put_text(rq, s.version);
    if (rq->status == 200) {
        json_obj_end(&rq->json);
    }
}

void resource_config_put(struct request *rq)
{
    char who[300];
    struct life_change c = {.name = "request", .origin = CONFIG_BY_API};
    struct life_result out;
    struct buf b;
    int err;

    read_confirm(rq, &c);
    if (!query_is_good(rq) || !config_has_life(rq) || !read_if_match(rq, true, &c.expect)) {
        return;
    }
    buf_init_fixed(&b, who, sizeof(who));
    read_who(rq, &b);
    c.who = buf_sl(&b);
    c.text = buf_sl(&rq->text);
    err = life_apply(rq->admin->life, &c, &out);
    if (is_done(rq, err, &out)) {
        put_result(rq, &out);
    }
}

void resource_config_validate(struct request *rq)
{
    struct life_change c = {.name = "request"};
    struct life_status s;
    struct life_result out;
    int err;

    if (!config_has_life(rq)) {
        return;
    }
    life_get(rq->admin->life, &s);
    c.origin = s.source;
    c.text = buf_sl(&rq->text);
    err = life_check(rq->admin->life, &c, &out);
    if (!is_done(rq, err, &out)) {
        return;
    }
    json_obj(&rq->json);
    json_kbool(&rq->json, "ok", true);
    json_kint(&rq->json, "in_force", (int64_t)s.version);
    put_restart(&rq->json, out.restart);
    config_put_changes(rq, s.version, 0, &c.text);
    if (rq->status == 200) {
        json_obj_end(&rq->json);
    }
}

static uint64_t read_version(struct request *rq)
{
    struct sl text = query_text(rq, "version");
    uint64_t version = 0;

    if (text.n != 0 && (sl_u64(text, INT64_MAX, &version) != 0 || version == 0)) {
        query_fault(rq, SL("version"), "not the number of a version");
    }
    return version;
}

void resource_config_confirm(struct request *rq)
{
    char who[300];
    uint64_t version = read_version(rq);
    struct buf b;
    int err;

    if (!query_is_good(rq) || !config_has_life(rq)) {
        return;
    }
    buf_init_fixed(&b, who, sizeof(who));
    read_who(rq, &b);
    err = life_confirm(rq->admin->life, version, buf_sl(&b));
    if (err == ENOENT) {
        problem(rq, 409, "nothing waits to be confirmed");
    } else if (err == ESTALE) {
        problem(rq, 412, "another version waits to be confirmed");
    } else if (err != 0) {
        problem_errno(rq, err, "the store does not take it, and the version goes on waiting");
    } else {
        json_obj(&rq->json);
        put_status(rq);
        json_obj_end(&rq->json);
    }
}

void resource_config_rollback(struct request *rq)
{
    char who[300];
    struct life_change c = {.origin = CONFIG_BY_API};
    struct life_result out;
    struct buf b;
    int err;

    read_confirm(rq, &c);
    c.to = read_version(rq);
    if (!query_is_good(rq) || !config_has_life(rq) || !read_if_match(rq, false, &c.expect)) {
        return;
    }
    buf_init_fixed(&b, who, sizeof(who));
    read_who(rq, &b);
    c.who = buf_sl(&b);
    err = life_rollback(rq->admin->life, &c, &out);
    if (is_done(rq, err, &out)) {
        put_result(rq, &out);
    }
}
