/* dtls_peer.c - fingerprints (RFC 8122), and what a datagram is before OpenSSL sees it. */
#include "crypto/dtls_int.h"

#define RECORD_HEADER 13
#define RECORD_MAX (16384 + 2048)
#define RECORDS_MAX 32
#define HANDSHAKE_HEADER 12
#define CLIENT_HELLO 1

const EVP_MD *dtls_hash(unsigned which)
{
    return which == DTLS_HASH_SHA256   ? EVP_sha256()
           : which == DTLS_HASH_SHA384 ? EVP_sha384()
                                       : EVP_sha512();
}

int dtls_fingerprint_parse(struct sl value, struct dtls_fingerprint *out)
{
    *out = (struct dtls_fingerprint){.n = 0};
    return fingerprint_parse(value, out->digest, &out->n);
}

bool dtls_peer_matches(const struct dtls_peer *peer, const struct dtls_fingerprint *fp, size_t n)
{
    uint8_t strongest = 0;
    bool is_equal = false;

    if (!peer->known) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        strongest = fp[i].n > strongest ? fp[i].n : strongest;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t h = 0; h < DTLS_HASHES; h++) {
            if (fp[i].n == strongest && peer->fp[h].n == strongest &&
                crypto_equal(fp[i].digest, peer->fp[h].digest, strongest)) {
                is_equal = true;
            }
        }
    }
    return is_equal;
}

static uint8_t dtls_u8(struct sl s, size_t at)
{
    return (uint8_t)s.p[at];
}

static unsigned dtls_u16(struct sl s, size_t at)
{
    return (unsigned)dtls_u8(s, at) << 8 | dtls_u8(s, at + 1);
}

/* Nobody vouches for what comes before the keys: what no peer would send must not reach OpenSSL,
 * which ends the handshake over it. */
static bool dtls_is_plain_handshake(struct sl body)
{
    while (body.n != 0) {
        size_t len, at, part;

        if (body.n < HANDSHAKE_HEADER) {
            return false;
        }
        len = (size_t)dtls_u8(body, 1) << 16 | dtls_u16(body, 2);
        at = (size_t)dtls_u8(body, 6) << 16 | dtls_u16(body, 7);
        part = (size_t)dtls_u8(body, 9) << 16 | dtls_u16(body, 10);
        if (at + part > len || part > body.n - HANDSHAKE_HEADER || (part == 0 && len != 0)) {
            return false;
        }
        body = sl_from(body, HANDSHAKE_HEADER + part);
    }
    return true;
}

static bool dtls_is_record(uint8_t type, unsigned epoch, struct sl body)
{
    if (epoch != 0) {
        return type >= DTLS_TYPE_CCS && type <= DTLS_TYPE_LAST;
    }
    switch (type) {
    case DTLS_TYPE_CCS:
        return body.n == 1;
    case DTLS_TYPE_ALERT:
        return body.n == 2;
    case DTLS_TYPE_HANDSHAKE:
        return dtls_is_plain_handshake(body);
    default: /* data that is not encrypted */
        return false;
    }
}

bool dtls_is_records(struct sl datagram, uint8_t *type)
{
    struct sl rest = datagram;

    for (unsigned count = 0; rest.n != 0; count++) {
        unsigned version;
        size_t len;

        if (count == RECORDS_MAX || rest.n < RECORD_HEADER) {
            return false;
        }
        version = dtls_u16(rest, 1);
        len = dtls_u16(rest, 11);
        /* DTLS 1.0 is what a first ClientHello may say. */
        if ((version != DTLS1_2_VERSION && version != DTLS1_VERSION) || len == 0 ||
            len > RECORD_MAX || len > rest.n - RECORD_HEADER ||
            !dtls_is_record(dtls_u8(rest, 0), dtls_u16(rest, 3),
                            sl_head(sl_from(rest, RECORD_HEADER), len))) {
            return false;
        }
        rest = sl_from(rest, RECORD_HEADER + len);
    }
    *type = datagram.n != 0 ? dtls_u8(datagram, 0) : 0;
    return datagram.n != 0;
}

const uint8_t *dtls_hello_random(struct sl datagram)
{
    struct sl body = sl_from(datagram, RECORD_HEADER);
    bool is_first = datagram.n > RECORD_HEADER && dtls_u8(datagram, 0) == DTLS_TYPE_HANDSHAKE &&
                    dtls_u16(datagram, 3) == 0; /* epoch */

    if (!is_first || body.n < HANDSHAKE_HEADER + 2 + DTLS_HELLO_RANDOM ||
        dtls_u8(body, 0) != CLIENT_HELLO || dtls_u16(body, 4) != 0 || /* message number */
        dtls_u8(body, 6) != 0 || dtls_u16(body, 7) != 0) {            /* fragment offset */
        return NULL;
    }
    return (const uint8_t *)body.p + HANDSHAKE_HEADER + 2;
}
