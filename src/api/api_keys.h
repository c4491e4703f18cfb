/* /api/agents/{id}/api-keys and /chatbots/{id}/api-keys. */
#ifndef AERIE_API_API_KEYS_H
#define AERIE_API_API_KEYS_H

#include "account/api_key.h"
#include "api/input.h"
#include "db/db.h"

struct api_keys {
    struct input name, scopes, allowed_origins, expires_at;
    struct db_query query, count, agent;
    struct id agent_id, key_id;
    struct api_key key;
    int64_t limit, offset, now_us, expires_us;
    bool is_chatbots; /* the agent is called a chatbot here */
};
extern const struct step api_keys_list_steps[];
extern const struct step api_keys_create_steps[];
extern const struct step api_keys_revoke_steps[];
extern const struct step chatbots_keys_list_steps[];
extern const struct step chatbots_keys_create_steps[];
extern const struct route_doc api_keys_list_doc, chatbots_keys_list_doc, api_keys_create_doc,
    chatbots_keys_create_doc, api_keys_revoke_doc, chatbots_keys_revoke_doc;

#endif
