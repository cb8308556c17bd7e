/* rig_tx.h - a transaction table on a virtual clock and a transport that only remembers what was
 * sent, for tests of tx/, dialog/ and what stands on them. No sockets, no sleeping. */
#ifndef POSTERN_TESTS_RIG_TX_H
#define POSTERN_TESTS_RIG_TX_H

#include "tx/tx.h"

#define TXRIG_SENT_MAX 64
#define TXRIG_EVENTS_MAX 64

struct txrig_sent {
    char *p;
    size_t n;
    struct flow flow;
    int64_t at_ms; /* since txrig_up() */
};

struct txrig_event {
    int err;                   /* clients */
    uint16_t status;           /* clients: 0 with err */
    enum tx_server_event what; /* servers */
    int64_t at_ms;
};

struct txrig {
    struct clock clock;
    struct loop *loop;
    struct token_ring *ring;
    struct sip_pool *pool;
    struct tx_table *tab;
    struct net_ops ops;
    struct flow flow; /* of a peer at 192.0.2.9:5060 */
    struct txrig_sent sent[TXRIG_SENT_MAX];
    size_t n_sent;          /* may be more than are kept */
    int send_err;           /* what the transport says */
    size_t send_fail_after; /* ... once so many were sent; 0: at once */
    struct txrig_event events[TXRIG_EVENTS_MAX];
    size_t n_events;
    int64_t start_ms;
    int64_t live; /* blocks alive before */
    uint32_t cseq;
};

/* ENOMEM and the like: nothing is left. */
MUST_USE int txrig_up(struct txrig *r, enum sip_transport transport, uint32_t max);
/* Frees everything; 0, or how many blocks were lost. */
int64_t txrig_down(struct txrig *r);
void txrig_at_ms(struct txrig *r, int64_t at_ms); /* since txrig_up() */
int64_t txrig_now_ms(const struct txrig *r);
struct sl txrig_sent(const struct txrig *r, size_t i);
struct sl txrig_last(const struct txrig *r); /* empty: nothing sent yet */
bool txrig_last_is(const struct txrig *r, const char *start);
struct tx_counts txrig_counts(const struct txrig *r);
uint32_t txrig_alive(const struct txrig *r);
const struct txrig_event *txrig_last_event(const struct txrig *r); /* err -1: none */

/* A parsed message; NULL: it could not be (the caller holds the reference). */
struct sip_msg *txrig_parse(struct txrig *r, const char *text, size_t n);
PRINTF_LIKE(2, 3) struct sip_msg *txrig_msg(struct txrig *r, const char *fmt, ...);

/* --- client --- */
void txrig_on_response(struct tx *tx, int err, struct sip_msg *rsp,
                       void *arg); /* arg: struct txrig */
/* Starts a client transaction on r->flow that reports to txrig_on_response. */
MUST_USE int txrig_client(struct txrig *r, struct tx **txp, enum sip_method method,
                          uint32_t answer_ms);
/* Feeds an answer to tx; cseq_method NULL: that of the request. False: nobody's. */
bool txrig_answer(struct txrig *r, const struct tx *tx, uint16_t status, const char *cseq_method);

/* --- server --- */
void txrig_on_server(struct tx *tx, enum tx_server_event ev, void *arg);
/* A request as it would arrive; via is everything after "Via: ". to_tag NULL: none. */
struct sip_msg *txrig_request(struct txrig *r, const char *method, const char *via,
                              const char *to_tag);
MUST_USE int txrig_server(struct txrig *r, struct tx **txp, struct sip_msg *req);
/* Answers with what sip_put_response() writes, our tag being "ours". */
MUST_USE int txrig_respond(struct txrig *r, struct tx *tx, const struct sip_msg *req,
                           uint16_t status);
enum tx_match txrig_match(struct txrig *r, const char *method, const char *via, const char *to_tag);

#endif
