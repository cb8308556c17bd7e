/* call_nego.c - the rules of protection on one leg: what its profile takes and offers, SDES (RFC
 * 4568, RFC 3264), DTLS (RFC 5763, RFC 8842), and that nothing secure turns into something clear.
 */
#include "call/call_int.h"

_Static_assert((int)POLICY_SUITE_N == (int)SDP_SUITE_N, "one order of suites");

const struct policy_media_profile *leg_profile(const struct leg *l)
{
    const struct policy_def *def = policy_def(l->call->cfg->policy);
    uint8_t i = l->party.kind == POLICY_PEER ? def->peers[l->party.peer].media : def->users.media;

    return &def->profiles[i];
}

bool leg_may_see_keys(const struct leg *l)
{
    const struct policy_def *def = policy_def(l->call->cfg->policy);

    if (flow_is_secure(&l->dlg.flow)) {
        return true;
    }
    return l->party.kind == POLICY_PEER ? def->peers[l->party.peer].trusted_network
                                        : def->users.trusted_network;
}

bool leg_can_be_offered(const struct leg *l, const char **why)
{
    const struct policy_media_profile *p = leg_profile(l);

    if (p->security == POLICY_MEDIA_SDES && !p->optional && !leg_may_see_keys(l)) {
        *why = "SRTP keys are not offered over signalling without TLS";
        return false;
    }
    return true;
}

static const struct nego_stream *agreed(const struct leg *l, unsigned i)
{
    return i < l->nego.n && l->nego.streams[i].security != NEGO_OPEN ? &l->nego.streams[i] : NULL;
}

enum nego_security leg_security(const struct leg *l, unsigned stream)
{
    return stream < l->nego.n ? l->nego.streams[stream].security : NEGO_OPEN;
}

/* --- keys --- */

static enum srtp_suite suite_of(enum sdp_suite s)
{
    static const enum srtp_suite suites[SDP_SUITE_N] = {
        [SDP_AES_CM_128_HMAC_SHA1_80] = SRTP_AES_CM_128_HMAC_SHA1_80,
        [SDP_AES_CM_128_HMAC_SHA1_32] = SRTP_AES_CM_128_HMAC_SHA1_32,
        [SDP_AES_256_CM_HMAC_SHA1_80] = SRTP_AES_256_CM_HMAC_SHA1_80,
        [SDP_AES_256_CM_HMAC_SHA1_32] = SRTP_AES_256_CM_HMAC_SHA1_32,
        [SDP_AEAD_AES_128_GCM] = SRTP_AEAD_AES_128_GCM,
        [SDP_AEAD_AES_256_GCM] = SRTP_AEAD_AES_256_GCM,
    };

    return suites[s];
}

static void key_from_sdp(const struct sdp_crypto *c, struct srtp_key *k)
{
    uint8_t key_n = sdp_suite_key_len(c->suite);

    memset(k, 0, sizeof(*k));
    k->suite = suite_of(c->suite);
    memcpy(k->key, c->key, key_n);
    memcpy(k->salt, c->key + key_n, sdp_suite_salt_len(c->suite));
    memcpy(k->mki, c->mki, c->mki_len);
    k->mki_len = c->mki_len;
}

static void key_to_sdp(const struct srtp_key *k, uint32_t tag, struct sdp_crypto *c)
{
    struct sl name = srtp_suite_name(k->suite);
    uint8_t key_n;

    *c = (struct sdp_crypto){.tag = tag, .suite = sdp_suite_of(name)};
    key_n = sdp_suite_key_len(c->suite);
    c->n = (uint8_t)(key_n + sdp_suite_salt_len(c->suite));
    memcpy(c->key, k->key, key_n);
    memcpy(c->key + key_n, k->salt, (size_t)c->n - key_n);
}

/* --- what is taken: SDES --- */

static int suite_rank(const struct policy_media_profile *p, enum sdp_suite s)
{
    for (size_t i = 0; i < p->n_suites; i++) {
        if (p->suites[i] == (uint8_t)s) {
            return (int)i;
        }
    }
    return -1;
}

/* The line whose suite our profile likes best. 0; EBADMSG: none, and one was malformed; ENOTSUP:
 * none that both have; ENOENT: no line at all. */
