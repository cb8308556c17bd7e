/* number.c - the steps of a rule: cut, replace, prepend, then the form. */
#include "policy_int.h"

#define POLICY_LONG_MIN 4 /* digits of the shortest national numbers */

/* Puts head + rest in place of what is there; false: it would be too long, nothing happened. rest
 * may lie inside the number. */
static bool policy_number_put(struct policy_number *number, struct sl head, struct sl rest)
{
    char text[POLICY_NUMBER_MAX];

    if (head.n + rest.n > sizeof(text)) {
        return false;
    }
    memcpy(text, head.p != NULL ? head.p : "", head.n);
    memcpy(text + head.n, rest.p != NULL ? rest.p : "", rest.n);
    number->changed = true;
    number->n = (uint8_t)(head.n + rest.n);
    memcpy(number->p, text, number->n);
    return true;
}

static bool policy_is_phone(struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
    }
    return s.n != 0;
}

/* What may stand behind a country's or the world's prefix. Emergency and service numbers do not,
 * even if they begin like one ("000", or "112" where the trunk prefix is 1). */
static bool policy_may_be_long(struct sl s)
{
    return s.n >= POLICY_LONG_MIN && s.p[0] != '0';
}

static bool policy_to_e164(const struct policy_number_rule *r, struct sl s,
                           struct policy_number *number)
{
    char text[POLICY_NUMBER_MAX];
    struct sl trunk = sl_str(r->trunk), out = sl_str(r->exit);
    struct buf b;

    if (!policy_is_phone(s)) {
        return false; /* already +…, or no phone number */
    }
    if (out.n != 0 && sl_starts(s, out) && policy_may_be_long(sl_from(s, out.n))) {
        return policy_number_put(number, SL("+"), sl_from(s, out.n));
    }
    if (trunk.n == 0 || !sl_starts(s, trunk) || !policy_may_be_long(sl_from(s, trunk.n))) {
        return false; /* a short number, or one that nobody can place */
    }
    buf_init_fixed(&b, text, sizeof(text));
    buf_putc(&b, '+');
    buf_puts(&b, r->country);
    return buf_err(&b) == 0 && policy_number_put(number, buf_sl(&b), sl_from(s, trunk.n));
}

static bool policy_to_form(const struct policy_number_rule *r, struct sl s,
                           struct policy_number *number)
{
    struct sl rest = sl_from(s, 1), country = sl_str(r->country);

    if (r->form == POLICY_FORM_E164) {
        return policy_to_e164(r, s, number);
    }
    if (r->form == POLICY_FORM_AS_IS || s.n < 2 || s.p[0] != '+' || !policy_is_phone(rest)) {
        return false;
    }
    if (r->form == POLICY_FORM_DIGITS) {
        return policy_number_put(number, SL_NULL, rest);
    }
    if (r->form == POLICY_FORM_NATIONAL && country.n != 0 && sl_starts(rest, country) &&
        rest.n > country.n) {
        return policy_number_put(number, sl_str(r->trunk), sl_from(rest, country.n));
    }
    return policy_number_put(number, sl_str(r->exit), rest);
}

/* True: it fitted; *changed is set when something became different. */
static bool policy_rule_apply(const struct policy_number_rule *r, struct sl own,
                              struct policy_number *number, bool *changed)
{
    struct sl s = policy_number_text(number, own), prefix = sl_str(r->prefix);
    struct sl head = sl_str(r->prepend), kept = SL_NULL, rest = s;
    char text[POLICY_NUMBER_MAX];
    struct buf b;

    if (!sl_starts(s, prefix) || s.n < r->strip) {
        return false;
    }
    if (r->replace != NULL) {
        kept = sl_str(r->replace);
        rest = sl_from(s, prefix.n);
    } else if (r->strip != 0) {
        rest = sl_from(s, r->strip);
    }
    buf_init_fixed(&b, text, sizeof(text));
    buf_putsl(&b, head);
    buf_putsl(&b, kept);
    if (b.n != 0 || rest.n != s.n) {
        if (buf_err(&b) != 0 || !policy_number_put(number, buf_sl(&b), rest)) {
            return false;
        }
        *changed = true;
        s = policy_number_text(number, own);
    }
    *changed = policy_to_form(r, s, number) || *changed;
    return true;
}

bool policy_number_apply(const struct policy_number_rule *rules, size_t n, struct sl own,
                         struct policy_number *number)
{
    bool changed = false;

    for (size_t i = 0; i < n; i++) {
        if (policy_rule_apply(&rules[i], own, number, &changed) && rules[i].stop) {
            break;
        }
    }
    return changed;
}
