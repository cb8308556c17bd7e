/* machine_int.h - kinds, states, events and cells of the four transaction machines. */
#ifndef POSTERN_TX_MACHINE_INT_H
#define POSTERN_TX_MACHINE_INT_H

#include "tx/tx.h"

enum tx_kind { TX_ICT, TX_NICT, TX_IST, TX_NIST, TX_KINDS };

enum tx_event {
    TX_EV_1XX, /* clients: received; servers: the user answers */
    TX_EV_2XX,
    TX_EV_FAIL,
    TX_EV_REQUEST, /* servers: the request again */
    TX_EV_ACK,     /* INVITE server: for a failure, or the user says that its 2xx is acknowledged */
    TX_EV_RESEND,  /* timers A, E, G and the repetition of a 2xx */
    TX_EV_EXPIRE,  /* timers B, D, F, H, I, J, K, L, M: each state has one at most */
    TX_EV_ANSWER,  /* INVITE client: nothing at all came within answer_ms */
    TX_EV_CANCEL,  /* INVITE client: the user gave up */
    TX_EV_TP_ERR,  /* the transport failed */
    TX_EV_N
};

enum ict_state {
    ICT_CALLING,
    ICT_PROCEEDING,
    ICT_COMPLETED,
    ICT_ACCEPTED,
    ICT_HELD,      /* calling, and CANCEL waits for a provisional answer (RFC 3261 9.1) */
    ICT_CANCELLED, /* proceeding, CANCEL sent: a final answer is due within 64*T1 */
    ICT_ZOMBIE, /* user gave up after answer_ms: a late 1xx is cancelled, nothing is sent again */
    ICT_LATE,   /* no final answer after CANCEL: late ones are still acknowledged */
    ICT_DEAD
};
enum nict_state { NICT_TRYING, NICT_PROCEEDING, NICT_COMPLETED, NICT_DEAD };
enum ist_state {
    IST_PROCEEDING,
    IST_COMPLETED,
    IST_CONFIRMED,
    IST_ACCEPTED,
    IST_ACKED, /* accepted and acknowledged: absorbs until timer L */
    IST_DEAD
};
enum nist_state { NIST_TRYING, NIST_PROCEEDING, NIST_COMPLETED, NIST_DEAD };

/* What an event brings along; members that do not belong to it are empty. */
struct tx_in {
    struct sip_msg *rsp; /* clients: 1XX, 2XX, FAIL */
    struct sl bytes;     /* servers: 1XX, 2XX, FAIL; already kept in tx where the machine repeats */
    int err;             /* TP_ERR */
};
typedef void(tx_act_fn)(struct tx *tx, const struct tx_in *in);

struct tx_cell {
    tx_act_fn *act; /* NULL: unexpected, counted, ignored */
    const char *name;
    uint8_t next;
};
#define TX_DO(fn, next)                                                                            \
    {                                                                                              \
        (fn), #fn, (next)                                                                          \
    }

struct tx_machine {
    const char *name;
    const struct tx_cell (*cells)[TX_EV_N];
    const char *const *states;
    uint8_t n_states; /* the last one is the dead one; its row is empty */
};
extern const struct tx_machine ict_machine, nict_machine, ist_machine, nist_machine;
extern const struct tx_machine *const tx_machines[TX_KINDS];
extern const char *const tx_event_names[TX_EV_N];

#endif
