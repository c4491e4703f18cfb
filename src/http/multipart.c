/* multipart/form-data (RFC 7578) over a complete body. */
#include "internal.h"

#include <string.h>

#define MAX_PARTS          32
#define MAX_PART_HEAD_LEN  (8 * 1024)
#define MAX_BOUNDARY_BYTES 70 /* RFC 2046 section 5.1.1 */

static struct error broken(void)
{
    return ERROR(ERR_BAD_REQUEST, 0, "The multipart body is broken");
}

static bool is_space(char ch)
{
    return ch == ' ' || ch == '\t' || ch == '\r';
}

/* A backslash before a quote or a backslash makes it plain. */
static bool is_escape(struct str s, size_t at)
{
    return s.ptr[at] == '\\' && at + 1 < s.len && (s.ptr[at + 1] == '"' || s.ptr[at + 1] == '\\');
}

/* Where the quote that s begins with is closed, or s.len. */
static size_t quoted_len(struct str s)
{
    size_t at = 1;

    while (at < s.len && s.ptr[at] != '"')
        at += 1 + is_escape(s, at);
    return at < s.len ? at : s.len;
}

/* Takes one parameter off "; name=value" or "; name=\"value\"". */
static bool next_param(struct arena *a, struct str *rest, struct str *name, struct str *value)
{
    size_t i = 0, len = 0;
    char *text;

    while (i < rest->len && (rest->ptr[i] == ';' || is_space(rest->ptr[i])))
        i++;
    *rest = str_skip(*rest, i);
    i = str_find(*rest, '=');
    if (i == rest->len)
        return false;
    *name = str_trim((struct str){rest->ptr, i});
    *rest = str_skip(*rest, i + 1);
    if (rest->len == 0 || rest->ptr[0] != '"') {
        *value = str_trim((struct str){rest->ptr, str_find(*rest, ';')});
        *rest = str_skip(*rest, str_find(*rest, ';'));
        return true;
    }
    i = quoted_len(*rest);
    if (i == rest->len)
        return false; /* the quote is not closed */
    /* No more than the value: a head may hold a thousand of them. */
    text = arena_alloc(a, i);
    if (!text)
        return false;
    for (size_t at = 1; at < i; at++) {
        at += is_escape(*rest, at);
        text[len++] = rest->ptr[at];
    }
    *value = (struct str){text, len};
    *rest = str_skip(*rest, i + 1);
    return true;
}

static struct str find_boundary(struct request *req)
{
    struct str type = request_header(req, "content-type"), name, value;

    type = str_skip(type, str_find(type, ';'));
    while (next_param(&req->arena, &type, &name, &value))
        if (str_eq_nocase(name, STR("boundary")))
            return value;
    return STR_NONE;
}

static void read_disposition(struct request *req, struct str line, struct multipart_part *part)
{
    struct str name, value;

    line = str_skip(line, str_find(line, ';'));
    while (next_param(&req->arena, &line, &name, &value)) {
        if (str_eq_nocase(name, STR("name")))
            part->name = value;
        else if (str_eq_nocase(name, STR("filename")))
            part->filename = value;
    }
}

/* The lines before a part's data. */
static bool read_part_head(struct request *req, struct str head, struct multipart_part *part)
{
    struct str line;

    while (str_next(&head, '\n', &line)) {
        size_t colon = str_find(line, ':');
        struct str name = str_trim((struct str){line.ptr, colon}), value;

        if (str_trim(line).len == 0)
            continue;
        if (colon == line.len || memchr(line.ptr, '\0', line.len))
            return false;
        value = str_trim(str_skip(line, colon + 1));
        if (str_eq_nocase(name, STR("content-disposition")))
            read_disposition(req, value, part);
        else if (str_eq_nocase(name, STR("content-type")))
            part->content_type = value;
    }
    return true;
}

/* Offset of what in s, or s.len. */
static size_t find_text(struct str s, struct str what)
{
    const char *at = s.ptr ? memmem(s.ptr, s.len, what.ptr, what.len) : NULL;

    return at ? (size_t)(at - s.ptr) : s.len;
}

/* Length of the data before the next delimiter, or rest.len. What only begins like a delimiter is
 * data. */
static size_t find_data_end(struct str rest, struct str delimiter)
{
    size_t at = 0;

    for (;;) {
        struct str after;

        at += find_text(str_skip(rest, at), delimiter);
        if (at == rest.len)
            return at;
        after = str_skip(rest, at + delimiter.len);
        if (after.len == 0 || is_space(after.ptr[0]) || str_starts_with(after, STR("--")))
            return at;
        at += delimiter.len;
    }
}

/* rest begins behind a delimiter: "\r\n", a part, and the next delimiter follow. */
static bool take_part(struct request *req, struct str *rest, struct str delimiter,
                      struct multipart_part *part)
{
    size_t head_len, data_len;

    *part = (struct multipart_part){.name = STR_NONE};
    while (rest->len > 0 && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t'))
        *rest = str_skip(*rest, 1); /* transport padding, RFC 2046 section 5.1.1 */
    if (!str_starts_with(*rest, STR("\r\n")))
        return false;
    head_len = find_text(*rest, STR("\r\n\r\n"));
    if (head_len == rest->len || head_len > MAX_PART_HEAD_LEN ||
        !read_part_head(req, (struct str){rest->ptr, head_len}, part))
        return false;
    *rest = str_skip(*rest, head_len + 4);
    data_len = find_data_end(*rest, delimiter);
    if (data_len == rest->len)
        return false;
    part->data = (struct str){rest->ptr, data_len};
    *rest = str_skip(*rest, data_len + delimiter.len);
    return true;
}

struct error multipart_find(struct request *req, const char *name, struct multipart_part *out)
{
    struct str boundary = find_boundary(req), rest = req->body, delimiter;
    bool is_found = false;

    *out = (struct multipart_part){.name = STR_NONE};
    if (boundary.len == 0 || boundary.len > MAX_BOUNDARY_BYTES)
        return broken();
    delimiter = arena_printf(&req->arena, "\r\n--%.*s", STR_ARG(boundary));
    if (!delimiter.ptr)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    /* The first delimiter may stand at the very beginning, without its line break. */
    if (str_starts_with(rest, str_skip(delimiter, 2))) {
        rest = str_skip(rest, delimiter.len - 2);
    } else {
        size_t preamble_len = find_data_end(rest, delimiter);

        if (preamble_len == rest.len)
            return broken();
        rest = str_skip(rest, preamble_len + delimiter.len);
    }
    for (unsigned n = 0; !str_starts_with(rest, STR("--")); n++) {
        struct multipart_part part;

        if (n == MAX_PARTS)
            return ERROR(ERR_BAD_REQUEST, 0, "The form has too many parts");
        if (!take_part(req, &rest, delimiter, &part))
            return broken();
        if (!is_found && part.name.ptr && str_eq(part.name, str_from(name))) {
            *out = part;
            is_found = true;
        }
    }
    return is_found ? NO_ERROR : ERROR(ERR_INVALID, 0, "The form lacks a part");
}
