/* n8n: its request, and its answer in whatever shape a workflow gives it. It streams JSON lines,
 * others in front of it send events, and a workflow may answer with a value or with text. */
#include "base/json.h"
#include "event_stream.h"
#include "json_lines.h"
#include "line_pattern.h"
#include "n8n_shape.h"
#include "provider.h"

#define BLANK_MAX_BYTES 256
#define MAX_DEPTH       4

struct n8n_reader {
    struct reply *reply;
    enum shape shape;
    struct shape_probe probe;
    struct buf held;             /* while the shape is untold, or one JSON value */
    bool needs_gap;              /* an item's text was told, the next one's is set apart */
    struct line_pattern pattern; /* of an item with text */
    union {
        struct event_stream events;
        struct json_lines lines;
    };
};

static const char was_started[] =
    "n8n answered at once without a reply: set the webhook to respond when the last node finishes.";
static const char is_echo_detail[] =
    "n8n answered with the request instead of a reply: check the workflow's last node.";
static const char no_reply[] = "n8n answered, but the answer holds no reply.";
static const char starting_up[] = "n8n is starting up. Please try again in a moment.";
static const char workflow_error[] = "The n8n workflow reported an error.";
static const char web_page[] = "The agent answered with a web page instead of a reply.";
static const char not_json[] = "n8n's answer is not valid JSON.";

/* ---- text in values ---- */

/* A webhook's own item: our request, with our Authorization in its headers. */
static bool is_echo(yyjson_val *val)
{
    return yyjson_is_obj(json_member(val, "headers")) &&
           (json_member(val, "body") || json_member(val, "query") || json_member(val, "params") ||
            json_member(val, "webhookUrl"));
}

/* A Respond node puts JSON as a string into an item: that is literal text, unless it is our
 * request. */
static bool is_echo_text(struct str text)
{
    struct json_values values;
    yyjson_val *val;
    bool found = false;

    text = str_trim(text);
    if (text.len == 0 || (text.ptr[0] != '{' && text.ptr[0] != '[') ||
        !str_contains(text, STR("\"headers\"")))
        return false;
    json_values_init(&values, text);
    while (!found && json_values_next(&values, &val) == JSON_VALUE)
        found = is_echo(val) || is_echo(yyjson_arr_get_first(val));
    found = found || values.is_no_memory; /* unread, so it is not passed on */
    json_values_deinit(&values);
    return found;
}

/* True: the text is no reply but one of n8n's own sentences, and the reply has failed. */
static bool fail_for_phrase(struct n8n_reader *r, struct str text)
{
    switch (shape_phrase(text)) {
    case PHRASE_STARTED:
        reply_mistake(r->reply, CLUE_STARTED, was_started);
        return true;
    case PHRASE_STARTING:
        reply_mistake(r->reply, CLUE_STARTING, starting_up);
        return true;
    case PHRASE_NONE:
    case PHRASE_NULL:
        break;
    }
    return false;
}

static void add_text(struct n8n_reader *r, struct str text)
{
    if (is_echo_text(text)) {
        reply_mistake(r->reply, CLUE_REQUEST, is_echo_detail);
        return;
    }
    if (text.len > 0 && r->needs_gap)
        reply_add(r->reply, STR("\n\n"));
    if (text.len > 0)
        r->needs_gap = false;
    reply_add(r->reply, text);
}

static void add_scalar(struct n8n_reader *r, yyjson_val *val)
{
    struct buf text = {.max_bytes = 64};

    json_write_value(&text, val);
    if (text.failed)
        reply_fail(r->reply, ERR_NO_MEMORY, NULL);
    add_text(r, buf_str(&text));
    buf_deinit(&text);
}

static bool is_failure(yyjson_val *error)
{
    return yyjson_is_obj(error) || yyjson_is_arr(error) || yyjson_is_true(error) ||
           (yyjson_is_num(error) && yyjson_get_num(error) != 0) || yyjson_get_len(error) > 0;
}

static bool is_failure_code(yyjson_val *code)
{
    return yyjson_is_int(code) && (yyjson_get_sint(code) == 0 || yyjson_get_sint(code) >= 400);
}

static void add_value(struct n8n_reader *r, yyjson_val *val, unsigned depth);

