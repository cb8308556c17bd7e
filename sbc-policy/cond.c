/* cond.c - conditions on header fields, and lists of status codes. */
#include "policy_int.h"

static bool policy_is_token(struct sl s) /* RFC 3261 25.1 */
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        bool is_alnum = (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z');

        if (!is_alnum && (ch == 0 || strchr("-.!%*_+`'~", ch) == NULL)) {
            return false;
        }
    }
    return s.n != 0;
}

int policy_cond_parse(struct sl text, struct policy_cond *out)
{
    struct policy_cond c = {.absent = text.n != 0 && text.p[0] == '!'};
    struct sl rest = c.absent ? sl_from(text, 1) : text, name = rest;

    if (sl_split(&rest, ':', rest.n, &name) == 0) {
        c.glob = sl_trim(rest);
        c.glob = c.glob.n != 0 ? c.glob : SL("");
    }
    c.name = sl_trim(name);
    if (!policy_is_token(c.name)) {
        return EBADMSG;
    }
    *out = c;
    return 0;
}

static bool policy_cond_found(const struct policy_cond *c, const struct policy_header *h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (sl_ieq(h[i].name, c->name) && (c->glob.p == NULL || sl_glob(c->glob, h[i].value))) {
            return true;
        }
    }
    return false;
}

bool policy_conds_hold(const struct policy_cond *conds, size_t n, const struct policy_header *h,
                       size_t n_headers)
{
    for (size_t i = 0; i < n; i++) {
        if (policy_cond_found(&conds[i], h, n_headers) == conds[i].absent) {
            return false;
        }
    }
    return true;
}

bool policy_codes_has(const struct policy_codes *c, uint16_t status)
{
    for (size_t i = 0; i < c->n; i++) {
        if (status >= c->e[i].from && status <= c->e[i].to) {
            return true;
        }
    }
    return false;
}
