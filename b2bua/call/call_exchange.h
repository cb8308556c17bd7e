/* call_exchange.h - what happens inside an answered call: re-INVITEs of theirs and of ours, new
 * keys, digits. Part of call_int.h. */
#ifndef POSTERN_CALL_EXCHANGE_H
#define POSTERN_CALL_EXCHANGE_H

#include "call/call.h"

struct call;
struct leg;

/* --- call_reinvite.c --- */
void call_reinvite(struct leg *l, struct tx *tx, struct sip_msg *req);
void call_ack(struct leg *l, struct sip_msg *req);
/* Nobody waits for the answer any more: the other side is asked to forget it. */
void reinvite_abandon(struct leg *l);
/* 0, or the status that refuses an offer from this leg now (RFC 3261 14.2, RFC 3311 5.2). */
uint16_t reinvite_is_busy(const struct leg *l);
/* Takes the offer in their INVITE (l->srv) or UPDATE (l->update.srv) to the other side. */
void reinvite_begin(struct leg *l, struct sip_msg *req);

struct leg *call_other_leg(const struct leg *l);
/* Sends a re-INVITE on a leg in place of the one before it, if any. */
int leg_reinvite(struct leg *l, struct sl sdp, struct sip_msg *challenge, tx_response_fn *fn);
/* 491 came: again after the time that the leg's role has (RFC 3261 14.1). False: too often. */
bool leg_retry_later(struct leg *l, timer_fn *fn);

/* --- call_own.c: re-INVITEs of our own --- */
/* As soon as nothing else is under way; keys: with new SDES keys. */
void call_want_reinvite(struct leg *l, bool keys);
void call_own_kick(struct call *c); /* something has ended: is there one that waits? */

/* --- call_moved.c: our address changes --- */
/* What a listener advertises now, which may be later than the call's configuration. */
const struct addr *call_advertised(const struct call *c, uint8_t listener);
void call_moved_init(struct call_table *t);
/* A re-INVITE of ours is over: if it failed and was to say our address, it goes again later. */
void leg_tell_init(struct leg *l);
void leg_tell_done(struct leg *l, bool ok);
void leg_tell_stop(struct leg *l);
void call_moved_begin(struct call_table *t, const struct config *old);

/* --- call_nat.c --- */
/* The leg's far end calls itself by an address that nobody can reach: it is spoken to where its
 * messages come from. After all that may change its remote target. */
void leg_note_nat(struct leg *l);

/* --- call_rekey.c --- */
void leg_keyed(struct leg *l); /* a key of ours is new */
/* New keys were asked for and are not to be had: the old ones serve for another full term. */
void leg_keys_refused(struct leg *l);
void leg_rekey_stop(struct leg *l);

/* --- call_dtmf.c --- */
media_silence_fn call_on_silence; /* call_media.c */
media_dtmf_fn call_on_digit;
/* An INFO with digits that is dealt with here. False: it is to be relayed. */
bool call_info_digit(struct leg *l, struct tx *tx, struct sip_msg *req);
void leg_digits_drop(struct leg *l);

#endif
