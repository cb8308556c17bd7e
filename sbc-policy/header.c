/* header.c - header rules at work on a list of fields. */
#include "policy_int.h"

/* --- what is not the operator's --- */

static const char policy_why_frame[] = "it holds the message together";
static const char policy_why_tx[] = "it holds the transaction together";
static const char policy_why_dialog[] = "it holds the dialog together";
static const char policy_why_auth[] = "it proves who somebody is";
static const char policy_why_feature[] = "it says what this end can do";
static const char policy_why_identity[] = "'identity' says what becomes of it";

static const struct {
    const char *name, *compact, *why;
} policy_ours[] = {
    {"Via", "v", policy_why_tx},
    {"CSeq", NULL, policy_why_tx},
    {"Max-Forwards", NULL, policy_why_tx},
    {"RAck", NULL, policy_why_tx},
    {"RSeq", NULL, policy_why_tx},
    {"Timestamp", NULL, policy_why_tx},
    {"Call-ID", "i", policy_why_dialog},
    {"From", "f", policy_why_dialog},
    {"To", "t", policy_why_dialog},
    {"Contact", "m", policy_why_dialog},
    {"Route", NULL, policy_why_dialog},
    {"Record-Route", NULL, policy_why_dialog},
    {"Path", NULL, policy_why_dialog},
    {"Service-Route", NULL, policy_why_dialog},
    {"Replaces", NULL, policy_why_dialog},
    {"Join", NULL, policy_why_dialog},
    {"Target-Dialog", NULL, policy_why_dialog},
    {"Refer-To", "r", policy_why_dialog},
    {"Referred-By", "b", policy_why_dialog},
    {"Event", "o", policy_why_dialog},
    {"Subscription-State", NULL, policy_why_dialog},
    {"Session-Expires", "x", policy_why_dialog},
    {"Min-SE", NULL, policy_why_dialog},
    {"Expires", NULL, policy_why_dialog},
    {"Min-Expires", NULL, policy_why_dialog},
    {"Content-Length", "l", policy_why_frame},
    {"Content-Type", "c", policy_why_frame},
    {"Content-Encoding", "e", policy_why_frame},
    {"Content-Disposition", NULL, policy_why_frame},
    {"MIME-Version", NULL, policy_why_frame},
    {"Info-Package", NULL, policy_why_frame},
    {"Authorization", NULL, policy_why_auth},
    {"Proxy-Authorization", NULL, policy_why_auth},
    {"WWW-Authenticate", NULL, policy_why_auth},
    {"Proxy-Authenticate", NULL, policy_why_auth},
    {"Authentication-Info", NULL, policy_why_auth},
    {"Identity", "y", policy_why_auth},
    {"Require", NULL, policy_why_feature},
    {"Proxy-Require", NULL, policy_why_feature},
    {"Supported", "k", policy_why_feature},
    {"Unsupported", NULL, policy_why_feature},
    {"Allow", NULL, policy_why_feature},
    {"Allow-Events", "u", policy_why_feature},
    {"Accept", NULL, policy_why_feature},
    {"P-Asserted-Identity", NULL, policy_why_identity},
    {"P-Preferred-Identity", NULL, policy_why_identity},
    {"Privacy", NULL, policy_why_identity},
};

const char *policy_field_is_ours(struct sl name)
{
    for (size_t i = 0; i < COUNT_OF(policy_ours); i++) {
        if (sl_ieq(name, sl_str(policy_ours[i].name)) ||
            (policy_ours[i].compact != NULL && sl_ieq(name, sl_str(policy_ours[i].compact)))) {
            return policy_ours[i].why;
        }
    }
    return NULL;
}

bool policy_is_field_name(struct sl name)
{
    struct policy_cond c;

    return policy_cond_parse(name, &c) == 0 && !c.absent && c.name.n == name.n;
}

/* --- the list --- */

void policy_fields_init(struct policy_fields *f)
{
    f->n = 0;
    f->used = 0;
    f->lost = 0;
}

void policy_fields_add(struct policy_fields *f, struct sl name, struct sl value)
{
    if (f->n < POLICY_FIELDS_MAX) {
        f->e[f->n++] = (struct policy_header){name, value};
    } else {
        f->lost++;
    }
}

void policy_fields_read(struct policy_fields *f, struct sl lines)
{
    struct sl copy, line, name;

    if (lines.n > sizeof(f->mem) - f->used) {
        f->lost++;
        return;
    }
    copy = sl_make(f->mem + f->used, lines.n);
    memcpy(f->mem + f->used, lines.p != NULL ? lines.p : "", lines.n);
    f->used += lines.n;
    while (sl_next(&copy, '\n', &line) == 0) {
        if (sl_split(&line, ':', line.n, &name) == 0) {
            policy_fields_add(f, sl_trim(name), sl_trim(line));
        }
    }
}

void policy_fields_put(struct buf *b, const struct policy_fields *f)
{
    for (size_t i = 0; i < f->n; i++) {
        struct sl v = f->e[i].value;

        buf_putsl(b, f->e[i].name);
        BUF_LIT(b, ": ");
        for (size_t k = 0; k < v.n; k++) {
            unsigned char ch = (unsigned char)v.p[k];

            if ((ch >= ' ' && ch != 0x7F) || ch == '\t') {
                buf_putc(b, (char)ch);
            }
        }
        BUF_LIT(b, "\r\n");
    }
}

