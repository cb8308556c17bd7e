/* dialog_int.h - the arithmetic of a digest answer, apart from the random client nonce, so that the
 * RFCs' examples can be checked. */
#ifndef POSTERN_DIALOG_INT_H
#define POSTERN_DIALOG_INT_H

#include "dialog/dialog.h"

#define DIGEST_HEX_MAX (2 * CRYPTO_SHA256_LEN)

struct digest_job {
    struct sip_auth auth; /* the challenge */
    struct sl algorithm;  /* static */
    enum crypto_digest alg;
    bool is_sess, has_qop;
    uint32_t nc;
    struct sl cnonce, nc_text;
};

/* Hexadecimal digest of the parts joined by colons. */
struct digest_hex {
    char p[DIGEST_HEX_MAX];
    size_t n;
};

MUST_USE int digest_response(const struct digest_job *job, const struct digest_credentials *cred,
                             struct sl method, struct sl uri, struct digest_hex *out);

#endif
