/* schema_header.c - the settings of what a side's messages say: header rules, status codes,
 * identity; and what makes no sense as a rule. */
#include "config/schema_int.h"

static const char *const words_direction[] = {"in", "out", NULL};
static const char *const words_on[] = {"all", "requests", "responses", NULL};
static const char *const words_op[] = {"add", "set", "remove", "rename", "replace", "copy", NULL};
static const char *const words_privacy[] = {"honour", "ignore", NULL};

/* --- header rules --- */
#define RULE(field) AT(policy_header_rule, field)
static const struct cfg_key cfg_header_rule_keys[] = {
    {.key = "direction",
     .type = CFG_ENUM,
     RULE(direction),
     .dflt = "out",
     .words = words_direction,
     .help = "in: what comes from the peer, before routes are matched; out: what goes there."},
    {.key = "action",
     .type = CFG_ENUM,
     .flags = CFG_REQUIRED,
     RULE(op),
     .words = words_op,
     .help = "What is done with the fields of that name."},
    {.key = "name",
     .type = CFG_STRING,
     .flags = CFG_REQUIRED,
     RULE(name),
     .min = 1,
     .max = 64,
     .help = "Name of the field."},
    {.key = "value",
     .type = CFG_STRING,
     RULE(value),
     .max = POLICY_VALUE_MAX,
     .help = "For add, set, and replace, where \\0 to \\9 stand for what fitted."},
    {.key = "to",
     .type = CFG_STRING,
     RULE(to),
     .min = 1,
     .max = 64,
     .help = "For rename and copy: the new name. Outgoing messages copy from the other side's."},
    {.key = "pattern",
     .type = CFG_PATTERN,
     RULE(pattern),
     .help = "For replace: the part of the value that is replaced (PCRE2, in bounded time)."},
    {.key = "reveal",
     .type = CFG_ENUM,
     RULE(reveal),
     .dflt = "false",
     .words = cfg_words_bool,
     .help = "Whether the field may name the other side (topology); add and set may always."},
    {.key = "messages",
     .type = CFG_ENUM,
     RULE(on),
     .dflt = "all",
     .words = words_on,
     .help = "Which messages it works on."},
    {.key = "methods",
     LIST(policy_header_rule, methods.e, methods.n, CFG_NAME),
     .min = 1,
     .max = 32,
     .help = "Methods of these messages, as in [INVITE, BYE]; all when not set."},
    {.key = "if",
     LIST(policy_header_rule, conds_text.e, conds_text.n, CFG_COND),
     .min = 1,
     .max = CFG_NUMBERS_MAX,
     .help = "Only when all hold for the fields as they are by now; as in a route's headers."},
};
static cfg_check_fn cfg_check_header_rule;
OBJECT_PUBLIC(cfg_header_rule, policy_header_rule, cfg_check_header_rule);

static const struct cfg_key cfg_reply_rule_keys[] = {
    {.key = "direction",
     .type = CFG_ENUM,
     AT(policy_reply_rule, direction),
     .dflt = "in",
     .words = words_direction,
     .help = "in: what the peer answers, before failover; out: what it is answered."},
    {.key = "codes",
     .type = CFG_CODE,
     .flags = CFG_REQUIRED,
     AT(policy_reply_rule, from),
     .help = "Which failures, as in 480, 5xx or 500-504."},
    {.key = "status",
     .type = CFG_INT,
     .flags = CFG_REQUIRED,
     AT(policy_reply_rule, status),
     .min = 400,
     .max = 699,
     .help = "What they become."},
};
static cfg_check_fn cfg_check_reply_rule;
OBJECT_PUBLIC(cfg_reply_rule, policy_reply_rule, cfg_check_reply_rule);

static const struct cfg_key cfg_identity_keys[] = {
    {.key = "trust",
     .type = CFG_ENUM,
     AT(policy_identity, trust),
     .dflt = "false",
     .words = cfg_words_bool,
     .help = "Whether the peer is of our trust domain: its P-Asserted-Identity is believed, and it "
             "gets ours, with the caller's Privacy."},
    {.key = "privacy",
     .type = CFG_ENUM,
     AT(policy_identity, ignore_privacy),
     .dflt = "honour",
     .words = words_privacy,
     .help = "Whether a caller who asks for privacy is anonymous to a peer that is not trusted."},
};
OBJECT_PUBLIC(cfg_identity, policy_identity, NULL);