/* What people call the reply in their workflows, in the order of our contract. */
/* NOLINTNEXTLINE(misc-no-recursion): add_value() bounds it */
static void add_object(struct n8n_reader *r, yyjson_val *val, unsigned depth)
{
    static const char *const keys[] = {"content", "output", "text", "response"};
    yyjson_val *message = json_member(val, "message");
    bool has_key = false;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        yyjson_val *member = json_member(val, keys[i]);
        size_t before = r->reply->text_bytes;

        if (!member)
            continue;
        has_key = true;
        add_value(r, member, depth + 1);
        if (r->reply->text_bytes > before || !reply_takes_more(r->reply))
            return;
    }
    if (is_failure(json_member(val, "error")) ||
        (message && is_failure_code(json_member(val, "code"))))
        reply_fail(r->reply, ERR_PROVIDER_ERROR, workflow_error);
    else if (message && !(yyjson_is_str(message) && fail_for_phrase(r, json_text(message))))
        add_value(r, message, depth + 1);
    else if (is_echo(val))
        reply_mistake(r->reply, CLUE_REQUEST, is_echo_detail);
    else if (!has_key && yyjson_obj_size(val) > 0)
        reply_mistake(r->reply, CLUE_NO_REPLY, no_reply);
}

/* NOLINTNEXTLINE(misc-no-recursion): MAX_DEPTH bounds it */
static void add_value(struct n8n_reader *r, yyjson_val *val, unsigned depth)
{
    yyjson_arr_iter items;
    yyjson_val *item;

    if (depth > MAX_DEPTH) {
        reply_mistake(r->reply, CLUE_NO_REPLY, no_reply);
    } else if (yyjson_is_str(val)) {
        add_text(r, json_text(val));
    } else if (yyjson_is_num(val) || yyjson_is_bool(val)) {
        add_scalar(r, val);
    } else if (yyjson_is_obj(val)) {
        add_object(r, val, depth);
    } else if (yyjson_is_arr(val)) {
        yyjson_arr_iter_init(val, &items);
        while (reply_takes_more(r->reply) && (item = yyjson_arr_iter_next(&items))) {
            add_value(r, item, depth + 1);
            r->needs_gap = r->reply->text_bytes > 0;
        }
        r->needs_gap = false;
    }
}

/* ---- streams ---- */

static void take_item(struct n8n_reader *r, yyjson_val *val)
{
    static const char *const keys[] = {"content", "output", "text", "response"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        yyjson_val *member = json_member(val, keys[i]);

        if (member) {
            add_value(r, member, 1);
            return;
        }
    }
    if (is_echo(val))
        reply_mistake(r->reply, CLUE_REQUEST, is_echo_detail);
}

/* One value of a stream. begin and end come per node and turn of the model, so they say nothing. */
/* NOLINTNEXTLINE(misc-no-recursion): an array's objects, and no deeper */
static void take_value(struct n8n_reader *r, yyjson_val *val)
{
    yyjson_val *type = json_member(val, "type"), *item;
    yyjson_arr_iter items;

    if (yyjson_is_str(val)) {
        add_text(r, json_text(val));
    } else if (yyjson_is_arr(val)) {
        yyjson_arr_iter_init(val, &items);
        while ((item = yyjson_arr_iter_next(&items)))
            if (yyjson_is_obj(item))
                take_value(r, item);
    } else if (yyjson_equals_str(type, "error") ||
               (!type && is_failure(json_member(val, "error")))) {
        reply_tell_error(r->reply, ERR_PROVIDER_ERROR, workflow_error);
    } else if (yyjson_equals_str(type, "item") || (yyjson_is_obj(val) && !type)) {
        take_item(r, val);
    }
}

/* Of a line that is one value. What else an item says counts for nothing while it has content. */
static void remember_pattern(struct n8n_reader *r, struct str line, yyjson_val *val)
{
    yyjson_val *content = json_member(val, "content");

    if (yyjson_is_str(content) && yyjson_equals_str(json_member(val, "type"), "item"))
        line_pattern_set(&r->pattern, line, val, content);
}

static void on_line(void *state, struct str line)
{
    struct n8n_reader *r = state;
    struct json_values values;
    enum json_values_next next;
    bool is_first = true;
    struct str text;
    yyjson_val *val;

    if (!reply_takes_more(r->reply))
        return;
    if (line_pattern_match(&r->pattern, line, &text)) {
        add_text(r, text);
        return;
    }
    json_values_init(&values, line);
    while ((next = json_values_next(&values, &val)) == JSON_VALUE && reply_takes_more(r->reply)) {
        take_value(r, val);
        if (is_first && values.rest.ptr == line.ptr + line.len)
            remember_pattern(r, line, val);
        is_first = false;
    }
    if (next == JSON_BAD)
        reply_fail_json(r->reply, &values, not_json);
    json_values_deinit(&values);
}

