/* Bytes as text, into memory of fixed size. */
#ifndef AERIE_SRC_ACCOUNT_DIGITS_H
#define AERIE_SRC_ACCOUNT_DIGITS_H

#include "base/crypto.h"

/* (8 * len + 5) / 6 characters and a NUL: base64url without padding. */
void digits_base64url(const unsigned char *in, size_t len, char *out);
bool digits_are_base64url(struct str text);
/* 2 * len characters and a NUL. */
void digits_hex(const unsigned char *in, size_t len, char *out);
/* SHA-256 of text in hex, and a NUL. */
void digits_sha256(struct str text, char out[2 * SHA256_BYTES + 1]);

#endif
