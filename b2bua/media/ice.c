/* ice.c - the ICE-lite agent: credentials, authenticated checks, validated sources, nomination,
 * consent. */
#include "media/ice.h"

#include "crypto/crypto.h"

#define ICE_UFRAG_MIN 4
#define ICE_PWD_MIN 22
#define ICE_PWD_MAX 256
#define ICE_SETTLE_MS                                                                              \
    3000                  /* after the first nomination: the best priority wins, not the latest    \
                           */
#define ICE_RENEW_MS 3000 /* a check so long after nomination is a renewal of consent */

/* What the checks of one run of ICE are made with: a restart begins another one. */
struct ice_run {
    char ufrag[ICE_UFRAG_LEN];
    char pwd[ICE_PWD_LEN];
    char remote[ICE_REMOTE_UFRAG_MAX]; /* described, or heard in an early check */
    uint16_t remote_n;                 /* 0: not known */
    bool described;                    /* remote is from the peer's description */
};

struct ice_pair { /* our local candidate and a source that authenticated; RFC 8445 7.3.2 */
    struct addr src;
    int64_t heard_ms;
    uint32_t priority;
};

struct ice_component {
    struct ice_pair pairs[ICE_PAIRS_MAX];
    unsigned n_pairs;
    struct addr selected; /* AF_UNSPEC: none */
    uint32_t priority;    /* of the selected */
    bool is_old;          /* selected in the run before, and no other nominated in this one */
    bool renews;          /* the peer is seen to renew consent */
    int64_t first_ms;     /* of the first nomination in this run */
    int64_t nominated_ms; /* when the selected one became it */
    int64_t consent_ms;
};

struct ice {
    struct ice_run now, before;
    bool has_before; /* a component still lives on the run before */
    struct ice_component component[ICE_COMPONENTS];
    int64_t tokens_ms; /* since when tokens are counted */
    uint32_t tokens;   /* answers allowed */
};

/* --- credentials --- */

static void ice_random_text(char *out, size_t n)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    crypto_random(out, n);
    for (size_t i = 0; i < n; i++) {
        out[i] = chars[(uint8_t)out[i] & 63];
    }
}

static void ice_run_begin(struct ice_run *r)
{
    *r = (struct ice_run){0};
    ice_random_text(r->ufrag, sizeof(r->ufrag));
    ice_random_text(r->pwd, sizeof(r->pwd));
}

int ice_new(struct ice **ap)
{
    struct ice *a = mem_zalloc(sizeof(*a));

    if (a == NULL) {
        return ENOMEM;
    }
    ice_run_begin(&a->now);
    a->tokens = ICE_ANSWERS_PER_S;
    *ap = a;
    return 0;
}

void ice_free(struct ice **ap)
{
    struct ice *a = *ap;

    *ap = NULL;
    if (a != NULL) {
        mem_wipe(a, sizeof(*a));
        mem_free(a);
    }
}

struct sl ice_ufrag(const struct ice *a)
{
    return sl_make(a->now.ufrag, sizeof(a->now.ufrag));
}

struct sl ice_pwd(const struct ice *a)
{
    return sl_make(a->now.pwd, sizeof(a->now.pwd));
}

static struct sl ice_remote_ufrag(const struct ice_run *r)
{
    return sl_make(r->remote, r->remote_n);
}

static void ice_run_set_remote(struct ice_run *r, struct sl ufrag)
{
    memcpy(r->remote, ufrag.p, ufrag.n);
    r->remote_n = (uint16_t)ufrag.n;
}

/* RFC 8839 5.4 allows letters, digits, "+" and "/". Peers in the field use others as well, of which
 * only the separator of a user name would mislead us. */
static bool ice_is_credential(struct sl s, size_t min, size_t max)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ':') {
            return false;
        }
    }
    return s.n >= min && s.n <= max;
}

/* --- runs --- */

static void ice_forget_pairs(struct ice *a)
{
    for (unsigned i = 0; i < ICE_COMPONENTS; i++) {
        struct ice_component *c = &a->component[i];

        c->n_pairs = 0;
        if (!c->is_old) {
            c->selected = (struct addr){0};
        }
    }
}

/* The run before is over once no component has its endpoint from it. */
static void ice_settle(struct ice *a)
{
    bool used = false;

    for (unsigned i = 0; i < ICE_COMPONENTS; i++) {
        used = used || a->component[i].is_old;
    }
    if (!used && a->has_before) {
        mem_wipe(&a->before, sizeof(a->before));
    }
    a->has_before = used;
}

void ice_restart(struct ice *a)
{
    bool is_alive = false;

    for (unsigned i = 0; i < ICE_COMPONENTS; i++) {
        struct ice_component *c = &a->component[i];
        bool is_selected = addr_family(&c->selected) != AF_UNSPEC;

        is_alive = is_alive || (is_selected && !c->is_old);
        c->is_old = is_selected;
        c->n_pairs = 0;
    }
    /* Not when nothing was nominated since the last restart: the endpoint is still an older one. */
    if (is_alive || !a->has_before) {
        a->before = a->now;
    }
    a->has_before = true;
    ice_settle(a);
    ice_run_begin(&a->now);
}

