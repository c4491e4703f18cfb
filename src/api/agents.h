/* /api/agents, and the same rows as /chatbots and /users/{id}/chatbots. */
#ifndef AERIE_API_AGENTS_H
#define AERIE_API_AGENTS_H

#include "api/input.h"
#include "db/db.h"

/* By which of its two names the client calls an agent. */
enum view_name { AS_AGENT, AS_CHATBOT };

struct agents {
    enum view_name view;
    struct input name, description, provider, webhook_url, base_url, llm_endpoint_url;
    struct input webhook_token, model, system_prompt, avatar, config, allowed_origins, is_active;
    struct db_query query, count, fallback;
    struct id id, creator_id;
    struct id fallback_id; /* that a given config names; "" : none */
    const char *url_field; /* what the client calls the address */
    int64_t limit, offset;
    bool with_inactive;
};
extern const struct step agents_list_steps[];
extern const struct step agents_create_steps[];
extern const struct step agents_get_steps[];
extern const struct step agents_update_steps[];
extern const struct step agents_delete_steps[];
extern const struct step chatbots_list_steps[];
extern const struct step chatbots_create_steps[];
extern const struct step chatbots_get_steps[];
extern const struct step chatbots_update_steps[];
extern const struct step chatbots_delete_steps[];
extern const struct step users_chatbots_steps[];
extern const struct route_doc agents_list_doc, agents_create_doc, agents_get_doc, agents_update_doc,
    agents_delete_doc, chatbots_list_doc, chatbots_create_doc, chatbots_get_doc,
    chatbots_update_doc, chatbots_delete_doc, users_chatbots_doc;

#endif
