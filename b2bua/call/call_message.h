/* call_message.h - a MESSAGE outside a dialog on its way: the server transaction that waits for an
 * answer, and a branch to each device or target. Inside call/ only. */
#ifndef POSTERN_CALL_MESSAGE_H
#define POSTERN_CALL_MESSAGE_H

#include "call/call_int.h"

#define MESSAGE_TARGETS_MAX 16

/* One who may get it, and the branch to him. */
struct message_target {
    struct message *m;
    struct tx *cli; /* NULL: not asked, or done */
    bool is_heard;  /* has said something: slow, not silent */
    struct flow flow;
    char uri[512];
    struct policy_ref to;
    uint8_t group; /* neighbours with the same one are asked at once: a user's devices */
    bool is_user, is_later;
    uint64_t device; /* a user's; 0: not known */
    bool is_spare;   /* another flow of a device that comes before it: asked when that one fails, */
    bool is_asked;   /* and once */
    const struct policy_peer *peer; /* and its target; NULL: a user's device */
    const struct policy_uri_target *aim;
    char call_id[TOKEN_TEXT_LEN], tag[TOKEN_TEXT_LEN]; /* of what it got, once cseq is not 0 */
    uint32_t cseq;
    struct digest_state *digest; /* it wants to know who we are; NULL: not yet */
    struct sip_msg *challenge;   /* to be answered by what is being written; borrowed */
    uint32_t failover_ms;        /* nothing heard within it: the next target; 0: no such limit */
};

struct message {
    struct list node;
    struct grave grave;
    struct call_table *t;
    struct config *cfg;
    struct tx *srv;    /* NULL: answered */
    struct timer wait; /* for those asked now */
    struct sip_msg *req;
    struct flow flow; /* the sender's */
    struct policy_verdict verdict;
    struct asked_out *waits_for; /* while callouts decide; NULL: none did */
    struct arena arena;
    const char *phrase; /* of the refusal; NULL: the usual one */
    struct message_target *targets;
    size_t n_targets, next, n_live; /* branches without a final answer */
    struct message_target *asked;   /* a peer's, of whom nothing is known yet */
    const struct sip_msg *heard;    /* what is being answered with; NULL: something of ours */
    const struct policy_ref *heard_from;
    uint8_t n_groups;
    uint16_t best;       /* of those before; 0: nothing yet */
    uint16_t if_none;    /* told when nobody could be asked */
    uint16_t group_best; /* of those asked now; 0: none has failed with a status */
    bool is_said;        /* one of them has answered */
    bool closed, waits, is_last;
    char tag[TOKEN_TEXT_LEN];
};

/* --- call_message.c --- */
void message_close(struct message *m);
/* The one answer. Branches that still wait for theirs keep the message until they are done. */
void message_finish(struct message *m, uint16_t status);

/* --- call_message_to.c --- */
void message_collect(struct message *m); /* fills targets */
/* Writes what goes to the target, and lets the egress check look at it. */
MUST_USE int message_write(const struct message *m, struct message_target *tg, struct buf *b);

/* --- call_message_fork.c --- */
void message_send_next(struct message *m); /* none left: answers with the best failure */
void message_on_silence(void *message);    /* of the timer `wait` */
/* Whatever is known of the peer's target that was asked goes into its health. */
void message_judge(struct message *m, enum policy_outcome outcome);
void message_drop_branches(struct message *m);

#endif
