/* Reading JSON: what yyjson does not refuse is refused before it runs. */
#include "base/json.h"

#include <limits.h>
#include <string.h>

/* The values of a text this short go to the arena itself: at most 25 kB, and mostly less than one.
 */
#define SMALL_BYTES 1024

/* Looks through the text without recursion: how deep it goes, and whether a string holds \u0000.
 * Text that is not JSON may come out either way; yyjson refuses it afterwards. */
static const char *scan(struct str text, unsigned max_depth, size_t *at)
{
    bool in_string = false;
    unsigned depth = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        *at = i;
        if (c == '"') {
            in_string = !in_string;
        } else if (in_string && c == '\\') {
            if (str_starts_with(str_skip(text, i + 1), STR("u0000")))
                return "The JSON holds U+0000 in a string";
            i++;
        } else if (!in_string && (c == '{' || c == '[')) {
            if (++depth > max_depth)
                return "The JSON is nested too deeply";
        } else if (!in_string && (c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return NULL;
}

static void *take(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void *take_more(void *arena, void *ptr, size_t old_size, size_t size)
{
    void *more = arena_alloc(arena, size);

    return more ? memcpy(more, ptr, old_size < size ? old_size : size) : NULL;
}

static void keep(void *arena, void *ptr)
{
    (void)arena;
    (void)ptr;
}

static void free_doc(void *doc)
{
    yyjson_doc_free(doc);
}

static int offset_code(size_t at)
{
    return at < INT_MAX ? (int)at : INT_MAX;
}

struct error json_read(struct arena *a, struct str text, unsigned max_depth, yyjson_val **root)
{
    const yyjson_alc within = {.malloc = take, .realloc = take_more, .free = keep, .ctx = a};
    const bool is_small = text.len <= SMALL_BYTES;
    yyjson_read_err err = {0};
    yyjson_doc *doc;
    const char *why;
    struct str detail;
    size_t at = 0;

    *root = NULL;
    if (str_trim(text).len == 0)
        return ERROR(ERR_BAD_REQUEST, 0, "The JSON is empty");
    why = scan(text, max_depth, &at);
    if (why)
        return ERROR(ERR_BAD_REQUEST, offset_code(at), why);
    /* Without YYJSON_READ_INSITU the text is only read, whatever the type says. */
    doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, YYJSON_READ_NOFLAG,
                           is_small ? &within : NULL, &err);
    if (!doc) {
        if (err.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
            return ERROR(ERR_NO_MEMORY, 0, NULL);
        if (!utf8_is_valid(text))
            return ERROR(ERR_BAD_REQUEST, offset_code(err.pos), "The JSON is not valid UTF-8");
        detail = arena_printf(a, "Malformed JSON at byte %zu", err.pos);
        return ERROR(ERR_BAD_REQUEST, offset_code(err.pos),
                     detail.ptr ? detail.ptr : "Malformed JSON");
    }
    if (!is_small && !arena_defer(a, free_doc, doc))
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    *root = yyjson_doc_get_root(doc);
    return NO_ERROR;
}

struct str json_text(yyjson_val *val)
{
    return yyjson_is_str(val) ? (struct str){yyjson_get_str(val), yyjson_get_len(val)} : STR_NONE;
}

yyjson_val *json_member(yyjson_val *object, const char *name)
{
    size_t i, n, len = strlen(name);
    yyjson_val *key, *value, *found = NULL;

    if (!yyjson_is_obj(object)) /* yyjson's loop computes with a NULL */
        return NULL;
    yyjson_obj_foreach(object, i, n, key, value)
    {
        if (yyjson_equals_strn(key, name, len))
            found = value;
    }
    return found;
}

bool json_list_has(yyjson_val *list, struct str text)
{
    yyjson_val *item;
    size_t i, n;

    yyjson_arr_foreach(list, i, n, item)
    {
        if (yyjson_is_str(item) && str_eq(json_text(item), text))
            return true;
    }
    return false;
}
