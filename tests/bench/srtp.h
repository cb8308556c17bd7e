/* srtp.h - AES_CM_128_HMAC_SHA1_80 for RTP (RFC 3711), one key in one direction. Written for the
 * load generator alone, so that a mistake of the daemon's is not judged by the same code. Streams
 * end before their sequence numbers wrap: the rollover counter is 0. */
#ifndef POSTERN_BENCH_SRTP_H
#define POSTERN_BENCH_SRTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SRTP_KEY = 16, SRTP_SALT = 14, SRTP_MASTER = SRTP_KEY + SRTP_SALT, SRTP_TAG = 10 };

struct srtp;

struct srtp *srtp_new(const uint8_t master[SRTP_MASTER]); /* NULL: no memory */
void srtp_free(struct srtp **sp);
/* p holds n bytes of RTP without extension and room for the tag. Returns the new length, 0: failed.
 */
size_t srtp_protect(struct srtp *s, uint8_t *p, size_t n);
size_t srtp_unprotect(struct srtp *s, uint8_t *p, size_t n);

#endif
