/* srtp_lib.c - the engine on libsrtp2: every suite, and the reference for our own. Debian builds it
 * on NSS, which makes it slow (2 to 40 us a packet), not different.
 *
 * srtp.h is not included: it declares functions that libsrtp2 has too. */
#include "media/srtp_int.h"

#include <arpa/inet.h>
#include <srtp2/srtp.h>

typedef void lib_policy_fn(srtp_crypto_policy_t *p);

static void lib_policy_cm128_32(srtp_crypto_policy_t *p)
{
    srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(p);
}

/* That of SRTCP is always the one with 80 bits (RFC 4568 6.2.2). */
static const struct lib_suite {
    lib_policy_fn *rtp, *rtcp;
} lib_suites[SRTP_N_SUITES] = {
    [SRTP_AES_CM_128_HMAC_SHA1_80] = {srtp_crypto_policy_set_rtp_default,
                                      srtp_crypto_policy_set_rtp_default},
    [SRTP_AES_CM_128_HMAC_SHA1_32] = {lib_policy_cm128_32, srtp_crypto_policy_set_rtp_default},
    [SRTP_AEAD_AES_128_GCM] = {srtp_crypto_policy_set_aes_gcm_128_16_auth,
                               srtp_crypto_policy_set_aes_gcm_128_16_auth},
    [SRTP_AEAD_AES_256_GCM] = {srtp_crypto_policy_set_aes_gcm_256_16_auth,
                               srtp_crypto_policy_set_aes_gcm_256_16_auth},
    [SRTP_AES_256_CM_HMAC_SHA1_80] = {srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
                                      srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80},
    [SRTP_AES_256_CM_HMAC_SHA1_32] = {srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
                                      srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80},
};

static bool lib_started; /* main thread, before and after the others */

int srtp_lib_start(void)
{
    if (!lib_started) {
        lib_started = srtp_init() == srtp_err_status_ok;
    }
    return lib_started ? 0 : ENOTSUP;
}

void srtp_lib_stop(void)
{
    if (lib_started) {
        (void)srtp_shutdown();
        lib_started = false;
    }
}

static int lib_errno(const struct srtp *s, srtp_err_status_t status)
{
    switch (status) {
    case srtp_err_status_ok:
        return 0;
    case srtp_err_status_replay_fail:
    case srtp_err_status_replay_old:
    case srtp_err_status_pkt_idx_old:
        return s->protects ? EPROTO : EALREADY;
    case srtp_err_status_alloc_fail:
        return ENOMEM;
    case srtp_err_status_key_expired:
        return EKEYEXPIRED;
    case srtp_err_status_auth_fail:
    case srtp_err_status_cant_check:
    case srtp_err_status_bad_mki:
    case srtp_err_status_parse_err:
    case srtp_err_status_bad_param: /* lengths: everything else was ours */
        return EBADMSG;
    case srtp_err_status_cipher_fail: /* what GCM says of a wrong tag */
        return s->protects ? EIO : EBADMSG;
    default:
        return EIO;
    }
}

struct lib_key { /* what a policy points to; libsrtp2 copies it */
    uint8_t bytes[SRTP_KEY_MAX + SRTP_SALT_MAX];
    srtp_master_key_t master;
    srtp_master_key_t *masters[1];
};

static void lib_policy(struct srtp *s, srtp_policy_t *p, struct lib_key *k)
{
    size_t key_len = srtp_key_len(s->key.suite);

    memset(p, 0, sizeof(*p));
    lib_suites[s->key.suite].rtp(&p->rtp);
    lib_suites[s->key.suite].rtcp(&p->rtcp);
    memcpy(k->bytes, s->key.key, key_len);
    memcpy(k->bytes + key_len, s->key.salt, srtp_salt_len(s->key.suite));
    p->window_size = SRTP_WINDOW;
    p->ssrc.type = s->protects ? ssrc_any_outbound : ssrc_any_inbound;
    if (s->mki == 0) {
        p->key = k->bytes;
        return;
    }
    k->master = (srtp_master_key_t){k->bytes, s->key.mki, s->mki};
    k->masters[0] = &k->master;
    p->keys = k->masters;
    p->num_master_keys = 1;
}

static int lib_open(struct srtp *s)
{
    srtp_t session = NULL;
    srtp_policy_t policy;
    struct lib_key key;
    srtp_err_status_t status;

    /* With tags of two lengths it looks for the MKI of SRTCP in the wrong place. */
    if (!lib_started || (!s->protects && s->mki != 0 && s->tag != s->rtcp_tag)) {
        return ENOTSUP;
    }
    lib_policy(s, &policy, &key);
    status = srtp_create(&session, &policy);
    crypto_wipe(&key, sizeof(key));
    if (status != srtp_err_status_ok) {
        return status == srtp_err_status_alloc_fail ? ENOMEM : ENOTSUP;
    }
    s->lib.session = session;
    return 0;
}

