/* Forms and queries: what a browser writes is read back byte for byte, and whatever else comes is
 * read as the URL standard's loop says. */
#include "fuzz.h"
#include "http/internal.h"

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at;

    at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* URL standard, section 1.3 (percent-decode) and 5.1. */
static void decode(struct str in, struct buf *out)
{
    buf_clear(out);
    for (size_t i = 0; i < in.len; i++) {
        bool is_escape = in.ptr[i] == '%' && in.len - i > 2 && hex(in.ptr[i + 1]) >= 0 &&
                         hex(in.ptr[i + 2]) >= 0;

        if (is_escape)
            buf_append_char(out, (char)(hex(in.ptr[i + 1]) * 16 + hex(in.ptr[i + 2])));
        else
            buf_append_char(out, in.ptr[i] == '+' ? ' ' : in.ptr[i]);
        i += is_escape ? 2 : 0;
    }
}

static void compare_with_standard(struct arena *arena, struct str form)
{
    struct str rest = form, left = form, name, value, pair;
    struct buf expected = {0};

    while (str_next(&left, '&', &pair)) {
        size_t equals = str_find(pair, '=');

        if (pair.len == 0)
            continue;
        MUST(form_next(arena, &rest, &name, &value));
        decode((struct str){pair.ptr, equals}, &expected);
        MUST(str_eq(name, buf_str(&expected)));
        decode(str_skip(pair, equals + 1), &expected);
        MUST(str_eq(value, buf_str(&expected)));
    }
    MUST(!form_next(arena, &rest, &name, &value));
    buf_deinit(&expected);
}

static void encode(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        buf_printf(out, "%%%02X", (unsigned char)text.ptr[i]);
}

static void check_round_trip(struct arena *arena, struct str all)
{
    struct str rest = all, name, value, first = take_line(&rest), second;
    struct buf form = {0};

    second = rest;
    encode(&form, first);
    buf_append_char(&form, '=');
    encode(&form, second);
    rest = buf_str(&form);
    MUST(form_next(arena, &rest, &name, &value));
    MUST(str_eq(name, first) && str_eq(value, second));
    MUST(!form_next(arena, &rest, &name, &value));
    buf_deinit(&form);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str form = {(const char *)data, size};
    struct arena arena = {.max_bytes = 1 << 20};

    compare_with_standard(&arena, form);
    check_round_trip(&arena, form);
    arena_free(&arena);
    return 0;
}
