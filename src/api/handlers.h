/* The step tables that the route table names, and how much state each resource's steps take (the
 * files assert it). */
#ifndef AERIE_SRC_API_HANDLERS_H
#define AERIE_SRC_API_HANDLERS_H

#include "loop/flow.h"

enum handler_state_bytes {
    ACCOUNT_STATE_BYTES = 2048,
    AGENT_STATE_BYTES = 2048,
    API_KEY_STATE_BYTES = 2048,
    AVATAR_STATE_BYTES = 768,
    LOGIN_STATE_BYTES = 2560,
    TEAM_STATE_BYTES = 1024,
    USER_STATE_BYTES = 1536,
};

/* account.c */
extern const struct step account_register_steps[];
extern const struct step account_get_me_steps[];
extern const struct step account_put_me_steps[];
extern const struct step account_mail_steps[];

/* agents.c */
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

/* api_keys.c */
extern const struct step api_keys_list_steps[];
extern const struct step api_keys_create_steps[];
extern const struct step api_keys_revoke_steps[];
extern const struct step chatbots_keys_list_steps[];
extern const struct step chatbots_keys_create_steps[];

/* avatar.c */
extern const struct step avatar_agent_steps[];
extern const struct step avatar_me_steps[];

/* login.c */
extern const struct step login_steps[];
extern const struct step login_refresh_steps[];
extern const struct step login_logout_steps[];

/* team.c */
extern const struct step team_get_steps[];
extern const struct step team_update_steps[];

/* users.c */
extern const struct step users_list_steps[];
extern const struct step users_get_steps[];
extern const struct step users_update_steps[];
extern const struct step users_delete_steps[];

#endif
