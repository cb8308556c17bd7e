/* conn_proof.c - what open TLS connections have proven, judged by each new configuration: some at a
 * time, and in any case before the next message goes by. */
#include "net/net_int.h"

#define PROOFS_A_TURN 8 /* of a third of a millisecond each at most */

uint32_t conn_idle_ms(const struct conn *c)
{
    const struct net_limits *lim = &c->net->lim;

    return c->standing == TLS_HOLDS ? lim->idle_ms : lim->retire_ms;
}

/* Nothing new is sent on it; others who want this far side dial. */
static void conn_retire(struct conn *c, enum tls_standing standing)
{
    if (c->standing >= standing) {
        return;
    }
    c->standing = standing;
    stat_inc(STAT_TLS_RETIRED);
    log_info(NULL, "TLS connection with %s is %s by the new configuration",
             addr_text(&c->flow.remote, (char[ADDR_TEXT_MAX]){0}),
             standing == TLS_LOST ? "refused" : "outdated");
    hmap_remove(&c->net->by_remote, &c->by_remote);
    if (c->state == CONN_OPEN) {
        timer_start(c->net->loop, &c->idle, conn_idle_ms(c));
    }
}

static enum tls_standing conn_judge_in(struct conn *c)
{
    const struct tcp_listener *l = tcp_find(c->net, c->flow.listener, c->flow.transport);
    enum tls_standing standing = TLS_HOLDS; /* its listener is gone: it ends as that ends */

    if (l != NULL) {
        standing = l->tls != NULL ? tls_recheck(c->tls->tls, l->tls, NULL) : TLS_LOST;
    }
    conn_tls_identify(c);
    return standing;
}

static enum tls_standing conn_judge_out(struct conn *c)
{
    struct net *n = c->net;
    struct tls_client *client = NULL;
    enum tls_standing standing = TLS_LOST;
    struct tls_info info;

    if (n->ev.dialler != NULL) {
        client = n->ev.dialler(n->arg, c->flow.peer);
    }
    if (client != NULL) {
        standing = tls_recheck(c->tls->tls, NULL, client);
    }
    tls_client_unref(&client);
    tls_info(c->tls->tls, &info);
    c->flow.certified = standing != TLS_LOST && info.verified && c->flow.peer != 0;
    return standing;
}

void conn_prove(struct conn *c)
{
    enum tls_standing standing;

    if (c->proof == c->net->proof || c->tls == NULL || c->state < CONN_OPEN ||
        c->state == CONN_DEAD || c->standing == TLS_LOST) {
        return;
    }
    c->proof = c->net->proof;
    standing = c->incoming ? conn_judge_in(c) : conn_judge_out(c);
    if (standing == TLS_LOST) {
        c->flow.certified = false;
        c->flow.withdrawn = true;
    }
    conn_retire(c, standing);
}

void on_net_prove(void *arg)
{
    struct net *n = arg;

    for (int i = 0; i < PROOFS_A_TURN; i++) {
        struct conn *c = slots_next(&n->conns, &n->proof_pos);

        if (c == NULL) {
            return;
        }
        conn_prove(c);
    }
    timer_start(n->loop, &n->prove, 1);
}

void net_identify(struct net *n)
{
    n->proof++;
    n->proof_pos = 0;
    timer_start(n->loop, &n->prove, 0);
}
