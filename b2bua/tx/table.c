/* table.c - the table of one worker's transactions: birth, two deaths, counting, and the engine
 * that all four machines run on. */
#include "tx/tx_int.h"

#define TX_POOL_KEEP 8192 /* freed transactions kept for the next ones */
#define TX_RESERVE 10     /* one in so many beyond the limit, for what ends or runs in a dialog */

const struct tx_machine *const tx_machines[TX_KINDS] = {
    [TX_ICT] = &ict_machine,
    [TX_NICT] = &nict_machine,
    [TX_IST] = &ist_machine,
    [TX_NIST] = &nist_machine,
};

const char *const tx_event_names[TX_EV_N] = {
    [TX_EV_1XX] = "1xx",          [TX_EV_2XX] = "2xx",       [TX_EV_FAIL] = "300-699",
    [TX_EV_REQUEST] = "request",  [TX_EV_ACK] = "ACK",       [TX_EV_RESEND] = "resend",
    [TX_EV_EXPIRE] = "expire",    [TX_EV_ANSWER] = "answer", [TX_EV_CANCEL] = "cancel",
    [TX_EV_TP_ERR] = "transport",
};

int tx_table_new(struct tx_table **tp, const struct tx_table_params *params)
{
    struct tx_table *tab = mem_zalloc(sizeof(*tab));

    if (tab == NULL) {
        return ENOMEM;
    }
    tab->p = *params;
    tab->node_before = params->node;
    tab->refs = 1;
    pool_init(&tab->pool, sizeof(struct tx), TX_POOL_KEEP);
    slots_init(&tab->slots, params->max + params->max / TX_RESERVE);
    hmap_init(&tab->servers, 0); /* tx_alloc() holds the limit for all kinds together */
    hmap_init(&tab->merges, 0);
    list_init(&tab->active);
    list_init(&tab->linger);
    *tp = tab;
    return 0;
}

static void tx_table_unref(struct tx_table *tab)
{
    if (--tab->refs == 0) {
        slots_free(&tab->slots);
        hmap_free(&tab->servers);
        hmap_free(&tab->merges);
        pool_drain(&tab->pool);
        mem_free(tab);
    }
}

static bool tx_end_server(struct hnode *node, void *arg)
{
    struct tx *tx = CONTAINER_OF(node, struct tx, u.s.node);

    (void)arg;
    tx_close(tx);
    tx_end(tx);
    return true;
}

void tx_table_free(struct tx_table **tp)
{
    struct tx_table *tab = *tp;
    uint32_t pos = 0;

    if (tab == NULL) {
        return;
    }
    *tp = NULL;
    for (struct tx *tx = slots_next(&tab->slots, &pos); tx != NULL;
         tx = slots_next(&tab->slots, &pos)) {
        tx_close(tx);
        tx_end(tx);
    }
    hmap_each(&tab->servers, tx_end_server, NULL);
    tx_table_unref(tab);
}

void tx_table_set_ring(struct tx_table *tab, const struct token_ring *ring)
{
    tab->p.ring = ring;
}

void tx_table_set_timers(struct tx_table *tab, const struct tx_timers *timers)
{
    tab->p.timers = *timers;
}

void tx_table_set_max(struct tx_table *tab, uint32_t max)
{
    tab->p.max = max;
    tab->slots.max = max + max / TX_RESERVE;
}

void tx_table_set_node(struct tx_table *tab, uint16_t node)
{
    if (node != tab->p.node) {
        tab->node_before = tab->p.node;
        tab->p.node = node;
    }
}

void tx_table_counts(const struct tx_table *tab, struct tx_counts *out)
{
    *out = (struct tx_counts){.ict = tab->n[TX_ICT],
                              .nict = tab->n[TX_NICT],
                              .ist = tab->n[TX_IST],
                              .nist = tab->n[TX_NIST],
                              .active = tab->n_active};
}

static uint8_t tx_dead_state(const struct tx *tx)
{
    return (uint8_t)(tx_machines[tx->kind]->n_states - 1);
}

bool tx_is_dead(const struct tx *tx)
{
    return tx->state == tx_dead_state(tx);
}

static uint32_t tx_count(const struct tx_table *tab)
{
    uint32_t n = 0;

    for (size_t i = 0; i < TX_KINDS; i++) {
        n += tab->n[i];
    }
    return n;
}

/* The oldest of those that only absorb repetitions makes room: at high rates the RFC's 32 s become
 * as many seconds as the table can hold, rather than a refusal of new work. */
