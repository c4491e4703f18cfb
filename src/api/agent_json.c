/* Writes agents. */
#include "agent_json.h"

#include "answer.h"

const struct schema agent_schema = {
    "Agent",
    .members = MEMBERS({"id", DOC_ID}, {"team_id", DOC_ID}, {"created_by", DOC_ID | DOC_NULL},
                       {"name", DOC_TEXT}, {"description", DOC_TEXT | DOC_NULL},
                       {"provider", DOC_TEXT, .about = "Who answers"},
                       {"webhook_url", DOC_TEXT | DOC_NULL, .about = "Shown to admins only"},
                       {"webhook_token", DOC_TEXT | DOC_NULL, .values = TOKEN_MASK,
                        .about = "Stored encrypted, never shown"},
                       {"model", DOC_TEXT | DOC_NULL}, {"system_prompt", DOC_TEXT | DOC_NULL},
                       {"avatar", DOC_TEXT | DOC_NULL, .about = "A data URI"},
                       {"config", DOC_OBJECT}, {"allowed_origins", DOC_TEXT | DOC_LIST},
                       {"is_active", DOC_BOOL}, {"created_at", DOC_TIME}, {"updated_at", DOC_TIME}),
};

void agent_write(struct json *j, const struct db_result *agents, size_t row, bool for_admin)
{
    bool has_token = db_get_bool(agents, row, AGENT_HAS_TOKEN);

    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(agents, row, AGENT_ID));
    json_pair_str(j, "team_id", db_get_text(agents, row, AGENT_TEAM_ID));
    json_pair_str_or_null(j, "created_by", db_get_text(agents, row, AGENT_CREATED_BY));
    json_pair_str(j, "name", db_get_text(agents, row, AGENT_NAME));
    json_pair_str_or_null(j, "description", db_get_text(agents, row, AGENT_DESCRIPTION));
    json_pair_str(j, "provider", db_get_text(agents, row, AGENT_PROVIDER));
    json_pair_str_or_null(j, "webhook_url",
                          for_admin ? db_get_text(agents, row, AGENT_WEBHOOK_URL) : STR_NONE);
    json_pair_str_or_null(j, "webhook_token", has_token ? STR(TOKEN_MASK) : STR_NONE);
    json_pair_str_or_null(j, "model", db_get_text(agents, row, AGENT_MODEL));
    json_pair_str_or_null(j, "system_prompt", db_get_text(agents, row, AGENT_SYSTEM_PROMPT));
    json_pair_str_or_null(j, "avatar", db_get_text(agents, row, AGENT_AVATAR));
    json_pair_raw(j, "config", db_get_text(agents, row, AGENT_CONFIG));
    json_pair_raw(j, "allowed_origins", db_get_text(agents, row, AGENT_ALLOWED_ORIGINS));
    json_pair_bool(j, "is_active", db_get_bool(agents, row, AGENT_IS_ACTIVE));
    json_pair_time(j, "created_at", db_get_int(agents, row, AGENT_CREATED_AT));
    json_pair_time(j, "updated_at", db_get_int(agents, row, AGENT_UPDATED_AT));
    json_end_object(j);
}

const struct schema chatbot_schema = {
    "Chatbot",
    .about = "An agent in fewer words.",
    .members = MEMBERS({"id", DOC_ID}, {"name", DOC_TEXT}, {"owner_id", DOC_ID | DOC_NULL},
                       {"llm_endpoint_url", DOC_TEXT | DOC_NULL}, {"created_at", DOC_TIME}),
};

void chatbot_write(struct json *j, const struct db_result *agents, size_t row, bool for_admin)
{
    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(agents, row, AGENT_ID));
    json_pair_str(j, "name", db_get_text(agents, row, AGENT_NAME));
    json_pair_str_or_null(j, "owner_id", db_get_text(agents, row, AGENT_CREATED_BY));
    json_pair_str_or_null(j, "llm_endpoint_url",
                          for_admin ? db_get_text(agents, row, AGENT_WEBHOOK_URL) : STR_NONE);
    json_pair_time(j, "created_at", db_get_int(agents, row, AGENT_CREATED_AT));
    json_end_object(j);
}

void agent_answer(struct request *req, int status, const struct db_result *agents)
{
    struct buf body = {0};
    struct json j = {.buf = &body};

    agent_write(&j, agents, 0, caller_of(req)->is_admin);
    answer_json(req, status, &body);
}
