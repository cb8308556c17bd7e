/* versions.c - /v1/config/versions: what was in force when, who made it and why, and what one says
 * otherwise than another. */
#include "admin-http/config_int.h"

const char *const config_versions_params[] = {"limit", "cursor", NULL};
const char *const config_version_params[] = {"format", NULL};
const char *const config_version_diff_params[] = {"to", NULL};

static const char *const state_words[] = {"confirmed", "waits", "rolled_back"};

/* --- the store --- */

struct version_text {
    struct buf text;
};

static bool on_version_text(const struct store_version *v, void *arg)
{
    struct version_text *t = arg;

    buf_putsl(&t->text, v->text);
    return false;
}

/* False: the refusal is written. The text is the caller's to free. */
static bool version_read(struct request *rq, uint64_t id, struct version_text *t)
{
    struct store_reader *r = NULL;
    int err = reader_take(rq->admin, &r);

    buf_init(&t->text, CONFIG_FILE_MAX);
    if (err == 0) {
        err = store_read_version(r, id, on_version_text, t);
        reader_give(rq->admin, r, err);
    }
    err = err == 0 ? buf_err(&t->text) : err;
    if (err == ENOENT) {
        problem(rq, 404, "there is no version %llu, or not any more", (unsigned long long)id);
    } else if (err != 0) {
        problem_errno(rq, err, "versions");
    }
    return err == 0;
}

void config_put_text(struct request *rq, uint64_t version)
{
    struct version_text t;

    if (version_read(rq, version, &t)) {
        json_kstr(&rq->json, "text", buf_sl(&t.text));
    }
    buf_free(&t.text);
}

void config_put_yaml(struct request *rq, uint64_t version)
{
    struct version_text t;

    if (version_read(rq, version, &t)) {
        rq->type = "application/yaml";
        buf_putsl(&rq->body, buf_sl(&t.text));
    }
    buf_free(&t.text);
}

/* --- differences --- */

static void on_change(const struct config_change *c, void *arg)
{
    static const char *const ops[] = {"added", "removed", "changed", "moved"};
    struct json *j = arg;

    json_obj(j);
    json_kcstr(j, "op", ops[c->op]);
    json_kstr(j, "path", c->path);
    if (c->op == CONFIG_REMOVED || c->op == CONFIG_CHANGED) {
        json_kstr(j, "old", c->old);
    }
    if (c->op == CONFIG_ADDED || c->op == CONFIG_CHANGED) {
        json_kstr(j, "new", c->now);
    }
    json_obj_end(j);
}

static void put_changes(struct request *rq, struct sl old, struct sl now)
{
    size_t n = 0;
    int err;

    json_key(&rq->json, "changes");
    json_arr(&rq->json);
    err = config_diff(old, now, on_change, &rq->json, &n);
    json_arr_end(&rq->json);
    json_kint(&rq->json, "changes_total", (int64_t)n);
    if (err != 0) {
        problem_errno(rq, err, "comparison");
    }
}

void config_put_changes(struct request *rq, uint64_t from, uint64_t to, const struct sl *text)
{
    struct version_text old, now;
    bool is_good = version_read(rq, from, &old);

    buf_init(&now.text, 1);
    if (is_good && text == NULL) {
        is_good = version_read(rq, to, &now);
    }
    if (is_good) {
        put_changes(rq, buf_sl(&old.text), text != NULL ? *text : buf_sl(&now.text));
    }
    buf_free(&old.text);
    buf_free(&now.text);
}

/* --- resources --- */

static void put_row(struct json *j, const struct store_version *v)
{
    json_kint(j, "version", (int64_t)v->id);
    json_ktime(j, "at", v->at_ms);
    json_kcstr(j, "state", v->state < COUNT_OF(state_words) ? state_words[v->state] : "unknown");
    json_kstr(j, "source", v->origin);
    json_kstr(j, "who", v->who);
    json_kstr(j, "comment", v->comment);
    json_kstr(j, "hash", v->hash);
    json_kint(j, "bytes", (int64_t)v->bytes);
    json_key(j, "made_from");
    if (v->base != 0) {
        json_int(j, (int64_t)v->base);
    } else {
        json_cstr(j, NULL);
    }
    if (v->confirm_until_ms != 0) {
        json_ktime(j, "confirm_until", v->confirm_until_ms);
    }
}

