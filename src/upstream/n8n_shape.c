/* The shape of a webhook's answer. */
#include "n8n_shape.h"

#include "base/json.h"
#include "json_lines.h"

#include <string.h>

#define PHRASE_MAX_BYTES 64

static const struct str phrase_starting = {"n8n is starting up", 18};
static const struct str phrase_started = {"Workflow was started", 20};
static const struct str phrase_null = {"null", 4};

/* ---- sentences ---- */

static bool is_phrase(struct str text, struct str phrase)
{
    text = str_trim(text);
    return str_starts_with(text, phrase) &&
           (text.len == phrase.len || (text.len == phrase.len + 1 && text.ptr[phrase.len] == '.'));
}

enum phrase shape_phrase(struct str text)
{
    if (is_phrase(text, phrase_started))
        return PHRASE_STARTED;
    if (is_phrase(text, phrase_null))
        return PHRASE_NULL;
    if (text.len <= PHRASE_MAX_BYTES && str_starts_with(str_trim(text), phrase_starting))
        return PHRASE_STARTING;
    return PHRASE_NONE;
}

static bool may_be_phrase(struct str lead)
{
    static const struct str *const phrases[] = {&phrase_starting, &phrase_started, &phrase_null};

    for (size_t i = 0; i < 3; i++)
        if (str_starts_with(*phrases[i], lead) ||
            (str_starts_with(lead, *phrases[i]) && lead.len <= PHRASE_MAX_BYTES))
            return true;
    return false;
}

/* ---- the lead ---- */

struct str shape_without_mark(struct str held)
{
    return str_starts_with(held, STR("\xEF\xBB\xBF")) ? str_skip(held, 3) : held;
}

struct str shape_without_blanks(struct str text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t' || text.ptr[0] == '\r' ||
                            text.ptr[0] == '\n'))
        text = str_skip(text, 1);
    return text;
}

struct str shape_without_lead(struct str held)
{
    return shape_without_blanks(shape_without_mark(held));
}

/* ---- objects ---- */

bool shape_has_known_type(yyjson_val *val)
{
    static const char *const types[] = {"begin", "item", "end", "error"};
    yyjson_val *type = json_member(val, "type");

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (yyjson_equals_str(type, types[i]))
            return true;
    return false;
}

static struct str without_cr(struct str line)
{
    return str_ends_with(line, STR("\r")) ? (struct str){line.ptr, line.len - 1} : line;
}

/* The next whole line of held that was not judged yet. */
static bool next_line(struct shape_probe *p, struct str held, struct str *line)
{
    size_t from = p->searched > p->judged ? p->searched : p->judged;
    size_t end = from + str_find(str_skip(held, from), '\n');

    p->searched = end;
    if (end >= held.len)
        return false;
    *line = without_cr((struct str){held.ptr + p->judged, end - p->judged});
    p->judged = end + 1;
    return true;
}

/* A line with one of n8n's types, or a second whole object, makes it a stream; a line that is no
 * JSON by itself makes it one value on several lines. */
static enum shape judge_object(struct shape_probe *p, struct str held)
{
    enum shape shape = SHAPE_UNTOLD;
    struct str line;

    while (shape == SHAPE_UNTOLD && next_line(p, held, &line)) {
        struct json_values values;
        enum json_values_next next;
        yyjson_val *val;

        json_values_init(&values, line);
        while ((next = json_values_next(&values, &val)) == JSON_VALUE) {
            p->n_objects++;
            if (shape_has_known_type(val) || p->n_objects > 1)
                shape = SHAPE_LINES;
        }
        if (next == JSON_BAD && p->n_objects == 0)
            shape = SHAPE_JSON;
        json_values_deinit(&values);
    }
    return shape;
}

static enum shape judge_array(struct str lead)
{
    struct str inside = shape_without_lead(str_skip(lead, 1));

    if (inside.len == 0)
        return SHAPE_UNTOLD;
    return memchr("{[\"]-0123456789tfn", inside.ptr[0], 18) ? SHAPE_JSON : SHAPE_TEXT;
}

/* ---- text ---- */

static bool starts_or_may_start(struct str text, struct str word, bool *starts)
{
    struct str head = {text.ptr, text.len < word.len ? text.len : word.len};

    if (!str_eq_nocase(head, (struct str){word.ptr, head.len}))
        return false;
    *starts = head.len == word.len;
    return true;
}

static enum shape judge_markup(struct str lead)
{
    bool starts = false;

    if (!starts_or_may_start(lead, STR("<!doctype"), &starts) &&
        !starts_or_may_start(lead, STR("<html"), &starts))
        return SHAPE_TEXT;
    return starts ? SHAPE_PAGE : SHAPE_UNTOLD;
}

enum line_kind { LINE_DATA, LINE_NEUTRAL, LINE_PARTIAL, LINE_TEXT };

static enum line_kind kind_of_line(struct str line, bool is_whole)
{
    static const struct str fields[] = {{"event:", 6}, {"id:", 3}, {"retry:", 6}};

    if (str_starts_with(line, STR("data:")))
        return LINE_DATA;
    if (line.len == 0 || line.ptr[0] == ':')
        return is_whole ? LINE_NEUTRAL : LINE_PARTIAL;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (str_starts_with(line, fields[i]))
            return is_whole ? LINE_NEUTRAL : LINE_PARTIAL;
        if (!is_whole && str_starts_with(fields[i], line))
            return LINE_PARTIAL;
    }
    return !is_whole && str_starts_with(STR("data:"), line) ? LINE_PARTIAL : LINE_TEXT;
}

/* An event stream is one whose first field is data, whatever stands before it. */
static enum shape judge_text(struct shape_probe *p, struct str held, struct str lead)
{
    struct shape_probe start = *p;
    enum line_kind kind = LINE_NEUTRAL;
    struct str line;

    while (kind == LINE_NEUTRAL && next_line(p, held, &line))
        kind = kind_of_line(line, true);
    if (kind == LINE_NEUTRAL)
        kind = kind_of_line(without_cr(str_skip(held, p->judged)), false);
    if (kind == LINE_DATA)
        return SHAPE_EVENTS;
    if (kind == LINE_TEXT && !may_be_phrase(lead))
        return SHAPE_TEXT;
    if (kind == LINE_TEXT)
        *p = start; /* a phrase: look again from its start */
    return SHAPE_UNTOLD;
}

enum shape shape_tell(struct shape_probe *p, struct str held)
{
    struct str lead = shape_without_lead(held);

    if (str_starts_with(STR("\xEF\xBB\xBF"), lead))
        return SHAPE_UNTOLD; /* a part of a byte order mark */
    if (p->judged == 0)
        p->judged = held.len - lead.len;
    switch (lead.ptr[0]) {
    case '{':
        return judge_object(p, held);
    case '[':
        return judge_array(lead);
    case '"':
        return SHAPE_JSON;
    case '<':
        return judge_markup(lead);
    default:
        return judge_text(p, held, lead);
    }
}
