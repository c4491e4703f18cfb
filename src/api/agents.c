/* Agents: who answers. Users see the active ones, admins make and change them, under /api/agents
 * or, with other words for the same rows, under /chatbots. */
#include "agents.h"

#include "agent_audit.h"
#include "agent_check.h"
#include "agent_json.h"
#include "answer.h"
#include "base/clock.h"
#include "config/seal.h"
#include "doc.h"
#include "key_auth.h"
#include "team_door.h"

#include <stddef.h>

#define NO_USER             "User not found"
#define CONFIG_BYTES        16384
#define MAX_ORIGINS         100
#define NAME_CHARS          200
#define DESCRIPTION_CHARS   4000
#define MODEL_CHARS         200
#define SYSTEM_PROMPT_CHARS 100000
#define TOKEN_CHARS         4096
#define URL_CHARS           2048
#define AVATAR_CHARS        3000000
#define COUNT(array)        (sizeof(array) / sizeof((array)[0]))

/* Which nullable columns SQL_AGENT_UPDATE writes. */
enum agent_change {
    CHANGE_DESCRIPTION = 1,
    CHANGE_WEBHOOK_URL = 2,
    CHANGE_WEBHOOK_TOKEN = 4,
    CHANGE_MODEL = 8,
    CHANGE_SYSTEM_PROMPT = 16,
    CLEAR_AVATAR = 32,
};

/* All that differs between the two names of an agent; AS_AGENT unless the first step says
 * otherwise. */
struct view {
    const char *not_found, *provider /* when none is given */, *url_field;
    bool lists_inactive; /* unasked: its rows do not say whether they are active */
    void (*write)(struct json *j, const struct db_result *agents, size_t row, bool for_admin);
};

static const struct view views[] = {
    [AS_AGENT] = {"Agent not found", "n8n", "webhook_url", false, agent_write},
    [AS_CHATBOT] = {"Chatbot not found", "openai_compatible", "llm_endpoint_url", true,
                    chatbot_write},
};

/* Creating also requires the name. */
static const struct input_field agent_fields[] = {
    {"name", INPUT_LINE, false, false, 1, NAME_CHARS, offsetof(struct agents, name), NULL},
    {"description", INPUT_TEXT, false, true, 0, DESCRIPTION_CHARS,
     offsetof(struct agents, description), NULL},
    {"provider", INPUT_LINE, false, false, 1, 40, offsetof(struct agents, provider), NULL},
    {"webhook_url", INPUT_LINE, false, true, 0, URL_CHARS, offsetof(struct agents, webhook_url),
     NULL},
    {"base_url", INPUT_LINE, false, true, 0, URL_CHARS, offsetof(struct agents, base_url), NULL},
    {"llm_endpoint_url", INPUT_LINE, false, true, 0, URL_CHARS,
     offsetof(struct agents, llm_endpoint_url), NULL},
    {"webhook_token", INPUT_SECRET, false, true, 0, TOKEN_CHARS,
     offsetof(struct agents, webhook_token), NULL},
    {"model", INPUT_LINE, false, true, 0, MODEL_CHARS, offsetof(struct agents, model), NULL},
    {"system_prompt", INPUT_TEXT, false, true, 0, SYSTEM_PROMPT_CHARS,
     offsetof(struct agents, system_prompt), NULL},
    {"avatar", INPUT_TEXT, false, true, 0, AVATAR_CHARS, offsetof(struct agents, avatar), NULL},
    {"config", INPUT_OBJECT, false, false, 0, CONFIG_BYTES, offsetof(struct agents, config), NULL},
    {"allowed_origins", INPUT_LINES, false, false, 0, MAX_ORIGINS,
     offsetof(struct agents, allowed_origins), NULL},
    {"is_active", INPUT_BOOL, false, false, 0, 0, offsetof(struct agents, is_active), NULL},
};

static const struct view *view_of(const struct request *req)
{
    const struct agents *s = req->state;

    return &views[s->view];
}