static void policy_fields_drop(struct policy_fields *f, struct sl name)
{
    size_t kept = 0;

    for (size_t i = 0; i < f->n; i++) {
        if (!sl_ieq(f->e[i].name, name)) {
            f->e[kept++] = f->e[i];
        }
    }
    f->n = kept;
}

/* --- the steps --- */

static void policy_copy_fields(struct policy_fields *f, const struct policy_fields *from,
                               const struct policy_header_rule *r)
{
    struct sl to = sl_str(r->to != NULL ? r->to : r->name);
    size_t n = from != NULL ? from->n : 0; /* from may be f itself, which grows */

    for (size_t i = 0; i < n; i++) {
        struct sl value = from->e[i].value;

        if (!sl_ieq(from->e[i].name, sl_str(r->name))) {
            continue;
        }
        if (value.n > POLICY_VALUE_MAX || value.n > sizeof(f->mem) - f->used) {
            f->lost++; /* what a stranger sends must not make our message too big */
            continue;
        }
        f->used += value.n;
        policy_fields_add(f, to, value);
    }
}

static void policy_put_groups(struct buf *b, const char *text,
                              const struct sl groups[POLICY_PATTERN_GROUPS])
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' && text[1] >= '0' && text[1] <= '9') {
            buf_putsl(b, groups[*++text - '0']);
        } else if (*text == '\\' && text[1] == '\\') {
            buf_putc(b, *++text);
        } else {
            buf_putc(b, *text);
        }
    }
}

/* The first part that fits. What would be too long stays as it was. */
static void policy_replace_value(struct policy_fields *f, struct policy_header *h,
                                 const struct policy_header_rule *r)
{
    struct sl groups[POLICY_PATTERN_GROUPS];
    size_t room = sizeof(f->mem) - f->used, before;
    struct buf b;

    if (policy_pattern_part(r->pattern, h->value, groups) != POLICY_FIT_YES) {
        return;
    }
    before = (size_t)(groups[0].p - h->value.p);
    buf_init_fixed(&b, f->mem + f->used, room < POLICY_VALUE_MAX ? room : POLICY_VALUE_MAX);
    buf_putsl(&b, sl_head(h->value, before));
    policy_put_groups(&b, r->value, groups);
    buf_putsl(&b, sl_from(h->value, before + groups[0].n));
    if (buf_err(&b) != 0) {
        f->lost++;
        return;
    }
    h->value = buf_sl(&b);
    f->used += b.n;
}

static void policy_each_field(struct policy_fields *f, const struct policy_header_rule *r)
{
    for (size_t i = 0; i < f->n; i++) {
        if (!sl_ieq(f->e[i].name, sl_str(r->name))) {
            continue;
        }
        if (r->op == POLICY_OP_RENAME) {
            f->e[i].name = sl_str(r->to);
        } else {
            policy_replace_value(f, &f->e[i], r);
        }
    }
}

static void policy_header_apply(const struct policy_header_rule *r, struct policy_fields *f,
                                const struct policy_fields *other)
{
    struct sl name = sl_str(r->name);

    switch (r->op) {
    case POLICY_OP_SET:
        policy_fields_drop(f, name);
        policy_fields_add(f, name, sl_str(r->value));
        break;
    case POLICY_OP_ADD:
        policy_fields_add(f, name, sl_str(r->value));
        break;
    case POLICY_OP_REMOVE:
        policy_fields_drop(f, name);
        break;
    case POLICY_OP_RENAME:
    case POLICY_OP_REPLACE:
        policy_each_field(f, r);
        break;
    case POLICY_OP_COPY:
        policy_copy_fields(f, r->direction == POLICY_IN ? f : other, r);
        break;
    }
}

static bool policy_is_for(const struct policy_header_rule *r, const struct policy_message *m)
{
    if (r->on != POLICY_ON_ALL && (r->on == POLICY_ON_RESPONSES) != m->is_response) {
        return false;
    }
    for (size_t i = 0; i < r->methods.n; i++) {
        if (sl_eq(sl_str(r->methods.e[i]), m->method)) {
            return true;
        }
    }
    return r->methods.n == 0;
}

void policy_headers_apply(const struct policy_header_rule *rules, size_t n,
                          enum policy_direction direction, const struct policy_message *m,
                          struct policy_fields *f, const struct policy_fields *other)
{
    for (size_t i = 0; i < n; i++) {
        const struct policy_header_rule *r = &rules[i];

        if (r->direction == direction && policy_is_for(r, m) &&
            policy_conds_hold(r->conds, r->conds_text.n, f->e, f->n)) {
            policy_header_apply(r, f, other);
            if (m->met != NULL) {
                m->met(m->met_arg, r, i);
            }
        }
    }
}

uint16_t policy_reply_status(const struct policy_reply_rule *rules, size_t n,
                             enum policy_direction direction, uint16_t status)
{
    for (size_t i = 0; i < n; i++) {
        if (rules[i].direction == direction && status >= rules[i].from && status <= rules[i].to) {
            return rules[i].status;
        }
    }
    return status;
}
