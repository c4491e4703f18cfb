/* JSON of clients, and JSON that we write: what is read is no deeper than allowed, holds no U+0000,
 * and reads the same once written; what is refused has a reason; any text comes back from a string.
 */
#include "base/json.h"
#include "fuzz.h"
#include "upstream/embeddings.h"

#include <math.h>

#define MAX_DEPTH 8

static unsigned depth_of(yyjson_val *val)
{
    yyjson_val *key, *item;
    unsigned deepest = 0;
    size_t i, n;

    yyjson_arr_foreach(val, i, n, item)
    {
        unsigned depth = depth_of(item);

        deepest = depth > deepest ? depth : deepest;
    }
    yyjson_obj_foreach(val, i, n, key, item)
    {
        unsigned depth = depth_of(item);

        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + yyjson_is_ctn(val);
}

static bool has_nul(yyjson_val *val)
{
    struct str text = json_text(val);
    yyjson_val *key, *item;
    size_t i, n;
    bool found = str_find(text, '\0') < text.len;

    yyjson_arr_foreach(val, i, n, item) found = found || has_nul(item);
    yyjson_obj_foreach(val, i, n, key, item) found = found || has_nul(key) || has_nul(item);
    return found;
}

/* Deeper than a few hundred, depth_of() itself would be. */
static bool is_deep(struct str text)
{
    unsigned n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '[' || text.ptr[i] == '{';
    return n > 500;
}

static void check_refusal(struct str text, struct error err)
{
    yyjson_doc *doc = is_deep(text) ? NULL : yyjson_read(text.ptr, text.len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);

    MUST(err.status == ERR_BAD_REQUEST && err.detail && err.code >= 0);
    MUST((size_t)err.code <= text.len);
    MUST(!doc || depth_of(root) > MAX_DEPTH || has_nul(root));
    yyjson_doc_free(doc);
}

static void check_vector(struct arena *arena, yyjson_val *root)
{
    struct embedding vector;
    double sum = 0;

    if (is_error(embedding_read(arena, root, &vector)))
        return;
    for (size_t i = 0; i < vector.n; i++)
        sum += (double)vector.values[i] * vector.values[i];
    MUST(isfinite(sum) && (vector.is_zero ? sum <= 0 : fabs(sum - 1) < 1e-3));
}

static void check_value(struct arena *arena, yyjson_val *root)
{
    struct buf once = {0}, twice = {0};
    yyjson_val *again;

    MUST(depth_of(root) <= MAX_DEPTH && !has_nul(root));
    json_write_value(&once, root);
    MUST(!once.failed && utf8_is_valid(buf_str(&once)));
    MUST(!is_error(json_read(arena, buf_str(&once), MAX_DEPTH, &again)));
    MUST(yyjson_equals(root, again));
    json_write_value(&twice, again);
    MUST(buf_eq(&once, &twice));
    check_vector(arena, root);
    buf_deinit(&once);
    buf_deinit(&twice);
}

static void check_string(struct arena *arena, struct str text)
{
    struct buf out = {0};
    struct json j = {.buf = &out};
    struct error err;
    yyjson_val *root;

    if (!utf8_is_valid(text))
        return;
    json_begin_object(&j);
    json_pair_str(&j, "a", text);
    json_pair_int(&j, "b", (int64_t)text.len - 3);
    json_end_object(&j);
    MUST(!str_has_control(buf_str(&out)) || str_find(text, 0x7f) < text.len);
    err = json_read(arena, buf_str(&out), 1, &root);
    MUST(is_error(err) == (str_find(text, '\0') < text.len));
    if (!is_error(err)) {
        MUST(str_eq(json_text(json_member(root, "a")), text));
        MUST(yyjson_get_sint(json_member(root, "b")) == (int64_t)text.len - 3);
    }
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct arena arena = {0};
    yyjson_val *root;
    struct error err = json_read(&arena, text, MAX_DEPTH, &root);

    if (is_error(err))
        check_refusal(text, err);
    else
        check_value(&arena, root);
    check_string(&arena, text);
    arena_free(&arena);
    return 0;
}
