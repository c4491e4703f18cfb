/* Reads bodies and queries by tables of fields. */
#include "api/input.h"

#include "base/json.h"
#include "config/config.h"

#include <string.h>

#define EMAIL_MAX_BYTES 254 /* RFC 5321 section 4.5.3.1.3, without the brackets */
#define LINES_MAX_CHARS 300
#define SLUG_MAX_BYTES  63

static struct input *input_at(const struct input_field *field, void *base)
{
    return (struct input *)((char *)base + field->offset);
}

void input_wrong(struct request *req, const char *field, const char *message)
{
    request_field_error(req, field, message);
    /* The row found no memory: what is wrong must not pass for right. */
    if (!request_has_field_errors(req))
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
}

static void wrong(struct request *req, const struct input_field *field, const char *message)
{
    input_wrong(req, field->name, message);
}

/* Tells a message made for the occasion. */
static void wrong_text(struct request *req, const struct input_field *field, struct str message)
{
    wrong(req, field, message.ptr ? message.ptr : "is wrong");
}

/* ---- texts ---- */

static bool has_forbidden_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static bool is_length_right(struct request *req, const struct input_field *field, struct str text)
{
    int64_t n = (int64_t)utf8_length(text);

    if (n >= field->min && n <= field->max)
        return true;
    if (n < field->min && field->min == 1)
        wrong(req, field, "must not be empty");
    else if (n < field->min)
        wrong_text(
            req, field,
            arena_printf(&req->arena, "must have at least %lld characters", (long long)field->min));
    else
        wrong_text(
            req, field,
            arena_printf(&req->arena, "must have at most %lld characters", (long long)field->max));
    return false;
}

static bool is_value(struct str text, const char *values)
{
    struct str rest = str_from(values), value;

    while (str_next(&rest, '|', &value))
        if (str_eq(text, value))
            return true;
    return false;
}

static bool is_value_right(struct request *req, const struct input_field *field, struct str text)
{
    struct buf message = {0};
    struct str rest = str_from(field->values), value;

    if (!field->values || is_value(text, field->values))
        return true;
    buf_append_str(&message, STR("must be "));
    for (bool is_first = true; str_next(&rest, '|', &value); is_first = false) {
        if (!is_first)
            buf_append_str(&message, rest.len > 0 ? STR(", ") : STR(" or "));
        buf_append_str(&message, value);
    }
    wrong_text(req, field, message.failed ? STR_NONE : arena_copy(&req->arena, buf_str(&message)));
    buf_deinit(&message);
    return false;
}

static bool is_domain(struct str domain)
{
    struct str label;
    size_t n_labels = 0;

    while (str_next(&domain, '.', &label)) {
        if (label.len == 0 || label.len > 63 || label.ptr[0] == '-' ||
            label.ptr[label.len - 1] == '-')
            return false;
        for (size_t i = 0; i < label.len; i++) {
            unsigned char c = (unsigned char)label.ptr[i];

            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c >= 0x80))
                return false;
        }
        n_labels++;
    }
    return n_labels >= 2;
}

/* What mail servers take is wider; what people have is not. */
bool input_is_email(struct str text)
{
    size_t at = str_find(text, '@');
    struct str local = {text.ptr, at};

    if (text.len > EMAIL_MAX_BYTES || at == 0 || at >= text.len || at > 64)
        return false;
    for (size_t i = 0; i < local.len; i++) {
        unsigned char c = (unsigned char)local.ptr[i];

        if (c <= 0x20 || c == 0x7f || strchr("\"(),:;<>[\\]", c))
            return false;
    }
    if (local.ptr[0] == '.' || local.ptr[at - 1] == '.' || str_contains(local, STR("..")))
        return false;
    return is_domain(str_skip(text, at + 1));
}

/* Words of small letters and digits, joined by single hyphens. */
bool input_is_slug(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (!is_word && (c != '-' || i == 0 || i == s.len - 1 || s.ptr[i - 1] == '-'))
            return false;
    }
    return s.len > 0 && s.len <= SLUG_MAX_BYTES;
}

