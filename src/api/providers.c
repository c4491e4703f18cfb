/* Who may answer: the providers that this server knows, and the models that they have. */
#include "providers.h"

#include "answer.h"
#include "chat/prompt.h"
#include "doc.h"

/* ---- list ---- */

static void load_keys(struct flow *f)
{
    struct request *req = request_of(f);
    struct provider_list *s = req->state;

    db_query(&s->keys, f, &req->arena, SQL_PROVIDER_KEY_LIST, DB_ARGS(team_arg(req)));
}

static bool team_has_key(const struct db_result *keys, struct str provider)
{
    for (size_t row = 0; row < keys->n_rows; row++)
        if (str_eq(db_get_text(keys, row, 1), provider))
            return true;
    return false;
}

static void answer_list(struct flow *f)
{
    struct request *req = request_of(f);
    const struct provider_list *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};
    const struct provider *p;

    json_begin_object(&j);
    json_key(&j, "providers");
    json_begin_array(&j);
    for (size_t i = 0; (p = provider_at(i)); i++) {
        struct str name = str_from(provider_name(p));

        json_begin_object(&j);
        json_pair_str(&j, "name", name);
        json_pair_bool(&j, "needs_url", provider_needs_url(p));
        json_pair_bool(&j, "needs_key", provider_needs_key(p));
        json_pair_bool(&j, "has_key", provider_has_key(p) || team_has_key(s->keys.result, name));
        json_pair_bool(&j, "has_models", provider_has_models(p));
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    answer_json(req, 200, &body);
}

static const struct schema provider_schema = {
    "Provider",
    NULL,
    MEMBERS({"name", DOC_TEXT, .about = "As `provider` of an agent"},
            {"needs_url", DOC_BOOL, .about = "Its agents must have a `webhook_url`"},
            {"needs_key", DOC_BOOL, .about = "It does not answer without a key"},
            {"has_key", DOC_BOOL, .about = "The team or the server has one"},
            {"has_models", DOC_BOOL, .about = "It has a list of models"}),
};

static const struct schema list_schema = {
    "Providers",
    NULL,
    MEMBERS({"providers", DOC_OBJECT | DOC_LIST, &provider_schema}),
};

const struct step providers_list_steps[] = {
    STEP(load_keys),
    STEP(answer_list),
    STEP_END,
};
const struct route_doc providers_list_doc = {TAG_AGENTS, ANSWERS({200, &list_schema})};

/* ---- models ---- */

static void read_provider(struct flow *f)
{
    struct request *req = request_of(f);
    struct provider_models *s = req->state;
    struct str agent_id = request_query(req, "agent_id");

    s->provider = provider_find(req->params[0]);
    if (!s->provider || !provider_has_models(s->provider)) {
        flow_fail(
            f, ERROR(ERR_NOT_FOUND, 0,
                     s->provider ? "This provider has no list of models" : "Provider not found"));
        return;
    }
    s->has_agent = agent_id.ptr != NULL;
    if (s->has_agent && !id_parse(agent_id, &s->agent_id))
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Agent not found"));
    else if (!s->has_agent && provider_needs_url(s->provider)) {
        input_wrong(req, "agent_id", "is required: it says whose URL is asked");
        flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
    }
}

static void load_prompt(struct flow *f)
{
    struct request *req = request_of(f);
    struct provider_models *s = req->state;

    if (s->has_agent)
        db_query(&s->query, f, &req->arena, SQL_AGENT_PROMPT,
                 DB_ARGS(team_arg(req), db_uuid(id_str(&s->agent_id))));
    else
        db_query(&s->query, f, &req->arena, SQL_PROVIDER_PROMPT,
                 DB_ARGS(team_arg(req), db_text(req->params[0])));
}

static void ask_provider(struct flow *f)
{
    struct request *req = request_of(f);
    struct provider_models *s = req->state;
    struct error err;

    if (s->query.result->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Agent not found"));
        return;
    }
    err = prompt_of_agent(&req->arena, s->has_agent ? id_str(&s->agent_id) : STR(""),
                          s->query.result, 0, &s->prompt);
    if (!is_error(err) && s->prompt.provider != s->provider) {
        input_wrong(req, "agent_id", "is an agent of another provider");
        err = ERROR(ERR_INVALID, 0, NULL);
    }
    if (is_error(err))
        flow_fail(f, err);
    else
        models_load(&s->models, f, &req->arena, &s->prompt);
}

static void answer_models(struct flow *f)
{
    struct request *req = request_of(f);
    const struct provider_models *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    json_begin_object(&j);
    json_key(&j, "models");
    json_begin_array(&j);
    for (size_t i = 0; i < s->models.n_ids; i++) {
        json_begin_object(&j);
        json_pair_str(&j, "id", s->models.ids[i]);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    answer_json(req, 200, &body);
}

const struct step providers_models_steps[] = {
    STEP(read_provider),                     /* 404, 422 */
    STEP(load_prompt),   STEP(ask_provider), /* 404, 422, 502, 503, 504 */
    STEP(answer_models), STEP_END,
};

static const struct schema model_schema = {
    "ProviderModel", NULL, MEMBERS({"id", DOC_TEXT, .about = "As `model` of an agent"})};
static const struct schema models_schema = {
    "ProviderModels", NULL, MEMBERS({"models", DOC_OBJECT | DOC_LIST, &model_schema})};

const struct route_doc providers_models_doc = {
    TAG_AGENTS,
    ANSWERS({200, &models_schema}),
    DOC_ERRORS(502, 504),
    .path = MEMBERS({"name", DOC_TEXT, .about = "A provider", .example = "openai"}),
    .query = MEMBERS({"agent_id", DOC_ID | DOC_OPTIONAL, .about = "Ask as this agent"}),
    .about = "Asks the provider, with the agent's, the team's or the server's key.",
};