static int best_crypto(const struct policy_media_profile *p, const struct sdp *s, unsigned i,
                       struct sdp_crypto *best)
{
    int rank = INT_MAX, worst = ENOENT;
    struct sdp_crypto c;
    uint16_t pos = 0;

    for (unsigned n = 0; n < SDP_CRYPTO_MAX; n++) {
        int err = sdp_crypto_next(s, i, &pos, &c);
        int r = err == 0 ? suite_rank(p, c.suite) : -1;

        if (err == ENOENT) {
            break;
        }
        if (r >= 0 && r < rank) {
            rank = r;
            *best = c;
        }
        worst = err == EBADMSG || worst == EBADMSG ? EBADMSG : ENOTSUP;
    }
    mem_wipe(&c, sizeof(c));
    return rank != INT_MAX ? 0 : worst;
}

static bool take_clear(struct nego_take *out)
{
    out->security = NEGO_CLEAR;
    return true;
}

/* Our key stays as long as the suite does: only they know why they change theirs. */
static void choose_tx(const struct leg *l, unsigned i, struct nego_take *out)
{
    const struct nego_stream *a = agreed(l, i);

    if (a != NULL && a->security == NEGO_SDES && a->tx.suite == out->rx.suite) {
        out->tx = a->tx;
    } else {
        srtp_key_random(&out->tx, out->rx.suite);
    }
}

static bool take_sdes(const struct leg *l, const struct sdp *s, unsigned i, struct nego_take *out,
                      const char **why)
{
    const struct policy_media_profile *p = leg_profile(l);
    bool may_be_clear = p->optional && sdp_proto_is_plain(s->streams[i].proto);
    struct sdp_crypto c = {.n = 0};
    int err = best_crypto(p, s, i, &c);

    if (err == 0 && !leg_may_see_keys(l)) {
        *why = "SRTP keys came over signalling without TLS";
        mem_wipe(&c, sizeof(c));
        return may_be_clear && take_clear(out);
    }
    if (err == 0) {
        out->security = NEGO_SDES;
        out->tag = c.tag;
        key_from_sdp(&c, &out->rx);
        choose_tx(l, i, out);
        mem_wipe(&c, sizeof(c));
        return true;
    }
    *why = err == EBADMSG   ? "SRTP key is malformed"
           : err == ENOTSUP ? "no SRTP suite that both sides have"
                            : "media without SRTP keys";
    return err != EBADMSG && may_be_clear && take_clear(out);
}

/* --- what is taken: DTLS --- */

/* RFC 8842 5.3: who offers actpass leaves it to us. Passive: they have found a way to us, ours to
 * them may have to be learned. An association that is there keeps its roles. */
static bool dtls_role(const struct leg *l, unsigned i, enum sdp_setup theirs, bool is_answer,
                      enum sdp_setup *ours)
{
    const struct nego_stream *a = agreed(l, i);

    switch (theirs) {
    case SDP_PASSIVE:
        *ours = SDP_ACTIVE;
        return true;
    case SDP_SETUP_NONE: /* RFC 4145 4: active in an offer, passive in an answer */
        *ours = is_answer ? SDP_ACTIVE : SDP_PASSIVE;
        return true;
    case SDP_ACTPASS: /* in an answer it is wrong, but means that they will not wait */
        *ours = a != NULL && a->security == NEGO_DTLS && !is_answer ? a->setup : SDP_PASSIVE;
        return true;
    case SDP_ACTIVE:
        *ours = SDP_PASSIVE;
        return true;
    default:
        return false;
    }
}

static bool take_dtls(const struct leg *l, const struct sdp *s, unsigned i, bool is_answer,
                      struct nego_take *out, const char **why)
{
    struct sl prints[SDP_FINGERPRINTS_MAX];
    size_t n;
    int err = sdp_fingerprints(s, i, prints, &n);

    if (err != 0) {
        *why = err == EBADMSG   ? "DTLS fingerprint is malformed"
               : err == ENOTSUP ? "DTLS fingerprint with a hash that proves nothing"
                                : "no DTLS fingerprint";
        return false;
    }
    if (!dtls_role(l, i, sdp_setup(s, i), is_answer, &out->setup)) {
        *why = "a=setup has no role that fits";
        return false;
    }
    out->security = NEGO_DTLS;
    return true;
}