static bool tx_make_room(struct tx_table *tab)
{
    struct list *oldest = list_first(&tab->linger);

    if (oldest == NULL) {
        return false;
    }
    stat_inc(STAT_TX_PUSHED_OUT);
    tx_end(CONTAINER_OF(oldest, struct tx, t.linger));
    return true;
}

/* Who fills the table with new work must not keep the calls that are up from ending: what lies
 * beyond the limit is none of its. */
static bool tx_has_room(struct tx_table *tab, enum tx_claim claim)
{
    uint32_t max = tab->p.max;

    if (claim == TX_CLAIM_CANCEL) {
        return true;
    }
    while (tx_count(tab) >= max) {
        if (!tx_make_room(tab)) {
            return claim == TX_CLAIM_RESERVE && tx_count(tab) < max + max / TX_RESERVE;
        }
    }
    return true;
}

struct tx *tx_alloc(struct tx_table *tab, enum tx_kind kind, enum tx_claim claim, int *err)
{
    struct tx *tx;

    if (!tx_has_room(tab, claim)) {
        stat_inc(STAT_TX_FULL);
        *err = ENOBUFS;
        return NULL;
    }
    tx = pool_get(&tab->pool);
    if (tx == NULL) {
        *err = ENOMEM;
        return NULL;
    }
    tx->tab = tab;
    tx->refs = 1;
    tx->kind = (uint8_t)kind;
    tx->state = tx_dead_state(tx);
    tx->timers = tab->p.timers;
    tx->is_linked = true;
    tx_init_timers(tx);
    if (tx_is_client(tx)) {
        list_init(&tx->u.c.active);
        tx->u.c.slot = TX_NO_SLOT;
    }
    tab->refs++;
    tab->n[kind]++;
    *err = 0;
    return tx;
}

void tx_feed(struct tx *tx, enum tx_event ev, const struct tx_in *in)
{
    const struct tx_cell *cell = &tx_machines[tx->kind]->cells[tx->state][ev];

    if (cell->act == NULL) {
        stat_inc(STAT_TX_UNEXPECTED);
        return;
    }
    tx_ref(tx);             /* the action may call a user that lets go of it */
    tx->state = cell->next; /* before act(): a re-entrant event must see the new state */
    cell->act(tx, in);
    tx_unref(&tx);
}

void tx_begin(struct tx *tx)
{
    tx_ref(tx);
    tx->is_started = true;
    tx->is_active = true;
    tx->tab->n_active++;
    tx->state = 0;
    if (tx_is_client(tx)) {
        list_push_back(&tx->tab->active, &tx->u.c.active);
    }
}

void tx_settle(struct tx *tx)
{
    if (tx->is_active) {
        tx->is_active = false;
        tx->tab->n_active--;
        if (tx_is_client(tx)) {
            list_del(&tx->u.c.active);
        }
    }
}

static void tx_unlink(struct tx *tx)
{
    if (!tx->is_linked) {
        return;
    }
    tx->is_linked = false;
    tx->tab->n[tx->kind]--;
    if (tx_is_client(tx)) {
        slots_del(&tx->tab->slots, tx->u.c.slot, tx->u.c.gen);
    } else {
        tx_key_unlink(tx);
    }
}

/* First death: unreachable and silent, with nothing left but the structure itself. */
void tx_end(struct tx *tx)
{
    bool was_started = tx->is_started && tx->is_linked;
    struct tx *machine = tx;

    tx->state = tx_dead_state(tx);
    tx_leave_linger(tx);
    tx_stop_resend(tx);
    timer_stop(tx->tab->p.loop, &tx->life);
    tx_settle(tx);
    tx_unlink(tx);
    tx_drop_bytes(tx);
    if (!tx_is_client(tx)) {
        sip_msg_unref(&tx->u.s.req);
    } else if (tx->u.c.cancel != NULL) { /* its answers are found through the INVITE only */
        tx_end(tx->u.c.cancel);
        tx_unref(&tx->u.c.cancel);
    }
    if (was_started) {
        if (!tx_is_client(tx)) {
            tx_inform(tx, TX_SRV_END);
        }
        tx_unref(&machine);
    }
}

static void on_bury(void *arg)
{
    struct tx *tx = arg;
    struct tx_table *tab = tx->tab;

    pool_put(&tab->pool, tx);
    tx_table_unref(tab);
}

struct tx *tx_ref(struct tx *tx)
{
    tx->refs++;
    return tx;
}

void tx_unref(struct tx **txp)
{
    struct tx *tx = *txp;

    *txp = NULL;
    if (tx != NULL && --tx->refs == 0) {
        tx_unlink(tx); /* a client that was never started still has its slot */
        loop_defer(tx->tab->p.loop, &tx->t.grave, on_bury, tx);
    }
}