static void take_id(struct request *req, const struct input_field *field, struct str text,
                    struct input *out)
{
    struct id id;

    if (id_parse(text, &id))
        out->text = arena_copy(&req->arena, id_str(&id));
    else
        wrong(req, field, "must be a UUID");
}

static void take_email(struct request *req, const struct input_field *field, struct str text,
                       struct input *out)
{
    out->text = arena_lower(&req->arena, str_trim(text));
    if (out->text.ptr && !input_is_email(out->text))
        wrong(req, field, "must be an e-mail address");
}

/* text: valid UTF-8 */
static void take_text(struct request *req, const struct input_field *field, struct str text,
                      struct input *out)
{
    if (field->kind == INPUT_ID) {
        take_id(req, field, text, out);
        return;
    }
    if (field->kind == INPUT_EMAIL) {
        take_email(req, field, text, out);
        return;
    }
    if (field->kind == INPUT_LINE)
        text = str_trim(text);
    if (field->kind == INPUT_LINE ? str_has_control(text) : has_forbidden_control(text))
        wrong(req, field, "must not hold control characters");
    else if (is_length_right(req, field, text) && is_value_right(req, field, text))
        out->text = text.len > 0 ? text : STR("");
}

static void take_number(struct request *req, const struct input_field *field, int64_t number,
                        struct input *out)
{
    if (number >= field->min && number <= field->max)
        out->number = number;
    else
        wrong_text(req, field,
                   arena_printf(&req->arena, "must be between %lld and %lld", (long long)field->min,
                                (long long)field->max));
}

/* ---- JSON ---- */

/* The value again, compact; what is too long is refused. */
static bool take_json(struct request *req, const struct input_field *field, yyjson_val *value,
                      size_t max_bytes, struct input *out)
{
    struct buf text;

    buf_init(&text, max_bytes);
    json_write_value(&text, value);
    if (text.failed)
        wrong(req, field, "is too large");
    else
        out->text = arena_copy(&req->arena, buf_str(&text));
    buf_deinit(&text);
    return out->text.ptr != NULL;
}

static void take_lines(struct request *req, const struct input_field *field, yyjson_val *value,
                       struct input *out)
{
    size_t i, n;
    yyjson_val *item;

    if (!yyjson_is_arr(value)) {
        wrong(req, field, "must be an array of strings");
        return;
    }
    if ((int64_t)yyjson_arr_size(value) < field->min ||
        (int64_t)yyjson_arr_size(value) > field->max) {
        wrong_text(req, field,
                   arena_printf(&req->arena, "must have between %lld and %lld items",
                                (long long)field->min, (long long)field->max));
        return;
    }
    yyjson_arr_foreach(value, i, n, item)
    {
        struct str text = json_text(item);

        if (!text.ptr || utf8_length(text) > LINES_MAX_CHARS || str_has_control(text)) {
            wrong(req, field, "must hold strings of at most 300 characters");
            return;
        }
    }
    /* six bytes for each of a character's four at worst, quotes and comma */
    take_json(req, field, value, 16 + (size_t)field->max * (LINES_MAX_CHARS * 6 + 4), out);
}

/* text: the document's, which goes before the request does. */
static void take_string(struct request *req, const struct input_field *field, struct str text,
                        struct input *out)
{
    struct str copy = arena_copy(&req->arena, text);

    if (copy.ptr) /* else is_lost() tells */
        take_text(req, field, copy, out);
}