int ice_set_remote(struct ice *a, const struct ice_remote *r, bool *restarted)
{
    bool is_same;

    if (!ice_is_credential(r->ufrag, ICE_UFRAG_MIN, ICE_REMOTE_UFRAG_MAX) ||
        !ice_is_credential(r->pwd, ICE_PWD_MIN, ICE_PWD_MAX)) {
        return EBADMSG;
    }
    is_same = sl_eq(ice_remote_ufrag(&a->now), r->ufrag);
    *restarted = !is_same && a->now.described;
    if (*restarted) {
        ice_restart(a);
    } else if (!is_same) {
        ice_forget_pairs(a); /* early checks of somebody else, e.g. of another branch of a fork */
    }
    ice_run_set_remote(&a->now, r->ufrag);
    a->now.described = true;
    return 0;
}

void ice_forget_remote(struct ice *a)
{
    a->now.remote_n = 0;
    a->now.described = false;
    a->has_before = false;
    memset(a->component, 0, sizeof(a->component));
}

/* --- a check --- */

/* The run whose credentials the user name speaks of; NULL: a stranger's. *known: the peer's part is
 * the one that this run is with. */
static struct ice_run *ice_find_run(struct ice *a, struct sl user, bool *known)
{
    struct ice_run *r = NULL;
    struct sl ours;

    if (sl_split(&user, ':', ICE_UFRAG_LEN, &ours) != 0) {
        return NULL;
    }
    if (sl_eq(ours, ice_ufrag(a))) {
        r = &a->now;
    } else if (a->has_before && sl_eq(ours, sl_make(a->before.ufrag, sizeof(a->before.ufrag)))) {
        r = &a->before;
    }
    if (r == NULL) {
        return NULL;
    }
    if (r->remote_n == 0) {
        *known = ice_is_credential(user, ICE_UFRAG_MIN, ICE_REMOTE_UFRAG_MAX);
        return r;
    }
    *known = sl_eq(user, ice_remote_ufrag(r));
    return *known || !r->described ? r : NULL;
}

static bool ice_may_answer(struct ice *a, int64_t now_ms)
{
    int64_t earned = (now_ms - a->tokens_ms) * ICE_ANSWERS_PER_S / 1000;

    if (earned > 0) {
        a->tokens = earned + a->tokens > ICE_ANSWERS_PER_S ? ICE_ANSWERS_PER_S
                                                           : a->tokens + (uint32_t)earned;
        a->tokens_ms = now_ms;
    }
    if (a->tokens == 0) {
        return false;
    }
    a->tokens--;
    return true;
}

static struct ice_pair *ice_pair_find(struct ice_component *c, const struct addr *src)
{
    for (unsigned i = 0; i < c->n_pairs; i++) {
        if (addr_eq(&c->pairs[i].src, src)) {
            return &c->pairs[i];
        }
    }
    return NULL;
}

/* The pair of this source, or a place for it: a free one, or that of the one heard longest ago. */
static struct ice_pair *ice_pair_place(struct ice_component *c, const struct addr *src)
{
    struct ice_pair *p = ice_pair_find(c, src);

    if (p != NULL) {
        return p;
    }
    if (c->n_pairs < ICE_PAIRS_MAX) {
        return &c->pairs[c->n_pairs++];
    }
    for (unsigned i = 0; i < c->n_pairs; i++) {
        struct ice_pair *other = &c->pairs[i];

        if (!addr_eq(&other->src, &c->selected) && (p == NULL || other->heard_ms < p->heard_ms)) {
            p = other;
        }
    }
    return p; /* of eight pairs seven are not the selected one */
}

static bool ice_may_select(const struct ice_component *c, uint32_t priority, int64_t now_ms)
{
    return addr_family(&c->selected) == AF_UNSPEC || c->is_old || priority >= c->priority ||
           now_ms - c->first_ms >= ICE_SETTLE_MS;
}

/* True: the source was not the selected one of this run before. */
static bool ice_select(struct ice *a, struct ice_component *c, const struct ice_pair *p,
                       int64_t now_ms)
{
    bool is_first = addr_family(&c->selected) == AF_UNSPEC || c->is_old;
    bool is_new = is_first || !addr_eq(&c->selected, &p->src);

    c->selected = p->src;
    c->priority = p->priority;
    c->is_old = false;
    if (is_first) {
        c->first_ms = now_ms;
        c->renews = false;
    }
    if (is_new) {
        c->nominated_ms = now_ms;
    }
    ice_settle(a);
    return is_new;
}

static void ice_renew(struct ice_component *c, const struct addr *src, int64_t now_ms)
{
    if (addr_eq(&c->selected, src)) {
        c->renews = c->renews || now_ms - c->nominated_ms >= ICE_RENEW_MS;
        c->consent_ms = now_ms;
    }
}

