/* What an agent's widget shows: title, greeting, colour and the like. One table says what each of
 * them may be, for admins who save it and for the pages that ask. */
#include "widget_config.h"

#include "answer.h"
#include "base/json.h"
#include "config/config.h"
#include "doc.h"
#include "take_rate.h"

#include <ctype.h>

#define MINUTE_MS        60000
#define MAX_DEPTH        64
#define LINE_CHARS       80
#define GREETING_CHARS   1000
#define SUGGESTION_CHARS 120
#define MAX_SUGGESTIONS  6
#define LANGUAGE_BYTES   20
#define SUBTAG_BYTES     8 /* RFC 5646 section 2.1 */
#define COUNT(a)         (sizeof(a) / sizeof((a)[0]))

/* ---- what each may be ---- */

static bool is_line(yyjson_val *value, size_t max_chars)
{
    struct str text = json_text(value);

    return yyjson_is_str(value) && !str_has_control(text) && utf8_length(text) <= max_chars;
}

static bool is_short_line(yyjson_val *value)
{
    return is_line(value, LINE_CHARS);
}

static bool is_greeting(yyjson_val *value)
{
    return yyjson_is_str(value) && utf8_length(json_text(value)) <= GREETING_CHARS;
}

static bool is_suggestions(yyjson_val *value)
{
    yyjson_val *item;
    size_t i, n;

    if (!yyjson_is_arr(value) || yyjson_arr_size(value) > MAX_SUGGESTIONS)
        return false;
    yyjson_arr_foreach(value, i, n, item)
    {
        if (!is_line(item, SUGGESTION_CHARS) || json_text(item).len == 0)
            return false;
    }
    return true;
}

/* It becomes a part of a style sheet: nothing else fits. */
static bool is_color(yyjson_val *value)
{
    struct str text = json_text(value);

    if (text.len != 7 || text.ptr[0] != '#')
        return false;
    for (size_t i = 1; i < text.len; i++) {
        if (!isxdigit((unsigned char)text.ptr[i]))
            return false;
    }
    return true;
}

static bool is_theme(yyjson_val *value)
{
    struct str text = json_text(value);

    return str_eq(text, STR("auto")) || str_eq(text, STR("light")) || str_eq(text, STR("dark"));
}

static bool is_position(yyjson_val *value)
{
    struct str text = json_text(value);

    return str_eq(text, STR("right")) || str_eq(text, STR("left"));
}

static bool is_subtag(struct str part, bool is_first)
{
    if (part.len < (is_first ? 2U : 1U) || part.len > SUBTAG_BYTES)
        return false;
    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.ptr[i];

        if (!isalpha(c) && (is_first || !isdigit(c)))
            return false;
    }
    return true;
}

/* "auto" has the shape of a tag, too. */
static bool is_language(yyjson_val *value)
{
    struct str rest = json_text(value), part;
    bool is_first = true;

    if (rest.len == 0 || rest.len > LANGUAGE_BYTES || rest.ptr[rest.len - 1] == '-')
        return false;
    for (; str_next(&rest, '-', &part); is_first = false) {
        if (!is_subtag(part, is_first))
            return false;
    }
    return true;
}

static const struct setting {
    const char *name, *field, *rule;
    bool (*is_right)(yyjson_val *value);
} settings[] = {
    {"color", "config.widget.color", "must be a colour such as #2f6fde", is_color},
    {"greeting", "config.widget.greeting", "must be a text of at most 1000 characters",
     is_greeting},
    {"language", "config.widget.language", "must be auto or a language tag such as de or pt-BR",
     is_language},
    {"placeholder", "config.widget.placeholder", "must be a line of at most 80 characters",
     is_short_line},
    {"position", "config.widget.position", "must be right or left", is_position},
    {"suggestions", "config.widget.suggestions",
     "must be an array of at most 6 lines of 1 to 120 characters", is_suggestions},
    {"theme", "config.widget.theme", "must be auto, light or dark", is_theme},
    {"title", "config.widget.title", "must be a line of at most 80 characters", is_short_line},
};