static void take_value(struct request *req, const struct input_field *field, yyjson_val *value,
                       struct input *out)
{
    switch (field->kind) {
    case INPUT_TEXT:
    case INPUT_LINE:
    case INPUT_EMAIL:
    case INPUT_SECRET:
    case INPUT_ID:
        if (yyjson_is_str(value))
            take_string(req, field, json_text(value), out);
        else
            wrong(req, field, "must be a string");
        break;
    case INPUT_BOOL:
        if (yyjson_is_bool(value))
            out->number = yyjson_get_bool(value);
        else
            wrong(req, field, "must be true or false");
        break;
    case INPUT_INT:
        if (yyjson_is_sint(value) || (yyjson_is_uint(value) && yyjson_get_uint(value) <= INT64_MAX))
            take_number(req, field, yyjson_get_sint(value), out);
        else
            wrong(req, field, "must be a whole number");
        break;
    case INPUT_OBJECT:
        if (yyjson_is_obj(value))
            take_json(req, field, value, (size_t)field->max, out);
        else
            wrong(req, field, "must be an object");
        break;
    case INPUT_LINES:
        take_lines(req, field, value, out);
        break;
    }
}

/* root: NULL without a body, which is an object without members: what is missing is then named. */
static struct error parse_body(struct request *req, struct arena *a, yyjson_val **root)
{
    struct error err;

    *root = NULL;
    if (str_trim(req->body).len == 0)
        return NO_ERROR;
    err = json_read(a, req->body, (unsigned)config()->limits.json_depth, root);
    if (is_error(err) && err.detail)
        err.detail = arena_copy(&req->arena, str_from(err.detail)).ptr;
    if (!is_error(err) && !yyjson_is_obj(*root))
        err = ERROR(ERR_BAD_REQUEST, 0, "The body must be a JSON object");
    return err;
}

static void take_members(struct request *req, const struct input_field *fields, size_t n,
                         yyjson_val *root, void *base)
{
    for (size_t i = 0; i < n; i++) {
        struct input *out = input_at(&fields[i], base);
        yyjson_val *value = json_member(root, fields[i].name);

        if (!value && fields[i].alias)
            value = json_member(root, fields[i].alias);
        if (!value)
            continue;
        if (!yyjson_is_null(value)) {
            out->is_given = true;
            take_value(req, &fields[i], value, out);
        } else if (fields[i].is_nullable) {
            out->is_given = out->is_null = true;
        }
    }
}

/* The document goes at once: a request may be parked for long. */
static bool read_json(struct request *req, const struct input_field *fields, size_t n, void *base)
{
    struct arena document = {0};
    yyjson_val *root;
    struct error err = parse_body(req, &document, &root);

    if (is_error(err))
        flow_fail(&req->flow, err);
    else
        take_members(req, fields, n, root, base);
    arena_free(&document);
    return !is_error(err);
}

/* ---- forms ---- */

static void take_form_value(struct request *req, const struct input_field *field, struct str text,
                            struct input *out)
{
    int64_t number;

    switch (field->kind) {
    case INPUT_TEXT:
    case INPUT_LINE:
    case INPUT_EMAIL:
    case INPUT_SECRET:
    case INPUT_ID:
        take_text(req, field, text, out);
        break;
    case INPUT_BOOL:
        out->number = str_eq(text, STR("true")) || str_eq(text, STR("1"));
        if (!out->number && !str_eq(text, STR("false")) && !str_eq(text, STR("0")))
            wrong(req, field, "must be true or false");
        break;
    case INPUT_INT:
        if (str_to_i64(text, &number))
            take_number(req, field, number, out);
        else
            wrong(req, field, "must be a whole number");
        break;
    case INPUT_OBJECT:
    case INPUT_LINES:
        wrong(req, field, "cannot be sent in a form");
        break;
    }
}

static bool read_form(struct request *req, const struct input_field *fields, size_t n, void *base)
{
    struct str rest = req->body, name, text;

    while (form_next(&req->arena, &rest, &name, &text)) {
        for (size_t i = 0; i < n; i++) {
            struct input *out = input_at(&fields[i], base);

            if (!str_eq(name, str_from(fields[i].name)) &&
                !(fields[i].alias && str_eq(name, str_from(fields[i].alias))))
                continue;
            if (!utf8_is_valid(text)) {
                flow_fail(&req->flow, ERROR(ERR_BAD_REQUEST, 0, "The form is not valid UTF-8"));
                return false;
            }
            if (out->is_given)
                continue; /* of a name sent twice the first counts */
            out->is_given = true;
            take_form_value(req, &fields[i], text, out);
        }
    }
    return true;
}

