/* dialog.h - one leg's dialog: identity, route set, CSeq, target (RFC 3261 12), requests inside it,
 * and answering a digest challenge (RFC 3261 22, 7616).
 * Thread: the owner's. Strings live in the arena given at init, but the remote target, which may
 * change, has its own block. */
#ifndef POSTERN_DIALOG_H
#define POSTERN_DIALOG_H

#include "crypto/crypto.h"
#include "net/net.h"
#include "sip/sip.h"

#define DIALOG_ROUTES_MAX 12

enum dialog_state { DIALOG_NONE, DIALOG_EARLY, DIALOG_CONFIRMED, DIALOG_ENDED };

struct dialog {
    enum dialog_state state;
    bool is_uac;         /* we sent the INVITE */
    struct arena *arena; /* borrowed; outlives the dialog */
    struct sl call_id;
    struct sl local_tag, remote_tag; /* remote empty until known */
    struct sl local;                 /* our From/To without tag: name-addr text as we write it */
    struct sl remote;                /* the peer's, likewise */
    struct sl asked;                 /* UAC: Request-URI of the first INVITE */
    char *target;                    /* remote target URI, own block */
    struct sl routes[DIALOG_ROUTES_MAX]; /* name-addr texts in the order to be sent */
    uint8_t n_routes;
    uint32_t local_cseq;  /* of the last request we sent */
    uint32_t remote_cseq; /* of the last request received */
    bool has_remote_cseq;
    struct flow flow; /* by which the peer is reached */
    bool pin_flow;    /* requests always go to flow (NAT, streams, users) */
};

/* UAS side from a received INVITE. local_tag is copied. EBADMSG: no usable Contact; EMSGSIZE: too
 * many routes; ENOMEM. */
MUST_USE int dialog_init_uas(struct dialog *d, struct arena *arena, const struct sip_msg *invite,
                             struct sl local_tag, const struct flow *flow);
struct dialog_uac {
    struct sl call_id, local_tag;
    struct sl local;  /* From without tag, e.g.  "A" <sip:100@edge.example> */
    struct sl remote; /* To without tag */
    struct sl target; /* Request-URI */
    const struct flow *flow;
    bool pin_flow;
};
MUST_USE int dialog_init_uac(struct dialog *d, struct arena *arena, const struct dialog_uac *p);
void dialog_deinit(struct dialog *d);

/* UAC: takes tag, route set and target from a 1xx with a tag or a 2xx (12.1.2). A 2xx may replace
 * what an early one said, another fork's 1xx too. A 2xx to a re-INVITE or UPDATE refreshes the
 * target. EBADMSG: 2xx without a usable Contact or To tag (what it does say is kept, to end it
 * by); EPROTO: confirmed before with another tag (a fork: ACK and BYE it); EMSGSIZE; ENOMEM. On
 * error dialog_deinit() is still due. */
MUST_USE int dialog_learn(struct dialog *d, const struct sip_msg *rsp);
void dialog_confirm(struct dialog *d); /* UAS: our 2xx went out */

/* A request that found this dialog: 0, or EPROTO (tags or Call-ID differ: 481), ERANGE (CSeq not
 * above the last: 500), EBADMSG (re-INVITE with a bad Contact: 400), ENOMEM. Updates remote_cseq;
 * re-INVITE and UPDATE also the target (12.2.2). ACK and CANCEL: only the identity is checked. */
MUST_USE int dialog_check_request(struct dialog *d, const struct sip_msg *req);

/* Where the next request goes (12.2.1.1, numeric addresses only): the flow when pinned, reliable or
 * when the target's host is a name; else first route or target. */
void dialog_next_hop(const struct dialog *d, struct flow *out);

struct dialog_request {
    enum sip_method method;
    uint32_t cseq;          /* dialog_next_cseq(); ACK: that of its INVITE */
    struct sl branch;       /* with cookie */
    const struct addr *via; /* advertised address and port */
    enum sip_transport transport;
    struct sl contact;    /* URI without <>; empty: none */
    uint8_t max_forwards; /* 0: 70 */
};
uint32_t dialog_next_cseq(struct dialog *d);
/* Start line, Via, Max-Forwards, From, To, Call-ID, CSeq, Route, Contact. The caller adds the rest
 * and sip_put_body(). A strict first route (no lr) is handled as 12.2.1.1 says. */
void dialog_put_request(struct buf *b, const struct dialog *d, const struct dialog_request *r);
struct sl dialog_request_uri(const struct dialog *d); /* as it stands there; borrowed */
/* Only "Via: …" as in dialog_put_request. */
void dialog_put_via(struct buf *b, enum sip_transport t, const struct addr *via, struct sl branch);

/* Digest answers to the challenges in a 401 or 407 for one request (RFC 7616 3.4, RFC 3261 22.3):
 * writes the whole Authorization and Proxy-Authorization fields, also for those challenges that
 * were answered before in the same chain of requests. Of several of a kind the strongest that we
 * know is taken (SHA-256 before MD5, plain or -sess; qop=auth before none) and, when the
 * credentials name a realm, that realm only. rsp 422: only what was answered before. ENOENT: no
 * such challenge; ENOTSUP: it wants qop=auth-int; EACCES: it refuses what we sent (not stale and
 * same nonce, or for the third time); EBADMSG. */
struct digest_credentials {
    struct sl username, password, realm; /* realm empty: any */
};
struct digest_for {
    const struct digest_credentials *cred;
    struct sl method, uri; /* of the request to be sent */
};
#define DIGEST_NONCE_MAX 128
enum digest_kind { DIGEST_WWW, DIGEST_PROXY, DIGEST_KINDS };
struct digest_slot {
    char
        nonce[DIGEST_NONCE_MAX]; /* the last one answered, and how often: also by requests before */
    uint32_t nc;
    uint8_t tries;         /* at most two per request (attacks.md 42) */
    struct sip_msg *asked; /* the challenge answered last */
};
struct digest_state { /* per request chain */
    struct digest_slot at[DIGEST_KINDS];
};
MUST_USE int digest_answer(struct buf *b, struct sip_msg *rsp, const struct digest_for *f,
                           struct digest_state *st);
/* Another request: what was asked of the one before is over, the count of each nonce goes on. */
void digest_forget(struct digest_state *st);
void digest_free(struct digest_state **stp); /* of mem_zalloc(); accepts NULL */

#endif
