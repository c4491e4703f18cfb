/* Builds what goes to the agent from the rows of its chat. */
#include "chat/prompt.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/seal.h"

#include <string.h>

/* The columns of TURN_LOAD_CHAT. */
enum { AGENT_ID = TURN_AGENT_ID, AGENT_ACTIVE, AGENT_COLUMNS };
/* Those of an agent, from its first one. */
enum {
    PROVIDER,
    WEBHOOK_URL,
    WEBHOOK_TOKEN,
    MODEL,
    SYSTEM_PROMPT,
    CONFIG,
    TEAM_KEYS,
    N_AGENT_COLUMNS
};
/* And of the one that is asked instead, NULL where there is none. */
enum { FALLBACK_ID = AGENT_COLUMNS + N_AGENT_COLUMNS, FALLBACK_NAME, FALLBACK_COLUMNS };
/* The columns of TURN_LOAD_MESSAGES. */
enum { ROLE, CONTENT, CREATED_AT };

#define DEFAULT_CONTEXT_MESSAGES 20
#define DEFAULT_CONTEXT_CHARS    48000
#define DEFAULT_GRACE_SECONDS    30

static struct str or_empty(struct str s)
{
    return s.ptr ? s : STR("");
}

static struct error wrong_secret(void)
{
    return ERROR(ERR_INTERNAL, 0,
                 "The agent's token was sealed under another secret; save it again");
}

/* The team's keys for the provider: an object of row's id and seal. */
static struct error open_team_keys(struct arena *a, struct str sealed, struct upstream_prompt *out)
{
    yyjson_val *root = NULL, *id, *seal;
    struct str *keys;
    size_t i, n;
    struct error err;

    if (sealed.len == 0)
        return NO_ERROR;
    err = json_read(a, sealed, 2, &root);
    if (is_error(err))
        return err;
    keys = arena_alloc(a, (yyjson_obj_size(root) + 1) * sizeof(*keys));
    if (!keys)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    out->tokens = keys;
    yyjson_obj_foreach(root, i, n, id, seal)
    {
        keys[out->n_tokens] = seal_open(a, SEAL_PROVIDER_KEY, json_text(id), json_text(seal));
        if (keys[out->n_tokens].ptr)
            out->n_tokens++;
        else
            log_warn("prompt: provider key %.*s was sealed under another secret; save it again",
                     STR_ARG(json_text(id)));
    }
    return n > 0 && out->n_tokens == 0 ? wrong_secret() : NO_ERROR;
}

/* The agent's own token, else its team's keys. None: the configuration's, as upstream.h says. */
static struct error open_tokens(struct arena *a, struct str agent_id, struct str own,
                                struct str of_team, struct upstream_prompt *out)
{
    struct str *token;

    if (own.len == 0)
        return open_team_keys(a, of_team, out);
    token = arena_alloc(a, sizeof(*token));
    if (!token)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    *token = seal_open(a, SEAL_AGENT_TOKEN, agent_id, own);
    out->tokens = token;
    out->n_tokens = 1;
    return token->ptr ? NO_ERROR : wrong_secret();
}

static int64_t config_int(yyjson_val *config_json, const char *name, int64_t fallback)
{
    yyjson_val *val = json_member(config_json, name);

    return yyjson_is_int(val) ? yyjson_get_sint(val) : fallback;
}

static void read_policy(yyjson_val *config_json, struct prompt_policy *policy)
{
    struct str name = json_text(json_member(config_json, "on_disconnect"));
    int64_t grace = config_int(config_json, "grace_seconds", DEFAULT_GRACE_SECONDS);

    policy->on_disconnect = str_eq(name, STR("abort"))   ? ON_DISCONNECT_ABORT
                            : str_eq(name, STR("grace")) ? ON_DISCONNECT_GRACE
                                                         : ON_DISCONNECT_CONTINUE;
    policy->grace_ms = (uint64_t)(grace > 0 ? grace : 0) * 1000;
}

/* An agent without a list of models takes any. */
static bool offers_model(yyjson_val *config_json, struct str model)
{
    yyjson_val *models = json_member(config_json, "models");

    return !yyjson_is_arr(models) || json_list_has(models, model);
}

/* Replies that are empty say nothing to the agent. */
static bool is_worth_sending(struct str role, struct str content)
{
    return content.len > 0 && (str_eq(role, STR("user")) || str_eq(role, STR("assistant")));
}

/* Newest first into the end of the array, so that the result is oldest first. */
static size_t choose_messages(const struct db_result *rows, size_t from_row, int64_t max_messages,
                              int64_t max_chars, struct upstream_message *slots, size_t n_slots)
{
    size_t n = 0;
    int64_t chars = 0;

    for (size_t row = from_row; row < rows->n_rows && n < n_slots; row++) {
        struct str role = db_get_text(rows, row, ROLE), content = db_get_text(rows, row, CONTENT);

        if (!is_worth_sending(role, content))
            continue;
        chars += (int64_t)utf8_length(content);
        if ((int64_t)n >= max_messages || chars > max_chars)
            break;
        n++;
        slots[n_slots - n] = (struct upstream_message){
            .role = role, .content = content, .created_us = db_get_int(rows, row, CREATED_AT)};
    }
    return n;
}