/* A text that was right but found no memory. */
static bool is_lost(const struct input_field *field, const struct input *in)
{
    return field->kind != INPUT_BOOL && field->kind != INPUT_INT && in->is_given && !in->is_null &&
           !in->text.ptr;
}

void input_take_text(struct request *req, const struct input_field *field, struct str text,
                     struct input *out)
{
    take_string(req, field, text, out);
    if (is_lost(field, out))
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
    else if (request_has_field_errors(req))
        flow_fail(&req->flow, ERROR(ERR_INVALID, 0, NULL));
}

bool input_read(struct request *req, const struct input_field *fields, size_t n, void *base)
{
    struct str type = request_header(req, "content-type");
    bool is_form = req->route->body == BODY_FORM &&
                   str_starts_with_nocase(type, STR("application/x-www-form-urlencoded"));

    if (!(is_form ? read_form(req, fields, n, base) : read_json(req, fields, n, base)))
        return false;
    for (size_t i = 0; i < n; i++)
        if (fields[i].is_required && !input_at(&fields[i], base)->is_given)
            wrong(req, &fields[i], "is required");
    if (request_has_field_errors(req))
        flow_fail(&req->flow, ERROR(ERR_INVALID, 0, NULL));
    if (is_error(req->flow.err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (is_lost(&fields[i], input_at(&fields[i], base))) {
            flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
            return false;
        }
    return true;
}

/* ---- queries and paths ---- */

bool input_query_int(struct request *req, const char *name, int64_t min, int64_t max,
                     int64_t fallback, int64_t *out)
{
    struct str text = request_query(req, name), message;

    *out = fallback;
    if (!text.ptr || (str_to_i64(text, out) && *out >= min && *out <= max))
        return true;
    message = arena_printf(&req->arena, "must be a whole number between %lld and %lld",
                           (long long)min, (long long)max);
    input_wrong(req, name, message.ptr ? message.ptr : "is wrong");
    flow_fail(&req->flow, ERROR(ERR_INVALID, 0, NULL));
    return false;
}

bool input_page(struct request *req, int64_t *limit, int64_t *offset)
{
    return input_query_int(req, "limit", 1, 200, 50, limit) &&
           input_query_int(req, "offset", 0, INT32_MAX, 0, offset);
}

bool input_query_bool(struct request *req, const char *name, bool fallback, bool *out)
{
    struct str text = request_query(req, name);

    *out = fallback;
    if (!text.ptr)
        return true;
    if (str_eq_nocase(text, STR("true")) || str_eq(text, STR("1"))) {
        *out = true;
        return true;
    }
    if (str_eq_nocase(text, STR("false")) || str_eq(text, STR("0"))) {
        *out = false;
        return true;
    }
    input_wrong(req, name, "must be true or false");
    flow_fail(&req->flow, ERROR(ERR_INVALID, 0, NULL));
    return false;
}

bool input_query_id(struct request *req, const char *name, struct str *out)
{
    struct str text = request_query(req, name);
    struct id id;

    *out = STR_NONE;
    if (!text.ptr)
        return true;
    if (!id_parse(text, &id)) {
        input_wrong(req, name, "must be a UUID");
        flow_fail(&req->flow, ERROR(ERR_INVALID, 0, NULL));
        return false;
    }
    *out = arena_copy(&req->arena, id_str(&id));
    if (!out->ptr)
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
    return out->ptr != NULL;
}

bool input_path_id(struct request *req, unsigned i, const char *not_found, struct id *out)
{
    if (id_parse(req->params[i], out))
        return true;
    flow_fail(&req->flow, ERROR(ERR_NOT_FOUND, 0, not_found));
    return false;
}
