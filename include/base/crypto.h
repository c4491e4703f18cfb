/* The few primitives we need, all OpenSSL's. Any thread. */
#ifndef AERIE_BASE_CRYPTO_H
#define AERIE_BASE_CRYPTO_H

#include "base/arena.h"
#include "base/error.h"

#define SHA1_BYTES   20
#define SHA256_BYTES 32

void crypto_random(void *out, size_t len); /* aborts when the system has none */
void crypto_sha1(struct str in, unsigned char out[SHA1_BYTES]); /* for protocols that name it; proves nothing */
void crypto_sha256(struct str in, unsigned char out[SHA256_BYTES]);
/* The same of bytes that come in pieces: all-zero, added to, ended once. */
struct crypto_sum {
    uint64_t state[16]; /* OpenSSL's */
    bool is_begun;
};
void crypto_sum_add(struct crypto_sum *s, struct str piece);
void crypto_sum_end(struct crypto_sum *s, unsigned char out[SHA256_BYTES]);
void crypto_hmac_sha256(struct str key, struct str in, unsigned char out[SHA256_BYTES]);
bool crypto_equal(struct str a, struct str b); /* constant time for equal lengths */
/* HKDF-SHA-256 (RFC 5869): a key of its own for each purpose. */
void crypto_derive(struct str secret, const char *purpose, unsigned char out[32]);

/* scrypt (RFC 7914; N 32768, r 8, p 1: 32 MiB for a moment): a key of what people can remember. False: no
 * memory. */
bool crypto_stretch(struct str passphrase, struct str salt, unsigned char out[32]);

/* AES-256-GCM with a random nonce; the sealed form is printable ("v1:" + base64url). aad binds it to
 * its row, for instance the agent's id. ptr NULL on failure or when the seal does not open. */
struct str crypto_seal(struct arena *a, const unsigned char key[32], struct str aad, struct str text);
struct str crypto_open(struct arena *a, const unsigned char key[32], struct str aad, struct str sealed);

/* 2 * n digits, lower case, and no NUL. */
void crypto_write_hex(const unsigned char *bytes, size_t n, char *out);
struct str crypto_hex(struct arena *a, struct str in);
struct str crypto_base64url(struct arena *a, struct str in);         /* without padding */
struct str crypto_base64url_decode(struct arena *a, struct str in);  /* ptr NULL: not base64url */
struct str crypto_base64(struct arena *a, struct str in);            /* with padding */

#endif
