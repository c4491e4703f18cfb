/* Requests on one connection, one after the other: in one piece, byte by byte and cut in two they
 * must be judged alike, and each accepted one must end where a reader that knows nothing but the
 * RFC says. The first byte says where the cut is. */
#include "fuzz.h"
#include "http/internal.h"

#define MAX_BODY     4096
#define MAX_REQUESTS 8

struct story {
    struct parser *p;
    unsigned n_done;
    bool is_ended;
    bool is_after_head;
    enum status status;
    struct buf told, raw; /* what was made of it; the bytes of the request under way */
};

static struct str span_text(struct parser_head head, struct parser_span span)
{
    return (struct str){head.bytes.ptr + span.at, span.len};
}

static void check_target(struct parser_head head)
{
    struct str target = span_text(head, head.target), path, query;
    char copy[8192];
    size_t len;

    if (is_error(target_split(target, strcmp(head.method, "OPTIONS") == 0, &path, &query)))
        return;
    MUST(path.len + query.len <= target.len + 1);
    MUST(path.len > 0 && (path.ptr[0] == '/' || str_eq(path, STR("*"))));
    len = percent_decode(path, false, copy);
    MUST(len <= path.len && !str_has_control((struct str){copy, len}));
    MUST(utf8_is_valid((struct str){copy, len}));
}

static void tell_head(struct story *s)
{
    struct parser_head head = parser_head(s->p);
    unsigned n_hosts = 0;

    buf_printf(&s->told, "%s 1.%u %d %d %llu ", head.method, head.minor_version, head.has_body,
               head.keeps_alive, (unsigned long long)head.content_length);
    buf_append_str(&s->told, span_text(head, head.target));
    for (size_t i = 0; i < head.n_lines; i++) {
        struct str name = span_text(head, head.lines[i].name);
        struct str value = span_text(head, head.lines[i].value);

        MUST(name.len > 0 && !str_has_control(name) && str_find(name, ':') == name.len);
        MUST(str_find(value, '\r') == value.len && str_find(value, '\n') == value.len &&
             str_find(value, '\0') == value.len);
        n_hosts += str_eq_nocase(name, STR("host"));
        buf_append_char(&s->told, '\n');
        buf_append_str(&s->told, name);
        buf_append_char(&s->told, ':');
        buf_append_str(&s->told, value);
    }
    MUST(n_hosts == 1 || (n_hosts == 0 && head.minor_version == 0));
    check_target(head);
    parser_accept_body(s->p, MAX_BODY);
}

/* ---- the reader that knows nothing but RFC 9112 ---- */

static size_t end_of_line(struct str s)
{
    const char *at = s.len > 0 ? memmem(s.ptr, s.len, "\r\n", 2) : NULL;

    MUST(at != NULL);
    return (size_t)(at - s.ptr) + 2;
}

static size_t hex_size(struct str s)
{
    size_t size = 0, n = 0;

    for (; n < s.len && strchr("0123456789abcdefABCDEF", s.ptr[n]) && s.ptr[n]; n++)
        size = size * 16 + (size_t)strtoul((char[]){s.ptr[n], 0}, NULL, 16);
    MUST(n > 0 && n < s.len && strchr(";\r \t", s.ptr[n]));
    return size;
}

static struct str read_chunks(struct str rest, struct buf *body)
{
    for (;;) {
        size_t size = hex_size(rest), head = end_of_line(rest);

        rest = str_skip(rest, head);
        if (size == 0)
            break;
        MUST(size <= MAX_BODY && rest.len >= size + 2);
        buf_append(body, rest.ptr, size);
        MUST(str_starts_with(str_skip(rest, size), STR("\r\n")));
        rest = str_skip(rest, size + 2);
    }
    while (!str_starts_with(rest, STR("\r\n")))
        rest = str_skip(rest, end_of_line(rest));
    return str_skip(rest, 2);
}

