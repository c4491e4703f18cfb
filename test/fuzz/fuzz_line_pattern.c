/* A line that is told by comparing it with the one before: parsing it must say the same. The first
 * line of the input is the one remembered. Each other one is compared with it, and so is the first
 * after each of the changes that the others, three bytes a change, make to a copy of it. */
#include "base/json.h"
#include "fuzz.h"
#include "upstream/line_pattern.h"

/* What decides whether a reader remembers a line, and what it reads in one. */
static yyjson_val *content_of(yyjson_doc *doc)
{
    yyjson_val *root = yyjson_doc_get_root(doc), *content = json_member(root, "content");

    return yyjson_equals_str(json_member(root, "type"), "item") && yyjson_is_str(content) ? content
                                                                                          : NULL;
}

static yyjson_doc *read_line(struct str line)
{
    return yyjson_read(line.ptr, line.len, 0);
}

static bool has_invalid_utf8_or_infinity(struct str line)
{
    yyjson_doc *doc = yyjson_read(line.ptr, line.len, YYJSON_READ_ALLOW_INF_AND_NAN);
    bool is_infinite = doc != NULL;

    yyjson_doc_free(doc);
    return is_infinite || !utf8_is_valid(line);
}

static void compare(const struct line_pattern *p, struct str line)
{
    struct str text;
    yyjson_doc *doc;

    if (!line_pattern_match(p, line, &text))
        return;
    doc = read_line(line);
    /* Text that is no UTF-8 is repaired behind both; 1e308 and 1e999 are both JSON's. */
    if (!doc && has_invalid_utf8_or_infinity(line))
        return;
    MUST(doc && content_of(doc) && str_eq(json_text(content_of(doc)), text));
    yyjson_doc_free(doc);
}

static void remember(struct line_pattern *p, struct str line)
{
    yyjson_doc *doc = read_line(line);

    if (doc && content_of(doc))
        line_pattern_set(p, line, yyjson_doc_get_root(doc), content_of(doc));
    yyjson_doc_free(doc);
}

static void compare_lines(const struct line_pattern *p, struct str rest)
{
    while (rest.len > 0) {
        struct str line = {rest.ptr, str_find(rest, '\n')};

        compare(p, line);
        rest = str_skip(rest, line.len + 1);
    }
}

static void compare_changed(const struct line_pattern *p, struct str line, struct str changes)
{
    char *copy = malloc(line.len + 1);

    if (!copy || line.len == 0) {
        free(copy);
        return;
    }
    memcpy(copy, line.ptr, line.len);
    for (; changes.len >= 3; changes = str_skip(changes, 3)) {
        const unsigned char *change = (const unsigned char *)changes.ptr;

        copy[(change[0] | change[1] << 8) % line.len] = (char)change[2];
        compare(p, (struct str){copy, line.len});
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = {(const char *)data, size};
    struct str rest = all, first = take_line(&rest);
    struct line_pattern pattern = {0};

    remember(&pattern, first);
    compare(&pattern, first);
    compare_lines(&pattern, rest);
    compare_changed(&pattern, first, rest);
    line_pattern_deinit(&pattern);
    return 0;
}
