/* crypto_int.h - what the files of b2bua/crypto share. */
#ifndef POSTERN_CRYPTO_INT_H
#define POSTERN_CRYPTO_INT_H

#include "crypto/crypto.h"

#include <openssl/bio.h>
#include <openssl/evp.h>

#define CRYPTO_DIGESTS 2
enum crypto_hmac { CRYPTO_HMAC_SHA1, CRYPTO_HMAC_SHA256, CRYPTO_HMACS };
#define TOKEN_KEY_LEN 16

/* Fetched by crypto_init(); a fetch costs microseconds, so it never happens on the packet path. */
struct crypto_algs {
    EVP_MD *md[CRYPTO_DIGESTS];
    EVP_MAC *hmac;
    EVP_CIPHER *aes;     /* AES-128, single blocks */
    EVP_CIPHER *aes_cbc; /* AES-256, session tickets */
    BIO_METHOD *tls_bio;
    EVP_CIPHER *cipher[CRYPTO_CIPHERS];
};
extern struct crypto_algs crypto_algs;

#define CRYPTO_POOL 4096 /* random bytes fetched at once */

/* Working state of one thread, released when the thread ends. */
struct crypto_tls {
    EVP_MD_CTX *md[CRYPTO_DIGESTS];
    EVP_MAC_CTX *hmac[CRYPTO_HMACS];
    EVP_CIPHER_CTX *cipher[CRYPTO_CIPHERS]; /* crypto_cipher_borrow(); without a key meanwhile */
    uint8_t pool[CRYPTO_POOL]; /* the last `left` bytes are unused, the rest is wiped */
    size_t left;
    bool registered;
};
struct crypto_tls *crypto_tls(void);

/* srtp_cipher.c. False: one is missing; what was fetched stays for crypto_ciphers_drop(). */
bool crypto_ciphers_fetch(void);
void crypto_ciphers_drop(void);

struct token_key {
    uint8_t key[TOKEN_KEY_LEN];
    int64_t made_ms; /* Unix; 0: there is no such key */
    int64_t left_ms; /* Unix: when another one became the current one */
};
struct token_keys {
    struct token_key current, older[TOKEN_OLDER_MAX]; /* the youngest first; no gaps */
};

/* tls.c */
MUST_USE int tls_bio_init(void); /* ENOMEM */

/* token_file.c. ENOENT: no file; EBADMSG: not ours; EPERM: readable by others. */
MUST_USE int token_file_read(const char *path, struct token_keys *keys);
/* Replaces the file at once or not at all; mode 0600. */
MUST_USE int token_file_write(const char *path, const struct token_keys *keys);

#endif
