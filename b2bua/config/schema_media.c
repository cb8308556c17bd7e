/* schema_media.c - the settings of a media profile: what one side speaks. */
#include "config/schema_int.h"

const char *const cfg_words_bool[] = {"false", "true", NULL};

static const char *const words_security[] = {"rtp", "sdes", "dtls", NULL};
static const char *const words_ice[] = {"off", "lite", NULL};
static const char *const words_dtmf[] = {"pass", "rfc4733", "info", NULL};
static const char *const words_off[] = {"off", NULL};
static const char *const words_suites[] = {
    [POLICY_AES_CM_128_HMAC_SHA1_80] = "AES_CM_128_HMAC_SHA1_80",
    [POLICY_AES_CM_128_HMAC_SHA1_32] = "AES_CM_128_HMAC_SHA1_32",
    [POLICY_AES_256_CM_HMAC_SHA1_80] = "AES_256_CM_HMAC_SHA1_80",
    [POLICY_AES_256_CM_HMAC_SHA1_32] = "AES_256_CM_HMAC_SHA1_32",
    [POLICY_AEAD_AES_128_GCM] = "AEAD_AES_128_GCM",
    [POLICY_AEAD_AES_256_GCM] = "AEAD_AES_256_GCM",
    [POLICY_SUITE_N] = NULL,
};

static const struct cfg_key rekey_keys[] = {
    {.key = "after",
     .type = CFG_DURATION,
     AT(policy_media_profile, rekey_after_ms),
     .dflt = "off",
     .min = 10 * MS_S,
     .max = MS_D,
     .words = words_off,
     .help = "New keys for a running call after this time."},
    {.key = "packets",
     .type = CFG_INT,
     AT(policy_media_profile, rekey_packets),
     .dflt = "off",
     .min = 1000,
     .max = UINT32_MAX,
     .words = words_off,
     .help = "New keys after as many packets sent under the present one (looked at every 5s)."},
};
static const struct cfg_object cfg_rekey = CFG_OBJECT_INIT(rekey_keys, policy_media_profile, NULL);

static const struct cfg_key profile_keys[] = {
    {.key = "security",
     .type = CFG_ENUM,
     AT(policy_media_profile, security),
     .dflt = "rtp",
     .words = words_security,
     .help = "How media is protected on this side: not at all, SRTP with keys in the signalling "
             "(RFC 4568), or SRTP with keys by DTLS (RFC 5763)."},
    {.key = "optional",
     .type = CFG_ENUM,
     AT(policy_media_profile, optional),
     .dflt = "false",
     .words = cfg_words_bool,
     .help = "SRTP if the other side takes it, RTP otherwise; needs security: sdes."},
    {.key = "suites",
     LIST(policy_media_profile, suites, n_suites, CFG_ENUM),
     .flags = CFG_INLINE,
     .max = POLICY_SUITES_MAX,
     .words = words_suites,
     .help = "SRTP suites that are offered and taken, the best first; AEAD_AES_128_GCM, "
             "AES_CM_128_HMAC_SHA1_80 and AEAD_AES_256_GCM when not set; needs security: sdes."},
    {.key = "ice",
     .type = CFG_ENUM,
     AT(policy_media_profile, ice),
     .dflt = "off",
     .words = words_ice,
     .help = "ICE on this side: lite offers and answers as an ICE-lite agent (RFC 8445)."},
    {.key = "rtcp_mux",
     .type = CFG_ENUM,
     AT(policy_media_profile, rtcp_mux),
     .words = cfg_words_bool,
     .help = "RTP and RTCP on one port where the side can (RFC 5761); true with security: dtls, "
             "else false, when not set."},
    {.key = "avpf",
     .type = CFG_ENUM,
     AT(policy_media_profile, avpf),
     .words = cfg_words_bool,
     .help = "Offer a profile with early feedback (RFC 4585): true with security: dtls, else what "
             "the other side of the call has, if it is not a browser, when not set."},
    {.key = "codecs",
     LIST(policy_media_profile, codecs, n_codecs, CFG_NAME),
     .flags = CFG_INLINE,
     .min = 1,
     .max = POLICY_CODECS_MAX,
     .help = "Audio codecs that this side may use, in the order in which they are offered to it; "
             "any when not set. telephone-event is always one of them."},
    {.key = "dtmf",
     .type = CFG_ENUM,
     AT(policy_media_profile, dtmf),
     .dflt = "pass",
     .words = words_dtmf,
     .help = "How this side sends digits and is given them: as they come, as RTP events (RFC "
             "4733), or as SIP INFO."},
    {.key = "dscp",
     .type = CFG_INT,
     AT(policy_media_profile, dscp),
     .dflt = "46",
     .min = 0,
     .max = 63,
     .help = "DSCP of the packets sent to this side; 46 is EF."},
    {.key = "rekey",
     .type = CFG_OBJECT,
     .sub = &cfg_rekey,
     .help = "When a running call gets new keys; needs security: sdes."},
};
static cfg_check_fn cfg_check_profile;
const struct cfg_object cfg_profile =
    CFG_OBJECT_INIT(profile_keys, policy_media_profile, cfg_check_profile);

