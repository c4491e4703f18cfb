/* Writes the request to a model provider as far as all of them are alike. */
#include "model_request.h"

#include <string.h>

#define OPTION_MAX_BYTES (64 * 1024)

struct error model_request_open(struct model_request *rq, const struct upstream_prompt *prompt)
{
    *rq = (struct model_request){.prompt = prompt};
    /* A config that is no JSON says nothing. */
    if (prompt->config.len > 0 && is_error(json_read(&rq->arena, prompt->config, 64, &rq->config)))
        rq->config = NULL;
    rq->model = prompt->model.len > 0 ? prompt->model : json_text(json_member(rq->config, "model"));
    if (rq->model.len == 0)
        return ERROR(ERR_PROVIDER_ERROR, 0, "The agent has no model: an admin needs to set one.");
    return NO_ERROR;
}

void model_request_close(struct model_request *rq)
{
    arena_free(&rq->arena);
}

void model_request_url(struct buf *url, struct str base_url, struct str path)
{
    base_url = str_trim(base_url);
    while (str_ends_with(base_url, STR("/")))
        base_url.len--;
    buf_append_str(url, base_url);
    if (!str_ends_with(base_url, path))
        buf_append_str(url, path);
}

bool model_request_has(const struct model_request *rq, const char *key)
{
    yyjson_val *val = json_member(rq->config, key);

    return val && !yyjson_is_null(val);
}

static void write_option(struct json *j, const struct model_option *option, yyjson_val *val)
{
    struct buf text = {.max_bytes = OPTION_MAX_BYTES};
    bool is_wrapped = option->is_list && !yyjson_is_arr(val);

    if (is_wrapped)
        buf_append_char(&text, '[');
    json_write_value(&text, val);
    if (is_wrapped)
        buf_append_char(&text, ']');
    json_pair_raw(j, option->name, buf_str(&text));
    if (text.failed)
        j->buf->failed = true;
    buf_deinit(&text);
}

void model_request_write_options(const struct model_request *rq, struct json *j,
                                 const struct model_option *options, size_t n)
{
    const char *last = "";

    for (size_t i = 0; i < n; i++) {
        if (!model_request_has(rq, options[i].key) || strcmp(options[i].name, last) == 0)
            continue;
        write_option(j, &options[i], json_member(rq->config, options[i].key));
        last = options[i].name;
    }
}

static void begin_turn(struct json *j, const struct model_turns *words, bool is_assistant)
{
    json_begin_object(j);
    json_pair_str(j, "role", is_assistant ? words->assistant : STR("user"));
    json_key(j, words->parts);
    json_begin_array(j);
}

static void end_turn(struct json *j)
{
    json_end_array(j);
    json_end_object(j);
}

void model_request_write_turns(const struct model_request *rq, struct json *j,
                               const struct model_turns *words)
{
    bool is_open = false, was_assistant = false;

    for (size_t i = 0; i < rq->prompt->n_messages; i++) {
        const struct upstream_message *m = &rq->prompt->messages[i];
        bool is_assistant = str_eq(m->role, STR("assistant"));

        if (str_trim(m->content).len == 0 || (is_assistant && !is_open))
            continue;
        if (is_open && is_assistant != was_assistant)
            end_turn(j);
        if (!is_open || is_assistant != was_assistant)
            begin_turn(j, words, is_assistant);
        json_begin_object(j);
        if (words->has_types)
            json_pair_str(j, "type", STR("text"));
        json_pair_str(j, "text", m->content);
        json_end_object(j);
        is_open = true;
        was_assistant = is_assistant;
    }
    if (is_open)
        end_turn(j);
}
