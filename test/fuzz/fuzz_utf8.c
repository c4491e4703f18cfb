/* Text that must be UTF-8, or is made so: against a decoder written from RFC 3629's table, and cut
 * at every place. The first byte says where the cut is. */
#include "fuzz.h"

/* Bytes of the character that s begins with; 0: none. */
static size_t character(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    uint32_t code;
    size_t n;

    if (p[0] < 0x80)
        return 1;
    n = p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (n == 0 || s.len < n)
        return 0;
    code = p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < (n == 2   ? 0x80u
                : n == 3 ? 0x800u
                         : 0x10000u) ||
        code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return n;
}

static bool is_valid(struct str s, size_t *n_characters)
{
    for (*n_characters = 0; s.len > 0; ++*n_characters) {
        size_t n = character(s);

        if (n == 0)
            return false;
        s = str_skip(s, n);
    }
    return true;
}

struct mending {
    struct utf8_stream stream;
    struct buf out;
};

static bool feed(void *state, struct str piece)
{
    struct mending *m = state;

    utf8_stream_feed(&m->stream, piece, &m->out);
    MUST(utf8_is_valid(buf_str(&m->out)));
    return true;
}

static struct buf mend(struct str text, struct cut cut)
{
    struct mending m = {.out = {0}};

    feed_pieces(text, cut, feed, &m);
    utf8_stream_end(&m.stream, &m.out);
    return m.out;
}

/* Could a character begin with these bytes? */
static bool is_beginning(struct str s)
{
    static const unsigned char seconds[] = {0x80, 0x90, 0xa0};
    char whole[4];

    for (size_t n = s.len + 1; n <= 4; n++)
        for (size_t i = 0; i < sizeof(seconds); i++) {
            memset(whole, 0x80, sizeof(whole));
            whole[1] = (char)seconds[i];
            memcpy(whole, s.ptr, s.len);
            if (character((struct str){whole, n}) == n)
                return true;
        }
    return false;
}

/* Characters stay; of the rest, the longest part that could have begun one becomes U+FFFD (Unicode
 * 15 section 3.9), or else a byte. */
static void check_mended(struct str text, struct str mended)
{
    while (text.len > 0) {
        size_t n = character(text);

        if (n > 0) {
            MUST(str_starts_with(mended, (struct str){text.ptr, n}));
            mended = str_skip(mended, n);
        } else {
            MUST(str_starts_with(mended, STR("\xef\xbf\xbd")));
            mended = str_skip(mended, 3);
            for (n = text.len < 3 ? text.len : 3; n > 1; n--)
                if (is_beginning((struct str){text.ptr, n}))
                    break;
        }
        text = str_skip(text, n);
    }
    MUST(mended.len == 0);
}

static void check_prefixes(struct str text)
{
    for (size_t max = 0; max <= text.len && max < 32; max++) {
        struct str prefix = utf8_prefix(text, max);

        MUST(prefix.ptr == text.ptr && prefix.len <= max && prefix.len + 3 >= max);
        MUST(utf8_is_valid(prefix) && utf8_is_valid(str_skip(text, prefix.len)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    unsigned at = take_byte(&text);
    struct buf whole = mend(text, IN_ONE_PIECE), bytes = mend(text, BYTE_BY_BYTE);
    struct buf parts = mend(text, cut_in_two(text.len * at / 256));
    size_t n_characters;

    MUST(utf8_is_valid(text) == is_valid(text, &n_characters));
    MUST(buf_eq(&whole, &bytes) && buf_eq(&whole, &parts));
    check_mended(text, buf_str(&whole));
    if (utf8_is_valid(text)) {
        MUST(utf8_length(text) == n_characters);
        MUST(str_eq(buf_str(&whole), text));
        check_prefixes(text);
    }
    buf_deinit(&whole);
    buf_deinit(&bytes);
    buf_deinit(&parts);
    return 0;
}
