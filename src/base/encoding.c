/* Bytes as printable text: hexadecimal, and base64 in its two alphabets (RFC 4648). */
#include "base/crypto.h"

static const char plain_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void crypto_write_hex(const unsigned char *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 0xf];
    }
}

struct str crypto_hex(struct arena *a, struct str in)
{
    char *out = in.len < SIZE_MAX / 4 ? arena_alloc(a, in.len * 2 + 1) : NULL;

    if (!out)
        return STR_NONE;
    crypto_write_hex((const unsigned char *)in.ptr, in.len, out);
    return (struct str){out, in.len * 2};
}

static struct str encode(struct arena *a, struct str in, const char digits[64], bool is_padded)
{
    char *out = in.len < SIZE_MAX / 4 ? arena_alloc(a, (in.len + 2) / 3 * 4 + 1) : NULL;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t len = 0;

    if (!out)
        return STR_NONE;
    for (size_t i = 0; i < in.len; i++) {
        bits = bits << 8 | (unsigned char)in.ptr[i];
        for (n_bits += 8; n_bits >= 6; n_bits -= 6)
            out[len++] = digits[bits >> (n_bits - 6) & 0x3f];
    }
    if (n_bits > 0)
        out[len++] = digits[bits << (6 - n_bits) & 0x3f];
    while (is_padded && len % 4 != 0)
        out[len++] = '=';
    return (struct str){out, len};
}

struct str crypto_base64(struct arena *a, struct str in)
{
    return encode(a, in, plain_digits, true);
}

struct str crypto_base64url(struct arena *a, struct str in)
{
    return encode(a, in, url_digits, false);
}

static int url_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

struct str crypto_base64url_decode(struct arena *a, struct str in)
{
    char *out =
        in.len < SIZE_MAX / 4 && in.len % 4 != 1 ? arena_alloc(a, in.len * 3 / 4 + 1) : NULL;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t len = 0;

    if (!out)
        return STR_NONE;
    for (size_t i = 0; i < in.len; i++) {
        int digit = url_digit(in.ptr[i]);

        if (digit < 0)
            return STR_NONE;
        bits = bits << 6 | (uint32_t)digit;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[len++] = (char)(bits >> n_bits);
        }
    }
    /* One text for one value: bits that say nothing must be zero. */
    if ((bits & ((1u << n_bits) - 1)) != 0)
        return STR_NONE;
    return (struct str){out, len};
}