static void lib_close(struct srtp *s)
{
    if (s->lib.session != NULL) {
        (void)srtp_dealloc(s->lib.session);
        s->lib.session = NULL;
    }
}

static void lib_refuse(struct srtp *s, uint32_t ssrc)
{
    (void)srtp_remove_stream(s->lib.session, htonl(ssrc));
}

/* The stream is made anew, as a rollover counter can be told only to one that has no packets. */
static int lib_set(struct srtp *s, uint32_t ssrc, unsigned slot, bool has_rtcp)
{
    bool had_rtcp = slot < s->n_streams && s->streams[slot].has_rtcp;
    srtp_policy_t policy;
    struct lib_key key;
    srtp_err_status_t status;

    if (s->protects && (has_rtcp || had_rtcp)) {
        return ENOTSUP;
    }
    lib_refuse(s, ssrc);
    lib_policy(s, &policy, &key);
    policy.ssrc = (srtp_ssrc_t){ssrc_specific, ssrc};
    status = srtp_add_stream(s->lib.session, &policy);
    crypto_wipe(&key, sizeof(key));
    if (status == srtp_err_status_ok) {
        s->lib.pending |= (uint64_t)1 << slot;
    }
    return lib_errno(s, status);
}

/* A stream that was set learns its rollover counter with its next packet: libsrtp2 takes it without
 * the sequence number that it belongs to. 0: not waiting. */
static uint64_t lib_tell_roc(struct srtp *s, const struct srtp_pkt *pkt)
{
    for (unsigned i = 0; s->lib.pending != 0 && i < s->n_streams; i++) {
        uint64_t bit = (uint64_t)1 << i;

        if (s->streams[i].ssrc == pkt->ssrc && (s->lib.pending & bit) != 0) {
            (void)srtp_set_stream_roc(s->lib.session, pkt->ssrc, (uint32_t)(pkt->index >> 16));
            return bit;
        }
    }
    return 0;
}

static int lib_done(struct srtp *s, struct srtp_pkt *pkt, srtp_err_status_t status, const int *n)
{
    if (status == srtp_err_status_ok) {
        pkt->n = (size_t)*n;
    }
    return lib_errno(s, status);
}

static int lib_protect(struct srtp *s, struct srtp_pkt *pkt)
{
    uint64_t waiting = lib_tell_roc(s, pkt);
    int n = (int)pkt->n;
    int err = lib_done(s, pkt, srtp_protect_mki(s->lib.session, pkt->p, &n, s->mki != 0, 0), &n);

    s->lib.pending &= err == 0 ? ~waiting : UINT64_MAX;
    return err;
}

static int lib_unprotect(struct srtp *s, struct srtp_pkt *pkt)
{
    uint64_t waiting = lib_tell_roc(s, pkt);
    int n = (int)pkt->n;
    int err = lib_done(s, pkt, srtp_unprotect_mki(s->lib.session, pkt->p, &n, s->mki != 0), &n);

    s->lib.pending &= err == 0 ? ~waiting : UINT64_MAX;
    return err;
}

static int lib_protect_rtcp(struct srtp *s, struct srtp_pkt *pkt)
{
    size_t after = s->mki + (s->is_aead ? 0 : s->rtcp_tag);
    int n = (int)pkt->n;
    int err =
        lib_done(s, pkt, srtp_protect_rtcp_mki(s->lib.session, pkt->p, &n, s->mki != 0, 0), &n);

    if (err == 0) { /* it counts from one, not from zero */
        pkt->index = srtp_get32(pkt->p + pkt->n - after - SRTP_RTCP_TRAILER) & ~SRTP_RTCP_E_BIT;
    }
    return err;
}

static int lib_unprotect_rtcp(struct srtp *s, struct srtp_pkt *pkt)
{
    int n = (int)pkt->n;

    return lib_done(s, pkt, srtp_unprotect_rtcp_mki(s->lib.session, pkt->p, &n, s->mki != 0), &n);
}

const struct srtp_engine_ops srtp_lib_ops = {
    .open = lib_open,
    .close = lib_close,
    .protect = lib_protect,
    .unprotect = lib_unprotect,
    .protect_rtcp = lib_protect_rtcp,
    .unprotect_rtcp = lib_unprotect_rtcp,
    .set = lib_set,
    .refuse = lib_refuse,
};
