/* The lines that lists of names and weights come in: Cookie and Accept. Several lines of one name
 * are one list, wherever it is cut (RFC 9110 section 5.3), and letters' case says nothing. */
#include "fuzz.h"
#include "http/internal.h"

static struct str cookie_of(struct str line)
{
    struct header_line lines[] = {{STR("Cookie"), line}};
    struct request req = {.headers = lines, .n_headers = 1};

    return request_cookie(&req, "a");
}

/* A cookie before or after others is found as it was set; others do not make one. */
static void check_cookies(struct str line)
{
    struct str value = cookie_of(line), found;
    struct buf longer = {0};

    MUST(is_within(value, line) && str_find(value, ';') == value.len);
    buf_append_str(&longer, STR("a=\"right\"; "));
    buf_append_str(&longer, line);
    MUST(str_eq(cookie_of(buf_str(&longer)), STR("right")));
    buf_clear(&longer);
    buf_append_str(&longer, line);
    buf_append_str(&longer, STR(";b=1; aa=2; a=right"));
    found = cookie_of(buf_str(&longer));
    MUST(str_eq(found, value.ptr ? value : STR("right")));
    buf_deinit(&longer);
}

static bool accepts(struct str first, struct str second, const char *type)
{
    struct header_line lines[] = {{STR("Accept"), first}, {STR("accept"), second}};
    struct request req = {.headers = lines, .n_headers = 2};

    return request_accepts(&req, type);
}

static void check_accept(struct str line)
{
    static const char *const types[] = {"text/html", "application/json", "text/event-stream"};
    struct arena arena = {0};
    struct str folded = arena_lower(&arena, line);
    size_t comma = str_find(line, ',');

    for (size_t i = 0; i < 3; i++) {
        bool is_acceptable = accepts(line, STR_NONE, types[i]);
        struct buf refused = {0};

        MUST(accepts(STR_NONE, line, types[i]) == is_acceptable);
        MUST(accepts(folded, STR_NONE, types[i]) == is_acceptable);
        if (comma > 0 && comma + 1 < line.len)
            MUST(accepts((struct str){line.ptr, comma}, str_skip(line, comma + 1), types[i]) ==
                 is_acceptable);
        buf_printf(&refused, "%s;q=0,", types[i]);
        buf_append_str(&refused, line);
        MUST(!accepts(buf_str(&refused), STR_NONE, types[i]));
        buf_deinit(&refused);
    }
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str line = {(const char *)data, size};

    check_cookies(line);
    check_accept(line);
    return 0;
}