/* The first step of every table of /chatbots. */
static void as_chatbots(struct flow *f)
{
    struct agents *s = request_of(f)->state;

    s->view = AS_CHATBOT;
}

static bool read_id(struct request *req)
{
    struct agents *s = req->state;

    return input_path_id(req, 0, view_of(req)->not_found, &s->id);
}

static void answer_row(struct request *req, int status)
{
    struct agents *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    view_of(req)->write(&j, s->query.result, 0, caller_of(req)->is_admin);
    answer_json(req, status, &body);
}

/* ---- list ---- */

static void read_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;

    if (!input_page(req, &s->limit, &s->offset))
        return;
    if (view_of(req)->lists_inactive)
        s->with_inactive = true;
    else
        (void)!input_query_bool(req, "include_inactive", false, &s->with_inactive);
}

static void load_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;
    struct db_arg inactive = db_bool(s->with_inactive);

    db_query(&s->query, f, &req->arena, SQL_AGENT_LIST,
             DB_ARGS(team_arg(req), inactive, db_int(s->limit), db_int(s->offset)));
    db_query(&s->count, f, &req->arena, SQL_AGENT_COUNT, DB_ARGS(team_arg(req), inactive));
}

static void answer_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    answer_set_total(req, db_get_int(s->count.result, 0, 0));
    json_begin_array(&j);
    for (size_t row = 0; row < s->query.result->n_rows; row++)
        view_of(req)->write(&j, s->query.result, row, caller_of(req)->is_admin);
    json_end_array(&j);
    answer_json(req, 200, &body);
}

const struct step agents_list_steps[] = {
    STEP(team_door_admin_read), /* 401, 403 */
    STEP(read_page),            /* 422 */
    STEP(load_page),
    STEP(answer_page),
    STEP_END,
};

const struct route_doc agents_list_doc = {
    TAG_AGENTS,
    ANSWERS({200, &agent_schema, .is_list = true}),
    .query = MEMBERS(
        {"include_inactive", DOC_BOOL | DOC_OPTIONAL, .about = "Those that are switched off, too"}),
    .is_paged = true,
};

const struct step chatbots_list_steps[] = {
    STEP(as_chatbots), STEP(read_page), /* 422 */
    STEP(load_page),   STEP(answer_page), STEP_END,
};

const struct route_doc chatbots_list_doc = {
    TAG_CHATBOTS,
    ANSWERS({200, &chatbot_schema, .is_list = true}),
    .is_paged = true,
};

static void load_page_of_creator(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;

    if (!input_path_id(req, 0, NO_USER, &s->creator_id))
        return;

    const struct db_arg args[] = {team_arg(req), db_uuid(id_str(&s->creator_id)), db_int(s->limit),
                                  db_int(s->offset)};

    db_query(&s->query, f, &req->arena, SQL_AGENT_LIST_OF_CREATOR, args, COUNT(args));
    db_query(&s->count, f, &req->arena, SQL_AGENT_COUNT_OF_CREATOR, args, 2);
}

static void require_creator(struct flow *f)
{
    struct agents *s = request_of(f)->state;

    if (s->count.result->n_rows == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NO_USER));
}

const struct step users_chatbots_steps[] = {
    STEP(as_chatbots),          STEP(read_page),       /* 422 */
    STEP(load_page_of_creator), STEP(require_creator), /* 404 */
    STEP(answer_page),          STEP_END,
};

const struct route_doc users_chatbots_doc = {
    TAG_CHATBOTS,
    ANSWERS({200, &chatbot_schema, .is_list = true}),
    .is_paged = true,
};

/* ---- one ---- */

static void load_agent(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;

    if (read_id(req))
        db_query(&s->query, f, &req->arena, SQL_AGENT_GET,
                 DB_ARGS(team_arg(req), db_uuid(id_str(&s->id))));
}

static void require_agent(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;

    if (s->query.result->n_rows == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, view_of(req)->not_found));
}