/* --- what does not go together --- */

static void cfg_needs_sdes(struct cfg *c, const struct cfg_node *node, struct sl key)
{
    const struct cfg_node *n = cfg_find(c, node, key);

    if (n != NULL && !n->is_bad) {
        cfg_error_key(c, n, NULL, "needs security: sdes");
    }
}

static void cfg_check_suites(struct cfg *c, const struct cfg_node *node,
                             struct policy_media_profile *p)
{
    static const uint8_t usual[] = {POLICY_AEAD_AES_128_GCM, POLICY_AES_CM_128_HMAC_SHA1_80,
                                    POLICY_AEAD_AES_256_GCM};
    const struct cfg_node *n = cfg_find(c, node, SL("suites"));
    const struct cfg_node *i = n != NULL && n->kind == CFG_SEQUENCE ? n->first : NULL;

    if (n == NULL && p->security == POLICY_MEDIA_SDES) {
        memcpy(p->suites, usual, sizeof(usual));
        p->n_suites = COUNT_OF(usual);
    }
    if (n != NULL && !n->is_bad && n->kind == CFG_SEQUENCE && n->n == 0) {
        cfg_error(c, n, "must name at least one");
    }
    for (; i != NULL; i = i->next) {
        for (const struct cfg_node *k = n->first; k != i; k = k->next) {
            if (!i->is_bad && sl_eq(k->value, i->value)) {
                cfg_error(c, i, "is there twice");
            }
        }
    }
}

/* Words without a default follow the security of the profile. */
static void cfg_settle_profile(struct cfg *c, const struct cfg_node *node,
                               struct policy_media_profile *p)
{
    bool is_dtls = p->security == POLICY_MEDIA_DTLS;

    if (cfg_find(c, node, SL("rtcp_mux")) == NULL) {
        p->rtcp_mux = is_dtls;
    }
    p->avpf_is_set = cfg_find(c, node, SL("avpf")) != NULL;
    if (!p->avpf_is_set) {
        p->avpf = is_dtls;
    }
}

static void cfg_check_profile(struct cfg *c, const struct cfg_node *node, void *at)
{
    struct policy_media_profile *p = at;
    const struct cfg_node *security = cfg_find(c, node, SL("security"));
    bool is_clear = security == NULL || sl_eq(security->value, SL("rtp")) ||
                    sl_eq(security->value, SL("dtls")); /* another word was reported */

    if (p->security != POLICY_MEDIA_SDES && is_clear) {
        cfg_needs_sdes(c, node, SL("optional"));
        cfg_needs_sdes(c, node, SL("suites"));
        cfg_needs_sdes(c, node, SL("rekey"));
    }
    cfg_check_suites(c, node, p);
    cfg_settle_profile(c, node, p);
    if (p->security == POLICY_MEDIA_DTLS && !p->avpf) {
        cfg_error(c, cfg_find(c, node, SL("avpf")), "must be true with security: dtls");
    }
}
