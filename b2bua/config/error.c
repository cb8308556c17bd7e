/* error.c - mistakes as file:line:col: path.to.key: what; did you mean 'nearest'? */
#include "config/config_int.h"

#define CFG_ERROR_MAX 8192 /* bytes of one line */
#define CFG_WORD_MAX 64    /* longer words get no suggestion */

struct sl cfg_shown(struct sl s)
{
    size_t n = s.n;

    if (n > CFG_SHOWN_MAX) {
        n = CFG_SHOWN_MAX;
        while (n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80) {
            n--; /* not in the middle of a character */
        }
    }
    return sl_head(s, n);
}

static size_t cfg_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static char cfg_fold(char ch)
{
    return (char)(ch >= 'A' && ch <= 'Z' ? ch | 0x20 : ch);
}

/* Edits that turn a into b: insert, delete, replace, swap of neighbours. Case costs nothing. */
static size_t cfg_distance(struct sl a, struct sl b)
{
    size_t rows[3][CFG_WORD_MAX + 1];
    size_t *old = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= b.n; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= a.n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            bool is_same = cfg_fold(a.p[i - 1]) == cfg_fold(b.p[j - 1]);

            now[j] = cfg_min(last[j - 1] + !is_same, cfg_min(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && cfg_fold(a.p[i - 1]) == cfg_fold(b.p[j - 2]) &&
                cfg_fold(a.p[i - 2]) == cfg_fold(b.p[j - 1])) {
                now[j] = cfg_min(now[j], old[j - 2] + 1);
            }
        }
        size_t *oldest = old;
        old = last;
        last = now;
        now = oldest;
    }
    return last[b.n];
}

void cfg_nearest_try(struct cfg_nearest *x, const char *candidate)
{
    struct sl word = sl_str(candidate);
    size_t near = x->want.n < 3 ? 1 : 1 + x->want.n / 4; /* what still counts as a slip */
    size_t distance;

    if (x->want.n == 0 || x->want.n > CFG_WORD_MAX || word.n > CFG_WORD_MAX) {
        return;
    }
    distance = cfg_distance(x->want, word);
    if (distance <= near && distance < word.n && (x->best == NULL || distance < x->distance)) {
        x->best = candidate;
        x->distance = distance;
    }
}

/* The root has no key; a section that was not written has a key but no parent. */
static void cfg_put_path(struct buf *b, const struct cfg_node *n)
{
    const struct cfg_node *up[CFG_DEPTH_MAX + 2];
    size_t depth = 0;

    for (; n != NULL && (n->parent != NULL || n->key.n != 0) && depth < COUNT_OF(up);
         n = n->parent) {
        up[depth++] = n;
    }
    for (size_t i = depth; i-- > 0;) {
        if (up[i]->parent != NULL && up[i]->parent->kind == CFG_SEQUENCE) {
            buf_putf(b, "[%u]", up[i]->index);
        } else {
            buf_puts(b, i + 1 < depth ? "." : "");
            buf_putsl(b, up[i]->key.n != 0 ? cfg_shown(up[i]->key) : SL("''"));
        }
    }
    if (depth != 0) {
        BUF_LIT(b, ": ");
    }
}

bool cfg_errors_room(const struct cfg *c)
{
    return c->errs->n < CONFIG_ERRORS_MAX;
}

/* Starts a line; false: the list is full, the mistake is only counted. */
static bool cfg_begin(struct cfg *c, struct buf *b, uint32_t line, uint32_t col)
{
    c->errs->n_total++;
    if (!cfg_errors_room(c)) {
        return false;
    }
    c->where[c->errs->n].file = c->file_no;
    c->where[c->errs->n].line = line;
    c->where[c->errs->n].col = col;
    buf_init(b, CFG_ERROR_MAX);
    buf_putf(b, "%s:%u:%u: ", c->file, line, col);
    return true;
}

static void cfg_end(struct cfg *c, struct buf *b, const struct cfg_nearest *near)
{
    char *text;
    size_t n;

    if (near != NULL && near->best != NULL) {
        buf_putf(b, "; did you mean '%s'?", near->best);
    }
    buf_putc(b, '\0');
    text = buf_steal(b, &n);
    buf_free(b);
    if (text == NULL) {
        c->err = ENOMEM;
        return;
    }
    c->errs->e[c->errs->n++].text = text;
}

/* One error about a node: at its key or at its value. */
PRINTF_LIKE(5, 0)
static void cfg_say(struct cfg *c, const struct cfg_node *n, bool at_key,
                    const struct cfg_nearest *near, const char *fmt, va_list ap)
{
    struct buf b;

    if (cfg_begin(c, &b, at_key ? n->key_line : n->line, at_key ? n->key_col : n->col)) {
        cfg_put_path(&b, n);
        buf_putv(&b, fmt, ap);
        cfg_end(c, &b, near);
    }
}

void cfg_error(struct cfg *c, const struct cfg_node *n, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    cfg_say(c, n, false, NULL, fmt, ap);
    va_end(ap);
}

void cfg_error_value(struct cfg *c, const struct cfg_node *n, const struct cfg_nearest *near,
                     const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    cfg_say(c, n, false, near, fmt, ap);
    va_end(ap);
}

void cfg_error_key(struct cfg *c, const struct cfg_node *n, const struct cfg_nearest *near,
                   const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    cfg_say(c, n, true, near, fmt, ap);
    va_end(ap);
}

void cfg_error_at(struct cfg *c, uint32_t line, uint32_t col, const char *fmt, ...)
{
    struct buf b;
    va_list ap;

    if (cfg_begin(c, &b, line, col)) {
        va_start(ap, fmt);
        buf_putv(&b, fmt, ap);
        va_end(ap);
        cfg_end(c, &b, NULL);
    }
}

static bool cfg_is_before(const struct cfg *c, size_t a, size_t b)
{
    if (c->where[a].file != c->where[b].file) {
        return c->where[a].file < c->where[b].file;
    }
    return c->where[a].line != c->where[b].line ? c->where[a].line < c->where[b].line
                                                : c->where[a].col < c->where[b].col;
}

static void cfg_swap_errors(struct cfg *c, size_t a, size_t b)
{
    struct config_error text = c->errs->e[a];
    uint32_t file = c->where[a].file, line = c->where[a].line, col = c->where[a].col;

    c->errs->e[a] = c->errs->e[b];
    c->where[a] = c->where[b];
    c->errs->e[b] = text;
    c->where[b].file = file;
    c->where[b].line = line;
    c->where[b].col = col;
}

/* In the order of the file, whatever order the checks ran in; stable. */
void cfg_errors_sort(struct cfg *c)
{
    for (size_t i = 1; i < c->errs->n; i++) {
        for (size_t j = i; j > 0 && cfg_is_before(c, j, j - 1); j--) {
            cfg_swap_errors(c, j, j - 1);
        }
    }
}

void config_errors_free(struct config_errors *errs)
{
    for (size_t i = 0; i < errs->n; i++) {
        mem_free(errs->e[i].text);
        errs->e[i].text = NULL;
    }
    errs->n = 0;
    errs->n_total = 0;
}
