/* egress.c - the hosts of a configuration and who owns them, and the hosts that a side has named.
 */
#include "egress_int.h"

#define EGRESS_BITS4_MIN 8 /* wider networks say nothing of where somebody is */
#define EGRESS_BITS6_MIN 16

/* --- hashes --- */

static uint64_t egress_mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    return h ^ h >> 32;
}

static char egress_low(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* From the end: the hash of "example.org" is on the way to that of "a.example.org". */
uint64_t egress_hash_name(struct sl name)
{
    uint64_t h = 0xCBF29CE484222325u;

    for (size_t i = name.n; i > 0; i--) {
        h = (h ^ (uint8_t)egress_low(name.p[i - 1])) * 0x100000001B3u;
    }
    return egress_mix(h);
}

uint64_t egress_hash_addr(const struct addr *a)
{
    uint64_t w[2] = {0, 0};

    if (addr_family(a) == AF_INET) {
        w[0] = a->u.in4.sin_addr.s_addr;
        return egress_mix(w[0] ^ 0x9E3779B97F4A7C15u);
    }
    memcpy(w, &a->u.in6.sin6_addr, sizeof(w));
    return egress_mix(w[0] + egress_mix(w[1]));
}

/* The first and the last bytes, which overlap in a short one: reads of a fixed size. */
uint64_t egress_hash_run(struct sl run)
{
    uint64_t w[2] = {0, 0};

    if (run.n >= 8) {
        memcpy(&w[0], run.p, 8);
        memcpy(&w[1], run.p + run.n - 8, 8);
    } else if (run.n >= 4) {
        memcpy(&w[0], run.p, 4);
        memcpy(&w[1], run.p + run.n - 4, 4);
    }
    return egress_mix((w[0] ^ run.n) + (w[1] + 1) * 0x9E3779B97F4A7C15u);
}

/* --- what a side says --- */

static void said_hash(struct policy_said *s, uint64_t hash)
{
    if (egress_said(s, hash)) {
        return;
    }
    if (s->n == POLICY_SAID_MAX) {
        s->is_full = true;
        return;
    }
    s->hash[s->n++] = hash;
    s->bloom |= (uint64_t)1 << (hash & 63);
}

void policy_said_addr(struct policy_said *s, const struct addr *a)
{
    if (addr_family(a) != AF_UNSPEC && !addr_is_unspecified(a) && !addr_is_multicast(a)) {
        said_hash(s, egress_hash_addr(a));
    }
}

void policy_said_host(struct policy_said *s, struct sl host)
{
    struct addr a;

    if (host.n == 0) {
        return;
    }
    if (addr_parse(host, 0, &a) == 0) {
        policy_said_addr(s, &a);
        return;
    }
    while (host.n != 0 && host.p[host.n - 1] == '.') {
        host.n--;
    }
    if (sl_chr(host, '.') > 0) {
        said_hash(s, egress_hash_name(host));
    }
}

static void said_key(struct policy_said *s, struct sl text)
{
    struct sl run = egress_longest_run(text);

    if (run.n >= EGRESS_KEY_MIN) {
        s->has_key = true;
        said_hash(s, egress_hash_run(run));
    }
}

static void said_word(struct policy_said *s, struct sl word)
{
    struct addr a;
    ptrdiff_t slash = sl_chr(word, '/'); /* behind the address of a multicast group */

    if (sl_chr(word, '.') < 0 && sl_chr(word, ':') < 0) {
        return; /* neither an address nor a name that says where */
    }
    if (addr_parse(slash > 0 ? sl_head(word, (size_t)slash) : word, 0, &a) == 0) {
        policy_said_addr(s, &a);
    } else {
        policy_said_host(s, word);
    }
}

static void said_crypto(struct policy_said *s, struct sl line)
{
    ptrdiff_t at = sl_find(line, SL("inline:"));

    while (at >= 0) {
        struct sl key;
        ptrdiff_t end;

        line = sl_from(line, (size_t)at + 7);
        end = sl_chr(line, ' ');
        key = end >= 0 ? sl_head(line, (size_t)end) : line;
        end = sl_chr(key, '|');
        said_key(s, end >= 0 ? sl_head(key, (size_t)end) : key);
        at = sl_find(line, SL("inline:"));
    }
}

static void said_line(struct policy_said *s, struct sl line)
{
    struct sl word;

    if (sl_starts(line, SL("a=ice-pwd:"))) {
        said_key(s, sl_from(line, 10));
    } else if (sl_starts(line, SL("a=crypto:"))) {
        said_crypto(s, sl_from(line, 9));
    } else if (line.p[0] != 'a' || sl_starts(line, SL("a=candidate:")) ||
               sl_starts(line, SL("a=rtcp:"))) {
        while (sl_next(&line, ' ', &word) == 0) {
            said_word(s, word);
        }
    }
}

void policy_said_sdp(struct policy_said *s, struct sl sdp)
{
    struct sl line;

    while (sl_next(&sdp, '\n', &line) == 0) {
        line = sl_trim(line);
        if (line.n > 2 && (line.p[0] == 'a' || line.p[0] == 'c' || line.p[0] == 'o')) {
            said_line(s, line);
        }
    }
}

/* --- building the set --- */

static bool host_is(const struct egress_host *h, const struct egress_host *other)
{
    if (h->hash != other->hash || (h->name == NULL) != (other->name == NULL)) {
        return false;
    }
    return h->name != NULL ? sl_ieq(sl_str(h->name), sl_str(other->name))
                           : addr_eq_ip(&h->addr, &other->addr);
}

static void egress_add(struct policy_egress *e, const struct egress_host *h)
{
    struct egress_host *first = NULL;
    size_t i = (size_t)h->hash & (e->cap - 1);

    for (; e->hosts[i].mark != EGRESS_EMPTY; i = (i + 1) & (e->cap - 1)) {
        struct egress_host *at = &e->hosts[i];

        if (!host_is(at, h)) {
            continue;
        }
        if (at->listener == h->listener && at->peer == h->peer) {
            return;
        }
        first = first == NULL ? at : first;
    }
    if (first == NULL) {
        e->hosts[i] = *h;
        e->hosts[i].owners = 1;
    } else if (h->mark == EGRESS_PUBLIC || first->owners == EGRESS_OWNERS_MAX) {
        first->mark = EGRESS_PUBLIC;
    } else {
        first->owners++;
        e->hosts[i] = *h;
    }
}

static void egress_add_addr(struct policy_egress *e, const struct addr *a, uint8_t listener,
                            uint16_t peer)
{
    if (addr_family(a) == AF_UNSPEC || addr_is_unspecified(a)) {
        return;
    }
    egress_add(e, &(struct egress_host){.hash = egress_hash_addr(a),
                                        .mark = EGRESS_OWNED,
                                        .listener = listener,
                                        .peer = peer,
                                        .addr = *a});
}

static void egress_add_name(struct policy_egress *e, const char *name, enum egress_mark mark,
                            uint16_t peer)
{
    struct addr a;

    if (name == NULL) {
        return;
    }
    name += sl_starts(sl_str(name), SL("*.")) ? 2 : 0;
    if (sl_chr(sl_str(name), '.') <= 0 || addr_parse(sl_str(name), 0, &a) == 0) {
        return;
    }
    egress_add(e, &(struct egress_host){.hash = egress_hash_name(sl_str(name)),
                                        .mark = mark,
                                        .listener = UINT8_MAX,
                                        .peer = peer,
                                        .name = name});
}

static void egress_add_peer(struct policy_egress *e, const struct policy_peer *p, uint16_t i)
{
    for (size_t k = 0; k < p->n_targets; k++) {
        egress_add_addr(e, &p->targets[k].addr, UINT8_MAX, i);
    }
    for (size_t k = 0; k < p->n_certificates; k++) {
        egress_add_name(e, p->certificates[k], EGRESS_OWNED, i);
    }
    for (size_t k = 0; k < p->tls.n_names; k++) {
        egress_add_name(e, p->tls.names[k], EGRESS_OWNED, i);
    }
}

static size_t egress_count(const struct policy_def *def)
{
    size_t n = 2 * def->n_listeners + 2;

    for (size_t i = 0; i < def->n_peers; i++) {
        n += def->peers[i].n_targets + def->peers[i].n_certificates + def->peers[i].tls.n_names;
    }
    return n;
}

int policy_egress_build(struct policy_egress **ep, const struct policy *policy,
                        const struct policy_place *places, size_t n)
{
    const struct policy_def *def = policy_def(policy);
    struct policy_egress *e = mem_zalloc(sizeof(*e));
    size_t hosts = egress_count(def) + 2 * n;

    if (e == NULL) {
        return ENOMEM;
    }
    for (e->cap = 16; e->cap < 2 * hosts; e->cap *= 2) {
    }
    e->hosts = mem_zalloc(e->cap * sizeof(*e->hosts));
    if (e->hosts == NULL) {
        mem_free(e);
        return ENOMEM;
    }
    e->policy = policy;
    e->n_listeners = n;
    /* The users' domain stands in everybody's address book; the other is RFC 3323's. */
    egress_add_name(e, def->users.domain, EGRESS_PUBLIC, EGRESS_NOBODY);
    egress_add_name(e, "anonymous.invalid", EGRESS_PUBLIC, EGRESS_NOBODY);
    for (size_t i = 0; i < n; i++) {
        egress_add_addr(e, &places[i].address, (uint8_t)i, EGRESS_NOBODY);
        egress_add_addr(e, &places[i].advertise, (uint8_t)i, EGRESS_NOBODY);
    }
    for (size_t i = 0; i < def->n_peers; i++) {
        egress_add_peer(e, &def->peers[i], (uint16_t)i);
    }
    *ep = e;
    return 0;
}

void policy_egress_free(struct policy_egress **ep)
{
    if (*ep != NULL) {
        mem_free((*ep)->hosts);
        mem_free(*ep);
        *ep = NULL;
    }
}

/* --- asking --- */

static enum egress_answer egress_ask(const struct policy_sight *l, const struct egress_host *what)
{
    const struct policy_egress *e = l->set;
    uint16_t peer = l->to.kind == POLICY_PEER ? l->to.peer : EGRESS_NOBODY;
    enum egress_answer answer = EGRESS_UNKNOWN;

    for (size_t i = (size_t)what->hash & (e->cap - 1); e->hosts[i].mark != EGRESS_EMPTY;
         i = (i + 1) & (e->cap - 1)) {
        const struct egress_host *h = &e->hosts[i];

        if (!host_is(h, what)) {
            continue;
        }
        if (h->mark == EGRESS_PUBLIC || h->listener == l->listener ||
            (h->peer == peer && peer != EGRESS_NOBODY)) {
            return EGRESS_OWN;
        }
        answer = EGRESS_HIDDEN;
    }
    return answer;
}

enum egress_answer egress_ask_addr(const struct policy_sight *l, const struct addr *a,
                                   uint64_t hash)
{
    return egress_ask(l, &(struct egress_host){.hash = hash, .addr = *a});
}

enum egress_answer egress_ask_name(const struct policy_sight *l, struct sl name, uint64_t hash)
{
    char text[POLICY_HOSTNAME_MAX + 1];

    return sl_cstr(name, text, sizeof(text)) == 0
               ? egress_ask(l, &(struct egress_host){.hash = hash, .name = text})
               : EGRESS_UNKNOWN;
}

static bool is_narrow(const struct policy_peer *p, const struct addr *a)
{
    for (size_t i = 0; i < p->n_sources; i++) {
        uint8_t min =
            addr_family(&p->sources[i].addr) == AF_INET ? EGRESS_BITS4_MIN : EGRESS_BITS6_MIN;

        if (p->sources[i].bits >= min && prefix_has(&p->sources[i], a)) {
            return true;
        }
    }
    return false;
}

enum egress_answer egress_ask_source(const struct policy_sight *l, const struct addr *a)
{
    const struct policy_egress *e = l->set;
    const struct policy_def *def = policy_def(e->policy);
    enum egress_answer answer = EGRESS_UNKNOWN;

    for (size_t i = 0; i < e->n_listeners; i++) {
        int peer = policy_peer_by_source(e->policy, (uint8_t)i, a);

        if (peer >= 0 && l->to.kind == POLICY_PEER && l->to.peer == peer) {
            return EGRESS_OWN;
        }
        if (peer >= 0 && is_narrow(&def->peers[peer], a)) {
            answer = EGRESS_HIDDEN;
        }
    }
    return answer;
}
