/* kernel.c - the table `inet postern` in the kernel: made, changed, read back, removed. One set for
 * single IPv4 addresses (a hash), one each for IPv4 and IPv6 networks (intervals; an IPv6 source
 * counts by its /64), and a chain before connection tracking that drops what they hold. */
#include "nft/netlink_int.h"

#include <stdlib.h>

#define KERNEL_TABLE "postern"
#define KERNEL_CHAIN "edge"
#define KERNEL_PRIORITY (-300) /* raw: before conntrack, which would answer for known flows */
#define KERNEL_DUMP_TRIES 4
#define KERNEL_ADDR_V4 7 /* nft's own numbers for the types of keys: how it prints them */
#define KERNEL_ADDR_V6 8

static const struct kernel_set {
    const char *name;
    uint8_t family; /* 4, 6 */
    bool is_interval;
    uint32_t offset; /* of the source in the network header */
} kernel_sets[] = {{"hosts4", 4, false, 12}, {"networks4", 4, true, 12}, {"networks6", 6, true, 8}};

struct nft_kernel {
    struct nl nl;
};

int nft_kernel_open(struct nft_kernel **kp)
{
    struct nft_kernel *k = mem_zalloc(sizeof(*k));
    int err = k != NULL ? nl_open(&k->nl) : ENOMEM;

    if (err != 0) {
        mem_free(k);
        return err;
    }
    *kp = k;
    return 0;
}

void nft_kernel_close(struct nft_kernel **kp)
{
    struct nft_kernel *k = *kp;

    *kp = NULL;
    if (k != NULL) {
        nl_close(&k->nl);
        mem_free(k);
    }
}

static uint32_t key_len(uint8_t family)
{
    return family == 6 ? 16 : 4;
}

static const struct kernel_set *set_of(const struct nft_elem *e)
{
    if (e->family == 6) {
        return &kernel_sets[2];
    }
    return &kernel_sets[e->bits == 32 ? 0 : 1];
}

/* --- the table --- */

static void put_table(struct nl *nl, int type, uint16_t flags)
{
    nl_msg(nl, type, flags);
    nl_put_str(nl, NFTA_TABLE_NAME, KERNEL_TABLE);
}

static void put_named_expr(struct nl *nl, uint16_t type, const char *name)
{
    size_t expr = nl_nest(nl, type);

    nl_put_str(nl, NFTA_EXPR_NAME, name);
    nl_nest_end(nl, nl_nest(nl, NFTA_EXPR_DATA));
    nl_nest_end(nl, expr);
}

static void put_set(struct nl *nl, uint32_t id)
{
    /* How nft shall read the keys: byte order (type 0) big endian (2). */
    static const uint8_t udata[] = {0, 4, 2, 0, 0, 0};
    const struct kernel_set *set = &kernel_sets[id];
    size_t desc;

    nl_msg(nl, NFT_MSG_NEWSET, NLM_F_CREATE);
    nl_put_str(nl, NFTA_SET_TABLE, KERNEL_TABLE);
    nl_put_str(nl, NFTA_SET_NAME, set->name);
    nl_put_u32(nl, NFTA_SET_FLAGS, NFT_SET_TIMEOUT | (set->is_interval ? NFT_SET_INTERVAL : 0u));
    nl_put_u32(nl, NFTA_SET_KEY_TYPE, set->family == 6 ? KERNEL_ADDR_V6 : KERNEL_ADDR_V4);
    nl_put_u32(nl, NFTA_SET_KEY_LEN, key_len(set->family));
    nl_put_u32(nl, NFTA_SET_ID, id + 1);
    desc = nl_nest(nl, NFTA_SET_DESC);
    nl_put_u32(nl, NFTA_SET_DESC_SIZE, NFT_ELEMS_MAX * (set->is_interval ? 2 : 1));
    nl_nest_end(nl, desc);
    nl_put(nl, NFTA_SET_USERDATA, udata, sizeof(udata));
    put_named_expr(nl, NFTA_SET_EXPR, "counter"); /* each element counts what it dropped */
}