static void on_event(void *state, struct str type, struct str data)
{
    struct n8n_reader *r = state;
    struct str trimmed = str_trim(data);
    struct json_values values;
    yyjson_val *val;

    if (!reply_takes_more(r->reply))
        return;
    if (str_eq(type, STR("error"))) {
        reply_tell_error(r->reply, ERR_PROVIDER_ERROR, workflow_error);
    } else if (str_eq(trimmed, STR("[DONE]"))) {
        reply_done(r->reply);
    } else if (trimmed.len > 0 && trimmed.ptr[0] == '{') {
        on_line(r, trimmed);
    } else if (trimmed.len > 0 && (trimmed.ptr[0] == '[' || trimmed.ptr[0] == '"')) {
        json_values_init(&values, trimmed);
        if (json_values_next(&values, &val) == JSON_VALUE && str_trim(values.rest).len == 0)
            take_value(r, val);
        else
            add_text(r, data);
        json_values_deinit(&values);
    } else {
        add_text(r, data);
    }
}

/* ---- feeding ---- */

static void start_events(struct n8n_reader *r)
{
    r->shape = SHAPE_EVENTS;
    r->events = (struct event_stream){
        .on_event = on_event, .state = r, .max_bytes = r->reply->max_event_bytes};
}

static void start_lines(struct n8n_reader *r)
{
    r->shape = SHAPE_LINES;
    r->lines =
        (struct json_lines){.on_line = on_line, .state = r, .max_bytes = r->reply->max_event_bytes};
}

static void feed_shape(struct n8n_reader *r, struct str bytes)
{
    bool fits = true;

    if (r->shape == SHAPE_EVENTS)
        fits = event_stream_feed(&r->events, bytes);
    else if (r->shape == SHAPE_LINES)
        fits = json_lines_feed(&r->lines, bytes);
    else
        reply_add_bytes(r->reply, bytes);
    if (!fits)
        reply_fail(r->reply, ERR_UPSTREAM_LIMIT, "A part of the answer is too long.");
}

static void take_shape(struct n8n_reader *r)
{
    struct buf held = r->held;

    if (r->shape == SHAPE_EVENTS)
        start_events(r);
    else if (r->shape == SHAPE_LINES)
        start_lines(r);
    r->held = (struct buf){0};
    feed_shape(r, shape_without_mark(buf_str(&held)));
    buf_deinit(&held);
}

static void judge(struct n8n_reader *r)
{
    struct str held = buf_str(&r->held);

    if (shape_without_lead(held).len == 0)
        return;
    r->shape = shape_tell(&r->probe, held);
    switch (r->shape) {
    case SHAPE_UNTOLD:
    case SHAPE_JSON:
        break;
    case SHAPE_PAGE:
        reply_mistake(r->reply, CLUE_PAGE, web_page);
        break;
    case SHAPE_EVENTS:
    case SHAPE_LINES:
    case SHAPE_TEXT:
        take_shape(r);
        break;
    }
}

/* Blanks before everything may be heartbeats: only so many are kept, however they are cut. */
static void hold(struct n8n_reader *r, struct str bytes)
{
    r->held.max_bytes = r->reply->max_event_bytes;
    if (shape_without_lead(buf_str(&r->held)).len == 0) {
        struct str rest =
            r->held.len == 0 ? shape_without_lead(bytes) : shape_without_blanks(bytes);
        size_t n_blank = bytes.len - rest.len, room = BLANK_MAX_BYTES - r->held.len;

        buf_append_str(&r->held, (struct str){bytes.ptr, n_blank < room ? n_blank : room});
        bytes = rest;
    }
    buf_append_str(&r->held, bytes);
}

static void n8n_feed(void *state, struct str bytes)
{
    struct n8n_reader *r = state;

    if (!reply_takes_more(r->reply))
        return;
    if (r->shape != SHAPE_UNTOLD && r->shape != SHAPE_JSON) {
        feed_shape(r, bytes);
        return;
    }
    hold(r, bytes);
    if (r->held.failed)
        reply_fail(r->reply, ERR_UPSTREAM_LIMIT, "A part of the answer is too long.");
    else if (r->shape == SHAPE_UNTOLD)
        judge(r);
}

/* ---- the end ---- */

static void end_as_text(struct n8n_reader *r)
{
    r->shape = SHAPE_TEXT;
    take_shape(r);
    reply_end_bytes(r->reply);
}

