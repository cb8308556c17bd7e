/* policy_media.h - media profiles: what one side of a call speaks. Part of policy.h; the policy
 * only hands them on. Thread: immutable. */
#ifndef POSTERN_POLICY_MEDIA_H
#define POSTERN_POLICY_MEDIA_H

#include "base/base.h"

#define POLICY_SUITES_MAX 8
#define POLICY_CODECS_MAX 16

enum policy_media_security { POLICY_MEDIA_RTP, POLICY_MEDIA_SDES, POLICY_MEDIA_DTLS };
enum policy_dtmf { POLICY_DTMF_PASS, POLICY_DTMF_RFC4733, POLICY_DTMF_INFO };
enum policy_suite { /* as enum sdp_suite */
                    POLICY_AES_CM_128_HMAC_SHA1_80,
                    POLICY_AES_CM_128_HMAC_SHA1_32,
                    POLICY_AES_256_CM_HMAC_SHA1_80,
                    POLICY_AES_256_CM_HMAC_SHA1_32,
                    POLICY_AEAD_AES_128_GCM,
                    POLICY_AEAD_AES_256_GCM,
                    POLICY_SUITE_N
};
struct policy_media_profile { /* what one side of a call speaks */
    const char *name;
    enum policy_media_security security;
    enum policy_dtmf dtmf;
    uint32_t rekey_after_ms; /* 0: never */
    uint32_t rekey_packets;  /* 0: never */
    bool optional;           /* SDES: RTP when the side does without */
    bool ice;                /* as a lite agent */
    bool rtcp_mux;
    bool avpf, avpf_is_set; /* not set: as the other side has it */
    uint8_t dscp;
    uint8_t suites[POLICY_SUITES_MAX]; /* enum policy_suite, the best first */
    size_t n_suites;
    const char *codecs[POLICY_CODECS_MAX]; /* audio, the best first */
    size_t n_codecs;                       /* 0: any */
};

#endif
