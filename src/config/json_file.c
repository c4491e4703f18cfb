/* config.json: nested objects are sections, and a key's line is found again in the text. */
#include "base/json.h"
#include "internal.h"

enum { DEPTH = 16 };

/* Where the walk over the values is in the text. Both see the keys in the same order. */
struct walk {
    struct loader *loader;
    const char *file;
    struct str rest;
    unsigned line;
};

static unsigned count_lines(struct str text)
{
    unsigned n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '\n';
    return n;
}

/* Goes past the next string in the text, which is known to be JSON. True when it is a key. */
static bool skip_string(struct walk *w)
{
    size_t begin = str_find(w->rest, '"'), end = begin + 1;

    while (end < w->rest.len && w->rest.ptr[end] != '"')
        end += w->rest.ptr[end] == '\\' ? 2 : 1;
    w->line += count_lines((struct str){w->rest.ptr, begin});
    w->rest = str_skip(w->rest, end + 1);
    return str_starts_with(str_trim(w->rest), STR(":"));
}

static void next_key(struct walk *w)
{
    while (w->rest.len > 0 && !skip_string(w))
        continue;
}

/* Keeps the text in step with objects inside of arrays, which no key of ours has. */
/* NOLINTNEXTLINE(misc-no-recursion): DEPTH bounds it */
static void pass_over(struct walk *w, yyjson_val *val)
{
    yyjson_val *key, *item;
    size_t i, n;

    yyjson_arr_foreach(val, i, n, item) pass_over(w, item);
    yyjson_obj_foreach(val, i, n, key, item)
    {
        next_key(w);
        pass_over(w, item);
    }
}

static bool take_list(struct walk *w, yyjson_val *array, struct setting *s)
{
    yyjson_val *item;
    size_t i, n;

    s->kind = SETTING_LIST;
    s->items.items =
        arena_alloc(w->loader->arena, yyjson_arr_size(array) * sizeof(*s->items.items));
    if (!s->items.items)
        return false;
    yyjson_arr_foreach(array, i, n, item)
    {
        if (yyjson_is_str(item))
            s->items.items[s->items.n++] = json_text(item);
        else
            s->kind = SETTING_OTHER;
    }
    return true;
}

static struct error take_value(struct walk *w, yyjson_val *val, struct setting *s)
{
    if (yyjson_is_str(val)) {
        s->text = json_text(val);
    } else if (yyjson_is_bool(val)) {
        s->kind = SETTING_BOOL;
        s->text = yyjson_get_bool(val) ? STR("true") : STR("false");
    } else if (yyjson_is_uint(val)) {
        s->kind = SETTING_NUMBER;
        s->text = arena_printf(w->loader->arena, "%llu", (unsigned long long)yyjson_get_uint(val));
    } else {
        struct buf text = {0};

        s->kind = SETTING_OTHER;
        if (yyjson_is_arr(val) && !take_list(w, val, s))
            return ERROR(ERR_NO_MEMORY, 0, "out of memory");
        json_write_value(&text, val); /* to show it when it is refused */
        s->text = arena_copy(w->loader->arena, buf_str(&text));
        buf_deinit(&text);
    }
    return loader_set(w->loader, s);
}

/* NOLINTNEXTLINE(misc-no-recursion): DEPTH bounds it */
static struct error walk_object(struct walk *w, yyjson_val *object, struct str section)
{
    struct arena *a = w->loader->arena;
    yyjson_val *key, *val;
    size_t i, n;

    yyjson_obj_foreach(object, i, n, key, val)
    {
        struct setting s = {.source = SOURCE_JSON, .file = w->file};
        struct error err;
        char buffer[ENV_NAME_BYTES];

        next_key(w);
        s.line = w->line;
        s.shown = arena_printf(a, "%.*s%s%.*s", STR_ARG(section), section.len ? "." : "",
                               STR_ARG(json_text(key)));
        if (!s.shown.ptr)
            return ERROR(ERR_NO_MEMORY, 0, "out of memory");
        if (yyjson_is_obj(val)) {
            err = walk_object(w, val, s.shown);
        } else {
            if (!key_env_name(s.shown, buffer, &s.name))
                return loader_unknown(w->loader, &s);
            err = yyjson_is_null(val) && loader_knows(s.name) ? NO_ERROR : take_value(w, val, &s);
            pass_over(w, val);
        }
        if (is_error(err))
            return err;
    }
    return NO_ERROR;
}

struct error load_json(struct loader *l, const char *path, bool may_be_missing)
{
    struct walk w = {.loader = l, .file = path, .line = 1};
    yyjson_val *root;
    struct error err;

    err = loader_read_file(l, path, may_be_missing, &w.rest);
    if (is_error(err) || !w.rest.ptr)
        return err;
    err = json_read(l->arena, w.rest, DEPTH, &root);
    if (is_error(err)) {
        struct str before = {w.rest.ptr,
                             (size_t)err.code < w.rest.len ? (size_t)err.code : w.rest.len};

        return loader_fail(l, path, 1 + count_lines(before), "%s",
                           err.status == ERR_NO_MEMORY ? "out of memory" : err.detail);
    }
    if (!yyjson_is_obj(root))
        return loader_fail(l, path, 1, "expected one JSON object");
    return walk_object(&w, root, STR_NONE);
}