/* One JSON value, or several objects whose newline was left out. */
static void end_json(struct n8n_reader *r, struct str lead)
{
    struct json_values values;
    enum json_values_next next;
    yyjson_val *val = NULL;
    bool is_alone;

    json_values_init(&values, lead);
    next = json_values_next(&values, &val);
    is_alone = next == JSON_VALUE && str_trim(values.rest).len == 0;
    if (lead.ptr[0] != '{' && !is_alone && !values.is_no_memory) {
        end_as_text(r);
    } else if (next != JSON_VALUE) {
        reply_fail_json(r->reply, &values, not_json);
    } else if (is_alone && !shape_has_known_type(val)) {
        add_value(r, val, 0);
    } else {
        on_line(r, lead);
    }
    json_values_deinit(&values);
}

/* Held because it might have become one of n8n's sentences or an event stream. */
static void end_untold_text(struct n8n_reader *r, struct str lead)
{
    bool is_comment = lead.ptr[0] == ':' && str_find(lead, '\n') < lead.len;

    if (!fail_for_phrase(r, lead) && shape_phrase(lead) != PHRASE_NULL && !is_comment)
        end_as_text(r);
}

static bool is_json_like(struct str lead)
{
    return lead.ptr[0] == '{' || lead.ptr[0] == '[' || lead.ptr[0] == '"';
}

static void n8n_end(void *state, bool is_whole)
{
    struct n8n_reader *r = state;
    struct str lead = shape_without_lead(buf_str(&r->held));

    if (!reply_takes_more(r->reply))
        return;
    switch (r->shape) {
    case SHAPE_UNTOLD:
    case SHAPE_JSON:
        if (lead.len == 0 || !is_whole)
            break; /* cut: what could still have become anything is no text */
        if (is_json_like(lead))
            end_json(r, lead);
        else
            end_untold_text(r, lead);
        break;
    case SHAPE_EVENTS:
        if (is_whole && !event_stream_end(&r->events))
            reply_fail(r->reply, ERR_UPSTREAM_LIMIT, "A part of the answer is too long.");
        break;
    case SHAPE_LINES:
        if (is_whole)
            json_lines_end(&r->lines);
        break;
    case SHAPE_TEXT:
        if (is_whole)
            reply_end_bytes(r->reply);
        break;
    case SHAPE_PAGE:
        break;
    }
}

static void n8n_init(void *state, struct reply *reply)
{
    struct n8n_reader *r = state;

    r->reply = reply;
}

static void n8n_deinit(void *state)
{
    struct n8n_reader *r = state;

    if (r->shape == SHAPE_EVENTS)
        event_stream_deinit(&r->events);
    else if (r->shape == SHAPE_LINES)
        json_lines_deinit(&r->lines);
    line_pattern_deinit(&r->pattern);
    buf_deinit(&r->held);
}

const struct reader_type n8n_reader_type = {
    .state_bytes = sizeof(struct n8n_reader),
    .init = n8n_init,
    .feed = n8n_feed,
    .end = n8n_end,
    .deinit = n8n_deinit,
};

/* ---- the request ---- */

/* Of a request without its texts, and of each message in it; more is not wrong. */
#define FRAME_BYTES         320
#define MESSAGE_FRAME_BYTES 96

/* messages, system_prompt and config for webhooks; the last three are what chat triggers read. */
struct error n8n_write_request(const struct upstream_prompt *prompt, struct str base_url,
                               struct buf *url, struct buf *body)
{
    struct json j = {.buf = body};
    struct str input = STR_NONE;
    size_t bytes = FRAME_BYTES + prompt->system_prompt.len + prompt->config.len;

    for (size_t i = 0; i < prompt->n_messages; i++)
        bytes += MESSAGE_FRAME_BYTES + prompt->messages[i].content.len;
    (void)buf_reserve(body, bytes); /* an append would fail again */
    buf_append_str(url, base_url);
    json_begin_object(&j);
    json_key(&j, "messages");
    json_begin_array(&j);
    for (size_t i = 0; i < prompt->n_messages; i++) {
        const struct upstream_message *m = &prompt->messages[i];

        json_begin_object(&j);
        json_pair_str(&j, "role", m->role);
        json_pair_str(&j, "content", m->content);
        json_pair_time(&j, "timestamp", m->created_us);
        json_end_object(&j);
        input = m->content;
    }
    json_end_array(&j);
    json_pair_str(&j, "system_prompt", prompt->system_prompt);
    json_pair_raw(&j, "config", prompt->config.len > 0 ? prompt->config : STR("{}"));
    json_pair_str(&j, "sessionId", prompt->session_id);
    json_pair_str(&j, "chatInput", input);
    json_pair_str(&j, "action", STR("sendMessage"));
    json_end_object(&j);
    return NO_ERROR;
}
