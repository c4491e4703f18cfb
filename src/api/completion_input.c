/* Reads the body of POST /v1/chat/completions. What it does not name is the agent's to choose, and
 * is left unread: temperature, tools, stop and so on. */
#include "completion_input.h"

#include "base/clock.h"
#include "config/config.h"
#include "doc.h"
#include "message_content.h"
#include "v1.h"

static bool fail(struct request *req, struct error err)
{
    flow_fail(&req->flow, err);
    return false;
}

static bool refuse(struct request *req, const char *param, const char *sentence)
{
    v1_refuse(req, param, sentence);
    return false;
}

static bool refuse_message(struct request *req, size_t i, const char *sentence)
{
    struct str param = arena_printf(&req->arena, "messages[%zu]", i);

    return refuse(req, param.ptr ? param.ptr : "messages", sentence);
}

static bool refuse_length(struct request *req, size_t i)
{
    struct str sentence = arena_printf(&req->arena, "A message has at most %llu characters",
                                       (unsigned long long)config()->limits.message_chars);

    return refuse_message(req, i, sentence.ptr ? sentence.ptr : "The message is too long");
}

/* A flag that may be null. */
static bool read_bool(struct request *req, yyjson_val *val, const char *name, bool *out)
{
    *out = yyjson_is_true(val);
    return !val || yyjson_is_null(val) || yyjson_is_bool(val) ||
           refuse(req, name, "This must be true or false");
}

static bool read_options(struct request *req, yyjson_val *root, struct completion_input *out)
{
    yyjson_val *model = json_member(root, "model"), *n = json_member(root, "n");
    yyjson_val *options = json_member(root, "stream_options");

    if (!yyjson_is_str(model))
        return refuse(req, "model", "The model is missing: it is the id of the key's agent");
    if (n && !yyjson_is_null(n) && !(yyjson_is_int(n) && yyjson_get_sint(n) == 1))
        return refuse(req, "n", "An agent gives one answer: n must be 1");
    return v1_check_model(req, json_text(model)) &&
           read_bool(req, json_member(root, "stream"), "stream", &out->is_stream) &&
           read_bool(req, json_member(options, "include_usage"), "stream_options.include_usage",
                     &out->wants_usage);
}

static bool is_system(struct str role)
{
    return str_eq(role, STR("system")) || str_eq(role, STR("developer"));
}

/* What an assistant said may be as long as a reply, and may have been the call of a tool: without
 * text it says nothing to the agent. */
static bool read_message(struct request *req, struct arena *a, yyjson_val *val, size_t i,
                         struct completion_input *out, struct buf *system)
{
    struct str role = json_text(json_member(val, "role")), content;
    yyjson_val *said = json_member(val, "content");
    bool is_assistant = str_eq(role, STR("assistant"));
    struct error err;

    if (str_eq(role, STR("tool")) || str_eq(role, STR("function")))
        return refuse_message(req, i, "Agents call their tools themselves: no tool messages");
    if (!is_assistant && !is_system(role) && !str_eq(role, STR("user")))
        return refuse_message(req, i, "The role must be system, developer, user or assistant");
    if (is_assistant && (!said || yyjson_is_null(said)))
        return true;
    err = message_content_read(a, said, &content);
    if (is_error(err))
        return err.status == ERR_INVALID ? refuse_message(req, i, err.detail) : fail(req, err);
    if (!is_assistant && utf8_length(content) > config()->limits.message_chars)
        return refuse_length(req, i);
    if (content.len == 0)
        return !str_eq(role, STR("user")) || refuse_message(req, i, "The message is empty");
    if (!is_system(role)) {
        out->messages[out->n_messages++] = (struct upstream_message){
            .role = role, .content = content, .created_us = clock_wall_us()};
        return true;
    }
    if (system->len > 0)
        buf_append_str(system, STR("\n\n"));
    buf_append_str(system, content);
    return true;
}

static bool read_messages(struct request *req, struct arena *a, yyjson_val *list,
                          struct completion_input *out, struct buf *system)
{
    yyjson_val *val;
    size_t i, n;

    if (yyjson_arr_size(list) == 0)
        return refuse(req, "messages", "The messages are missing: a list with at least one");
    out->messages = arena_alloc(a, yyjson_arr_size(list) * sizeof(*out->messages));
    if (!out->messages)
        return fail(req, ERROR(ERR_NO_MEMORY, 0, NULL));
    yyjson_arr_foreach(list, i, n, val)
    {
        if (!read_message(req, a, val, i, out, system))
            return false;
    }
    if (out->n_messages == 0 || !str_eq(out->messages[out->n_messages - 1].role, STR("user")))
        return refuse(req, "messages", "The last message must be the user's");
    out->system = arena_copy(a, system->len > 0 ? buf_str(system) : STR(""));
    if (system->failed || !out->system.ptr)
        return fail(req, ERROR(ERR_NO_MEMORY, 0, NULL));
    return true;
}

static const struct schema message_schema = {
    "CompletionMessage",
    .members = MEMBERS({"role", DOC_TEXT, .values = "system|developer|user|assistant"},
                       {"content", DOC_ANY, .about = "Text, or a list of parts of type text"}),
};

static const struct schema stream_options_schema = {
    "CompletionStreamOptions",
    .members = MEMBERS({"include_usage", DOC_BOOL | DOC_NULL | DOC_OPTIONAL}),
};

const struct schema completion_request_schema = {
    "CompletionRequest",
    .members =
        MEMBERS({"model", DOC_TEXT, .about = "The agent's id, or its name"},
                {"messages", DOC_OBJECT | DOC_LIST, &message_schema},
                {"stream", DOC_BOOL | DOC_NULL | DOC_OPTIONAL},
                {"stream_options", DOC_OBJECT | DOC_NULL | DOC_OPTIONAL, &stream_options_schema},
                {"n", DOC_INT | DOC_NULL | DOC_OPTIONAL, .about = "1"}),
};

bool completion_read(struct request *req, struct arena *a, struct completion_input *out)
{
    struct buf system = {.max_bytes = 2 * config()->limits.body_bytes};
    yyjson_val *root = NULL;
    struct error err = json_read(a, req->body, (unsigned)config()->limits.json_depth, &root);
    bool is_read;

    if (is_error(err))
        return fail(req, err);
    if (!yyjson_is_obj(root))
        return refuse(req, NULL, "The body must be a JSON object");
    is_read = read_options(req, root, out) &&
              read_messages(req, a, json_member(root, "messages"), out, &system);
    buf_deinit(&system);
    return is_read;
}