void widget_config_check(struct request *req, yyjson_val *widget)
{
    if (!widget || yyjson_is_null(widget))
        return;
    if (!yyjson_is_obj(widget)) {
        input_wrong(req, "config.widget", "must be an object");
        return;
    }
    for (size_t i = 0; i < COUNT(settings); i++) {
        yyjson_val *value = json_member(widget, settings[i].name);

        if (value && !yyjson_is_null(value) && !settings[i].is_right(value))
            input_wrong(req, settings[i].field, settings[i].rule);
    }
}

/* ---- GET /api/chat/widget/config ---- */

/* As many pages of an address may ask as may begin sessions, counted apart. */
static void widget_rate(struct flow *f)
{
    struct request *req = request_of(f);
    const struct rate rate = {RATE_VISITOR_WIDGETS, req->address_group,
                              config()->limits.visitor_sessions_per_minute, MINUTE_MS};

    (void)!take_rate(req, &rate, "Too many widgets are loaded at this address; wait a moment");
}

static void widget_load(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_config *s = req->state;
    struct str agent_id = request_query(req, "chatbot_id");

    if (agent_id.ptr) {
        visit_load_widget(&s->visit, req, agent_id);
        return;
    }
    input_wrong(req, "chatbot_id", "is required");
    flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
}

/* Of the agent's config only this, and of this only what the table allows: the rest may be a secret
 * between the admin and the agent. */
static void write_settings(struct json *j, yyjson_val *widget)
{
    json_begin_object(j);
    for (size_t i = 0; i < COUNT(settings); i++) {
        yyjson_val *value = json_member(widget, settings[i].name);

        if (!value || !settings[i].is_right(value))
            continue;
        json_key(j, settings[i].name);
        json_value(j, value);
    }
    json_end_object(j);
}

static void widget_answer(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_config *s = req->state;
    const struct db_result *row;
    struct buf out = {0};
    struct json j = {.buf = &out};
    yyjson_val *own = NULL;
    struct error err;

    if (!visit_check_agent(&s->visit, req))
        return;
    row = s->visit.row.result;
    err = json_read(&req->arena, db_get_text(row, 0, VISIT_AGENT_CONFIG), MAX_DEPTH, &own);
    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    json_begin_object(&j);
    json_pair_str(&j, "name", db_get_text(row, 0, VISIT_AGENT_NAME));
    json_key(&j, "widget");
    write_settings(&j, json_member(own, "widget"));
    json_end_object(&j);
    if (out.failed) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    } else {
        response_set_header(req, "Cache-Control", STR("max-age=60"));
        response_send(req, 200, "application/json", buf_str(&out));
    }
    buf_deinit(&out);
}

static const struct schema settings_schema = {
    "WidgetSettings",
    .about = "What the admin has set; what is absent is the widget's own choice.",
    .members = MEMBERS(
        {"color", DOC_TEXT | DOC_OPTIONAL, .about = "`#rrggbb`"},
        {"greeting", DOC_TEXT | DOC_OPTIONAL, .max = GREETING_CHARS, .about = "Markdown"},
        {"language", DOC_TEXT | DOC_OPTIONAL, .about = "`auto`, or a language tag"},
        {"placeholder", DOC_TEXT | DOC_OPTIONAL, .max = LINE_CHARS},
        {"position", DOC_TEXT | DOC_OPTIONAL, .values = "right|left"},
        {"suggestions", DOC_TEXT | DOC_LIST | DOC_OPTIONAL},
        {"theme", DOC_TEXT | DOC_OPTIONAL, .values = "auto|light|dark"},
        {"title", DOC_TEXT | DOC_OPTIONAL, .max = LINE_CHARS}),
};
static const struct schema config_schema = {
    "Widget",
    .members = MEMBERS({"name", DOC_TEXT, .about = "The agent's"},
                       {"widget", DOC_OBJECT, .of = &settings_schema}),
};
const struct route_doc widget_config_doc = {
    TAG_WIDGETS,
    ANSWERS({200, &config_schema}),
    DOC_ERRORS(404, 429),
    .query = MEMBERS({"chatbot_id", DOC_ID}),
    .about = "From pages of the agent's `allowed_origins`, as a session; may be cached for a minute.",
};

const struct step widget_config_steps[] = {
    STEP(widget_rate),   /* 429 */
    STEP(widget_load),   /* 422, 404 */
    STEP(widget_answer), /* 404, 403 */
    STEP_END,
};
