/* call_nego.h - what each leg has agreed on about its media: protection and its keys, the words of
 * its m-lines, ICE, BUNDLE. A leg's profile (policy) and what it agreed on before decide what of a
 * description is taken and what is offered to it; nothing changes before an answer is good. */
#ifndef POSTERN_CALL_NEGO_H
#define POSTERN_CALL_NEGO_H

#include "media/media.h"
#include "sbc-policy/policy.h"
#include "sdp/sdp.h"

#define NEGO_CODECS_MAX 64 /* bytes of names for the record */

struct call;
struct leg;

enum nego_security { NEGO_OPEN, /* nothing agreed */ NEGO_CLEAR, NEGO_SDES, NEGO_DTLS };

struct nego_stream { /* one stream of one leg, in force */
    enum nego_security security;
    enum sdp_proto proto; /* of its m-line, also for our next offer */
    enum sdp_setup setup; /* NEGO_DTLS: our role */
    bool mux, ice, is_bundled;
    bool has_events; /* RFC 4733 was agreed on */
    uint8_t leader;  /* is_bundled */
    uint8_t mid_n;
    uint8_t mid_ext; /* header extension that carries it; 0: none */
    char mid[SDP_MID_MAX];
    uint32_t tag;    /* NEGO_SDES: of the a=crypto line */
    uint64_t ice_id; /* of their credentials: another one is a restart */
    struct srtp_key tx, rx;
    char codecs[NEGO_CODECS_MAX]; /* names, comma separated */
};

struct nego_key { /* one a=crypto line of an offer of ours */
    uint8_t stream;
    struct sdp_crypto crypto;
};

struct nego {
    struct nego_stream *streams;
    uint8_t n;
    struct nego_key *offered; /* in our offer that has no answer yet */
    uint16_t n_offered;
    bool fresh_keys; /* our next offer shall have new ones */
    bool was_secure; /* a stream has had keys: from then on none becomes clear */
    char *theirs;    /* their description in force */
    size_t theirs_n;
};

/* One stream of a description of theirs, as we take it. */
struct nego_take {
    enum nego_security security;
    enum sdp_setup setup; /* NEGO_DTLS: our role */
    bool mux, ice;
    uint32_t tag;       /* NEGO_SDES */
    struct srtp_key rx; /* NEGO_SDES: theirs */
    struct srtp_key tx; /* NEGO_SDES: ours */
};

const struct policy_media_profile *leg_profile(const struct leg *l);
/* May keys be written into this leg's signalling: TLS, or a network that the operator trusts? */
bool leg_may_see_keys(const struct leg *l);
/* Can anything be offered to this leg as its profile wants it? */
bool leg_can_be_offered(const struct leg *l, const char **why);
enum nego_security leg_security(const struct leg *l, unsigned stream);

/* Reads stream i of an offer of theirs. False: it is not acceptable, *why (static) says why. *out
 * holds keys, which the caller wipes. */
bool nego_take_offer(const struct leg *l, const struct sdp *s, unsigned i, struct nego_take *out,
                     const char **why);
/* The same for an answer to our last offer. */
bool nego_take_answer(const struct leg *l, const struct sdp *s, unsigned i, struct nego_take *out,
                      const char **why);

/* How stream i (from the other side's description) is offered to leg l. crypto has room for
 * POLICY_SUITES_MAX. 0; EPERM: not as its profile wants it, *why says why; ENOMEM. The ports of
 * the leg are open. */
MUST_USE int nego_offer(struct leg *l, const struct sdp *s, unsigned i, struct sdp_out_stream *out,
                        struct sdp_crypto *crypto, const char **why);
/* The same for our answer to what was taken. crypto has room for one. */
MUST_USE int nego_answer(struct leg *l, const struct sdp *offer, unsigned i,
                         const struct nego_take *t, struct sdp_out_stream *out,
                         struct sdp_crypto *crypto);
/* Its ICE part alone: again, when the stream got another transport. */
MUST_USE int nego_answer_ice(struct leg *l, const struct sdp *offer, unsigned i,
                             struct sdp_out_stream *out);
/* Streams of the answer that stay together (RFC 9143 7.3). */
void nego_answer_bundles(const struct leg *l, const struct sdp *offer,
                         const struct nego_take *takes, struct sdp_out_stream *out);

/* Of their credentials; never 0. */
uint64_t nego_ice_id(const struct sdp *s, unsigned i);

/* Room for n streams; ENOMEM. */
MUST_USE int nego_grow(struct nego *g, unsigned n);
void nego_drop_offer(struct nego *g); /* no answer will come */
void nego_forget(struct nego *g);     /* theirs */
void nego_free(struct nego *g);       /* wipes */

/* --- call_codec.c: payload types of both sides --- */

/* How the formats of stream i of `from` are told to leg `to`; known: what `to` said last, or NULL.
 * Returns how many (map has room for SDP_FORMATS_MAX). */
size_t codec_map_offer(const struct leg *from, const struct leg *to, const struct sdp *s,
                       const struct sdp *known, unsigned i, struct sdp_format_map *map);
struct codec_answer {
    struct leg *from, *to;            /* answerer, offerer */
    const struct sdp *answer, *offer; /* theirs */
    unsigned stream;
    const struct sdp_format_map *offered; /* codec_map_offer() of the offer */
    size_t n_offered;
};
size_t codec_map_answer(const struct codec_answer *a, struct sdp_format_map *map);
/* Tells the relay what both sides may send, and who is told of digits. ENOMEM. */
MUST_USE int codec_set_media(struct call *c, const struct codec_answer *a,
                             const struct sdp_format_map *map, size_t n);
void codec_names(const struct sdp *s, unsigned i, const struct sdp_format_map *map, size_t n,
                 char out[NEGO_CODECS_MAX]);

#endif
