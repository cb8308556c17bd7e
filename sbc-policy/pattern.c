/* pattern.c - the only user of PCRE2. Its limits hold the time, a block per thread holds the
 * memory: a match cannot run away and cannot allocate. */
#include "policy_int.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define POLICY_MATCH_DEPTH 1000
#define POLICY_MATCH_HEAP_KIB 64
#define POLICY_MATCH_BLOCK (192 * 1024) /* frames grow by doubling: 20 + 40 + 64 KiB, and room */
#define POLICY_PARENS_MAX 20

struct policy_pattern {
    pcre2_code *code;
    struct sl text;
    char copy[POLICY_PATTERN_MAX];
};

/* The library's allocator while it matches: forward only, forgotten with the match. */
struct policy_block {
    _Alignas(16) uint8_t mem[POLICY_MATCH_BLOCK];
    size_t used;
};
static _Thread_local struct policy_block policy_block;

static void *policy_block_take(size_t n, void *arg)
{
    struct policy_block *b = arg;
    size_t size = (n + 15) & ~(size_t)15;
    void *p = NULL;

    if (size >= n && size <= sizeof(b->mem) - b->used) {
        p = b->mem + b->used;
        b->used += size;
    }
    return p;
}

static void policy_block_give(void *p, void *arg)
{
    (void)p;
    (void)arg;
}

static void *policy_heap_take(size_t n, void *arg)
{
    (void)arg;
    return mem_alloc(n);
}

static void policy_heap_give(void *p, void *arg)
{
    (void)arg;
    mem_free(p);
}

static int policy_pattern_compile(struct policy_pattern *p, size_t *at, char why[128])
{
    pcre2_general_context *general =
        pcre2_general_context_create(policy_heap_take, policy_heap_give, NULL);
    pcre2_compile_context *cc = general != NULL ? pcre2_compile_context_create(general) : NULL;
    int code = PCRE2_ERROR_NOMEMORY;

    *at = 0;
    if (cc != NULL) {
        pcre2_set_parens_nest_limit(cc, POLICY_PARENS_MAX);
        p->code = pcre2_compile((PCRE2_SPTR)p->text.p, p->text.n,
                                PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C, &code,
                                at, cc);
    }
    pcre2_compile_context_free(cc);
    pcre2_general_context_free(general);
    if (p->code != NULL) {
        return 0;
    }
    if (code == PCRE2_ERROR_NOMEMORY || code == 121 /* the same, of pcre2_compile */) {
        return ENOMEM;
    }
    if (pcre2_get_error_message(code, (PCRE2_UCHAR *)why, 128) < 0) {
        why[127] = '\0'; /* cut short */
    }
    return EBADMSG;
}

int policy_pattern_new(struct policy_pattern **pp, struct sl text, size_t *at, char why[128])
{
    struct policy_pattern *p;
    int err;

    *at = 0;
    why[0] = '\0';
    if (text.n > POLICY_PATTERN_MAX) {
        memcpy(why, "it is too long", sizeof("it is too long"));
        return EBADMSG;
    }
    p = mem_zalloc(sizeof(*p));
    if (p == NULL) {
        return ENOMEM;
    }
    memcpy(p->copy, text.p != NULL ? text.p : "", text.n);
    p->text = sl_make(p->copy, text.n);
    err = policy_pattern_compile(p, at, why);
    if (err != 0) {
        policy_pattern_free(&p);
        return err;
    }
    *pp = p;
    return 0;
}

void policy_pattern_free(struct policy_pattern **pp)
{
    struct policy_pattern *p = *pp;

    *pp = NULL;
    if (p != NULL) {
        pcre2_code_free(p->code);
        mem_free(p);
    }
}

unsigned policy_pattern_groups(const struct policy_pattern *p)
{
    uint32_t n = 0;

    (void)pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &n);
    return n;
}

static void policy_groups(pcre2_match_data *data, int n, struct sl s,
                          struct sl groups[POLICY_PATTERN_GROUPS])
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);

    for (int i = 0; i < POLICY_PATTERN_GROUPS; i++) {
        bool is_set = i < n && at[2 * i] != PCRE2_UNSET && at[2 * i + 1] >= at[2 * i];

        groups[i] = is_set ? sl_make(s.p + at[2 * i], at[2 * i + 1] - at[2 * i]) : SL_NULL;
    }
}

static enum policy_fit policy_match(const struct policy_pattern *p, struct sl s, uint32_t options,
                                    struct sl groups[POLICY_PATTERN_GROUPS])
{
    struct policy_block *b = &policy_block;
    pcre2_general_context *general;
    pcre2_match_context *limits;
    pcre2_match_data *data;
    int n;

    if (s.n > POLICY_SUBJECT_MAX) {
        return POLICY_FIT_NO;
    }
    b->used = 0;
    general = pcre2_general_context_create(policy_block_take, policy_block_give, b);
    limits = general != NULL ? pcre2_match_context_create(general) : NULL;
    data = general != NULL ? pcre2_match_data_create(POLICY_PATTERN_GROUPS, general) : NULL;
    if (limits == NULL || data == NULL) {
        return POLICY_FIT_COSTLY;
    }
    pcre2_set_match_limit(limits, POLICY_PATTERN_STEPS);
    pcre2_set_depth_limit(limits, POLICY_MATCH_DEPTH);
    pcre2_set_heap_limit(limits, POLICY_MATCH_HEAP_KIB);
    n = pcre2_match(p->code, (PCRE2_SPTR)(s.p != NULL ? s.p : ""), s.n, 0, options, data, limits);
    if (n >= 0) {
        policy_groups(data, n == 0 ? POLICY_PATTERN_GROUPS : n, s, groups);
        return POLICY_FIT_YES;
    }
    return n == PCRE2_ERROR_NOMATCH ? POLICY_FIT_NO : POLICY_FIT_COSTLY;
}

enum policy_fit policy_pattern_whole(const struct policy_pattern *p, struct sl s)
{
    struct sl groups[POLICY_PATTERN_GROUPS];

    return policy_match(p, s, PCRE2_ANCHORED | PCRE2_ENDANCHORED, groups);
}

enum policy_fit policy_pattern_part(const struct policy_pattern *p, struct sl s,
                                    struct sl groups[POLICY_PATTERN_GROUPS])
{
    return policy_match(p, s, 0, groups);
}
