/* GET /v1/models: to OpenAI's clients the key's agent is a model, the only one there is. */
#include "models.h"

#include "answer.h"
#include "doc.h"

static const struct schema model_schema = {
    "Model",
    .members = MEMBERS({"id", DOC_ID}, {"object", DOC_TEXT, .values = "model"},
                       {"created", DOC_INT}, {"owned_by", DOC_TEXT}),
};

static const struct schema models_schema = {
    "Models",
    .members = MEMBERS({"object", DOC_TEXT, .values = "list"},
                       {"data", DOC_OBJECT | DOC_LIST, &model_schema}),
};

static void write_model(struct json *j, const struct key_caller *who)
{
    json_begin_object(j);
    json_pair_str(j, "id", id_str(&who->agent_id));
    json_pair_str(j, "object", STR("model"));
    json_pair_int(j, "created", db_get_int(who->row, 0, BY_KEY_AGENT_CREATED_AT) / 1000000);
    json_pair_str(j, "owned_by", STR("aerie"));
    json_end_object(j);
}

static void answer_list(struct flow *f)
{
    struct request *req = request_of(f);
    const struct v1 *v = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    json_begin_object(&j);
    json_pair_str(&j, "object", STR("list"));
    json_key(&j, "data");
    json_begin_array(&j);
    write_model(&j, &v->auth.caller);
    json_end_array(&j);
    json_end_object(&j);
    answer_json(req, 200, &body);
}

const struct step models_list_steps[] = {
    STEP(v1_check_key), /* 401, 403, 429 */
    STEP(answer_list),
    STEP_ALWAYS(v1_answer_error),
    STEP_END,
};

const struct route_doc models_list_doc = {
    TAG_OPENAI,
    ANSWERS({200, &models_schema}),
    .error = &v1_error_schema,
};

static void answer_model(struct flow *f)
{
    struct request *req = request_of(f);
    const struct v1 *v = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (!v1_check_model(req, req->params[0]))
        return;
    write_model(&j, &v->auth.caller);
    answer_json(req, 200, &body);
}

const struct step models_get_steps[] = {
    STEP(v1_check_key), /* 401, 403, 429 */
    STEP(answer_model), /* 404 */
    STEP_ALWAYS(v1_answer_error),
    STEP_END,
};

const struct route_doc models_get_doc = {
    TAG_OPENAI,
    ANSWERS({200, &model_schema}),
    .path = MEMBERS({"id", DOC_TEXT, .about = "The agent's id, or its name"}),
    .error = &v1_error_schema,
};
