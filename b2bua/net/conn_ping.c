/* conn_ping.c - our side of RFC 5626's keepalive: a double CRLF where calls or registrations hang
 * on a silent connection, and what its answer tells. */
#include "net/net_int.h"

enum { PONGS_SURE = 3 }; /* answers in a row that make it one of those that answer pings */

/* Spread over 80 to 100 % of the interval, so that a restart does not make all ping at once. */
static int64_t ping_interval(const struct net *n)
{
    return n->lim.ping_ms - crypto_random_u32() % (n->lim.ping_ms / 5 + 1);
}

void conn_ping_start(struct conn *c)
{
    struct net *n = c->net;

    if (n->lim.ping_ms != 0 && c->hold != 0 && !timer_is_armed(&c->ping)) {
        c->awaits_pong = false;
        timer_start_lazy(n->loop, &c->ping, ping_interval(n));
    }
}

static bool ping_is_lost(const struct conn *c, int64_t quiet_ms)
{
    return c->awaits_pong && quiet_ms >= c->net->lim.pong_ms;
}

static void ping_send(struct conn *c)
{
    struct net *n = c->net;

    if (conn_put(c, SL("\r\n\r\n")) != 0) {
        conn_kill(c, ENOMEM);
        return;
    }
    stat_inc(STAT_SIP_PING);
    c->awaits_pong = true;
    timer_start_lazy(n->loop, &c->ping, n->lim.pong_ms);
}

/* One that answers pings is asked once more, then it is over. Others are left to TCP, which notices
 * when a ping is not even acknowledged (TCP_USER_TIMEOUT). */
static void ping_lost(struct conn *c)
{
    if (c->missed || c->state != CONN_OPEN) {
        stat_inc(STAT_SIP_PING_LOST);
        conn_kill(c, ETIMEDOUT);
        return;
    }
    c->missed = true;
    ping_send(c);
}

void on_conn_ping(void *arg)
{
    struct conn *c = arg;
    struct net *n = c->net;
    int64_t quiet_ms = loop_now_ms(n->loop) - c->heard_ms;

    if (c->hold == 0 || n->lim.ping_ms == 0) {
        c->awaits_pong = c->missed = false; /* nothing depends on it any more, or pings are off */
    } else if (ping_is_lost(c, quiet_ms) && c->pongs == PONGS_SURE) {
        ping_lost(c);
    } else if (c->state != CONN_OPEN || c->awaits_pong || quiet_ms < n->lim.ping_ms / 2) {
        c->pongs = ping_is_lost(c, quiet_ms) ? 0 : c->pongs;
        c->awaits_pong = c->missed = false;
        timer_start_lazy(n->loop, &c->ping, ping_interval(n));
    } else {
        ping_send(c);
    }
}

/* While a pong is due, an odd CRLF is it: pings come in pairs. */
void conn_ping_crlf(struct conn *c, unsigned *crlfs)
{
    if (c->awaits_pong && *crlfs % 2 == 1) {
        (*crlfs)--;
        c->pongs = c->pongs < PONGS_SURE ? (uint8_t)(c->pongs + 1) : PONGS_SURE;
    }
    c->awaits_pong = false;
}