/* --- what is taken: both, and neither --- */

static bool take_rtp(const struct sdp_stream *st, struct nego_take *out, const char **why)
{
    *why = "media is encrypted, but the media profile is plain RTP";
    return sdp_proto_is_plain(st->proto) && take_clear(out);
}

/* UDPTL is never protected. */
static bool take_udptl(const struct policy_media_profile *p, struct nego_take *out,
                       const char **why)
{
    *why = "fax cannot be encrypted";
    return (p->security == POLICY_MEDIA_RTP || p->optional) && take_clear(out);
}

/* A leg that was secure once gets no other clear stream until the end of the call, neither by way
 * of port 0 nor as a new m-line (attacks.md 31). One that was clear all along stays as it is. */
static bool must_be_secure(const struct leg *l, unsigned i)
{
    return l->nego.was_secure && leg_security(l, i) != NEGO_CLEAR;
}

static bool is_no_downgrade(const struct leg *l, unsigned i, const struct nego_take *t,
                            const char **why)
{
    if (t->security == NEGO_CLEAR && must_be_secure(l, i)) {
        *why = "no change from SRTP to RTP inside a call";
        return false;
    }
    return true;
}

static void take_transport(const struct policy_media_profile *p, const struct sdp *s, unsigned i,
                           struct nego_take *out)
{
    struct sdp_ice ice;

    out->mux = p->rtcp_mux && s->streams[i].rtcp_mux;
    /* Two lite agents make no checks: the addresses of the descriptions count (RFC 8445 8.2). */
    out->ice = p->ice && sdp_ice(s, i, &ice) && !ice.is_lite;
}

bool nego_take_offer(const struct leg *l, const struct sdp *s, unsigned i, struct nego_take *out,
                     const char **why)
{
    const struct policy_media_profile *p = leg_profile(l);
    const struct sdp_stream *st = &s->streams[i];
    bool ok;

    *out = (struct nego_take){.security = NEGO_OPEN};
    if (st->proto == SDP_UDPTL) {
        ok = take_udptl(p, out, why);
    } else if (!sdp_proto_is_rtp(st->proto)) {
        *why = "no media stream that we can carry";
        ok = false;
    } else if (p->security == POLICY_MEDIA_RTP) {
        ok = take_rtp(st, out, why);
    } else if (p->security == POLICY_MEDIA_DTLS) {
        ok = take_dtls(l, s, i, false, out, why);
    } else {
        ok = take_sdes(l, s, i, out, why);
    }
    if (ok) {
        take_transport(p, s, i, out);
        ok = is_no_downgrade(l, i, out, why);
    }
    return ok;
}

/* --- answers to what we offered --- */

static const struct sdp_crypto *offered_crypto(const struct leg *l, unsigned i, uint32_t tag,
                                               enum sdp_suite suite)
{
    for (unsigned k = 0; k < l->nego.n_offered; k++) {
        const struct nego_key *o = &l->nego.offered[k];

        if (o->stream == i && o->crypto.tag == tag && o->crypto.suite == suite) {
            return &o->crypto;
        }
    }
    return NULL;
}

static bool has_offered_crypto(const struct leg *l, unsigned i)
{
    for (unsigned k = 0; k < l->nego.n_offered; k++) {
        if (l->nego.offered[k].stream == i) {
            return true;
        }
    }
    return false;
}

/* RFC 4568 5.1.3: one line, with the tag and the suite of one of ours. */
static bool take_sdes_answer(const struct leg *l, const struct sdp *s, unsigned i,
                             struct nego_take *out, const char **why)
{
    const struct policy_media_profile *p = leg_profile(l);
    bool may_be_clear = p->optional && sdp_proto_is_plain(s->streams[i].proto);
    const struct sdp_crypto *ours;
    struct sdp_crypto c;
    uint16_t pos = 0;
    int err = sdp_crypto_next(s, i, &pos, &c);

