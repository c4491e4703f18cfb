/* Agents as the API shows them. */
#ifndef AERIE_SRC_API_AGENT_JSON_H
#define AERIE_SRC_API_AGENT_JSON_H

#include "base/json.h"
#include "db/db.h"
#include "doc.h"
#include "http/http.h"

/* The columns of every statement that reads an agent for people (db/sql/agents.h). */
enum agent_column {
    AGENT_ID,
    AGENT_TEAM_ID,
    AGENT_CREATED_BY,
    AGENT_NAME,
    AGENT_DESCRIPTION,
    AGENT_PROVIDER,
    AGENT_WEBHOOK_URL,
    AGENT_HAS_TOKEN,
    AGENT_MODEL,
    AGENT_SYSTEM_PROMPT,
    AGENT_AVATAR,
    AGENT_CONFIG,
    AGENT_ALLOWED_ORIGINS,
    AGENT_IS_ACTIVE,
    AGENT_CREATED_AT,
    AGENT_UPDATED_AT,
};

/* What a token that is there is shown as, and what keeps it when it comes back. */
#define TOKEN_MASK "********"

extern const struct schema agent_schema, chatbot_schema;
/* for_admin: with the address that is called, which is nothing for chatters. */
void agent_write(struct json *j, const struct db_result *agents, size_t row, bool for_admin);
/* The same row in the words of /chatbots. */
void chatbot_write(struct json *j, const struct db_result *agents, size_t row, bool for_admin);
/* Answers with the first row, as the caller may see it. */
void agent_answer(struct request *req, int status, const struct db_result *agents);

#endif
