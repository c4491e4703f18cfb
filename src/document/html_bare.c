/* HTML without what costs and is not read. libxml2 compares each attribute of a tag with all before
 * it: one tag of 2 MB would keep a thread for minutes. */
#include "document/html.h"

#include <string.h>

#define META_MAX_BYTES 512 /* says the charset */
#define N_RAWS         2

/* A name whose element holds text that is no markup. */
struct raw_element {
    struct str name, end;
    bool is_never_closed; /* from here on */
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static size_t skip_blanks(struct str html, size_t i)
{
    while (i < html.len && is_blank(html.ptr[i]))
        i++;
    return i;
}

/* What libxml2 takes for a name: nothing else of a tag is given to it. */
static size_t skip_name(struct str html, size_t i)
{
    while (i < html.len && (is_letter(html.ptr[i]) || (html.ptr[i] >= '0' && html.ptr[i] <= '9') ||
                            (html.ptr[i] && strchr(":-_.", html.ptr[i]))))
        i++;
    return i;
}

/* Behind an attribute's value, which begins at i. */
static size_t skip_value(struct str html, size_t i)
{
    if (i < html.len && (html.ptr[i] == '"' || html.ptr[i] == '\'')) {
        const char *end = memchr(html.ptr + i + 1, html.ptr[i], html.len - i - 1);

        return end ? (size_t)(end - html.ptr) + 1 : html.len;
    }
    while (i < html.len && !is_blank(html.ptr[i]) && html.ptr[i] != '>')
        i++;
    return i;
}

/* Behind the tag's ">", from the end of its name on. */
static size_t skip_attributes(struct str html, size_t i)
{
    while (i < html.len && html.ptr[i] != '>')
        i = html.ptr[i] == '=' ? skip_value(html, skip_blanks(html, i + 1)) : i + 1;
    return i < html.len ? i + 1 : i;
}

static bool is_closed(struct str html, size_t name_end, size_t end)
{
    char before = end - 2 > name_end ? html.ptr[end - 3] : ' ';

    return end - 2 >= name_end && html.ptr[end - 2] == '/' &&
           (is_blank(before) || before == '"' || before == '\'');
}

/* Where the element ends that is open at i; i itself when it never does. */
static size_t skip_raw(struct raw_element *raw, struct str html, size_t i)
{
    size_t at = i;

    while (!raw->is_never_closed) {
        const char *tag = memchr(html.ptr + at, '<', html.len - at);

        if (!tag)
            raw->is_never_closed = true;
        else if (str_starts_with_nocase(str_skip(html, (size_t)(tag - html.ptr)), raw->end))
            return (size_t)(tag - html.ptr);
        else
            at = (size_t)(tag - html.ptr) + 1;
    }
    return i;
}

/* Behind the start tag at i, and behind what its element holds when that is no markup. */
static size_t copy_tag(struct raw_element raws[static N_RAWS], struct str html, size_t i,
                       struct buf *out)
{
    size_t name_end = skip_name(html, i + 1), end = skip_attributes(html, name_end);
    struct str name = {html.ptr + i + 1, name_end - i - 1};
    bool has_end = is_closed(html, name_end, end);

    if (str_eq_nocase(name, STR("meta")) && end - i <= META_MAX_BYTES) {
        buf_append(out, html.ptr + i, end - i);
        return end;
    }
    buf_append(out, html.ptr + i, name.len + 1);
    buf_append_str(out, has_end ? STR("/>") : STR(">"));
    for (size_t k = 0; k < N_RAWS && !has_end; k++)
        if (str_eq_nocase(name, raws[k].name))
            end = skip_raw(&raws[k], html, end);
    return end;
}

void html_bare(struct str html, struct buf *out)
{
    struct raw_element raws[N_RAWS] = {{STR("script"), STR("</script"), false},
                                       {STR("style"), STR("</style"), false}};
    size_t i = 0;

    while (i < html.len && !out->failed) {
        const char *open = memchr(html.ptr + i, '<', html.len - i);
        size_t at = open ? (size_t)(open - html.ptr) : html.len;
        struct str rest = str_skip(html, at);

        buf_append(out, html.ptr + i, at - i);
        if (str_starts_with(rest, STR("<!--"))) {
            const char *end = memmem(rest.ptr + 2, rest.len - 2, "-->", 3);

            i = end ? (size_t)(end - html.ptr) + 3 : html.len;
        } else if (rest.len > 1 && is_letter(rest.ptr[1])) {
            i = copy_tag(raws, html, at, out);
        } else {
            buf_append(out, rest.ptr, rest.len > 0 ? 1 : 0);
            i = at + 1;
        }
    }
}
