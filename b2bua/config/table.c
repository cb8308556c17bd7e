/* table.c - tables of prefixes from CSV files: PREFIX,TAG a row, # begins a comment, a first row
 * "prefix,tag" is a heading. Every mistake of the file is told as file:line:col. */
#include "config/schema_int.h"

#define CFG_TABLE_MAX (512u << 20) /* bytes of a file */

struct cfg_csv {
    struct cfg *c;
    const char *file; /* of the configuration, while this one is read */
    struct policy_table_draft *draft;
    uint32_t line;
};

/* One field of a row, quotes taken off; *col (from 1) is where it begins. False: told. */
static bool cfg_csv_field(struct cfg_csv *x, struct sl row, struct sl *rest, struct sl *out,
                          uint32_t *col)
{
    struct sl field;

    if (sl_next(rest, ',', &field) != 0) {
        field = sl_from(row, row.n);
    }
    *out = sl_trim(field);
    *col = out->n != 0 ? (uint32_t)(out->p - row.p) + 1 : (uint32_t)(field.p - row.p) + 1;
    if (out->n > 1 && out->p[0] == '"' && out->p[out->n - 1] == '"') {
        *out = sl_make(out->p + 1, out->n - 2);
        ++*col;
    }
    if (sl_chr(*out, '"') >= 0) {
        cfg_error_at(x->c, x->line, *col, "a quote inside a field");
        return false;
    }
    return true;
}

static bool cfg_csv_tag(struct cfg_csv *x, struct sl tag, uint32_t col)
{
    if (tag.n > POLICY_NAME_MAX) {
        cfg_error_at(x->c, x->line, col, "a tag has at most %d characters", POLICY_NAME_MAX);
        return false;
    }
    for (size_t i = 0; i < tag.n; i++) {
        unsigned char ch = (unsigned char)tag.p[i];
        bool is_alnum = (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z');

        if (!is_alnum && (ch == 0 || ch >= 0x80 || strchr("._-", ch) == NULL)) {
            cfg_error_at(x->c, x->line, col + (uint32_t)i,
                         "a tag may hold only letters, digits and ._-");
            return false;
        }
    }
    return true;
}

static void cfg_csv_add(struct cfg_csv *x, struct sl prefix, uint32_t col, struct sl tag)
{
    size_t bad = 0;
    int err = policy_table_add(x->draft, prefix, tag, x->line, &bad);

    if (err == EBADMSG && prefix.n == 0) {
        cfg_error_at(x->c, x->line, col, "a prefix is missing");
    } else if (err == EBADMSG) {
        cfg_error_at(x->c, x->line, col + (uint32_t)bad,
                     "a prefix may hold only digits, +, * and #");
    } else if (err == EMSGSIZE) {
        cfg_error_at(x->c, x->line, col, "a prefix has at most %d characters", POLICY_PREFIX_MAX);
    } else if (err == ENOBUFS) {
        cfg_error_at(x->c, x->line, col, "too many rows or different tags");
    } else if (err != 0) {
        x->c->err = err;
    }
}

static void cfg_csv_row(struct cfg_csv *x, struct sl row)
{
    struct sl rest = row, prefix, tag;
    uint32_t prefix_col, tag_col;

    if (sl_trim(row).n == 0 || row.p[0] == '#') {
        return;
    }
    if (!cfg_csv_field(x, row, &rest, &prefix, &prefix_col) ||
        !cfg_csv_field(x, row, &rest, &tag, &tag_col)) {
        return;
    }
    if (x->line == 1 && sl_ieq(prefix, SL("prefix"))) {
        return;
    }
    if (rest.n != 0) {
        cfg_error_at(x->c, x->line, (uint32_t)(rest.p - row.p) + 1,
                     "a row has two fields, PREFIX,TAG");
    } else if (cfg_csv_tag(x, tag, tag_col)) {
        cfg_csv_add(x, prefix, prefix_col, tag);
    }
}

static void cfg_csv_twice(void *arg, uint32_t line, uint32_t first)
{
    struct cfg_csv *x = arg;

    cfg_error_at(x->c, line, 1, "this prefix is there twice; the first is on line %u", first);
}

static void cfg_csv_read(struct cfg_csv *x, struct sl text, struct policy_table **table)
{
    struct sl row;
    size_t before = x->c->errs->n_total;
    int err = policy_table_draft_new(&x->draft);

    while (err == 0 && x->c->err == 0 && sl_next(&text, '\n', &row) == 0) {
        x->line++;
        cfg_csv_row(x, row);
    }
    if (err == 0 && x->c->err == 0) {
        err = policy_table_build(table, &x->draft, cfg_csv_twice, x);
    }
    policy_table_draft_free(&x->draft);
    if (err == ENOMEM) {
        x->c->err = ENOMEM;
    }
    if (x->c->errs->n_total != before) {
        policy_table_free(table);
    }
}

void cfg_check_table(struct cfg *c, const struct cfg_node *node, void *at)
{
    struct policy_table_ref *t = at;
    struct cfg_csv x = {.c = c, .file = c->file};
    struct buf b;
    int err;

    if (t->file == NULL) {
        return;
    }
    buf_init(&b, CFG_TABLE_MAX + 65536);
    err = config_read_file(&b, t->file, CFG_TABLE_MAX);
    if (err == 0 && b.n > CFG_TABLE_MAX) {
        cfg_error(c, cfg_spot(c, node, SL("file")), "larger than %u bytes", CFG_TABLE_MAX);
    } else if (err == 0) {
        uint32_t files = c->file_no;

        c->file = t->file;
        c->file_no = files + 1 + (uint32_t)(t - c->config->def.tables);
        cfg_csv_read(&x, buf_sl(&b), &t->table);
        c->file = x.file;
        c->file_no = files;
    } else if (err == ENOMEM) {
        c->err = ENOMEM;
    } else {
        cfg_error(c, cfg_spot(c, node, SL("file")), "'%.*s': %s",
                  SL_ARG(cfg_shown(sl_str(t->file))), strerror(err));
    }
    buf_free(&b);
}