struct version_page {
    struct json *j;
    uint32_t limit, n;
    uint64_t last;
    bool has_more;
};

static bool on_version_row(const struct store_version *v, void *arg)
{
    struct version_page *p = arg;

    if (p->n == p->limit) {
        p->has_more = true;
        return false;
    }
    json_obj(p->j);
    put_row(p->j, v);
    json_obj_end(p->j);
    p->n++;
    p->last = v->id;
    return true;
}

static void put_versions(struct request *rq, struct version_page *p, uint64_t before)
{
    struct store_reader *r = NULL;
    int err;

    json_obj(p->j);
    json_key(p->j, "items");
    json_arr(p->j);
    err = reader_take(rq->admin, &r);
    if (err == 0) {
        err = store_read_versions(r, before, p->limit + 1, on_version_row, p);
        reader_give(rq->admin, r, err);
    }
    json_arr_end(p->j);
    if (p->has_more) {
        cursor_put_call(rq, p->j, p->last);
    } else {
        json_kcstr(p->j, "next_cursor", NULL);
    }
    json_obj_end(p->j);
    if (err != 0) {
        problem_errno(rq, err, "versions");
    }
}

void resource_config_versions(struct request *rq)
{
    struct version_page p = {.j = &rq->json};
    struct sl cursor = query_text(rq, "cursor");
    uint64_t before = 0;

    p.limit = query_u32(rq, "limit", 1, ADMIN_LIMIT_MAX, ADMIN_LIMIT_DEFAULT);
    if (cursor.n != 0 && !cursor_get_call(rq, cursor, &before)) {
        query_fault(rq, SL("cursor"), "not one of ours");
    }
    if (query_is_good(rq)) {
        put_versions(rq, &p, before);
    }
}

static bool version_param(struct request *rq, uint64_t *id)
{
    if (sl_u64(rq->param, INT64_MAX, id) != 0 || *id == 0) {
        problem(rq, 404, "a version has a number");
        return false;
    }
    return true;
}

static bool on_version(const struct store_version *v, void *arg)
{
    struct json *j = arg;

    json_obj(j);
    put_row(j, v);
    json_kstr(j, "text", v->text);
    json_obj_end(j);
    return false;
}

void resource_config_version(struct request *rq)
{
    static const char *const formats[] = {"json", "yaml", NULL};
    bool is_yaml = query_choice(rq, "format", formats, 0) == 1;
    struct store_reader *r = NULL;
    uint64_t id = 0;
    int err;

    if (!query_is_good(rq) || !version_param(rq, &id)) {
        return;
    }
    if (is_yaml) {
        config_put_yaml(rq, id);
        return;
    }
    err = reader_take(rq->admin, &r);
    if (err == 0) {
        err = store_read_version(r, id, on_version, &rq->json);
        reader_give(rq->admin, r, err);
    }
    if (err == ENOENT) {
        problem(rq, 404, "there is no version %llu, or not any more", (unsigned long long)id);
    } else if (err != 0) {
        problem_errno(rq, err, "versions");
    }
}

void resource_config_version_diff(struct request *rq)
{
    struct sl text = query_text(rq, "to");
    struct life_status s = {.version = 0};
    uint64_t id = 0, to = 0;

    if (text.n != 0 && (sl_u64(text, INT64_MAX, &to) != 0 || to == 0)) {
        query_fault(rq, SL("to"), "not the number of a version");
    }
    if (!query_is_good(rq) || !version_param(rq, &id) || !config_has_life(rq)) {
        return;
    }
    life_get(rq->admin->life, &s);
    to = to != 0 ? to : s.version;
    json_obj(&rq->json);
    json_kint(&rq->json, "from", (int64_t)id);
    json_kint(&rq->json, "to", (int64_t)to);
    config_put_changes(rq, id, to, NULL);
    if (rq->status == 200) {
        json_obj_end(&rq->json);
    }
}
