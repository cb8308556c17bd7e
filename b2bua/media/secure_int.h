/* secure_int.h - keys of a side's transport, the handshake that makes them, and ICE. Allocated when
 * a side becomes secure or gets ICE. Thread: the worker's. */
#ifndef POSTERN_MEDIA_SECURE_INT_H
#define POSTERN_MEDIA_SECURE_INT_H

#include "crypto/crypto.h"
#include "media/ice.h"
#include "media/media_int.h"
#include "media/srtp.h"

struct media_keys {
    struct srtp *rx, *tx; /* NULL: not there yet */
    struct srtp *old_rx;  /* of the former key, until old_until_ms */
    int64_t old_until_ms;
};
struct media_dtls;

struct media_secure {
    struct media_keys keys[2]; /* of RTP; of RTCP on a port of its own, when by DTLS */
    struct media_dtls *dtls;   /* NULL: SDES */
    struct list wants_room;    /* in media.room: some rx is full, or nearly so */
    bool was_up;               /* had keys for both directions: never plain again */
};

/* --- secure.c --- */
/* Decrypts in place. False: dropped and counted. */
bool media_secure_open(struct media_flow *f, struct media_pkt *pkt);
/* Encrypts what goes to this side by f. As above. */
bool media_secure_seal(struct media_side *to, const struct media_flow *f, struct media_pkt *pkt);
/* The highest number of this SSRC that went to the side under the present key. False: none did. */
bool media_secure_last(const struct media_side *to, uint32_t ssrc, uint16_t *seq);
struct media_secure *media_secure_new(void); /* without keys; NULL: ENOMEM. mem_free() it */
/* The side is secure from here on. ENOMEM. */
MUST_USE int media_secure_want(struct media_side *s);
/* NULL leaves a direction as it is. On an error everything is as it was. */
MUST_USE int media_secure_install(struct media_side *s, struct media_keys *k,
                                  const struct srtp_key *tx, const struct srtp_key *rx);
void media_secure_free(struct media_side *s);
/* More room for SSRCs, where packets asked for it. */
void media_secure_on_room(void *media);

/* --- park.c --- */
/* The party that has these SDES keys is displaced by another one. */
void media_park(struct media_side *s);
/* Perhaps it is back: a side without keys gets the contexts that it had. */
void media_unpark(struct media_side *s, const struct srtp_key *tx, const struct srtp_key *rx);
void media_park_empty(struct media_side *s);

/* --- handshake.c: DTLS --- */
void media_handshake_packet(struct media_flow *f, struct media_pkt *pkt);
/* Where they are has become known, or moved: begin, or go on. */
void media_handshake_go(struct media_side *s);
void media_handshake_free(struct media_secure *sec);
void media_handshake_move(struct media_secure *sec, struct media_side *to); /* with its sockets */
enum media_dtls_state media_handshake_state(const struct media_side *s);
/* There is DTLS, and signalling named whose: no longer a mere offer of ours. */
bool media_handshake_is_agreed(const struct media_secure *sec);
/* A packet proved that their end of the handshake is over. */
void media_handshake_settle(const struct media_flow *f);
MUST_USE int media_handshake_init(struct media *m); /* without params.dtls: nothing */
void media_handshake_deinit(struct media *m);

/* --- checks.c: ICE --- */
struct media_ice {
    struct ice *agent;
    struct media_side *side;
    struct timer timer;
    int64_t since_ms; /* of their description; 0: none */
    bool failed;
};
void media_checks_packet(struct media_flow *f, struct media_pkt *pkt);
bool media_checks_allow(const struct media_flow *f, const struct addr *src);
void media_checks_free(struct media_side *s);
void media_checks_reset(struct media_side *s); /* our credentials stay */
enum media_ice_state media_checks_state(const struct media_side *s);

#endif
