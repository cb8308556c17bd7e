/* call_int.h - inside call/: the call object, its legs, and what the files of this folder share. */
#ifndef POSTERN_CALL_INT_H
#define POSTERN_CALL_INT_H

#include "call/call.h"
#include "dialog/dialog.h"
#include "sdp/sdp.h"
#include "call/call_health.h"
#include "call/call_record.h"
#include "call/call_sdp.h"
#include "call/call_session.h"
#define CALL_FORKS_MAX REG_BINDINGS_MAX
#define CALL_LEGS_MAX 32  /* legs made over the life of a call */
#define CALL_RELAYS_MAX 8 /* in-dialog requests being relayed at once */
#define CALL_HOPS_MAX 70  /* never sent higher, whatever came */
#define CALL_HOPS_MIN 1   /* Max-Forwards at which a request goes no further: 483 */
#define CALL_ALLOW "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, UPDATE, PRACK"

enum call_state { CALL_SETUP, CALL_RINGING, CALL_ANSWERED, CALL_ENDED };
/* A leg's INVITE dialog. A: their INVITE; B: ours. */
enum leg_state { LEG_CALLING, LEG_EARLY, LEG_CONFIRMED, LEG_CANCELLING, LEG_ENDED, LEG_NSTATES };

struct leg {
    struct call *call;
    struct list node; /* in call->forks: legs other than a */
    uint8_t index;    /* 0: caller; then in order of making; in the token */
    uint8_t side;     /* media side: 0 caller, 1 callee */
    enum leg_state state;
    uint8_t listener;
    struct policy_ref party;
    int user;            /* account, or -1 */
    uint64_t device;     /* of the user, by its +sip.instance; 0: not known */
    uint32_t reg_id;     /* which of that device's flows */
    bool target_counted; /* policy_peer_take() was done */
    struct leg_target aim;
    bool held; /* connection is held open */
    bool late; /* given up, but cli may still bring a 2xx */
    bool sips; /* its dialog is one of sips: (RFC 3261 12.1) */
    struct dialog dlg;
    struct tx *srv; /* their INVITE, until its ACK */
    struct tx *cli; /* our INVITE, until it is gone */
    struct tx *bye;
    uint32_t cli_cseq;
    uint32_t srv_cseq; /* of their last INVITE: the ACK must fit */
    bool owes_ack;     /* a 2xx came and its ACK is not out yet */
    char *ack;         /* ACK as sent, to be repeated */
    size_t ack_n;
    char *early_sdp; /* the answer that came in a 1xx */
    size_t early_n;
    uint64_t early_id; /* of the dialog that it came in */
    struct sdp_face face;
    struct nego nego;         /* what is agreed about media */
    bool wants_reinvite;      /* as soon as nothing else is under way */
    bool wants_keys;          /* with new ones */
    int64_t keyed_ms;         /* loop time: key in use or last refused since then; 0: none */
    uint64_t refused_packets; /* under our key when a new one was refused */
    struct timer rekey;
    struct digits *digits; /* INFO with DTMF that waits; NULL: none */
    char contact[TOKEN_TEXT_LEN];
    struct digest_state *digest;
    struct policy_said said; /* hosts that its far end has named as its own */
    struct leg_update update;
    struct addr told;       /* our address as it knows it (call_moved.c) */
    struct leg_tell tell;   /* while it does not know it yet */
    struct leg_timer timer; /* of its session */
    struct leg_reliable reliable;
    struct timer retry; /* 491: our re-INVITE goes again */
    uint8_t retries;
    uint8_t attempt; /* index in call->attempts */
    struct log_ctx log;
};

