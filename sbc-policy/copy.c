/* copy.c - the state of limits and targets, carried into a policy that is only asked. */
#include "policy_int.h"

#define COPY(to, from, field)                                                                      \
    atomic_store_explicit(&(to)->field,                                                            \
                          atomic_load_explicit(&(from)->field, memory_order_relaxed),              \
                          memory_order_relaxed)

static void policy_counter_copy(struct policy_counter *to, const struct policy_counter *from)
{
    COPY(to, from, calls);
    COPY(to, from, registrations);
    COPY(to, from, next_ns);
    COPY(to, from, next_request_ns);
    COPY(to, from, warned);
}

/* Keys of destinations hold numbers of the book they came from. */
static uint64_t policy_who_in(const struct policy *to, const struct policy *from, uint64_t who)
{
    const struct policy_def *def = from->def;
    uint32_t rule = (uint32_t)(who >> 32 & POLICY_ID_MAX), party = (uint32_t)who;
    unsigned kind = who >> 56 & 15;

    for (size_t i = 0; i < def->n_destinations; i++) {
        if (def->destinations[i].counter->id == rule) {
            rule = to->def->destinations[i].counter->id;
            break;
        }
    }
    if (kind == POLICY_PEER) {
        int peer = policy_peer_by_id(from, party);

        party = peer >= 0 ? to->def->peers[peer].id : party;
    } else if (kind == POLICY_USERS) {
        int user = policy_user_by_id(from, party);

        party = user >= 0 ? to->users[user]->id : party;
    }
    return POLICY_KEY_DIALLED | (uint64_t)kind << 56 | (uint64_t)rule << 32 | party;
}

static void policy_entry_copy(struct tally *to, uint32_t slot, const struct tally *from, uint32_t i)
{
    struct tally_entry *a = &to->e[slot];
    const struct tally_entry *b = &from->e[i];

    COPY(a, b, until_ms);
    COPY(a, b, now);
    COPY(a, b, warned);
    COPY(a, b, calls);
    COPY(a, b, seconds);
    COPY(a, b, running);
    COPY(a, b, max);
    tally_copy_numbers(to, slot, from, i);
}

static void policy_tally_copy(const struct policy *to, const struct policy *from, bool is_spent)
{
    struct tally *t = is_spent ? to->spent : to->callers,
                 *f = is_spent ? from->spent : from->callers;

    for (uint32_t i = 0; t != NULL && f != NULL && i < f->n; i++) {
        struct tally_key key;
        uint32_t slot;

        if (!tally_peek(f, i, 0, &key)) {
            continue;
        }
        if (is_spent) {
            key.who = policy_who_in(to, from, key.who);
        }
        if (tally_hold(t, &key, 0, &slot) == 0) { /* for as long as the copy lives */
            policy_entry_copy(t, slot, f, i);
        }
    }
}

void policy_copy_counts(const struct policy *to, const struct policy *from)
{
    policy_counter_copy(to->node, from->node);
    for (size_t i = 0; i < to->def->n_peers && i < from->def->n_peers; i++) {
        policy_counter_copy(to->def->peers[i].counter, from->def->peers[i].counter);
    }
    for (size_t i = 0; to->users != NULL && from->users != NULL && i < to->def->users.n_accounts;
         i++) {
        policy_counter_copy(to->users[i], from->users[i]);
    }
    policy_tally_copy(to, from, false);
    policy_tally_copy(to, from, true);
    policy_health_copy(to->def, from->def);
}

void policy_forget(const struct policy *p, const struct policy_verdict *v)
{
    for (size_t i = 0; i < v->n_held; i++) {
        tally_forget(p->spent, v->held[i].slot);
        if (v->held[i].share != 0) {
            tally_forget(p->spent, v->held[i].share - 1);
        }
    }
}
