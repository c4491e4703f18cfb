/* A number for a table's rows that both databases agree on: the sum of the rows' SHA-256. */
#include "db/bulk.h"

#include "base/crypto.h"
#include "base/json.h"

#define DEPTH_MAX 1000

static void add(uint64_t parts[4], const unsigned char digest[SHA256_BYTES])
{
    unsigned carry = 0;

    for (int i = 0; i < 4; i++) {
        uint64_t word, sum;

        memcpy(&word, digest + 8 * i, sizeof(word));
        sum = parts[i] + word;
        parts[i] = sum + carry;
        carry = sum < word || parts[i] < sum;
    }
}

static void append_part(struct buf *out, char mark, struct str bytes)
{
    uint64_t len = bytes.len;

    buf_append_char(out, mark);
    buf_append(out, &len, sizeof(len));
    buf_append_str(out, bytes);
}

static bool is_repeated(yyjson_val *object, size_t at, struct str name)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *key;
    size_t i = 0;

    while ((key = yyjson_obj_iter_next(&members)))
        if (i++ > at && str_eq(json_text(key), name))
            return true;
    return false;
}

static void append_json(struct buf *out, yyjson_val *val);

/* Members in any order; of two with one name the last counts, as in PostgreSQL. */
static void append_object(struct buf *out, yyjson_val *object)
{
    uint64_t parts[4] = {0};
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *key;

    for (size_t i = 0; (key = yyjson_obj_iter_next(&members)); i++) {
        unsigned char digest[SHA256_BYTES];
        struct buf member = {0};

        if (is_repeated(object, i, json_text(key)))
            continue;
        append_part(&member, 'k', json_text(key));
        append_json(&member, yyjson_obj_iter_get_val(key));
        crypto_sha256(buf_str(&member), digest);
        out->failed = out->failed || member.failed;
        buf_deinit(&member);
        add(parts, digest);
    }
    append_part(out, 'o', (struct str){(const char *)parts, sizeof(parts)});
}

static void append_json(struct buf *out, yyjson_val *val)
{
    yyjson_arr_iter items;
    yyjson_val *item;
    double number;

    switch (yyjson_get_type(val)) {
    case YYJSON_TYPE_STR:
        append_part(out, 's', json_text(val));
        break;
    case YYJSON_TYPE_BOOL:
        buf_append_char(out, yyjson_get_bool(val) ? 't' : 'f');
        break;
    case YYJSON_TYPE_NUM:
        number = yyjson_get_num(val) + 0.0; /* no negative zero */
        append_part(out, 'n', (struct str){(const char *)&number, sizeof(number)});
        break;
    case YYJSON_TYPE_ARR:
        items = yyjson_arr_iter_with(val);
        buf_append_char(out, '[');
        while ((item = yyjson_arr_iter_next(&items)))
            append_json(out, item);
        buf_append_char(out, ']');
        break;
    case YYJSON_TYPE_OBJ:
        append_object(out, val);
        break;
    default:
        buf_append_char(out, '0');
        break;
    }
}

/* What is no JSON is compared as text. */
static void append_json_text(struct buf *out, struct str text)
{
    struct arena arena = {0};
    yyjson_val *root;

    if (is_error(json_read(&arena, text, DEPTH_MAX, &root)))
        append_part(out, 'T', text);
    else
        append_json(out, root);
    arena_free(&arena);
}

bool bulk_sum_add(struct bulk_sum *sum, const struct bulk_columns *json,
                  const struct bulk_cell *cells)
{
    unsigned char digest[SHA256_BYTES];
    struct buf row = {0};
    bool ok;

    for (size_t i = 0; i < json->n; i++) {
        const struct bulk_cell *cell = &cells[i];

        if (cell->is_null)
            buf_append_char(&row, '-');
        else if (bulk_is_number(cell->kind))
            append_part(&row, 'I', (struct str){(const char *)&cell->number, sizeof(cell->number)});
        else if (json->items[i].kind == BULK_JSON)
            append_json_text(&row, cell->text);
        else
            append_part(&row, cell->kind == BULK_BYTES ? 'B' : 'T', cell->text);
    }
    ok = !row.failed;
    if (ok) {
        crypto_sha256(buf_str(&row), digest);
        add(sum->parts, digest);
        sum->rows++;
    }
    buf_deinit(&row);
    return ok;
}

bool bulk_sum_equal(const struct bulk_sum *a, const struct bulk_sum *b)
{
    return a->rows == b->rows && memcmp(a->parts, b->parts, sizeof(a->parts)) == 0;
}

void bulk_sum_text(const struct bulk_sum *sum, char out[BULK_SUM_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < 64; i++)
        out[i] = digits[sum->parts[i / 16] >> (60 - 4 * (i % 16)) & 15];
    out[64] = '\0';
}