    if (err == ENOENT || (err == 0 && !has_offered_crypto(l, i))) {
        *why = "the answer has no SRTP key";
        mem_wipe(&c, sizeof(c));
        return may_be_clear && take_clear(out);
    }
    if (err != 0) {
        *why = err == EBADMSG ? "SRTP key is malformed" : "the answer has a suite not offered";
        return false;
    }
    ours = offered_crypto(l, i, c.tag, c.suite);
    if (ours != NULL) {
        out->security = NEGO_SDES;
        out->tag = c.tag;
        key_from_sdp(&c, &out->rx);
        key_from_sdp(ours, &out->tx);
    }
    *why = "the answer takes an SRTP key that was not offered";
    mem_wipe(&c, sizeof(c));
    return ours != NULL;
}

bool nego_take_answer(const struct leg *l, const struct sdp *s, unsigned i, struct nego_take *out,
                      const char **why)
{
    const struct policy_media_profile *p = leg_profile(l);
    const struct sdp_stream *st = &s->streams[i];
    bool ok;

    *out = (struct nego_take){.security = NEGO_OPEN};
    if (st->proto == SDP_UDPTL) {
        ok = take_udptl(p, out, why);
    } else if (p->security == POLICY_MEDIA_RTP) {
        ok = take_rtp(st, out, why);
    } else if (p->security == POLICY_MEDIA_DTLS) {
        ok = take_dtls(l, s, i, true, out, why);
    } else {
        ok = take_sdes_answer(l, s, i, out, why);
    }
    if (ok) {
        take_transport(p, s, i, out);
        ok = is_no_downgrade(l, i, out, why);
    }
    return ok;
}

/* --- what is offered --- */

static enum sdp_proto offer_proto(const struct leg *l, const struct sdp_stream *from, unsigned i)
{
    static const enum sdp_proto protos[][2] = {
        [POLICY_MEDIA_RTP] = {SDP_RTP_AVP, SDP_RTP_AVPF},
        [POLICY_MEDIA_SDES] = {SDP_RTP_SAVP, SDP_RTP_SAVPF},
        [POLICY_MEDIA_DTLS] = {SDP_DTLS_SAVP, SDP_DTLS_SAVPF},
    };
    const struct policy_media_profile *p = leg_profile(l);
    const struct nego_stream *a = agreed(l, i);
    bool feedback = p->avpf;

    if (!sdp_proto_is_rtp(from->proto)) {
        return from->proto;
    }
    if (a != NULL && sdp_proto_is_rtp(a->proto)) {
        return a->proto; /* their own words, or ours that they took */
    }
    if (!p->avpf_is_set && !sdp_proto_is_dtls(from->proto)) {
        feedback = feedback || sdp_proto_has_feedback(from->proto);
    }
    /* No choice where a clear answer could not be taken: they refuse it with port 0, at worst. */
    return protos[p->optional && !must_be_secure(l, i) ? POLICY_MEDIA_RTP : p->security]
                 [feedback ? 1 : 0];
}

static struct nego_key *add_offered(struct nego *g)
{
    size_t n = (size_t)g->n_offered + 1;
    struct nego_key *grown = mem_alloc(n * sizeof(*grown));

    if (grown == NULL) {
        return NULL;
    }
    if (g->n_offered != 0) {
        memcpy(grown, g->offered, g->n_offered * sizeof(*grown));
        mem_wipe(g->offered, g->n_offered * sizeof(*grown));
    }
    mem_free(g->offered);
    g->offered = grown;
    return &grown[g->n_offered++];
}

static int offer_key(struct nego *g, unsigned i, const struct srtp_key *k, uint32_t tag)
{
    struct nego_key *o = add_offered(g);

    if (o == NULL) {
        return ENOMEM;
    }
    o->stream = (uint8_t)i;
    key_to_sdp(k, tag, &o->crypto);
    return 0;
}

/* What is agreed is offered again, with its key unless a new one is wanted; else one line for each
 * suite of the profile, each with a key of its own (RFC 4568 5.1.1). */
static int make_keys(struct leg *l, unsigned i)
{
    const struct policy_media_profile *p = leg_profile(l);
    const struct nego_stream *a = agreed(l, i);
    struct srtp_key k;
    int err = 0;

    if (a != NULL && a->security == NEGO_SDES) {
        k = a->tx;
        if (l->nego.fresh_keys) {
            srtp_key_random(&k, a->tx.suite);
        }
        err = offer_key(&l->nego, i, &k, a->tag);
        mem_wipe(&k, sizeof(k));
        return err;
    }
    for (size_t n = 0; n < p->n_suites && err == 0; n++) {
        srtp_key_random(&k, suite_of((enum sdp_suite)p->suites[n]));
        err = offer_key(&l->nego, i, &k, (uint32_t)n + 1);
    }
    mem_wipe(&k, sizeof(k));
    return err;
}