static void answer_agent(struct flow *f)
{
    answer_row(request_of(f), 200);
}

const struct step agents_get_steps[] = {
    STEP(team_door_admin_read),                      /* 401, 403 */
    STEP(load_agent),           STEP(require_agent), /* 404 */
    STEP(answer_agent),         STEP_END,
};

const struct route_doc agents_get_doc = {TAG_AGENTS, ANSWERS({200, &agent_schema})};

const struct step chatbots_get_steps[] = {
    STEP(as_chatbots),  STEP(load_agent), STEP(require_agent), /* 404 */
    STEP(answer_agent), STEP_END,
};

const struct route_doc chatbots_get_doc = {TAG_CHATBOTS, ANSWERS({200, &chatbot_schema})};

/* ---- what creating and changing share ---- */

/* An empty text is no text. */
static struct str text_or_none(const struct input *in)
{
    return in->text.len > 0 ? in->text : STR_NONE;
}

static bool is_masked(const struct input *token)
{
    return str_eq(token->text, STR(TOKEN_MASK));
}

/* The address goes by three names; s->webhook_url is the one from here on. */
static void merge_urls(struct request *req, struct agents *s)
{
    s->url_field = s->webhook_url.is_given ? "webhook_url" : view_of(req)->url_field;
    if (!s->webhook_url.is_given && s->base_url.is_given) {
        s->webhook_url = s->base_url;
        s->url_field = "base_url";
    } else if (!s->webhook_url.is_given && s->llm_endpoint_url.is_given) {
        s->webhook_url = s->llm_endpoint_url;
        s->url_field = "llm_endpoint_url";
    }
    if (s->webhook_url.text.len > 0)
        agent_check_url(req, s->url_field, s->webhook_url.text);
}

static bool read_agent(struct request *req)
{
    struct agents *s = req->state;

    if (!input_read(req, agent_fields, COUNT(agent_fields), s))
        return false;
    merge_urls(req, s);
    if (s->provider.is_given)
        agent_check_provider(req, s->provider.text);
    if (s->webhook_token.text.len > 0)
        agent_check_token(req, s->webhook_token.text);
    if (s->config.is_given)
        agent_check_config(req, s->config.text, &s->fallback_id);
    if (s->allowed_origins.is_given)
        agent_check_origins(req, s->allowed_origins.text);
    return true;
}

static void fail_if_wrong(struct request *req)
{
    if (request_has_field_errors(req))
        flow_fail(&req->flow, ERROR(ERR_INVALID, 0, NULL));
}

static void load_fallback(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;

    if (s->fallback_id.text[0] != '\0')
        db_query(&s->fallback, f, &req->arena, SQL_AGENT_EXISTS,
                 DB_ARGS(team_arg(req), db_uuid(id_str(&s->fallback_id))));
}

/* One that is switched off is kept: it is not asked until it is on again. */
static void require_fallback(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;

    if (s->fallback_id.text[0] == '\0' ||
        (s->fallback.result->n_rows > 0 && !str_eq(id_str(&s->fallback_id), id_str(&s->id))))
        return;
    input_wrong(req, "config.fallback_agent_id", "must be the id of another agent of this team");
    flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
}

/* The token under a key of its purpose, bound to its agent. False: the flow has failed. */
static bool seal_token(struct request *req, struct agents *s, struct str *out)
{
    *out = STR_NONE;
    if (s->webhook_token.text.len == 0 || is_masked(&s->webhook_token))
        return true;
    *out = seal_text(&req->arena, SEAL_AGENT_TOKEN, id_str(&s->id), s->webhook_token.text);
    if (!out->ptr)
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
    return out->ptr != NULL;
}

/* ---- create ---- */

static void read_create(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;

    if (!read_agent(req))
        return;
    if (!s->name.is_given)
        input_wrong(req, "name", "is required");
    if (!s->provider.is_given)
        s->provider.text = str_from(view_of(req)->provider);
    agent_check_has_url(req, s->url_field, s->provider.text, s->webhook_url.text);
    fail_if_wrong(req);
}