static void put_chain(struct nl *nl)
{
    size_t hook;

    nl_msg(nl, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    nl_put_str(nl, NFTA_CHAIN_TABLE, KERNEL_TABLE);
    nl_put_str(nl, NFTA_CHAIN_NAME, KERNEL_CHAIN);
    nl_put_str(nl, NFTA_CHAIN_TYPE, "filter");
    nl_put_u32(nl, NFTA_CHAIN_POLICY, NF_ACCEPT);
    hook = nl_nest(nl, NFTA_CHAIN_HOOK);
    nl_put_u32(nl, NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
    nl_put_u32(nl, NFTA_HOOK_PRIORITY, (uint32_t)KERNEL_PRIORITY);
    nl_nest_end(nl, hook);
}

struct expr { /* an expression of a rule under construction */
    size_t whole, data;
};

static struct expr expr_begin(struct nl *nl, const char *name)
{
    struct expr e = {.whole = nl_nest(nl, NFTA_LIST_ELEM)};

    nl_put_str(nl, NFTA_EXPR_NAME, name);
    e.data = nl_nest(nl, NFTA_EXPR_DATA);
    return e;
}

static void expr_end(struct nl *nl, struct expr e)
{
    nl_nest_end(nl, e.data);
    nl_nest_end(nl, e.whole);
}

/* meta nfproto FAMILY */
static void put_family_match(struct nl *nl, uint8_t nfproto)
{
    struct expr e = expr_begin(nl, "meta");
    size_t value;

    nl_put_u32(nl, NFTA_META_KEY, NFT_META_NFPROTO);
    nl_put_u32(nl, NFTA_META_DREG, NFT_REG_1);
    expr_end(nl, e);
    e = expr_begin(nl, "cmp");
    nl_put_u32(nl, NFTA_CMP_SREG, NFT_REG_1);
    nl_put_u32(nl, NFTA_CMP_OP, NFT_CMP_EQ);
    value = nl_nest(nl, NFTA_CMP_DATA);
    nl_put(nl, NFTA_DATA_VALUE, &nfproto, 1);
    nl_nest_end(nl, value);
    expr_end(nl, e);
}

/* ip saddr @SET */
static void put_source_match(struct nl *nl, const struct kernel_set *set)
{
    struct expr e = expr_begin(nl, "payload");

    nl_put_u32(nl, NFTA_PAYLOAD_DREG, NFT_REG_1);
    nl_put_u32(nl, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    nl_put_u32(nl, NFTA_PAYLOAD_OFFSET, set->offset);
    nl_put_u32(nl, NFTA_PAYLOAD_LEN, key_len(set->family));
    expr_end(nl, e);
    e = expr_begin(nl, "lookup");
    nl_put_u32(nl, NFTA_LOOKUP_SREG, NFT_REG_1);
    nl_put_str(nl, NFTA_LOOKUP_SET, set->name);
    expr_end(nl, e);
}

static void put_drop(struct nl *nl)
{
    struct expr e = expr_begin(nl, "immediate");
    size_t data, verdict;

    nl_put_u32(nl, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    data = nl_nest(nl, NFTA_IMMEDIATE_DATA);
    verdict = nl_nest(nl, NFTA_DATA_VERDICT);
    nl_put_u32(nl, NFTA_VERDICT_CODE, NF_DROP);
    nl_nest_end(nl, verdict);
    nl_nest_end(nl, data);
    expr_end(nl, e);
}

static void put_rule(struct nl *nl, const struct kernel_set *set)
{
    size_t list;

    nl_msg(nl, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    nl_put_str(nl, NFTA_RULE_TABLE, KERNEL_TABLE);
    nl_put_str(nl, NFTA_RULE_CHAIN, KERNEL_CHAIN);
    list = nl_nest(nl, NFTA_RULE_EXPRESSIONS);
    put_family_match(nl, set->family == 6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
    put_source_match(nl, set);
    put_named_expr(nl, NFTA_LIST_ELEM, "counter");
    put_drop(nl);
    nl_nest_end(nl, list);
}

/* Rules are written anew each time, so that what somebody did to them by hand does not last. */
static int kernel_make(struct nft_kernel *k)
{
    struct nl *nl = &k->nl;

    nl_batch(nl);
    put_table(nl, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    for (uint32_t i = 0; i < COUNT_OF(kernel_sets); i++) {
        put_set(nl, i);
    }
    put_chain(nl);
    nl_msg(nl, NFT_MSG_DELRULE, 0);
    nl_put_str(nl, NFTA_RULE_TABLE, KERNEL_TABLE);
    nl_put_str(nl, NFTA_RULE_CHAIN, KERNEL_CHAIN);
    for (uint32_t i = 0; i < COUNT_OF(kernel_sets); i++) {
        put_rule(nl, &kernel_sets[i]);
    }
    return nl_run(nl);
}

static int kernel_drop(void *arg)
{
    struct nft_kernel *k = arg;
    int err;

    nl_batch(&k->nl);
    put_table(&k->nl, NFT_MSG_DELTABLE, 0);
    err = nl_run(&k->nl);
    return err == ENOENT ? 0 : err;
}

/* A table of that name with sets or a chain of another kind is no table of ours: it makes way. */
static int kernel_ensure(void *arg)
{
    int err = kernel_make(arg);

    if (err == EEXIST || err == EOPNOTSUPP || err == EBUSY) {
        err = kernel_drop(arg);
        err = err == 0 ? kernel_make(arg) : err;
    }
    return err;
}

/* --- elements --- */

/* The first address behind the network; false: there is none, it reaches to the end. */
static bool after_network(const uint8_t *addr, uint8_t bits, uint8_t len, uint8_t *out)
{
    unsigned byte = (bits - 1u) / 8u;
    unsigned carry = 1u << (7 - (bits - 1u) % 8u);

    memcpy(out, addr, len);
    for (unsigned i = byte + 1; i-- > 0 && carry != 0;) {
        unsigned sum = out[i] + carry;

        out[i] = (uint8_t)sum;
        carry = sum >> 8;
    }
    return carry == 0;
}

static void put_key(struct nl *nl, const uint8_t *addr, uint8_t len)
{
    size_t key = nl_nest(nl, NFTA_SET_ELEM_KEY);

    nl_put(nl, NFTA_DATA_VALUE, addr, len);
    nl_nest_end(nl, key);
}

static void put_elem(struct nl *nl, int type, const struct nft_elem *e)
{
    const struct kernel_set *set = set_of(e);
    uint8_t len = (uint8_t)key_len(e->family);
    uint8_t end[16];
    size_t list, elem;

    nl_msg(nl, type, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
    nl_put_str(nl, NFTA_SET_ELEM_LIST_TABLE, KERNEL_TABLE);
    nl_put_str(nl, NFTA_SET_ELEM_LIST_SET, set->name);
    list = nl_nest(nl, NFTA_SET_ELEM_LIST_ELEMENTS);
    elem = nl_nest(nl, NFTA_LIST_ELEM);
    if (type == NFT_MSG_NEWSETELEM) {
        nl_put_u64(nl, NFTA_SET_ELEM_TIMEOUT, e->ms != 0 ? e->ms : 1);
    }
    put_key(nl, e->addr, len);
    nl_nest_end(nl, elem);
    if (set->is_interval && after_network(e->addr, e->bits, len, end)) {
        elem = nl_nest(nl, NFTA_LIST_ELEM);
        nl_put_u32(nl, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
        put_key(nl, end, len);
        nl_nest_end(nl, elem);
    }
    nl_nest_end(nl, list);
}

/* An element that is there keeps its old time when it is added again, on most kernels: it is put in
 * (so that it can be taken out in any case), taken out, and put in. */
static void put_change(struct nl *nl, const struct nft_change *c)
{
    if (c->kind == NFT_CHANGE_DEL) {
        put_elem(nl, NFT_MSG_DELSETELEM, &c->elem);
        return;
    }
    put_elem(nl, NFT_MSG_NEWSETELEM, &c->elem);
    if (c->kind == NFT_CHANGE_REPLACE) {
        put_elem(nl, NFT_MSG_DELSETELEM, &c->elem);
        put_elem(nl, NFT_MSG_NEWSETELEM, &c->elem);
    }
}

static int kernel_apply(void *arg, const struct nft_change *c, size_t n)
{
    struct nft_kernel *k = arg;

    nl_batch(&k->nl);
    for (size_t i = 0; i < n; i++) {
        put_change(&k->nl, &c[i]);
    }
    return nl_run(&k->nl);
}

/* --- reading back --- */

struct point { /* an element as the kernel has it: a start, or an end */
    uint8_t addr[16];
    bool is_end;
    uint64_t ms, packets;
};
struct points {
    const struct kernel_set *set;
    struct point *p;
    size_t n, cap;
};

static int points_add(struct points *l, const struct point *p)
{
    if (l->n == l->cap) {
        size_t cap = l->cap != 0 ? 2 * l->cap : 256;
        struct point *more =
            l->n < 4u * NFT_ELEMS_MAX ? mem_realloc(l->p, cap * sizeof(*more)) : NULL;

        if (more == NULL) {
            return ENOMEM;
        }
        l->p = more;
        l->cap = cap;
    }
    l->p[l->n++] = *p;
    return 0;
}

static uint64_t packets_of(const struct nl_attrs *elem)
{
    struct nl_attrs expr, data, n;

    if (nl_find(*elem, NFTA_SET_ELEM_EXPR, &expr) && nl_find(expr, NFTA_EXPR_DATA, &data) &&
        nl_find(data, NFTA_COUNTER_PACKETS, &n)) {
        return nl_number(&n);
    }
    return 0;
}

static int point_read(struct points *l, const struct nl_attrs *elem)
{
    struct point p = {0};
    struct nl_attrs key, value, n;

    if (!nl_find(*elem, NFTA_SET_ELEM_KEY, &key) || !nl_find(key, NFTA_DATA_VALUE, &value) ||
        value.n != key_len(l->set->family)) {
        return EBADMSG;
    }
    memcpy(p.addr, value.p, value.n);
    if (nl_find(*elem, NFTA_SET_ELEM_FLAGS, &n)) {
        p.is_end = (nl_number(&n) & NFT_SET_ELEM_INTERVAL_END) != 0;
    }
    if (nl_find(*elem, NFTA_SET_ELEM_EXPIRATION, &n)) {
        p.ms = nl_number(&n);
    }
    p.packets = packets_of(elem);
    return points_add(l, &p);
}

static int on_elements(const struct nl_attrs *in, void *arg)
{
    struct nl_attrs list;
    struct nl_attr elem;
    int err = 0;

    if (!nl_find(*in, NFTA_SET_ELEM_LIST_ELEMENTS, &list)) {
        return 0;
    }
    while (err == 0 && nl_next(&list, &elem)) {
        err = point_read(arg, &elem.in);
    }
    return err;
}

/* By address, and at the same one the end of one network before the start of the next. */
static int point_order(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    int by_addr = memcmp(x->addr, y->addr, sizeof(x->addr));

    return by_addr != 0 ? by_addr : y->is_end - x->is_end;
}

/* The prefix length of a network that ends there (NULL: never); 0: it is none of ours. */
static uint8_t bits_between(const struct kernel_set *set, const struct point *start,
                            const struct point *end)
{
    uint8_t len = (uint8_t)key_len(set->family);

    for (uint8_t bits = 8; bits <= (set->family == 6 ? 64 : 32); bits++) {
        uint8_t after[16];
        bool ends = after_network(start->addr, bits, len, after);

        if (ends ? end != NULL && memcmp(after, end->addr, len) == 0 : end == NULL) {
            return bits;
        }
    }
    return 0;
}

static int points_to_elems(struct points *l, struct nft_list *out)
{
    int err = 0;

    if (l->n != 0) {
        qsort(l->p, l->n, sizeof(*l->p), point_order);
    }
    for (size_t i = 0; err == 0 && i < l->n; i++) {
        bool has_end = i + 1 < l->n && l->p[i + 1].is_end;
        struct nft_elem e = {.family = l->set->family, .bits = 32, .ms = l->p[i].ms};

        if (l->p[i].is_end) {
            continue; /* before the first network, everything ends at 0 */
        }
        if (l->set->is_interval) {
            e.bits = bits_between(l->set, &l->p[i], has_end ? &l->p[i + 1] : NULL);
        }
        memcpy(e.addr, l->p[i].addr, sizeof(e.addr));
        out->packets += l->p[i].packets;
        err = e.bits != 0 ? nft_list_add(out, &e) : EBADMSG;
    }
    return err;
}

static int set_dump(struct nft_kernel *k, struct points *l)
{
    int err = EINTR;

    for (int i = 0; err == EINTR && i < KERNEL_DUMP_TRIES; i++) {
        l->n = 0;
        nl_batch_none(&k->nl);
        nl_msg(&k->nl, NFT_MSG_GETSETELEM, NLM_F_DUMP);
        nl_put_str(&k->nl, NFTA_SET_ELEM_LIST_TABLE, KERNEL_TABLE);
        nl_put_str(&k->nl, NFTA_SET_ELEM_LIST_SET, l->set->name);
        err = nl_dump(&k->nl, on_elements, l);
    }
    return err;
}

static int set_flush(struct nft_kernel *k, const struct kernel_set *set)
{
    nl_batch(&k->nl);
    nl_msg(&k->nl, NFT_MSG_DELSETELEM, 0);
    nl_put_str(&k->nl, NFTA_SET_ELEM_LIST_TABLE, KERNEL_TABLE);
    nl_put_str(&k->nl, NFTA_SET_ELEM_LIST_SET, set->name);
    return nl_run(&k->nl);
}

/* A set with something in it that nobody here put there is emptied: it will be filled anew. */
static int kernel_dump(void *arg, struct nft_list *out)
{
    struct nft_kernel *k = arg;
    int err = 0;

    for (size_t i = 0; err == 0 && i < COUNT_OF(kernel_sets); i++) {
        struct points l = {.set = &kernel_sets[i]};
        size_t before = out->n;

        err = set_dump(k, &l);
        err = err == 0 ? points_to_elems(&l, out) : err;
        if (err == EBADMSG) {
            out->n = before;
            err = set_flush(k, l.set);
        }
        mem_free(l.p);
    }
    return err;
}

const struct nft_kernel_ops nft_kernel_ops = {
    .ensure = kernel_ensure, .apply = kernel_apply, .dump = kernel_dump, .drop = kernel_drop};