static int offer_sdes(struct leg *l, unsigned i, struct sdp_out_stream *out,
                      struct sdp_crypto *crypto, const char **why)
{
    const struct policy_media_profile *p = leg_profile(l);
    bool stays_clear = p->optional && leg_security(l, i) == NEGO_CLEAR;
    int err;

    if (stays_clear || !leg_may_see_keys(l)) {
        *why = "SRTP keys are not offered over signalling without TLS";
        return p->optional && !must_be_secure(l, i) ? 0 : EPERM;
    }
    err = has_offered_crypto(l, i) ? 0 : make_keys(l, i); /* said again: the same keys */
    if (err != 0) {
        return err;
    }
    for (unsigned k = 0; k < l->nego.n_offered && out->n_crypto < POLICY_SUITES_MAX; k++) {
        if (l->nego.offered[k].stream == i) {
            crypto[out->n_crypto++] = l->nego.offered[k].crypto;
        }
    }
    out->crypto = crypto;
    return 0;
}

static int put_dtls(const struct leg *l, struct sdp_out_stream *out, enum sdp_setup setup,
                    const char **why)
{
    media_dtls_fingerprint(l->call->t->p.media, &out->fingerprint);
    out->setup = setup;
    *why = "there is no DTLS here";
    return out->fingerprint.n != 0 ? 0 : EPERM;
}

static int put_ice(struct leg *l, unsigned i, struct sdp_out_stream *out)
{
    struct media_ice_local local;
    int err = media_ice_local(l->call->media, i, l->side, &local);

    if (err == 0) {
        out->ufrag = local.ufrag;
        out->pwd = local.pwd;
    }
    return err;
}

static struct sl agreed_mid(const struct nego_stream *a)
{
    return sl_make(a->mid, a->mid_n);
}

int nego_offer(struct leg *l, const struct sdp *s, unsigned i, struct sdp_out_stream *out,
               struct sdp_crypto *crypto, const char **why)
{
    const struct policy_media_profile *p = leg_profile(l);
    const struct nego_stream *a = agreed(l, i);
    struct nego_take clear = {.security = NEGO_OPEN};
    int err = 0;

    out->set_proto = true;
    out->proto = offer_proto(l, &s->streams[i], i);
    if (!sdp_proto_is_rtp(out->proto)) {
        return take_udptl(p, &clear, why) && is_no_downgrade(l, i, &clear, why) ? 0 : EPERM;
    }
    if (p->security == POLICY_MEDIA_SDES) {
        err = offer_sdes(l, i, out, crypto, why);
    } else if (p->security == POLICY_MEDIA_DTLS) {
        err = put_dtls(l, out, SDP_ACTPASS, why);
    }
    if (err == 0 && p->ice) {
        err = put_ice(l, i, out);
    }
    out->rtcp_mux = p->rtcp_mux;
    if (a != NULL) {
        out->mid = agreed_mid(a);
        out->is_bundled = a->is_bundled;
        out->leader = a->leader;
        out->mid_ext = a->mid_ext;
        if (a->mux) {
            out->rtcp_port = 0;
        }
    }
    return err;
}

/* --- what is answered --- */

int nego_answer_ice(struct leg *l, const struct sdp *offer, unsigned i, struct sdp_out_stream *out)
{
    struct sdp_ice ice;

    return leg_profile(l)->ice && sdp_ice(offer, i, &ice) ? put_ice(l, i, out) : 0;
}

int nego_answer(struct leg *l, const struct sdp *offer, unsigned i, const struct nego_take *t,
                struct sdp_out_stream *out, struct sdp_crypto *crypto)
{
    const char *why;
    int err = 0;