/* --- checks --- */

static void cfg_check_field(struct cfg *c, const struct cfg_node *node, struct sl key,
                            const char *name)
{
    const struct cfg_node *n = cfg_find(c, node, key);
    const char *why;

    if (name == NULL || n == NULL) {
        return;
    }
    why = policy_field_is_ours(sl_str(name));
    if (!policy_is_field_name(sl_str(name))) {
        cfg_error(c, n, "'%s' is not the name of a header field", name);
    } else if (why != NULL) {
        cfg_error(c, n, "no rule may touch '%s': %s", name, why);
    }
}

/* A key that this action needs, or has no use for. */
static void cfg_check_use(struct cfg *c, const struct cfg_node *node, struct sl key, bool needs,
                          bool takes)
{
    const struct cfg_node *n = cfg_find(c, node, key);
    const struct cfg_node *action = cfg_find(c, node, SL("action"));

    if (n == NULL && needs) {
        cfg_error(c, node, "'%.*s' needs '%.*s'", SL_ARG(cfg_shown(action->value)), SL_ARG(key));
    } else if (n != NULL && !takes) {
        cfg_error_key(c, n, NULL, "is of no use with '%.*s'", SL_ARG(cfg_shown(action->value)));
    }
}

/* \5 in a replacement for a pattern without five groups would silently be nothing. */
static void cfg_check_groups(struct cfg *c, const struct cfg_node *node,
                             const struct policy_header_rule *r)
{
    unsigned groups;

    if (r->pattern == NULL || r->value == NULL) {
        return;
    }
    groups = policy_pattern_groups(r->pattern);
    for (const char *p = r->value; *p != '\0'; p++) {
        if (*p != '\\') {
            continue;
        }
        p++;
        if (*p >= '0' && *p <= '9' && (unsigned)(*p - '0') > groups) {
            cfg_error(c, cfg_spot(c, node, SL("value")), "the pattern has no group %c", *p);
        } else if (*p != '\\' && (*p < '0' || *p > '9')) {
            cfg_error(c, cfg_spot(c, node, SL("value")),
                      "after a backslash comes 0 to 9, or another");
            return;
        }
    }
}

static void cfg_check_header_rule(struct cfg *c, const struct cfg_node *node, void *at)
{
    struct policy_header_rule *r = at;
    bool is_value = r->op == POLICY_OP_ADD || r->op == POLICY_OP_SET || r->op == POLICY_OP_REPLACE;
    bool is_to = r->op == POLICY_OP_RENAME || r->op == POLICY_OP_COPY;

    if (cfg_find(c, node, SL("action")) == NULL) {
        return;
    }
    cfg_check_field(c, node, SL("name"), r->name);
    cfg_check_field(c, node, SL("to"), r->to);
    cfg_check_use(c, node, SL("value"), is_value, is_value);
    cfg_check_use(c, node, SL("to"), r->op == POLICY_OP_RENAME, is_to);
    cfg_check_use(c, node, SL("pattern"), r->op == POLICY_OP_REPLACE, r->op == POLICY_OP_REPLACE);
    if (r->op == POLICY_OP_COPY && r->direction == POLICY_IN && r->to == NULL) {
        cfg_error(c, node, "'copy' of what comes in needs 'to'");
    }
    cfg_check_groups(c, node, r);
    if (r->conds_text.n == 0) {
        return;
    }
    r->conds = arena_zalloc(c->arena, r->conds_text.n * sizeof(*r->conds));
    if (r->conds == NULL) {
        c->err = ENOMEM;
        return;
    }
    for (size_t i = 0; i < r->conds_text.n; i++) {
        if (policy_cond_parse(sl_str(r->conds_text.e[i]), &r->conds[i]) != 0) {
            r->conds_text.n = i; /* reported */
        }
    }
}

static void cfg_check_reply_rule(struct cfg *c, const struct cfg_node *node, void *at)
{
    const struct policy_reply_rule *r = at;
    static const uint16_t proofs[] = {401, 407, 423, 421, 420, 494};

    for (size_t i = 0; i < COUNT_OF(proofs); i++) {
        if (r->status == proofs[i]) {
            cfg_error(c, cfg_spot(c, node, SL("status")),
                      "%u needs header fields of its own; nobody could act on it", r->status);
        }
    }
}