static void add_agent(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;
    int64_t now_us = clock_wall_us();
    struct audit audit;
    struct str sealed;

    s->id = id_v7();
    if (!seal_token(req, s, &sealed))
        return;
    audit = agent_audit_create(req, s, now_us);

    const struct db_arg add[] = {
        team_arg(req),
        db_uuid(id_str(&s->id)),
        user_arg(req),
        db_text(s->name.text),
        db_text(text_or_none(&s->description)),
        db_text(s->provider.text),
        db_text(text_or_none(&s->webhook_url)),
        db_text(sealed),
        db_text(text_or_none(&s->model)),
        db_text(text_or_none(&s->system_prompt)),
        db_json(s->config.is_given ? s->config.text : STR("{}")),
        db_json(s->allowed_origins.is_given ? s->allowed_origins.text : STR("[]")),
        db_bool(!s->is_active.is_given || s->is_active.number),
        db_time(now_us),
    };
    const struct db_call calls[] = {{SQL_AGENT_ADD, add, COUNT(add)},
                                    audit_call(&audit, &req->arena)};

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void answer_create(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;

    if (s->query.result->n_rows == 0)
        flow_fail(f, ERROR(ERR_INTERNAL, 0, NULL));
    else
        answer_row(req, 201);
}

const struct step agents_create_steps[] = {
    STEP(read_create),                           /* 422 */
    STEP(load_fallback), STEP(require_fallback), /* 422 */
    STEP(add_agent),     STEP_ALWAYS(key_auth_forget), STEP(answer_create), STEP_END,
};

const struct route_doc agents_create_doc = {
    TAG_AGENTS,
    ANSWERS({201, &agent_schema}),
    DOC_BODY(agent_fields),
    .requires = "name",
    .example = "{\"name\": \"Parrot\", \"provider\": \"echo\", \"config\": {\"delay_ms\": 30}}",
};

const struct step chatbots_create_steps[] = {
    STEP(as_chatbots),   STEP(read_create),      /* 422 */
    STEP(load_fallback), STEP(require_fallback), /* 422 */
    STEP(add_agent),     STEP_ALWAYS(key_auth_forget),
    STEP(answer_create), STEP_END,
};

const struct route_doc chatbots_create_doc = {
    TAG_CHATBOTS,
    ANSWERS({201, &chatbot_schema}),
    DOC_BODY(agent_fields),
    .requires = "name",
    .example = "{\"name\": \"Helper\", \"llm_endpoint_url\": \"https://models.example.com/v1\"}",
};

/* ---- change ---- */

static void read_update(struct flow *f)
{
    struct request *req = request_of(f);

    if (read_agent(req))
        fail_if_wrong(req);
}

/* What is given and what is there must go together. */
static void check_update(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;
    const struct db_result *r = s->query.result;
    struct str provider, url;

    require_agent(f);
    if (is_error(f->err) || (!s->provider.is_given && !s->webhook_url.is_given))
        return;
    provider = s->provider.is_given ? s->provider.text : db_get_text(r, 0, AGENT_PROVIDER);
    url = s->webhook_url.is_given ? s->webhook_url.text : db_get_text(r, 0, AGENT_WEBHOOK_URL);
    agent_check_has_url(req, s->url_field, provider, url);
    fail_if_wrong(req);
}

static void save_update(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;
    struct str sealed;
    int64_t changes = 0, now_us = clock_wall_us();
    struct audit audit;

    if (!seal_token(req, s, &sealed))
        return;
    audit = agent_audit_update(req, s, s->query.result, now_us);
    changes |= s->description.is_given ? CHANGE_DESCRIPTION : 0;
    changes |= s->webhook_url.is_given ? CHANGE_WEBHOOK_URL : 0;
    changes |=
        s->webhook_token.is_given && !is_masked(&s->webhook_token) ? CHANGE_WEBHOOK_TOKEN : 0;
    changes |= s->model.is_given ? CHANGE_MODEL : 0;
    changes |= s->system_prompt.is_given ? CHANGE_SYSTEM_PROMPT : 0;
    /* Another one is uploaded, not put: a client that puts back what it got changes nothing. */
    changes |= s->avatar.is_null ? CLEAR_AVATAR : 0;

    const struct db_arg update[] = {
        team_arg(req),
        db_uuid(id_str(&s->id)),
        db_int(changes),
        db_text(s->name.text),
        db_text(text_or_none(&s->description)),
        db_text(s->provider.text),
        db_text(text_or_none(&s->webhook_url)),
        db_text(sealed),
        db_text(text_or_none(&s->model)),
        db_text(text_or_none(&s->system_prompt)),
        db_json(s->config.text),
        db_json(s->allowed_origins.text),
        s->is_active.is_given ? db_bool(s->is_active.number != 0) : db_null(),
        db_time(now_us),
    };
    const struct db_call calls[] = {{SQL_AGENT_UPDATE, update, COUNT(update)},
                                    audit_call(&audit, &req->arena)};

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

const struct step agents_update_steps[] = {
    STEP(read_update),                           /* 422 */
    STEP(load_agent),    STEP(check_update),     /* 404, 422 */
    STEP(load_fallback), STEP(require_fallback), /* 422 */
    STEP(save_update),   STEP_ALWAYS(key_auth_forget),
    STEP(require_agent), /* deleted meanwhile */
    STEP(answer_agent),  STEP_END,
};

const struct route_doc agents_update_doc = {
    TAG_AGENTS,
    ANSWERS({200, &agent_schema}),
    DOC_BODY(agent_fields),
    .example = "{\"description\": \"Says your words back\"}",
};

const struct step chatbots_update_steps[] = {
    STEP(as_chatbots),   STEP(read_update),      /* 422 */
    STEP(load_agent),    STEP(check_update),     /* 404, 422 */
    STEP(load_fallback), STEP(require_fallback), /* 422 */
    STEP(save_update),   STEP_ALWAYS(key_auth_forget),
    STEP(require_agent), /* deleted meanwhile */
    STEP(answer_agent),  STEP_END,
};

const struct route_doc chatbots_update_doc = {
    TAG_CHATBOTS,
    ANSWERS({200, &chatbot_schema}),
    DOC_BODY(agent_fields),
    .example = "{\"name\": \"Helping hand\"}",
};

/* ---- delete ---- */

static void delete_agent(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;
    struct audit audit = audit_of(req, "agent.delete", &s->id, clock_wall_us());
    const struct db_arg args[] = {team_arg(req), db_uuid(id_str(&s->id))};

    audit_values(&audit, "name", db_get_text(s->query.result, 0, AGENT_NAME), STR_NONE);

    const struct db_call calls[] = {audit_call(&audit, &req->arena),
                                    {SQL_AGENT_DELETE, args, COUNT(args)}};

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void answer_delete(struct flow *f)
{
    struct request *req = request_of(f);
    struct agents *s = req->state;

    if (db_result_at(&s->query, 1)->n_changed == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, view_of(req)->not_found));
    else
        response_empty(req, 204);
}

const struct step agents_delete_steps[] = {
    STEP(load_agent),   STEP(require_agent), /* 404 */
    STEP(delete_agent), STEP_ALWAYS(key_auth_forget), STEP(answer_delete), STEP_END,
};

const struct route_doc agents_delete_doc = {
    TAG_AGENTS,
    ANSWERS({204}),
    .about = "Its chats stay, and can no longer be continued.",
};

const struct step chatbots_delete_steps[] = {
    STEP(as_chatbots),   STEP(load_agent),
    STEP(require_agent), /* 404 */
    STEP(delete_agent),  STEP_ALWAYS(key_auth_forget),
    STEP(answer_delete), STEP_END,
};

const struct route_doc chatbots_delete_doc = {TAG_CHATBOTS, ANSWERS({204})};