    if (!sdp_proto_is_rtp(offer->streams[i].proto)) {
        return 0;
    }
    if (t->security == NEGO_SDES) {
        key_to_sdp(&t->tx, t->tag, crypto);
        out->crypto = crypto;
        out->n_crypto = 1;
    } else if (t->security == NEGO_DTLS) {
        err = put_dtls(l, out, t->setup, &why);
    }
    if (err == 0) {
        err = nego_answer_ice(l, offer, i, out);
    }
    out->rtcp_mux = t->mux;
    if (t->mux) {
        out->rtcp_port = 0;
    }
    if (!sdp_mid(offer, i, &out->mid)) {
        out->mid = SL_NULL;
    }
    return err;
}

/* Who shares a port shares it with RTCP, too (RFC 9143 9.3). */
static bool may_bundle(const struct nego_take *t, const struct sdp_out_stream *out)
{
    return !out->refuse && t->mux && out->mid.n != 0;
}

/* Whose transport stream i uses: of those in its group the first that has been in one already, as a
 * transport outlives the m-line that brought it (RFC 9143 7.4), else the first. */
static unsigned leader_of(const struct leg *l, const struct nego_take *takes,
                          const struct sdp_out_stream *out, const uint8_t group[], unsigned i,
                          unsigned n)
{
    unsigned leader = n;

    for (unsigned k = 0; k < n; k++) {
        const struct nego_stream *a = agreed(l, k);

        if (group[k] != group[i] || !may_bundle(&takes[k], &out[k])) {
            continue;
        }
        if (a != NULL && a->is_bundled) { /* an m-line that came back follows the one it led */
            unsigned by = media_bundle_leader(l->call->media, k, l->side);

            return by < n && group[by] == group[i] && may_bundle(&takes[by], &out[by]) ? by : k;
        }
        leader = leader == n ? k : leader;
    }
    return leader;
}

void nego_answer_bundles(const struct leg *l, const struct sdp *offer,
                         const struct nego_take *takes, struct sdp_out_stream *out)
{
    uint8_t group[SDP_STREAMS_MAX];

    sdp_bundle(offer, group);
    for (unsigned i = 0; i < offer->n_streams; i++) {
        unsigned leader;

        if (!may_bundle(&takes[i], &out[i]) || !sdp_is_grouped(offer, i)) {
            continue;
        }
        leader = leader_of(l, takes, out, group, i, offer->n_streams);
        out[i].leader = (uint8_t)leader;
        out[i].is_bundled = true; /* alone as well: no answer takes one out of its group (9.3) */
        if (leader != i) {
            out[i].mid_ext = sdp_mid_ext(offer, i);
            out[leader].mid_ext = sdp_mid_ext(offer, leader);
        }
    }
}

uint64_t nego_ice_id(const struct sdp *s, unsigned i)
{
    static const uint8_t key[16] = {0}; /* compared with itself only */
    struct sdp_ice ice;

    if (!sdp_ice(s, i, &ice)) {
        return 1;
    }
    return (siphash13(ice.ufrag.p, ice.ufrag.n, key) ^ ~siphash13(ice.pwd.p, ice.pwd.n, key)) | 1;
}

/* --- memory --- */

int nego_grow(struct nego *g, unsigned n)
{
    struct nego_stream *grown;

    if (n <= g->n) {
        return 0;
    }
    grown = mem_zalloc(n * sizeof(*grown));
    if (grown == NULL) {
        return ENOMEM;
    }
    if (g->n != 0) {
        memcpy(grown, g->streams, g->n * sizeof(*grown));
        mem_wipe(g->streams, g->n * sizeof(*grown));
    }
    mem_free(g->streams);
    g->streams = grown;
    g->n = (uint8_t)n;
    return 0;
}

void nego_drop_offer(struct nego *g)
{
    if (g->offered != NULL) {
        mem_wipe(g->offered, g->n_offered * sizeof(*g->offered));
    }
    mem_free(g->offered);
    g->offered = NULL;
    g->n_offered = 0;
    g->fresh_keys = false;
}

void nego_forget(struct nego *g)
{
    if (g->theirs != NULL) {
        mem_wipe(g->theirs, g->theirs_n); /* it may hold keys */
    }
    mem_free(g->theirs);
    g->theirs = NULL;
    g->theirs_n = 0;
}

void nego_free(struct nego *g)
{
    nego_drop_offer(g);
    if (g->streams != NULL) {
        mem_wipe(g->streams, g->n * sizeof(*g->streams));
    }
    mem_free(g->streams);
    nego_forget(g);
    *g = (struct nego){0};
}
