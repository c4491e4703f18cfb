/* UUIDs: made, and read from text. */
#include "base/id.h"

#include "base/clock.h"
#include "base/crypto.h"

#include <string.h>

enum { UUID_BYTES = 16, COUNTER_MAX = 0xfff };

/* The place of a hyphen in the text form. */
static bool is_hyphen(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

static struct id format(const unsigned char bytes[UUID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    struct id id;
    size_t at = 0;

    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (is_hyphen(at))
            id.text[at++] = '-';
        id.text[at++] = digits[bytes[i] >> 4];
        id.text[at++] = digits[bytes[i] & 0xf];
    }
    id.text[at] = '\0';
    return id;
}

static void put_time(unsigned char b[UUID_BYTES], uint64_t unix_ms)
{
    for (int i = 0; i < 6; i++)
        b[i] = (unsigned char)(unix_ms >> (40 - 8 * i));
}

/* Random bytes for ids, which are no secrets: taken from the generator many at a time, since each
 * call of it costs more than the rest of an id. */
static void take_random(unsigned char *out, size_t len)
{
    static _Thread_local unsigned char pool[32 * UUID_BYTES];
    static _Thread_local size_t n_left;

    if (n_left < len) {
        crypto_random(pool, sizeof(pool));
        n_left = sizeof(pool);
    }
    n_left -= len;
    memcpy(out, pool + n_left, len);
}

/* A counter in rand_a, started low at random in each millisecond (RFC 9562 section 6.2, method 1).
 * When it is used up, or the clock went back, the time of the last id goes on instead of the
 * clock's. */
struct id id_v7(void)
{
    static _Thread_local uint64_t last_ms;
    static _Thread_local unsigned counter;
    uint64_t now_ms = (uint64_t)clock_wall_us() / 1000;
    unsigned char b[UUID_BYTES];

    take_random(b, sizeof(b));
    if (now_ms > last_ms || counter == COUNTER_MAX) {
        last_ms = now_ms > last_ms ? now_ms : last_ms + 1;
        counter = (unsigned)(b[6] << 8 | b[7]) & (COUNTER_MAX >> 1);
    } else {
        counter++;
    }
    put_time(b, last_ms);
    b[6] = (unsigned char)(0x70 | counter >> 8);
    b[7] = (unsigned char)counter;
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
    return format(b);
}

struct id id_v7_named(uint64_t unix_ms, const unsigned char name[ID_NAME_BYTES])
{
    unsigned char b[UUID_BYTES];

    put_time(b, unix_ms);
    memcpy(b + 6, name, ID_NAME_BYTES);
    b[6] = (unsigned char)(0x70 | (b[6] & 0x0f));
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
    return format(b);
}

struct id id_v4(void)
{
    unsigned char b[UUID_BYTES];

    crypto_random(b, sizeof(b));
    b[6] = (unsigned char)(0x40 | (b[6] & 0x0f));
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
    return format(b);
}

bool id_parse(struct str text, struct id *out)
{
    struct id id;

    if (text.len != ID_LEN)
        return false;
    for (size_t i = 0; i < ID_LEN; i++) {
        char c = text.ptr[i];

        if (c >= 'A' && c <= 'F')
            c = (char)(c + ('a' - 'A'));
        if (is_hyphen(i) ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        id.text[i] = c;
    }
    id.text[ID_LEN] = '\0';
    *out = id;
    return true;
}

struct str id_str(const struct id *id)
{
    return str_from(id->text);
}
