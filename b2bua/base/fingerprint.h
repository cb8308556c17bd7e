/* fingerprint.h - the text of a certificate's fingerprint (RFC 8122 5), as descriptions carry it
 * and handshakes check it. Thread: any (pure). */
#ifndef POSTERN_BASE_FINGERPRINT_H
#define POSTERN_BASE_FINGERPRINT_H

#include "base/sl.h"

#include <stdint.h>

#define FINGERPRINT_DIGEST_MAX 64

/* "sha-256 AB:CD:...", any case and any blanks. *n, the bytes of the digest (32, 48 or 64), names
 * the hash function as well. EBADMSG: malformed, or a digest of the wrong length; ENOTSUP: another
 * hash function than sha-256, sha-384, sha-512 (sha-1 and md5 prove nothing). */
__attribute__((warn_unused_result)) int
fingerprint_parse(struct sl value, uint8_t digest[FINGERPRINT_DIGEST_MAX], uint8_t *n);

#endif
