/* openapi.json, made from the route table and the docs beside the handlers. */
#include "api/openapi.h"

#include "api/api.h"
#include "config/config.h"
#include "openapi_route.h"

#include <string.h>

static const struct {
    const char *name, *about;
} tags[N_TAGS] = {
    [TAG_RUNNING] = {"Running it", "Is the server there, and what does it speak?"},
    [TAG_ACCOUNTS] = {"Accounts", "Registering, logging in and out, and one's own account."},
    [TAG_TEAM] = {"Team and users", "For admins, and about their own team."},
    [TAG_AGENTS] = {"Agents", "An agent is who answers."},
    [TAG_KEYS] = {"API keys", "Keys for programs that talk to one agent."},
    [TAG_WEBHOOKS] = {"Webhooks", "What happens in a team, told to a URL of its own."},
    [TAG_CHATS] = {"Chats", "A chat is its owner's alone."},
    [TAG_MESSAGES] = {"Messages", "Sending a message, and streaming the reply to it."},
    [TAG_CHAT] = {"Chat", "Sending without making a chat first."},
    [TAG_WIDGETS] = {"Widgets", "Chats of visitors, who have no account."},
    [TAG_SITES] = {"Sites", "WordPress sites that register themselves."},
    [TAG_DOCUMENTS] = {"Documents", "What a team's agents know."},
    [TAG_CHATBOTS] = {"Chatbots", "Agents and their keys in fewer words."},
    [TAG_OPENAI] = {"OpenAI", "For programs that speak OpenAI's protocol."},
};

static const char *key_of(enum http_method method)
{
    static const char *const keys[N_HTTP_METHODS] = {
        [HTTP_GET] = "get",         [HTTP_HEAD] = "head",   [HTTP_POST] = "post",
        [HTTP_PUT] = "put",         [HTTP_PATCH] = "patch", [HTTP_DELETE] = "delete",
        [HTTP_OPTIONS] = "options",
    };

    return keys[method];
}

/* Rows of one path stand together. */
static void pair_paths(struct json *j, struct schema_set *set)
{
    const struct http_hooks *hooks = api_hooks();
    const char *path = NULL;

    json_key(j, "paths");
    json_begin_object(j);
    for (size_t i = 0; i < hooks->n_routes; i++) {
        const struct route *r = &hooks->routes[i];

        if (!r->doc) /* of peers; a test finds others */
            continue;
        if (!path || strcmp(path, r->path) != 0) {
            if (path)
                json_end_object(j);
            path = r->path;
            json_key(j, path);
            json_begin_object(j);
        }
        json_key(j, key_of(r->method));
        openapi_operation(j, set, r, tags[r->doc->tag].name);
    }
    if (path)
        json_end_object(j);
    json_end_object(j);
}

/* ---- the rest of the document ---- */

static void pair_info(struct json *j, struct str server)
{
    json_key(j, "info");
    json_begin_object(j);
    json_pair_str(j, "title", config()->api_title);
    json_pair_str(j, "version", STR(AERIE_VERSION));
    json_pair_str(
        j, "description",
        STR("Takes a chat message, asks an agent, and streams the reply while storing it. "
            "Every answer has an `X-Request-Id`. Fields that are not named here are "
            "ignored in what is sent."));
    json_key(j, "license");
    json_begin_object(j);
    json_pair_str(j, "name", STR("MIT"));
    json_pair_str(j, "identifier", STR("MIT"));
    json_end_object(j);
    json_end_object(j);
    json_key(j, "servers");
    json_begin_array(j);
    json_begin_object(j);
    json_pair_str(j, "url", server);
    json_end_object(j);
    json_end_array(j);
}

static bool is_used(enum doc_tag tag)
{
    const struct http_hooks *hooks = api_hooks();

    for (size_t i = 0; i < hooks->n_routes; i++)
        if (hooks->routes[i].doc && hooks->routes[i].doc->tag == tag)
            return true;
    return false;
}

static void pair_tags(struct json *j)
{
    json_key(j, "tags");
    json_begin_array(j);
    for (int tag = 0; tag < N_TAGS; tag++) {
        if (!is_used((enum doc_tag)tag))
            continue;
        json_begin_object(j);
        json_pair_str(j, "name", str_from(tags[tag].name));
        json_pair_str(j, "description", str_from(tags[tag].about));
        json_end_object(j);
    }
    json_end_array(j);
}

static void pair_schemes(struct json *j)
{
    static const struct {
        const char *name, *text;
    } schemes[] = {
        {"access_token", "{\"type\":\"http\",\"scheme\":\"bearer\",\"bearerFormat\":\"JWT\","
                         "\"description\":\"The access token that a login gives\"}"},
        {"access_token_cookie",
         "{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"access_token\","
         "\"description\":\"Set by a login. From other pages it counts for reading only\"}"},
        {"access_token_query",
         "{\"type\":\"apiKey\",\"in\":\"query\",\"name\":\"token\","
         "\"description\":\"For WebSockets only, to which pages cannot give headers\"}"},
        {"api_key", "{\"type\":\"http\",\"scheme\":\"bearer\",\"bearerFormat\":\"eck_…\","
                    "\"description\":\"An agent's API key\"}"},
        {"api_key_header", "{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-API-Key\","
                           "\"description\":\"The same key in a header of its own\"}"},
        {"visitor_token", "{\"type\":\"http\",\"scheme\":\"bearer\","
                          "\"description\":\"What a widget's session gives its visitor\"}"},
    };

    json_key(j, "securitySchemes");
    json_begin_object(j);
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        json_pair_raw(j, schemes[i].name, str_from(schemes[i].text));
    json_end_object(j);
}

static void pair_components(struct json *j, struct schema_set *set)
{
    json_key(j, "components");
    json_begin_object(j);
    pair_schemes(j);
    json_key(j, "responses");
    openapi_shared_answers(j, set);
    json_key(j, "schemas");
    json_begin_object(j);
    for (size_t i = 0; i < set->n; i++) { /* it grows meanwhile */
        json_key(j, set->items[i]->name);
        openapi_schema(j, set, set->items[i]);
    }
    json_end_object(j);
    json_end_object(j);
}

void openapi_write(struct buf *out, struct str server)
{
    struct schema_set set = {0};
    struct json j = {.buf = out};

    json_begin_object(&j);
    json_pair_str(&j, "openapi", STR("3.1.0"));
    pair_info(&j, server);
    pair_tags(&j);
    pair_paths(&j, &set);
    pair_components(&j, &set);
    json_end_object(&j);
    if (set.is_full)
        out->failed = true;
}
