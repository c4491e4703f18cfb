/* What goes to the agent: the system prompt and as much of the chat as its config allows. */
#ifndef AERIE_CHAT_PROMPT_H
#define AERIE_CHAT_PROMPT_H

#include "base/id.h"
#include "db/db.h"
#include "upstream/upstream.h"

/* The first column of TURN_LOAD_CHAT and TURN_LOAD_AGENT. */
#define TURN_AGENT_ID 0

/* What becomes of a turn that nobody reads any more. */
enum on_disconnect { ON_DISCONNECT_CONTINUE, ON_DISCONNECT_GRACE, ON_DISCONNECT_ABORT };

struct prompt_policy {
    enum on_disconnect on_disconnect;
    uint64_t grace_ms;
};

/* The agent's part of a prompt, from a row that has provider, webhook_url, webhook_token, model,
 * system_prompt, config and the team's sealed keys in this order from first_column on. *out: all
 * else is empty.
 * ERR_CONFLICT (no provider of that name), ERR_INTERNAL (the sealed token does not open),
 * ERR_NO_MEMORY. */
struct error prompt_of_agent(struct arena *a, struct str agent_id, const struct db_result *row,
                             size_t first_column, struct upstream_prompt *out) MUST_CHECK;

/* Fills the prompt from the rows of TURN_LOAD_CHAT (or TURN_LOAD_AGENT) and TURN_LOAD_MESSAGES, in
 * the arena's memory, and the policy. content: the new message, or "" to answer the last user's
 * message again. model: "": the agent's own; ERR_INVALID when the agent's config.models is a list
 * without it. ERR_NOT_FOUND, ERR_CONFLICT (no agent, switched off, nothing to answer again),
 * ERR_INTERNAL (the sealed token does not open), ERR_NO_MEMORY. */
struct error prompt_build(struct arena *a, const struct id *chat_id, const struct db_result *chat,
                          const struct db_result *messages, struct str content, struct str model,
                          struct upstream_prompt *out, struct prompt_policy *policy) MUST_CHECK;
/* How a call to an agent ended: may another one be asked, as long as no text has come? Not for what
 * would fail there as well. */
bool prompt_may_fall_back(struct error err);
/* Turns the prompt to the agent that is asked when the chat's own fails: the same messages, and its
 * own words, model and address. chat: a row of TURN_LOAD_CHAT or TURN_LOAD_AGENT. False: there is
 * none, and nothing has changed. */
bool prompt_fall_back(struct arena *a, const struct db_result *chat, struct upstream_prompt *prompt,
                      struct id *agent_id, struct str *name) MUST_CHECK;

#endif