struct call {
    struct call_table *t;
    struct config *cfg; /* the snapshot that decided */
    struct hnode by_id;
    struct list node;
    struct grave grave;
    uint64_t id;
    uint32_t slot, gen;
    enum call_state state;
    struct arena arena; /* strings of both dialogs and the record */
    struct log_ctx log;
    struct leg *a;
    struct leg *b;     /* the callee that answered, or the one tried last */
    struct list forks; /* all B legs alive */
    struct list relays;
    uint8_t n_legs, n_relays;
    bool is_moving;         /* waits to be told our new address */
    bool late_offer;        /* A's INVITE had no offer */
    bool is_taken;          /* by one callee, or where the caller's side rings too */
    bool sips;              /* sips: was asked for: every way on is TLS (RFC 3261 26.2.2) */
    uint16_t last_1xx;      /* sent to A */
    uint8_t last_1xx_leg;   /* whose it was; 0: of one that has ended */
    uint64_t answer_id;     /* of the answer that A got under its present tag; 0: none */
    struct sip_msg *invite; /* A's INVITE until the answer */
    struct policy_verdict verdict;
    struct asked_out *asked; /* while callouts decide; NULL: none did */
    size_t to_i, target_i;   /* next target to try */
    struct call_tries tries;
    uint16_t best_status; /* of the failures so far */
    char *offer;          /* one INVITE exchange at a time: the offer that waits for its answer */
    size_t offer_n;
    uint8_t offer_side;
    const struct sip_msg *heard; /* B's answer to our INVITE, while it is dealt with; from: */
    const struct leg *heard_leg;
    struct leg *reinvite_from; /* re-INVITE being bridged: who asked; NULL: none */
    struct leg *own;           /* leg that we re-INVITE of our own accord; NULL: none */
    struct media_session *media;
    uint8_t n_streams;
    uint8_t described;  /* index of the leg that media of the callee's side follows; 0: none */
    struct timer timer; /* set-up, then duration */
    struct sl calling, called, route;
    struct sl source, target;
    int64_t start_ms; /* loop time */
    int64_t start_wall, ring_wall, answer_wall, end_wall;
    uint16_t end_code;
    const char *end_by, *end_reason; /* static */
    const char *phrase;              /* of the refusal, as the route has it; NULL: the usual one */
    struct sl redirect;              /* Contact of a 3xx of ours */
    const char *warning;             /* static; told to the caller with a failure */
    struct stream_figures *gone;     /* streams that ended before the call */
    uint8_t n_gone;
    struct egress_notes *leaks; /* what the last look found; in the arena; NULL: nothing */
    struct attempt *attempts;
    uint8_t n_attempts, cap_attempts;
    struct ladder_event *ladder;
    uint16_t n_ladder, cap_ladder, lost_ladder;
};

struct call_table {
    struct call_table_params p;
    struct config *cfg;
    struct slots slots;
    struct hmap by_id, asked; /* calls; callouts that are waited for */
    uint64_t last_asked;
    struct list all;      /* every call object, zombies too */
    struct list messages; /* out-of-dialog relays */
    struct pool calls, legs;
    struct buf out;    /* one outgoing message */
    struct buf body;   /* one description */
    struct buf padded; /* an answer that lacked streams, while it is dealt with */
    struct buf json;
    struct probes *probes;    /* NULL: none */
    struct bridge_room *room; /* for one description at a time */
    struct timer moved;
    uint64_t last_id;
    uint32_t n_alive, n_zombies, n_legs, n_messages;
    uint32_t by_state[3];
    bool draining;
};

/* --- call.c --- */
struct call *call_new(struct call_table *t, struct sip_msg *invite);
struct leg *leg_new(struct call *c, uint8_t side);
void call_forget_text(char **textp,
                      size_t *n); /* wipes and frees what may hold keys; NULL is fine */
void leg_free(struct leg **lp);
struct call *call_find(struct call_table *t, uint64_t id);
void call_set_state(struct call *c, enum call_state s);
int64_t call_wall_ms(const struct call *c); /* now, by the clock as it was at its start */
/* First death: CDR, limits, media. The object stays for transactions that still finish. */
void call_end(struct call *c, const char *by, const char *reason, uint16_t code);
/* Second death, when nothing is pending any more. */
void call_check_done(struct call *c);
void leg_hold(struct leg *l, bool on);
void leg_set_flow(struct leg *l, const struct flow *flow);
void call_table_bury(struct call_table *t);

#include "call/call_callout.h"
#include "call/call_exchange.h"
#include "call/call_wire.h"

/* --- call_in.c --- */
/* Asks the policy. False: the request was answered without state (challenge, refusal). */
bool call_decide(struct call_table *t, const struct sip_msg *req, const struct flow *flow,
                 struct policy_verdict *v);
void call_name_target(struct call *c, const struct leg *l);
void call_reject_a(struct call *c, uint16_t status, const char *by, const char *reason);
void a_on_server(struct tx *tx, enum tx_server_event ev, void *arg);

/* --- call_out.c --- */
void call_put_called(struct buf *b, const struct policy_number out[2],
                     const struct policy_ref *source, const struct sip_msg *m);
/* Tries the next target; none left: the caller gets the best failure. */
void call_try_next(struct call *c);
void call_cancel_forks(struct call *c, struct leg *except);
uint64_t call_device(const struct binding *bd); /* its +sip.instance as a number; 0: none */
uint64_t leg_dialog_id(struct sl tag); /* early dialogs of one INVITE differ by their tags */
void b_on_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg);

#include "call/call_body.h"

#endif