/* RFC 8445 7.3.2: the source of an authentic check makes a valid pair, USE-CANDIDATE selects it. */
static void ice_learn(struct ice *a, struct ice_component *c, const struct stun_msg *rq,
                      const struct addr *src, int64_t now_ms, struct ice_verdict *out)
{
    struct ice_pair *p = ice_pair_place(c, src);

    *p = (struct ice_pair){.src = *src, .heard_ms = now_ms, .priority = rq->priority};
    out->validated = true;
    if (rq->use_candidate && ice_may_select(c, p->priority, now_ms)) {
        out->nominated = ice_select(a, c, p, now_ms);
    }
    if (!c->is_old) {
        ice_renew(c, src, now_ms);
    }
}

static enum ice_drop ice_answer(const struct ice_run *r, const struct stun_msg *rq,
                                const struct addr *src, struct ice_verdict *out)
{
    struct sl pwd = sl_make(r->pwd, sizeof(r->pwd));
    struct buf b;
    int err;

    buf_init_fixed(&b, out->answer, sizeof(out->answer));
    out->code = rq->n_unknown != 0 ? 420 : rq->role == STUN_ROLE_CONTROLLED ? 487 : 0;
    err = out->code != 0 ? stun_put_error(&b, rq, out->code, pwd)
                         : stun_put_success(&b, rq, src, pwd);
    if (err != 0) {
        return ICE_NO_MEMORY;
    }
    out->answer_len = (uint16_t)b.n;
    return ICE_ANSWERED;
}

static enum ice_drop ice_check(struct ice *a, struct ice_component *c, const struct stun_msg *rq,
                               const struct addr *src, int64_t now_ms, struct ice_verdict *out)
{
    bool known = false;
    struct ice_run *r = rq->username.p != NULL ? ice_find_run(a, rq->username, &known) : NULL;
    enum ice_drop drop;
    int err;

    if (r == NULL) {
        return ICE_UNKNOWN_USER;
    }
    err = stun_check_integrity(rq, sl_make(r->pwd, sizeof(r->pwd)));
    if (err != 0) {
        return err == EACCES ? ICE_BAD_INTEGRITY : ICE_NO_MEMORY;
    }
    if (!ice_may_answer(a, now_ms)) {
        return ICE_RATE;
    }
    drop = ice_answer(r, rq, src, out);
    if (drop != ICE_ANSWERED || out->code != 0 || !known) {
        return drop;
    }
    if (r == &a->before) { /* keeps the old endpoint alive, and no more */
        if (c->is_old) {
            ice_renew(c, src, now_ms);
        }
        out->validated = addr_eq(&c->selected, src);
        return drop;
    }
    if (r->remote_n == 0) {
        ice_run_set_remote(r, sl_from(rq->username, ICE_UFRAG_LEN + 1));
    }
    ice_learn(a, c, rq, src, now_ms, out);
    return drop;
}

void ice_on_stun(struct ice *a, unsigned component, struct sl datagram, const struct addr *src,
                 int64_t now_ms, struct ice_verdict *out)
{
    struct stun_msg rq;

    out->validated = out->nominated = false;
    out->code = out->answer_len = 0;
    if (component < 1 || component > ICE_COMPONENTS || stun_parse(datagram, &rq) != 0 ||
        rq.method != STUN_METHOD_BINDING) {
        out->drop = ICE_MALFORMED;
    } else if (rq.cls != STUN_REQUEST) {
        out->drop = ICE_NOT_REQUEST;
    } else {
        out->drop = ice_check(a, &a->component[component - 1], &rq, src, now_ms, out);
    }
}

/* --- what became of it --- */

static const struct ice_component *ice_component(const struct ice *a, unsigned component)
{
    static const struct ice_component none;

    return component >= 1 && component <= ICE_COMPONENTS ? &a->component[component - 1] : &none;
}

const struct addr *ice_selected(const struct ice *a, unsigned component)
{
    const struct ice_component *c = ice_component(a, component);

    return addr_family(&c->selected) != AF_UNSPEC ? &c->selected : NULL;
}

bool ice_is_valid(const struct ice *a, unsigned component, const struct addr *src)
{
    const struct ice_component *c = ice_component(a, component);

    if (addr_family(&c->selected) != AF_UNSPEC && addr_eq(&c->selected, src)) {
        return true;
    }
    for (unsigned i = 0; i < c->n_pairs; i++) {
        if (addr_eq(&c->pairs[i].src, src)) {
            return true;
        }
    }
    return false;
}

enum ice_consent ice_consent(const struct ice *a, unsigned component, int64_t now_ms)
{
    const struct ice_component *c = ice_component(a, component);

    if (ice_selected(a, component) == NULL) {
        return ICE_CONSENT_NONE;
    }
    if (now_ms - c->consent_ms < ICE_CONSENT_MS) {
        return ICE_CONSENT_FRESH;
    }
    return c->renews ? ICE_CONSENT_EXPIRED : ICE_CONSENT_SILENT;
}

bool ice_consent_expired(const struct ice *a, unsigned component, int64_t now_ms)
{
    return ice_consent(a, component, now_ms) == ICE_CONSENT_EXPIRED;
}
