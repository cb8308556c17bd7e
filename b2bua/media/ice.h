/* ice.h - the ICE-lite agent of one data stream (RFC 8445): answers the connectivity checks of a
 * full agent, always in the controlled role, and thereby learns where the peer may be reached. It
 * sends nothing by itself and needs no candidates of the peer. Knows no sockets: the owner gives it
 * the datagrams of both components and sends its answers from where they came in to where they came
 * from. Thread: the owner's. Nothing here allocates but ice_new(). */
#ifndef POSTERN_MEDIA_ICE_H
#define POSTERN_MEDIA_ICE_H

#include "media/stun.h"

#define ICE_COMPONENTS 2 /* 1: RTP (and RTCP when muxed), 2: RTCP */
#define ICE_PAIRS_MAX 8  /* validated sources kept per component; the one heard longest ago goes */
#define ICE_UFRAG_LEN 8  /* of ours: 48 random bits */
#define ICE_PWD_LEN 24   /* of ours: 144 random bits */
#define ICE_REMOTE_UFRAG_MAX 256
#define ICE_CONSENT_MS 30000  /* RFC 7675 5.1 */
#define ICE_ANSWERS_PER_S 100 /* and as many at once */

struct ice;
/* With random credentials of our own. ENOMEM. */
MUST_USE int ice_new(struct ice **ap);
void ice_free(struct ice **ap); /* wipes; accepts NULL */

/* For a=ice-ufrag and a=ice-pwd of our description (with a=ice-lite); valid until the next
 * ice_set_remote() or ice_restart(). */
struct sl ice_ufrag(const struct ice *a);
struct sl ice_pwd(const struct ice *a);

struct ice_remote {
    struct sl ufrag; /* copied */
    struct sl pwd;   /* looked at only: a lite agent never needs it */
};
/* What the peer's description says. Another ufrag than before is an ICE restart by the peer (RFC
 * 8445 9): our credentials change too (unless ice_restart() has done so), *restarted says so, and
 * they have to be in the answer. Checks with the old credentials are still answered and the old
 * endpoint stays selected until a source is nominated under the new ones. What was heard before the
 * description came (early checks) stays valid if it used this ufrag, else it is forgotten: look at
 * ice_selected() afterwards.
 * A peer that is lite as well never sends a check: the owner goes without an agent then, by the
 * addresses of the descriptions (RFC 8445 8.2).
 * EBADMSG: ufrag or pwd is too short, too long or has other characters than RFC 8839 5.4 allows:
 * nothing changed. */
MUST_USE int ice_set_remote(struct ice *a, const struct ice_remote *r, bool *restarted);
/* We restart: new credentials for our next offer, at the moment of writing it; the peer's answer
 * follows by ice_set_remote(). */
void ice_restart(struct ice *a);
/* The peer is somebody else: as before any description and check, with our present credentials. */
void ice_forget_remote(struct ice *a);

/* Why a datagram was not answered. */
enum ice_drop {
    ICE_ANSWERED,
    ICE_MALFORMED,     /* no STUN message, or not the Binding method */
    ICE_NOT_REQUEST,   /* an indication (keepalive) or an answer to nothing: no harm */
    ICE_UNKNOWN_USER,  /* no USERNAME, or not "ours:theirs": a stranger */
    ICE_BAD_INTEGRITY, /* none or a wrong one: a stranger */
    ICE_RATE,          /* authentic, but too many */
    ICE_NO_MEMORY,
    ICE_DROPS
};
struct ice_verdict {
    enum ice_drop drop;
    bool validated; /* the source knows our password: it may speak DTLS and send media */
    bool nominated; /* the source has become the selected endpoint just now: send there */
    uint16_t code;  /* 0: success; 420, 487: the answer is an error, nothing was validated */
    uint16_t answer_len;
    uint8_t answer[STUN_ANSWER_MAX]; /* send it to the source when answer_len is not 0 */
};
/* One STUN datagram for a component (1 or 2) from src. Nothing changes, and nothing is sent, before
 * user name and integrity were checked. The datagram is borrowed for the call.
 * Role conflict (RFC 8445 7.3.1.1): a lite agent cannot control, so its tie-breaker is the least
 * there is: a peer that says ICE-CONTROLLED always gets 487 and takes the other role.
 * Nomination: USE-CANDIDATE selects its source. For peers that nominate every pair (RFC 5245
 * aggressive), within 3 s of a component's first nomination a lower PRIORITY does not take over
 * from a higher one; afterwards the latest nomination counts.
 * Before the peer's description is known (early checks) the first ufrag seen is the peer's: whoever
 * knows our password has our description. Other ones are answered, but validate nothing. */
void ice_on_stun(struct ice *a, unsigned component, struct sl datagram, const struct addr *src,
                 int64_t now_ms, struct ice_verdict *out);

/* The nominated endpoint of the component, also while a restart is not yet done; NULL: none. */
const struct addr *ice_selected(const struct ice *a, unsigned component);
/* Is src the selected endpoint or another validated source? */
bool ice_is_valid(const struct ice *a, unsigned component, const struct addr *src);

/* Consent to send (RFC 7675): the peer renews it by authentic checks from the selected endpoint. */
enum ice_consent {
    ICE_CONSENT_NONE,   /* nothing selected */
    ICE_CONSENT_FRESH,  /* renewed within ICE_CONSENT_MS */
    ICE_CONSENT_SILENT, /* not renewed for ICE_CONSENT_MS, but this peer never did since it was
                           nominated: an RFC 5245 agent that knows no consent. Its media decides */
    ICE_CONSENT_EXPIRED /* it used to, and stopped: do not send, counts as media loss */
};
enum ice_consent ice_consent(const struct ice *a, unsigned component, int64_t now_ms);
bool ice_consent_expired(const struct ice *a, unsigned component, int64_t now_ms);

#endif
