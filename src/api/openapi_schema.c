/* Types, members and bodies as JSON Schema. */
#include "openapi_schema.h"

#include <string.h>

#define LINES_MAX_CHARS 300 /* of an INPUT_LINES' item */

void schema_set_add(struct schema_set *set, const struct schema *schema)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->items[i] == schema)
            return;
    set->is_full = set->n == sizeof(set->items) / sizeof(set->items[0]);
    if (!set->is_full)
        set->items[set->n++] = schema;
}

/* What JSON calls a type, and the format that says more; NULL: none. */
static const struct {
    const char *type, *format;
} types[] = {
    [DOC_OBJECT] = {"object"},         [DOC_TEXT] = {"string"},
    [DOC_ID] = {"string", "uuid"},     [DOC_TIME] = {"string", "date-time"},
    [DOC_EMAIL] = {"string", "email"}, [DOC_INT] = {"integer"},
    [DOC_NUMBER] = {"number"},         [DOC_BOOL] = {"boolean"},
    [DOC_FILE] = {"string", "binary"}, [DOC_ANY] = {NULL, NULL},
};

static void pair_type(struct json *j, unsigned type, bool or_null)
{
    const char *name = types[type].type, *format = types[type].format;

    if (name && or_null) {
        json_key(j, "type");
        json_begin_array(j);
        json_str(j, str_from(name));
        json_str(j, STR("null"));
        json_end_array(j);
    } else if (name) {
        json_pair_str(j, "type", str_from(name));
    }
    if (format)
        json_pair_str(j, "format", str_from(format));
}

static void pair_bounds(struct json *j, bool is_number, int64_t min, int64_t max)
{
    if (min == max)
        return;
    if (is_number || min > 0)
        json_pair_int(j, is_number ? "minimum" : "minLength", min);
    json_pair_int(j, is_number ? "maximum" : "maxLength", max);
}

static void pair_values(struct json *j, const char *values, bool or_null)
{
    struct str rest = str_from(values), value;

    json_key(j, "enum");
    json_begin_array(j);
    while (str_next(&rest, '|', &value))
        json_str(j, value);
    if (or_null)
        json_null(j);
    json_end_array(j);
}

static void pair_about(struct json *j, const char *about)
{
    if (about)
        json_pair_str(j, "description", str_from(about));
}

static void pair_reference(struct json *j, struct schema_set *set, const struct schema *schema)
{
    struct buf *out = j->buf;

    schema_set_add(set, schema);
    json_key(j, "$ref");
    buf_printf(out, "\"#/components/schemas/%s\"", schema->name);
    j->needs_comma = true;
}

static void begin_items(struct json *j)
{
    json_pair_str(j, "type", STR("array"));
    json_key(j, "items");
    json_begin_object(j);
}

void openapi_reference(struct json *j, struct schema_set *set, const struct schema *schema,
                       bool is_list)
{
    json_begin_object(j);
    if (is_list)
        begin_items(j);
    pair_reference(j, set, schema);
    if (is_list)
        json_end_object(j);
    json_end_object(j);
}

static void pair_reference_or_null(struct json *j, struct schema_set *set,
                                   const struct schema *schema)
{
    json_key(j, "anyOf");
    json_begin_array(j);
    openapi_reference(j, set, schema, false);
    json_begin_object(j);
    json_pair_str(j, "type", STR("null"));
    json_end_object(j);
    json_end_array(j);
}

void openapi_member(struct json *j, struct schema_set *set, const struct member *m)
{
    unsigned type = m->type & DOC_TYPE;
    bool is_list = m->type & DOC_LIST, or_null = m->type & DOC_NULL && !is_list;

    json_begin_object(j);
    pair_about(j, m->about);
    if (is_list)
        begin_items(j);
    if (m->of && or_null)
        pair_reference_or_null(j, set, m->of);
    else if (m->of)
        pair_reference(j, set, m->of);
    else
        pair_type(j, type, or_null);
    pair_bounds(j, type == DOC_INT || type == DOC_NUMBER, m->min, m->max);
    if (m->values)
        pair_values(j, m->values, or_null);
    if (is_list)
        json_end_object(j);
    json_end_object(j);
}