static size_t row_of_last_user_message(const struct db_result *rows)
{
    for (size_t row = 0; row < rows->n_rows; row++)
        if (str_eq(db_get_text(rows, row, ROLE), STR("user")))
            return row;
    return rows->n_rows;
}

static struct error add_messages(struct arena *a, yyjson_val *config_json,
                                 const struct db_result *rows, struct str content,
                                 struct upstream_prompt *out)
{
    int64_t max_messages = config_int(config_json, "context_messages", DEFAULT_CONTEXT_MESSAGES);
    int64_t max_chars = config_int(config_json, "context_chars", DEFAULT_CONTEXT_CHARS);
    size_t n_slots = rows->n_rows + 1, n, from_row = 0;
    struct upstream_message *slots = arena_alloc(a, n_slots * sizeof(*slots));
    struct upstream_message last = {
        .role = STR("user"), .content = content, .created_us = clock_wall_us()};

    if (!slots)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    if (content.len == 0) {
        from_row = row_of_last_user_message(rows);
        if (from_row == rows->n_rows)
            return ERROR(ERR_CONFLICT, 0, "There is no message to answer again");
        last.content = db_get_text(rows, from_row, CONTENT);
        last.created_us = db_get_int(rows, from_row, CREATED_AT);
        from_row++;
    }
    slots[n_slots - 1] = last; /* goes along whatever its length */
    n = choose_messages(rows, from_row, max_messages - 1,
                        max_chars - (int64_t)utf8_length(last.content), slots, n_slots - 1);
    out->messages = slots + n_slots - 1 - n;
    out->n_messages = n + 1;
    return NO_ERROR;
}

struct error prompt_of_agent(struct arena *a, struct str agent_id, const struct db_result *row,
                             size_t first_column, struct upstream_prompt *out)
{
    *out = (struct upstream_prompt){
        .provider = provider_find(db_get_text(row, 0, first_column + PROVIDER)),
        .url = or_empty(db_get_text(row, 0, first_column + WEBHOOK_URL)),
        .model = or_empty(db_get_text(row, 0, first_column + MODEL)),
        .system_prompt = or_empty(db_get_text(row, 0, first_column + SYSTEM_PROMPT)),
        .config = db_get_text(row, 0, first_column + CONFIG),
    };
    if (!out->provider)
        return ERROR(ERR_CONFLICT, 0, "The agent's provider is not one that this server knows");
    return open_tokens(a, agent_id, db_get_text(row, 0, first_column + WEBHOOK_TOKEN),
                       db_get_text(row, 0, first_column + TEAM_KEYS), out);
}

struct error prompt_build(struct arena *a, const struct id *chat_id, const struct db_result *chat,
                          const struct db_result *messages, struct str content, struct str model,
                          struct upstream_prompt *out, struct prompt_policy *policy)
{
    yyjson_val *config_json = NULL;
    struct error err;

    if (chat->n_rows == 0)
        return ERROR(ERR_NOT_FOUND, 0, "Chat not found");
    if (db_is_null(chat, 0, AGENT_ID))
        return ERROR(ERR_CONFLICT, 0, "The agent of this chat was deleted");
    if (!db_get_bool(chat, 0, AGENT_ACTIVE))
        return ERROR(ERR_CONFLICT, 0, "The agent of this chat is switched off");
    err = prompt_of_agent(a, db_get_text(chat, 0, AGENT_ID), chat, AGENT_COLUMNS, out);
    out->session_id = id_str(chat_id);
    if (!is_error(err))
        err = json_read(a, out->config, 64, &config_json);
    if (is_error(err))
        return err;
    if (model.len > 0 && !offers_model(config_json, model))
        return ERROR(ERR_INVALID, 0, "The agent of this chat does not offer this model");
    if (model.len > 0)
        out->model = model;
    read_policy(config_json, policy);
    return add_messages(a, config_json, messages, content, out);
}

bool prompt_may_fall_back(struct error err)
{
    switch ((int)err.status) {
    case ERR_PROVIDER_UNREACHABLE:
    case ERR_PROVIDER_TIMEOUT:
    case ERR_PROVIDER_AUTH:
    case ERR_PROVIDER_RATE_LIMITED:
    case ERR_PROVIDER_ERROR:
    case ERR_INTERRUPTED:
        return true;
    default:
        return false;
    }
}

bool prompt_fall_back(struct arena *a, const struct db_result *chat, struct upstream_prompt *prompt,
                      struct id *agent_id, struct str *name)
{
    struct str id = db_get_text(chat, 0, FALLBACK_ID);
    struct upstream_prompt instead;
    struct id fallback_id;
    struct error err;

    if (!id_parse(id, &fallback_id))
        return false;
    err = prompt_of_agent(a, id, chat, FALLBACK_COLUMNS, &instead);
    if (is_error(err)) {
        log_warn("prompt: the fallback agent %s cannot be asked: %s", fallback_id.text,
                 err.detail ? err.detail : status_row(err.status)->name);
        return false;
    }
    instead.session_id = prompt->session_id;
    instead.messages = prompt->messages;
    instead.n_messages = prompt->n_messages;
    *prompt = instead;
    *agent_id = fallback_id;
    *name = db_get_text(chat, 0, FALLBACK_NAME);
    return true;
}
