/* fields.c - the columns of our tables and the members of our records, side by side. */
#include "store/store_int.h"

#define CALL(type, member)                                                                         \
    {                                                                                              \
#member, FIELD_##type, offsetof(struct store_call, member)                                 \
    }
#define BINDING(type, member)                                                                      \
    {                                                                                              \
#member, FIELD_##type, offsetof(struct store_binding, member)                              \
    }

#define BAN(type, member)                                                                          \
    {                                                                                              \
#member, FIELD_##type, offsetof(struct store_ban, member)                                  \
    }

const struct field call_fields[CALL_FIELDS] = {
    CALL(U64, id),        CALL(STATE, state),     CALL(I64, start_ms),       CALL(I64, ring_ms),
    CALL(I64, answer_ms), CALL(I64, end_ms),      CALL(TEXT, source),        CALL(TEXT, target),
    CALL(TEXT, calling),  CALL(TEXT, called),     CALL(TEXT, route),         CALL(TEXT, a_remote),
    CALL(TEXT, b_remote), CALL(TEXT, a_call_id),  CALL(TEXT, b_call_id),     CALL(U16, end_code),
    CALL(TEXT, end_by),   CALL(TEXT, end_reason), CALL(U32, config_version), CALL(TEXT, node),
    CALL(TEXT, detail),   CALL(BLOB, ladder),
};

const struct field binding_fields[BINDING_FIELDS] = {
    BINDING(TEXT, user),      BINDING(TEXT, contact),   BINDING(TEXT, instance),
    BINDING(TEXT, call_id),   BINDING(U32, cseq),       BINDING(TEXT, user_agent),
    BINDING(I64, expires_ms), BINDING(I64, updated_ms), BINDING(BLOB, flow),
    BINDING(TEXT, received),  BINDING(TEXT, transport), BINDING(TEXT, listener),
};

const struct field ban_fields[BAN_FIELDS] = {
    BAN(TEXT, prefix),  BAN(TEXT, event),    BAN(TEXT, proof), BAN(TEXT, reason),
    BAN(U32, level),    BAN(U32, points),    BAN(U32, flags),  BAN(I64, since_ms),
    BAN(I64, until_ms), BAN(BLOB, evidence),
};

const struct field asked_fields[ASKED_FIELDS] = {
    {"id", FIELD_U64, offsetof(struct store_asked, id)},
    {"asked", FIELD_BLOB, offsetof(struct store_asked, asked)},
};

struct sl *field_slice(const struct field *f, void *rec)
{
    return (struct sl *)(void *)((char *)rec + f->at);
}

int64_t field_int(const struct field *f, const void *rec)
{
    const void *p = (const char *)rec + f->at;

    switch (f->type) {
    case FIELD_U32:
        return *(const uint32_t *)p;
    case FIELD_U16:
        return *(const uint16_t *)p;
    case FIELD_STATE:
        return (int64_t) * (const enum store_call_state *)p;
    case FIELD_U64:
        return (int64_t) * (const uint64_t *)p;
    default:
        return *(const int64_t *)p;
    }
}

void field_set_int(const struct field *f, void *rec, int64_t v)
{
    void *p = (char *)rec + f->at;

    switch (f->type) {
    case FIELD_U32:
        *(uint32_t *)p = (uint32_t)v;
        break;
    case FIELD_U16:
        *(uint16_t *)p = (uint16_t)v;
        break;
    case FIELD_STATE:
        *(enum store_call_state *)p = (enum store_call_state)v;
        break;
    case FIELD_U64:
        *(uint64_t *)p = (uint64_t)v;
        break;
    default:
        *(int64_t *)p = v;
        break;
    }
}

void fields_put_names(struct buf *b, const struct field *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_puts(b, i == 0 ? "" : ",");
        buf_puts(b, f[i].column);
    }
}

/* A NULL pointer would bind SQL NULL, which no column of ours takes. */
static int field_bind_slice(sqlite3_stmt *st, int at, const struct field *f, struct sl s)
{
    const char *p = s.p != NULL ? s.p : "";

    return f->type == FIELD_BLOB ? sqlite3_bind_blob(st, at, p, (int)s.n, SQLITE_STATIC)
                                 : sqlite3_bind_text(st, at, p, (int)s.n, SQLITE_STATIC);
}

int fields_bind(sqlite3_stmt *st, const struct field *f, size_t n, const void *rec)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        const void *p = (const char *)rec + f[i].at;

        rc = field_is_slice(&f[i]) ? field_bind_slice(st, (int)i + 1, &f[i], *(const struct sl *)p)
                                   : sqlite3_bind_int64(st, (int)i + 1, field_int(&f[i], rec));
    }
    return rc;
}

static void fields_read(sqlite3_stmt *st, const struct field *f, size_t n, void *rec)
{
    for (size_t i = 0; i < n; i++) {
        int at = (int)i;

        if (field_is_slice(&f[i])) {
            /* the pointer first: asking for the bytes may convert and move them */
            const char *p = f[i].type == FIELD_BLOB ? sqlite3_column_blob(st, at)
                                                    : (const char *)sqlite3_column_text(st, at);
            size_t len = (size_t)sqlite3_column_bytes(st, at);

            *field_slice(&f[i], rec) = p != NULL ? sl_make(p, len) : SL_NULL;
        } else {
            field_set_int(&f[i], rec, sqlite3_column_int64(st, at));
        }
    }
}

bool rows_step(struct rows *rows)
{
    if (rows->rc == SQLITE_OK || rows->rc == SQLITE_ROW) {
        rows->rc = sqlite3_step(rows->st);
    }
    return rows->rc == SQLITE_ROW;
}

bool rows_next(struct rows *rows, const struct field *f, size_t n, void *rec, size_t bytes)
{
    if (!rows_step(rows)) {
        return false;
    }
    memset(rec, 0, bytes);
    fields_read(rows->st, f, n, rec);
    return true;
}

int rows_end(struct rows *rows)
{
    (void)sqlite3_finalize(rows->st);
    rows->st = NULL;
    return rows->rc == SQLITE_DONE || rows->rc == SQLITE_ROW ? 0 : db_errno(rows->rc);
}