/* raw: what the parser took for one request. */
static void check_framing(struct str raw, struct str body)
{
    struct str rest = raw;
    struct buf read = {0};
    size_t length = 0;
    bool is_chunked = false;

    while (rest.len > 0 && (rest.ptr[0] == '\r' || rest.ptr[0] == '\n'))
        rest = str_skip(rest, 1);
    rest = str_skip(rest, end_of_line(rest));
    while (!str_starts_with(rest, STR("\r\n"))) {
        size_t end = end_of_line(rest);
        struct str line = {rest.ptr, end - 2}, name = {line.ptr, str_find(line, ':')};
        struct str value = str_trim(str_skip(line, name.len + 1));

        if (str_eq_nocase(name, STR("transfer-encoding")))
            is_chunked = true;
        if (str_eq_nocase(name, STR("content-length")))
            for (size_t i = 0; i < value.len; i++)
                length = length * 10 + (size_t)(value.ptr[i] - '0');
        rest = str_skip(rest, end);
    }
    rest = str_skip(rest, 2);
    if (is_chunked) {
        rest = read_chunks(rest, &read);
    } else {
        MUST(length <= rest.len);
        buf_append(&read, rest.ptr, length);
        rest = str_skip(rest, length);
    }
    MUST(rest.len == 0);
    MUST(str_eq(buf_str(&read), body));
    buf_deinit(&read);
}

/* ---- the story ---- */

static void next_request(struct story *s)
{
    static const struct parser_limits limits = {256, 1024, 10};

    parser_free(s->p);
    s->p = parser_new(&limits);
    MUST(s->p != NULL);
    buf_clear(&s->raw);
}

static void on_done(struct story *s)
{
    struct buf body = parser_take_body(s->p);

    MUST(body.len <= MAX_BODY);
    check_framing(buf_str(&s->raw), buf_str(&body));
    buf_append_str(&s->told, STR("\n\n"));
    buf_append_str(&s->told, buf_str(&body));
    buf_append_char(&s->told, '\n');
    buf_deinit(&body);
    s->is_ended = ++s->n_done == MAX_REQUESTS;
    next_request(s);
}

static bool feed(void *state, struct str piece)
{
    struct story *s = state;

    while (!s->is_ended && (piece.len > 0 || s->is_after_head)) {
        size_t used = 0;
        enum parser_event event = parser_feed(s->p, piece.ptr, piece.len, &used);

        s->is_after_head = event == PARSER_HEAD;
        MUST(used <= piece.len);
        buf_append(&s->raw, piece.ptr, used);
        piece = str_skip(piece, used);
        switch (event) {
        case PARSER_MORE:
            MUST(piece.len == 0);
            break;
        case PARSER_HEAD:
            tell_head(s);
            break;
        case PARSER_DONE:
            on_done(s);
            break;
        case PARSER_FAILED:
            s->status = parser_error(s->p).status;
            MUST(s->status != OK);
            s->is_ended = true;
            break;
        }
    }
    return !s->is_ended;
}

static struct story run(struct str bytes, struct cut cut)
{
    struct story s = {.n_done = 0};

    next_request(&s);
    feed_pieces(bytes, cut, feed, &s);
    parser_free(s.p);
    buf_deinit(&s.raw);
    return s;
}

static void compare(const struct story *whole, struct str bytes, struct cut cut)
{
    struct story parts = run(bytes, cut);

    MUST(whole->n_done == parts.n_done);
    MUST(whole->status == parts.status);
    MUST(buf_eq(&whole->told, &parts.told));
    buf_deinit(&parts.told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    unsigned at = take_byte(&bytes);
    struct story whole = run(bytes, IN_ONE_PIECE);

    compare(&whole, bytes, BYTE_BY_BYTE);
    compare(&whole, bytes, cut_in_two(bytes.len * at / 256));
    buf_deinit(&whole.told);
    return 0;
}
