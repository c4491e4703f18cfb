/* base64url and hex, for tokens and keys. */
#include "digits.h"

#include <string.h>

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void digits_base64url(const unsigned char *in, size_t len, char *out)
{
    size_t n = 0;

    for (size_t bit = 0; bit < 8 * len; bit += 6) {
        unsigned high = in[bit / 8], low = bit / 8 + 1 < len ? in[bit / 8 + 1] : 0;

        out[n++] = base64url[((high << 8 | low) >> (10 - bit % 8)) & 63];
    }
    out[n] = 0;
}

bool digits_are_base64url(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!text.ptr[i] || !strchr(base64url, text.ptr[i]))
            return false;
    return true;
}

void digits_hex(const unsigned char *in, size_t len, char *out)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = hex[in[i] >> 4];
        out[2 * i + 1] = hex[in[i] & 15];
    }
    out[2 * len] = 0;
}

void digits_sha256(struct str text, char out[2 * SHA256_BYTES + 1])
{
    unsigned char sum[SHA256_BYTES];

    crypto_sha256(text, sum);
    digits_hex(sum, sizeof(sum), out);
}