static void write_members(struct json *j, struct schema_set *set, const struct member *members)
{
    json_key(j, "properties");
    json_begin_object(j);
    for (const struct member *m = members; m->name; m++) {
        json_key(j, m->name);
        openapi_member(j, set, m);
    }
    json_end_object(j);
    json_key(j, "required");
    json_begin_array(j);
    for (const struct member *m = members; m->name; m++)
        if (!(m->type & DOC_OPTIONAL))
            json_str(j, str_from(m->name));
    json_end_array(j);
}

void openapi_schema(struct json *j, struct schema_set *set, const struct schema *schema)
{
    json_begin_object(j);
    pair_about(j, schema->about);
    if (schema->one_of) {
        json_key(j, "oneOf");
        json_begin_array(j);
        for (const struct schema *const *one = schema->one_of; *one; one++)
            openapi_reference(j, set, *one, false);
        json_end_array(j);
    } else {
        json_pair_str(j, "type", STR("object"));
        write_members(j, set, schema->members);
    }
    json_end_object(j);
}

/* ---- bodies by their table ---- */

static void pair_field(struct json *j, const struct input_field *field)
{
    static const unsigned char type_of[] = {
        [INPUT_TEXT] = DOC_TEXT,   [INPUT_LINE] = DOC_TEXT,     [INPUT_EMAIL] = DOC_EMAIL,
        [INPUT_SECRET] = DOC_TEXT, [INPUT_ID] = DOC_ID,         [INPUT_BOOL] = DOC_BOOL,
        [INPUT_INT] = DOC_INT,     [INPUT_OBJECT] = DOC_OBJECT,
    };
    bool is_text = field->kind <= INPUT_SECRET && field->kind != INPUT_EMAIL;

    pair_type(j, type_of[field->kind], field->is_nullable);
    if (field->kind == INPUT_SECRET)
        json_pair_str(j, "format", STR("password"));
    if (is_text || field->kind == INPUT_INT)
        pair_bounds(j, !is_text, field->min, field->max);
    if (field->values)
        pair_values(j, field->values, field->is_nullable);
}

static void pair_lines(struct json *j, const struct input_field *field)
{
    begin_items(j);
    json_pair_str(j, "type", STR("string"));
    json_pair_int(j, "maxLength", LINES_MAX_CHARS);
    json_end_object(j);
    if (field->min > 0)
        json_pair_int(j, "minItems", field->min);
    json_pair_int(j, "maxItems", field->max);
}

static const char *name_of(const struct input_field *field, bool as_form)
{
    return as_form && field->alias ? field->alias : field->name;
}

static bool is_required(const struct route_doc *doc, const struct input_field *field)
{
    return field->is_required || (doc->requires && strcmp(doc->requires, field->name) == 0);
}

void openapi_fields(struct json *j, const struct route_doc *doc, bool as_form)
{
    json_begin_object(j);
    json_pair_str(j, "type", STR("object"));
    json_key(j, "properties");
    json_begin_object(j);
    for (size_t i = 0; i < doc->n_body; i++) {
        json_key(j, name_of(&doc->body[i], as_form));
        json_begin_object(j);
        if (doc->body[i].kind == INPUT_LINES)
            pair_lines(j, &doc->body[i]);
        else
            pair_field(j, &doc->body[i]);
        json_end_object(j);
    }
    json_end_object(j);
    json_key(j, "required");
    json_begin_array(j);
    for (size_t i = 0; i < doc->n_body; i++)
        if (is_required(doc, &doc->body[i]))
            json_str(j, str_from(name_of(&doc->body[i], as_form)));
    json_end_array(j);
    json_end_object(j);
}
