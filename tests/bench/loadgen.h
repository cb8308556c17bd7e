/* loadgen.h - the load generator's parts: SIP caller, SIP callee and RTP streams in one thread.
 * It shares no code with the daemon on purpose: it has to judge it independently. */
#ifndef POSTERN_BENCH_LOADGEN_H
#define POSTERN_BENCH_LOADGEN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "io.h"
#include "ring.h"
#include "sipmsg.h"
#include "stats.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

enum {
    SIP_T1_MS = 500, /* RFC 3261 17.1.1.1 */
    SIP_T2_MS = 4000,
    SIP_GIVE_UP_MS = 64 * SIP_T1_MS, /* timers B, F and H */
    WHEEL_SLOTS = 8192,              /* of one millisecond; longer timers stay for another round */
    RTP_FRAME_MS = 20,               /* a G.711 packet each */
    RTP_SLOTS = 20,                  /* of one millisecond, */
    RTP_SLOTS_EVEN = 400, /* or of 50 us: as calls come that know nothing of each other */
    RTP_QUIET_MS = 200,   /* both ends fall silent this long before BYE, so that loss is exact */
};

struct lg;

struct timer {
    struct timer *prev, *next; /* NULL when not armed */
    int64_t due_ms;
    void (*on_due)(struct lg *lg, struct timer *t);
};

struct wheel {
    struct timer slots[WHEEL_SLOTS]; /* list heads */
    int64_t now_ms;
};

enum opt_mode { MODE_OPEN, MODE_CLOSED, MODE_HELD };

struct opts {
    struct sockaddr_in target, caller, callee;
    double duration_s;
    double deadline_s;
    uint32_t rate, calls, inflight, hold_ms, packets;
    uint32_t rtp_first, rtp_last;
    uint32_t burst, rounds, stop_pid;
    const char *called, *streams;
    bool media, rtcp, even, epoll, json, held, direct, help, srtp_caller, srtp_callee;
    enum opt_mode mode;
};

/* Names one call of one side; gen tells calls apart that used the same slot. */
struct call_id {
    uint32_t slot, gen;
};

struct rtp_stream; /* rtp.c */

enum rtp_side { RTP_CALLER, RTP_CALLEE };

struct rtp_pool { /* free streams of one side, the longest unused first */
    struct rtp_stream *first, *last;
    uint32_t next_port;
};

struct rtp {
    struct rtp_stream *heads[RTP_SLOTS_EVEN]; /* who sends in this slot */
    struct rtp_pool pool[2];
    struct rtp_stream **all; /* every stream made, to find a sender by its number */
    uint32_t nall, max;
    struct ring *ring; /* NULL: each packet is a system call */
    uint32_t next_slot, slots;
    int64_t slot_ns;
    int64_t tick_ns; /* when the next slot is due */
    uint64_t tick;
    bool silent;      /* no more packets: the calls are about to end */
    int64_t heard_ns; /* when a packet came last */
};

struct uac_call; /* uac.c */
struct uas_call; /* uas.c */

struct uac {
    struct uac_call *calls; /* touched only as far as used */
    uint32_t max, used, free_head;
    uint32_t live;    /* calls with state */
    uint32_t pending; /* calls with a transaction under way */
    uint32_t cursor;  /* hang-up of held calls goes through the table once */
};

struct uas {
    struct uas_call *calls;
    uint32_t max, used, free_head, live;
    uint32_t *index; /* Call-ID hash to slot + 1, open addressing */
    uint32_t mask;
    uint64_t *recent; /* hashes of ended calls, to know late INVITE retransmissions */
};

struct burst { /* burst.c */
    uint32_t rounds;
    bool waiting;          /* for the packets of this round */
    int64_t progress_ns;   /* when a packet came last; 0: a round has just begun */
    uint64_t last_missing; /* at that moment */
    int64_t cpu_ns;        /* of the relay when this round began */
    uint64_t sent;
    int64_t total_cpu_ns;
    uint64_t total_packets;
};

enum load_phase { LOAD_RAMP, LOAD_HOLD, LOAD_QUIET, LOAD_RELEASE, LOAD_DRAIN, LOAD_DONE };

struct load {
    enum load_phase phase;
    int64_t start_ns, phase_ns, last_end_ns;
    uint64_t started; /* attempts made, including skipped ones */
    bool deadline_hit;
};

struct lg {
    struct opts o;
    int epfd;
    int64_t now_ns;
    uint32_t seed; /* of this run: answers to an earlier one are strangers */
    struct io caller, callee;
    struct wheel wheel;
    struct uac uac;
    struct uas uas;
    struct rtp rtp;
    struct load load;
    struct burst burst;
    struct stats st;
};

/* args.c: 0, or EINVAL after a message on stderr. */
int args_parse(struct opts *o, int argc, char **argv);
void args_usage(FILE *f);
int args_addr(const char *text, struct sockaddr_in *sa); /* IP:PORT; EINVAL */

/* timer.c */
void wheel_init(struct wheel *w, int64_t now_ms);
void timer_start(struct lg *lg, struct timer *t, uint32_t delay_ms);
void timer_stop(struct timer *t);
void wheel_advance(struct lg *lg);

/* Ids in messages: 24 hex digits of seed, slot and gen. */
void id_put(struct out *o, uint32_t seed, struct call_id id);
bool id_get(struct sl text, uint32_t seed, struct call_id *id);

/* uac.c: the caller. */
int uac_init(struct lg *lg, uint32_t max);
void uac_start(struct lg *lg);
bool uac_hangup_next(struct lg *lg); /* false: no held call is left */
void uac_on_msg(struct lg *lg, const struct msg *m, const struct sockaddr_in *from);

/* uas.c: the callee. */
int uas_init(struct lg *lg, uint32_t max);
void uas_on_msg(struct lg *lg, const struct msg *m, const struct sockaddr_in *from);
void uas_reply(struct lg *lg, struct io *io, const struct msg *m, const struct sockaddr_in *from,
               const char *status);

/* rtp.c: media of both sides. */
int rtp_init(struct lg *lg);
struct rtp_stream *rtp_take(struct lg *lg, enum rtp_side side);
uint32_t rtp_port(const struct rtp_stream *s);
void rtp_start(struct lg *lg, struct rtp_stream *s, const struct sockaddr_in *to);
void rtp_release(struct lg *lg, struct rtp_stream *s); /* accepts NULL */
void rtp_tick(struct lg *lg);
void rtp_send_all(struct lg *lg); /* one packet in each stream, now */
void rtp_on_ring(struct lg *lg, const struct ring_event *ev);
/* SRTP: our master key and salt in base64, made by rtp_take() where SRTP is wanted; empty: none. */
struct sl rtp_key(const struct rtp_stream *s);
/* The key that we send with, or the one that we hear. False: not a key of this suite. */
bool rtp_set_key(struct rtp_stream *s, bool ours, struct sl base64);

/* streams.c: 0 also when no file was named. */
int streams_open(struct lg *lg);

/* burst.c: false when all rounds are done, or a packet is missing. */
bool burst_turn(struct lg *lg);

/* load.c: when calls start and end. */
void load_init(struct lg *lg);
void load_turn(struct lg *lg);
int64_t load_next_ns(const struct lg *lg);

/* report.c */
bool report_print(const struct lg *lg);

#endif
