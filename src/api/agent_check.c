/* Checks what an admin says about an agent, so that a turn finds only what it can use. */
#include "agent_check.h"

#include "api/input.h"
#include "api/origin.h"
#include "base/json.h"
#include "document/search.h"
#include "upstream/upstream.h"
#include "widget_config.h"

#define MAX_DELAY_MS      60000
#define MAX_GRACE_SECONDS 86400
#define MAX_MESSAGES      200
#define MAX_CHARS         1000000

/* The members of config that Aerie itself reads; others go to the agent as they are. */
struct known_member {
    const char *name, *field;
    int64_t min, max;
};
static const struct known_member numbers[] = {
    {"context_chars", "config.context_chars", 0, MAX_CHARS},
    {"context_messages", "config.context_messages", 0, MAX_MESSAGES},
    {"delay_ms", "config.delay_ms", 0, MAX_DELAY_MS},
    {"grace_seconds", "config.grace_seconds", 1, MAX_GRACE_SECONDS},
};

static const struct known_member knowledge_numbers[] = {
    {"match_count", "config.knowledge.match_count", 1, DOCUMENT_HITS_MAX},
    {"max_chars", "config.knowledge.max_chars", 1, MAX_CHARS},
};

static void check_number(struct request *req, const struct known_member *m, yyjson_val *value)
{
    struct str message;

    if (!value || yyjson_is_null(value) ||
        (yyjson_is_int(value) && yyjson_get_sint(value) >= m->min &&
         yyjson_get_sint(value) <= m->max))
        return;
    message = arena_printf(&req->arena, "must be a whole number between %lld and %lld",
                           (long long)m->min, (long long)m->max);
    input_wrong(req, m->field, message.ptr ? message.ptr : "is wrong");
}

static bool is_list_of_texts(yyjson_val *value)
{
    yyjson_val *item;
    size_t i, n;

    if (!yyjson_is_arr(value))
        return false;
    yyjson_arr_foreach(value, i, n, item)
    {
        if (!yyjson_is_str(item))
            return false;
    }
    return true;
}

/* true, false, or how to search. */
static void check_knowledge(struct request *req, yyjson_val *knowledge)
{
    yyjson_val *threshold = json_member(knowledge, "match_threshold");

    if (!knowledge || yyjson_is_null(knowledge) || yyjson_is_bool(knowledge))
        return;
    if (!yyjson_is_obj(knowledge)) {
        input_wrong(req, "config.knowledge", "must be true, false or an object");
        return;
    }
    for (size_t i = 0; i < sizeof(knowledge_numbers) / sizeof(knowledge_numbers[0]); i++)
        check_number(req, &knowledge_numbers[i], json_member(knowledge, knowledge_numbers[i].name));
    if (threshold && !yyjson_is_null(threshold) &&
        !(yyjson_is_num(threshold) && yyjson_get_num(threshold) >= 0 &&
          yyjson_get_num(threshold) <= 1))
        input_wrong(req, "config.knowledge.match_threshold", "must be a number between 0 and 1");
}

void agent_check_config(struct request *req, struct str config, struct id *fallback)
{
    yyjson_val *root = NULL, *value;
    struct error err = json_read(&req->arena, config, 64, &root);
    struct str choice;

    if (is_error(err)) {
        input_wrong(req, "config", "must be an object");
        return;
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        check_number(req, &numbers[i], json_member(root, numbers[i].name));
    check_knowledge(req, json_member(root, "knowledge"));
    value = json_member(root, "fallback_agent_id");
    if (value && !yyjson_is_null(value) && !id_parse(json_text(value), fallback))
        input_wrong(req, "config.fallback_agent_id",
                    "must be the id of another agent of this team");
    value = json_member(root, "models");
    if (value && !yyjson_is_null(value) && !is_list_of_texts(value))
        input_wrong(req, "config.models", "must be an array of names");
    value = json_member(root, "on_disconnect");
    choice = json_text(value);
    if (value && !yyjson_is_null(value) && !str_eq(choice, STR("continue")) &&
        !str_eq(choice, STR("grace")) && !str_eq(choice, STR("abort")))
        input_wrong(req, "config.on_disconnect", "must be continue, grace or abort");
    value = json_member(root, "require_signature");
    if (value && !yyjson_is_null(value) && !yyjson_is_bool(value))
        input_wrong(req, "config.require_signature", "must be true or false");
    widget_config_check(req, json_member(root, "widget"));
}

void agent_check_origins(struct request *req, struct str origins)
{
    yyjson_val *root = NULL, *item;
    size_t i, n;
    struct error err = json_read(&req->arena, origins, 64, &root);

    if (is_error(err)) {
        input_wrong(req, "allowed_origins", "must be an array of strings");
        return;
    }
    yyjson_arr_foreach(root, i, n, item)
    {
        struct origin o;

        if (str_eq(json_text(item), STR("*")) || origin_parse(json_text(item), &o))
            continue;
        input_wrong(req, "allowed_origins", "must hold origins such as https://shop.example, or *");
        return;
    }
}

void agent_check_provider(struct request *req, struct str provider)
{
    if (!provider_find(provider))
        input_wrong(req, "provider", "is not a provider that this server knows");
}

void agent_check_token(struct request *req, struct str token)
{
    /* It becomes a header's value. */
    if (str_has_control(token))
        input_wrong(req, "webhook_token", "must not hold control characters");
}

void agent_check_url(struct request *req, const char *field, struct str url)
{
    struct error err = egress_check_url(url);

    if (is_error(err))
        input_wrong(req, field, err.detail ? err.detail : "must be an http or https URL");
}

void agent_check_has_url(struct request *req, const char *field, struct str provider,
                         struct str url)
{
    const struct provider *p = provider_find(provider);

    if (p && provider_needs_url(p) && url.len == 0)
        input_wrong(req, field, "is required by this provider");
}
