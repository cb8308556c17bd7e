/* secure.h - phones that speak RTP, SDES-SRTP or DTLS-SRTP, and the houses they call through. */
#ifndef POSTERN_FLOW_SECURE_H
#define POSTERN_FLOW_SECURE_H

#include "rig.h"

enum kind {
    KIND_RTP,     /* profile plain */
    KIND_SDES,    /* secure: RTP/SAVP */
    KIND_OFFERED, /* offered: RTP/AVP with keys */
    KIND_DTLS,    /* dtls: UDP/TLS/RTP/SAVPF without ICE */
    KIND_BROWSER, /* browser: with ICE, mid, rtcp-mux */
    KIND_N
};
extern const char *const kind_names[KIND_N];

/* The house of rig_yaml whose carrier (caller's side) and pbx have these profiles; both networks
 * are trusted. more: lines for media_profiles, each "  name: {...}\n", or "". The names of kinds
 * are profiles; others must be in more. */
struct rig *secure_up(const char *carrier, const char *pbx, const char *more);
/* The same with peers' settings instead of trusted_network: "trusted_network: false". */
struct rig *secure_up_with(const char *carrier, const char *pbx, const char *more,
                           const char *peers);

/* A description by a phone of that kind; its key (p->key) stays until secure_new_key(). */
const char *secure_offer(struct phone *p, enum kind k, const char *dir);
void secure_new_key(struct phone *p);
/* The answer that a phone gives to the offer in this message: first suite, DTLS active. */
const char *secure_answer(struct phone *p, const char *offer, const char *dir);

/* "inline:" of the nth a=crypto line in a message; empty: none. */
struct sl msg_key(const char *text, unsigned nth);
bool key_is(const struct srtp_key *k, struct sl base64);
struct fake_side *media_side(struct rig *r, unsigned stream, unsigned side);
uint64_t call_id_now(void); /* of the call posted last */

#endif
