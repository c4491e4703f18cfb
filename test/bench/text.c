/* See text.h. */
#include "text.h"

#include <string.h>

#define PATTERN_STARTS   4096 /* a power of two */
#define PREFIX_MAX_BYTES 40

static char pattern[PATTERN_STARTS + TEXT_PIECE_MAX_BYTES];

void text_init(void)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t x = 0x9e3779b97f4a7c15ull;

    for (size_t i = 0; i < sizeof(pattern); i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        pattern[i] = letters[x >> 58];
    }
}

static size_t write_number(char *out, uint64_t n)
{
    char digits[20];
    size_t len = 0;

    do
        digits[len++] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    for (size_t i = 0; i < len; i++)
        out[i] = digits[len - 1 - i];
    return len;
}

static size_t write_prefix(char out[PREFIX_MAX_BYTES], uint64_t seed, uint32_t k)
{
    size_t len = write_number(out, seed);

    out[len++] = '.';
    len += write_number(out + len, k);
    out[len++] = ':';
    return len;
}

/* Where a piece's slice begins, as if its prefix were a part of it. */
static const char *slice_of(uint64_t seed, uint32_t k)
{
    return pattern +
           (((seed * 0x9e3779b97f4a7c15ull) ^ (k * 0xd1b54a32d192ed03ull)) >> 24) % PATTERN_STARTS;
}

void text_piece(char *out, uint64_t seed, uint32_t k, uint32_t bytes)
{
    char prefix[PREFIX_MAX_BYTES];
    size_t len = write_prefix(prefix, seed, k);

    if (len > bytes)
        len = bytes;
    memcpy(out, prefix, len);
    memcpy(out + len, slice_of(seed, k) + len, bytes - len);
}

bool text_find_seed(const char *bytes, size_t len, uint64_t *seed)
{
    const char *end = memrchr(bytes, '~', len);

    while (end) {
        const char *start = memrchr(bytes, '~', (size_t)(end - bytes));
        uint64_t n = 0;
        const char *p;

        if (!start)
            return false;
        for (p = start + 1; p < end && *p >= '0' && *p <= '9'; p++)
            n = n * 10 + (uint64_t)(*p - '0');
        if (p == end && end - start > 1) {
            *seed = n;
            return true;
        }
        end = start;
    }
    return false;
}

void text_check_init(struct text_check *c, uint64_t seed, uint32_t chunks, uint32_t bytes)
{
    *c = (struct text_check){.seed = seed, .chunks = chunks, .bytes = bytes};
}

void text_check_feed(struct text_check *c, const char *text, size_t len)
{
    while (len > 0 && !c->is_wrong) {
        char prefix[PREFIX_MAX_BYTES];
        size_t prefix_len = write_prefix(prefix, c->seed, c->k);
        size_t n = c->bytes - c->at < len ? c->bytes - c->at : len;
        size_t in_prefix = 0;

        if (c->at < prefix_len)
            in_prefix = prefix_len - c->at < n ? prefix_len - c->at : n;
        if (c->k == c->chunks || memcmp(text, prefix + (in_prefix ? c->at : 0), in_prefix) != 0 ||
            memcmp(text + in_prefix, slice_of(c->seed, c->k) + c->at + in_prefix, n - in_prefix) !=
                0) {
            c->is_wrong = true;
            return;
        }
        text += n;
        len -= n;
        c->at += (uint32_t)n;
        if (c->at == c->bytes) {
            c->at = 0;
            c->k++;
        }
    }
}

bool text_check_is_whole(const struct text_check *c)
{
    return !c->is_wrong && c->k == c->chunks && c->at == 0;
}
