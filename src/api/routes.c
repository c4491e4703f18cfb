/* Every route there is: method, path, who may call, body, state, steps. Sorted by path, then by
 * method. */
#include "account/caller.h"
#include "accounts.h"
#include "agent_test.h"
#include "agents.h"
#include "api/api.h"
#include "api/auth.h"
#include "api_keys.h"
#include "audit.h"
#include "avatar.h"
#include "budgets.h"
#include "chat_socket.h"
#include "chats.h"
#include "completions.h"
#include "db_status.h"
#include "docs.h"
#include "documents.h"
#include "erasures.h"
#include "export.h"
#include "health.h"
#include "health_stream.h"
#include "history.h"
#include "key_chat.h"
#include "login.h"
#include "mailed.h"
#include "messages.h"
#include "metrics.h"
#include "models.h"
#include "page.h"
#include "peer.h"
#include "prices.h"
#include "provider_keys.h"
#include "providers.h"
#include "sites.h"
#include "talk.h"
#include "team.h"
#include "usage.h"
#include "user_new.h"
#include "users.h"
#include "webhooks.h"
#include "welcome.h"
#include "widget.h"
#include "widget_config.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct route routes[] = {
    {HTTP_GET, "/", WHO_ANYONE, BODY_NONE, 0, home_steps, "Health, or a page for browsers",
     &home_doc},

    {HTTP_GET, "/account/reset", WHO_ANYONE, BODY_NONE, 0, page_account_steps,
     "A page to choose a new password, for links in mails", &page_account_doc},
    {HTTP_GET, "/account/verify", WHO_ANYONE, BODY_NONE, 0, page_account_steps,
     "A page to confirm an address, for links in mails", &page_account_doc},

    {HTTP_GET, "/api/agents", WHO_USER_OR_KEY, BODY_NONE, sizeof(struct agents), agents_list_steps,
     "List the team's agents", &agents_list_doc},
    {HTTP_POST, "/api/agents", WHO_ADMIN, BODY_JSON, sizeof(struct agents), agents_create_steps,
     "Create an agent", &agents_create_doc},
    {HTTP_GET, "/api/agents/{id}", WHO_USER_OR_KEY, BODY_NONE, sizeof(struct agents),
     agents_get_steps, "Read an agent", &agents_get_doc},
    {HTTP_PUT, "/api/agents/{id}", WHO_ADMIN, BODY_JSON, sizeof(struct agents), agents_update_steps,
     "Change the given fields of an agent", &agents_update_doc},
    {HTTP_DELETE, "/api/agents/{id}", WHO_ADMIN, BODY_NONE, sizeof(struct agents),
     agents_delete_steps, "Delete an agent", &agents_delete_doc},
    {HTTP_GET, "/api/agents/{id}/api-keys", WHO_ADMIN, BODY_NONE, sizeof(struct api_keys),
     api_keys_list_steps, "List an agent's API keys", &api_keys_list_doc},
    {HTTP_POST, "/api/agents/{id}/api-keys", WHO_ADMIN, BODY_JSON, sizeof(struct api_keys),
     api_keys_create_steps, "Make an API key, shown once", &api_keys_create_doc},
    {HTTP_DELETE, "/api/agents/{id}/api-keys/{key_id}", WHO_ADMIN, BODY_NONE,
     sizeof(struct api_keys), api_keys_revoke_steps, "Revoke an API key", &api_keys_revoke_doc},
    {HTTP_POST, "/api/agents/{id}/avatar", WHO_ADMIN, BODY_UPLOAD, sizeof(struct avatar),
     avatar_agent_steps, "Upload an agent's picture", &avatar_agent_doc},
    {HTTP_POST, "/api/agents/{id}/test", WHO_ADMIN, BODY_JSON, sizeof(struct agent_test),
     agent_test_steps, "Ask an agent once, and see what comes back", &agent_test_doc},

    {HTTP_GET, "/api/audit", WHO_ADMIN, BODY_NONE, sizeof(struct audit_list), audit_list_steps,
     "Who changed what in the team", &audit_list_doc},

    {HTTP_POST, "/api/auth/login", WHO_ANYONE, BODY_FORM, sizeof(struct login), login_steps,
     "Log in", &login_doc},
    {HTTP_POST, "/api/auth/logout", WHO_ANYONE, BODY_NONE, sizeof(struct logout),
     login_logout_steps, "Log out: the tokens are dead at once", &login_logout_doc},
    {HTTP_GET, "/api/auth/me", WHO_USER, BODY_NONE, sizeof(struct me), account_get_me_steps,
     "Read one's own account", &account_get_me_doc},
    {HTTP_PUT, "/api/auth/me", WHO_USER, BODY_JSON, sizeof(struct me), account_put_me_steps,
     "Change one's own account", &account_put_me_doc},
    {HTTP_POST, "/api/auth/me/avatar", WHO_USER, BODY_UPLOAD, sizeof(struct avatar),
     avatar_me_steps, "Upload one's own picture", &avatar_me_doc},
    {HTTP_POST, "/api/auth/me/erase", WHO_USER, BODY_JSON, sizeof(struct erase_call),
     erase_me_steps, "Erase one's own account, with a report of what went", &erase_me_doc},
    {HTTP_POST, "/api/auth/password/forgot", WHO_ANYONE, BODY_JSON, sizeof(struct ask_mail),
     mailed_forgot_steps, "Ask for a mail that resets the password", &mailed_forgot_doc},
    {HTTP_POST, "/api/auth/password/reset", WHO_ANYONE, BODY_JSON, sizeof(struct mailed),
     mailed_reset_steps, "Reset the password with a mailed token", &mailed_reset_doc},
    {HTTP_POST, "/api/auth/refresh", WHO_ANYONE, BODY_JSON, sizeof(struct refresh),
     login_refresh_steps, "Exchange the refresh token for a new pair", &login_refresh_doc},
    {HTTP_POST, "/api/auth/register", WHO_ANYONE, BODY_JSON, sizeof(struct registration),
     account_register_steps, "Make an account", &account_register_doc},
    {HTTP_POST, "/api/auth/verify-email", WHO_ANYONE, BODY_JSON, sizeof(struct mailed),
     mailed_verify_steps, "Confirm an address with a mailed token", &mailed_verify_doc},
    {HTTP_POST, "/api/auth/verify-email/resend", WHO_ANYONE, BODY_JSON, sizeof(struct ask_mail),
     mailed_resend_steps, "Ask for the mail that confirms an address again", &mailed_resend_doc},

    {HTTP_GET, "/api/budgets", WHO_ADMIN_OR_KEY, BODY_NONE, sizeof(struct budgets),
     budgets_list_steps, "List the team's budgets, and what is spent of them", &budgets_list_doc},
    {HTTP_PUT, "/api/budgets", WHO_ADMIN, BODY_JSON, sizeof(struct budgets), budgets_put_steps,
     "Make or change a budget", &budgets_put_doc},
    {HTTP_DELETE, "/api/budgets/{id}", WHO_ADMIN, BODY_NONE, sizeof(struct budgets),
     budgets_delete_steps, "Delete a budget", &budgets_delete_doc},

    {HTTP_POST, "/api/chat", WHO_KEY, BODY_JSON, sizeof(struct chat_call), chat_call_steps,
     "Send a message, in one's own chat or in an API key's session, and wait for the reply",
     &chat_call_doc},
    {HTTP_POST, "/api/chat/session", WHO_KEY, BODY_JSON, sizeof(struct key_begin), key_begin_steps,
     "Begin a session with an API key", &key_begin_doc},
    {HTTP_POST, "/api/chat/stream", WHO_USER, BODY_JSON, sizeof(struct talk), talk_stream_steps,
     "Send a message, in a new chat or one of one's own, and stream the reply", &talk_stream_doc},
    {HTTP_POST, "/api/chat/widget", WHO_VISITOR, BODY_JSON, sizeof(struct widget_ask),
     widget_ask_steps, "Send a visitor's message", &widget_ask_doc},
    {HTTP_GET, "/api/chat/widget/config", WHO_VISITOR, BODY_NONE, sizeof(struct widget_config),
     widget_config_steps, "Read what an agent's widget shows", &widget_config_doc},
    {HTTP_GET, "/api/chat/widget/messages", WHO_VISITOR, BODY_NONE, sizeof(struct widget_list),
     widget_list_steps, "Read a page of a visitor's messages", &widget_list_doc},
    {HTTP_POST, "/api/chat/widget/session", WHO_VISITOR, BODY_JSON, sizeof(struct widget_begin),
     widget_begin_steps, "Begin a visitor's session", &widget_begin_doc},
    {HTTP_POST, "/api/chat/widget/stop", WHO_VISITOR, BODY_JSON, sizeof(struct widget_watch),
     widget_stop_steps, "Stop the reply to a visitor", &widget_stop_doc},
    {HTTP_GET, "/api/chat/widget/stream", WHO_VISITOR, BODY_NONE, sizeof(struct widget_watch),
     widget_stream_steps, "Attach to the running reply to a visitor", &widget_stream_doc},
    {HTTP_GET, "/api/chat/ws", WHO_SOCKET, BODY_NONE, sizeof(struct chat_socket), chat_socket_steps,
     "One's own chats over a WebSocket, message after message", &chat_socket_doc},

    {HTTP_GET, "/api/chats", WHO_USER, BODY_NONE, sizeof(struct chats_list), chats_list_steps,
     "List and search one's own chats", &chats_list_doc},
    {HTTP_POST, "/api/chats", WHO_USER, BODY_JSON, sizeof(struct one_chat), chats_create_steps,
     "Create a chat", &chats_create_doc},
    {HTTP_GET, "/api/chats/{id}", WHO_USER, BODY_NONE, sizeof(struct one_chat), chats_get_steps,
     "Read a chat", &chats_get_doc},
    {HTTP_PUT, "/api/chats/{id}", WHO_USER, BODY_JSON, sizeof(struct one_chat), chats_change_steps,
     "Change a chat's title, metadata or archive", &chats_change_doc},
    {HTTP_DELETE, "/api/chats/{id}", WHO_USER, BODY_NONE, sizeof(struct one_chat),
     chats_remove_steps, "Delete a chat", &chats_remove_doc},
    {HTTP_GET, "/api/chats/{id}/export", WHO_USER, BODY_NONE, sizeof(struct chat_export),
     chats_export_steps, "Download a chat", &chats_export_doc},
    {HTTP_GET, "/api/chats/{id}/messages", WHO_USER, BODY_NONE, sizeof(struct messages_list),
     messages_list_steps, "Read a page of messages", &messages_list_doc},
    {HTTP_POST, "/api/chats/{id}/messages", WHO_USER, BODY_JSON, sizeof(struct message_post),
     messages_post_steps, "Send a message and stream the reply", &messages_post_doc},
    {HTTP_POST, "/api/chats/{id}/regenerate", WHO_USER, BODY_NONE, sizeof(struct ask),
     chats_regenerate_steps, "Replace the last reply and stream it", &chats_regenerate_doc},
    {HTTP_POST, "/api/chats/{id}/stop", WHO_USER, BODY_NONE, sizeof(struct watch_turn),
     chats_stop_steps, "Stop the running reply", &chats_stop_doc},
    {HTTP_GET, "/api/chats/{id}/stream", WHO_USER, BODY_NONE, sizeof(struct watch_turn),
     chats_stream_steps, "Attach to the running reply", &chats_stream_doc},

    {HTTP_GET, "/api/history", WHO_USER, BODY_NONE, sizeof(struct history), history_steps,
     "One's own chats and what was said last in each, in pages", &history_doc},

    {HTTP_GET, "/api/prices", WHO_ADMIN, BODY_NONE, 0, prices_list_steps,
     "Read what models cost on this server", &prices_list_doc},

    {HTTP_GET, "/api/providers", WHO_USER, BODY_NONE, sizeof(struct provider_list),
     providers_list_steps, "List the providers that this server knows", &providers_list_doc},
    {HTTP_GET, "/api/providers/{name}/models", WHO_ADMIN, BODY_NONE, sizeof(struct provider_models),
     providers_models_steps, "List the models that a provider has", &providers_models_doc},

    {HTTP_GET, "/api/team", WHO_ADMIN_OR_KEY, BODY_NONE, sizeof(struct team), team_get_steps,
     "Read one's team", &team_get_doc},
    {HTTP_PUT, "/api/team", WHO_ADMIN, BODY_JSON, sizeof(struct team), team_update_steps,
     "Change one's team", &team_update_doc},
    {HTTP_GET, "/api/team/provider-keys", WHO_ADMIN, BODY_NONE, sizeof(struct provider_keys),
     provider_keys_list_steps, "List the team's keys for model providers", &provider_keys_list_doc},
    {HTTP_POST, "/api/team/provider-keys", WHO_ADMIN, BODY_JSON, sizeof(struct provider_keys),
     provider_keys_create_steps, "Add a key for a model provider", &provider_keys_create_doc},
    {HTTP_DELETE, "/api/team/provider-keys/{id}", WHO_ADMIN, BODY_NONE,
     sizeof(struct provider_keys), provider_keys_delete_steps, "Delete a key for a model provider",
     &provider_keys_delete_doc},

    {HTTP_GET, "/api/usage", WHO_ADMIN, BODY_NONE, sizeof(struct usage_report), usage_report_steps,
     "What the team's agents did, by the day", &usage_report_doc},

    {HTTP_GET, "/api/users", WHO_ADMIN_OR_KEY, BODY_NONE, sizeof(struct users), users_list_steps,
     "List the team's users", &users_list_doc},
    {HTTP_POST, "/api/users", WHO_ADMIN, BODY_JSON, sizeof(struct user_new), user_new_steps,
     "Add a user to the team", &user_new_doc},
    {HTTP_GET, "/api/users/me", WHO_USER, BODY_NONE, sizeof(struct me), account_get_me_steps,
     "Read one's own account", &account_get_me_doc},
    {HTTP_GET, "/api/users/{id}", WHO_ADMIN_OR_KEY, BODY_NONE, sizeof(struct users),
     users_get_steps, "Read a user", &users_get_doc},
    {HTTP_PUT, "/api/users/{id}", WHO_ADMIN, BODY_JSON, sizeof(struct users), users_update_steps,
     "Change a user's role, name or access", &users_update_doc},
    {HTTP_DELETE, "/api/users/{id}", WHO_ADMIN, BODY_NONE, sizeof(struct erase_call),
     erase_delete_user_steps, "Delete a user", &erase_delete_user_doc},
    {HTTP_POST, "/api/users/{id}/erase", WHO_ADMIN, BODY_NONE, sizeof(struct erase_call),
     erase_user_steps, "Erase a user, with a report of what went", &erase_user_doc},

    {HTTP_GET, "/api/v1/documents", WHO_ADMIN_OR_KEY, BODY_NONE, sizeof(struct documents),
     documents_list_steps, "List the team's documents", &documents_list_doc},
    {HTTP_POST, "/api/v1/documents", WHO_ADMIN_OR_KEY, BODY_JSON_OR_UPLOAD,
     sizeof(struct document_upload), document_upload_steps,
     "Add a document to the team's knowledge", &document_upload_doc},
    {HTTP_POST, "/api/v1/documents/search", WHO_ADMIN_OR_KEY, BODY_JSON,
     sizeof(struct document_search_call), document_search_call_steps, "Search the team's documents",
     &document_search_call_doc},
    {HTTP_GET, "/api/v1/documents/{id}", WHO_ADMIN_OR_KEY, BODY_NONE, sizeof(struct documents),
     documents_get_steps, "Read a document's state", &documents_get_doc},
    {HTTP_DELETE, "/api/v1/documents/{id}", WHO_ADMIN_OR_KEY, BODY_NONE, sizeof(struct documents),
     documents_delete_steps, "Delete a document", &documents_delete_doc},
    {HTTP_POST, "/api/v1/documents/{id}/embed", WHO_ADMIN_OR_KEY, BODY_NONE,
     sizeof(struct documents), documents_embed_steps, "Embed again what of a document is not",
     &documents_embed_doc},

    {HTTP_POST, "/api/v1/register", WHO_ANYONE, BODY_JSON, sizeof(struct site_registration),
     sites_register_steps, "Register a WordPress site, which is called back", &sites_register_doc},
    {HTTP_POST, "/api/v1/validate", WHO_ANYONE, BODY_JSON, sizeof(struct site_validation),
     sites_validate_steps, "Are a site's credentials valid?", &sites_validate_doc},

    {HTTP_POST, "/api/visitors/erase", WHO_ADMIN, BODY_JSON, sizeof(struct erase_call),
     erase_visitor_steps, "Erase a visitor's session, with a report of what went",
     &erase_visitor_doc},

    {HTTP_GET, "/api/webhooks", WHO_ADMIN, BODY_NONE, sizeof(struct webhooks), webhooks_list_steps,
     "List the team's webhooks", &webhooks_list_doc},
    {HTTP_POST, "/api/webhooks", WHO_ADMIN, BODY_JSON, sizeof(struct webhooks),
     webhooks_create_steps, "Add a webhook", &webhooks_create_doc},
    {HTTP_GET, "/api/webhooks/{id}", WHO_ADMIN, BODY_NONE, sizeof(struct webhooks),
     webhooks_get_steps, "Read a webhook", &webhooks_get_doc},
    {HTTP_PUT, "/api/webhooks/{id}", WHO_ADMIN, BODY_JSON, sizeof(struct webhooks),
     webhooks_update_steps, "Change the given fields of a webhook", &webhooks_update_doc},
    {HTTP_DELETE, "/api/webhooks/{id}", WHO_ADMIN, BODY_NONE, sizeof(struct webhooks),
     webhooks_delete_steps, "Delete a webhook and its deliveries", &webhooks_delete_doc},
    {HTTP_GET, "/api/webhooks/{id}/deliveries", WHO_ADMIN, BODY_NONE,
     sizeof(struct webhook_deliveries), webhook_deliveries_list_steps,
     "List a webhook's deliveries", &webhook_deliveries_list_doc},
    {HTTP_POST, "/api/webhooks/{id}/deliveries/replay", WHO_ADMIN, BODY_NONE,
     sizeof(struct webhook_deliveries), webhook_deliveries_replay_all_steps,
     "Send all deliveries again that were given up", &webhook_deliveries_replay_all_doc},
    {HTTP_POST, "/api/webhooks/{id}/deliveries/{delivery_id}/replay", WHO_ADMIN, BODY_NONE,
     sizeof(struct webhook_deliveries), webhook_deliveries_replay_steps,
     "Send a delivery again that was given up", &webhook_deliveries_replay_doc},
    {HTTP_POST, "/api/webhooks/{id}/secret", WHO_ADMIN, BODY_NONE, sizeof(struct webhooks),
     webhooks_rotate_steps, "Give a webhook a new secret", &webhooks_rotate_doc},
    {HTTP_POST, "/api/webhooks/{id}/test", WHO_ADMIN, BODY_NONE, sizeof(struct webhook_test),
     webhook_test_steps, "Call a webhook now and tell what its receiver said", &webhook_test_doc},

    {HTTP_GET, "/api/welcome", WHO_ANYONE, BODY_NONE, sizeof(struct welcome), welcome_steps,
     "May a visitor chat at once, and with whom?", &welcome_doc},

    {HTTP_GET, "/assets/{name}", WHO_ANYONE, BODY_NONE, 0, page_asset_steps, "A file of the pages",
     &page_asset_doc},

    {HTTP_GET, "/chatbots", WHO_ADMIN, BODY_NONE, sizeof(struct agents), chatbots_list_steps,
     "List the team's agents, as chatbots", &chatbots_list_doc},
    {HTTP_POST, "/chatbots", WHO_ADMIN, BODY_JSON, sizeof(struct agents), chatbots_create_steps,
     "Create an agent, as a chatbot", &chatbots_create_doc},
    {HTTP_GET, "/chatbots/{id}", WHO_ADMIN, BODY_NONE, sizeof(struct agents), chatbots_get_steps,
     "Read an agent, as a chatbot", &chatbots_get_doc},
    {HTTP_PUT, "/chatbots/{id}", WHO_ADMIN, BODY_JSON, sizeof(struct agents), chatbots_update_steps,
     "Change the given fields of an agent, as a chatbot", &chatbots_update_doc},
    {HTTP_DELETE, "/chatbots/{id}", WHO_ADMIN, BODY_NONE, sizeof(struct agents),
     chatbots_delete_steps, "Delete an agent, as a chatbot", &chatbots_delete_doc},
    {HTTP_GET, "/chatbots/{id}/api-keys", WHO_ADMIN, BODY_NONE, sizeof(struct api_keys),
     chatbots_keys_list_steps, "List a chatbot's API keys, the revoked ones too",
     &chatbots_keys_list_doc},
    {HTTP_POST, "/chatbots/{id}/api-keys", WHO_ADMIN, BODY_JSON, sizeof(struct api_keys),
     chatbots_keys_create_steps, "Make an API key, shown once", &chatbots_keys_create_doc},
    {HTTP_DELETE, "/chatbots/{id}/api-keys/{key_id}", WHO_ADMIN, BODY_NONE, sizeof(struct api_keys),
     api_keys_revoke_steps, "Revoke an API key", &chatbots_keys_revoke_doc},

    {HTTP_GET, "/console", WHO_ANYONE, BODY_NONE, 0, page_console_steps, "The admins' console",
     &page_console_doc},

    {HTTP_GET, "/db-status", WHO_ADMIN_OR_KEY, BODY_NONE, sizeof(struct db_status), db_status_steps,
     "Does the database answer, and what has the team in it?", &db_status_doc},

    {HTTP_GET, "/docs", WHO_ANYONE, BODY_NONE, 0, docs_swagger_steps, "The API in Swagger UI",
     &docs_page_doc},

    {HTTP_GET, "/health", WHO_MONITOR, BODY_NONE, 0, health_steps, "Is the server there?",
     &health_doc},
    {HTTP_GET, "/health/ready", WHO_MONITOR, BODY_NONE, sizeof(struct health), health_ready_steps,
     "Can it serve?", &health_ready_doc},
    {HTTP_GET, "/health/stream", WHO_ANYONE, BODY_NONE, sizeof(struct health_stream),
     health_stream_steps, "A short stream, to try the way to here", &health_stream_doc},

    {HTTP_GET, "/metrics", WHO_METRICS, BODY_NONE, 0, metrics_steps,
     "The server's numbers, for Prometheus", &metrics_doc},

    {HTTP_GET, "/openapi.json", WHO_ANYONE, BODY_NONE, 0, docs_openapi_steps,
     "This description of the API", &docs_openapi_doc},

    {HTTP_POST, "/peer/stop", WHO_PEER, BODY_NONE, sizeof(struct peer), peer_stop_steps,
     "Another node: end a turn of this one", NULL},
    {HTTP_GET, "/peer/turn", WHO_PEER, BODY_NONE, sizeof(struct peer), peer_turn_steps,
     "Another node: follow a turn of this one", NULL},

    {HTTP_GET, "/redoc", WHO_ANYONE, BODY_NONE, 0, docs_redoc_steps, "The API in ReDoc",
     &docs_page_doc},

    {HTTP_GET, "/users", WHO_ADMIN, BODY_NONE, sizeof(struct users), users_list_steps,
     "List the team's users", &users_list_doc},
    {HTTP_GET, "/users/{id}", WHO_ADMIN, BODY_NONE, sizeof(struct users), users_get_steps,
     "Read a user", &users_get_doc},
    {HTTP_PUT, "/users/{id}", WHO_ADMIN, BODY_JSON, sizeof(struct users), users_update_steps,
     "Change a user's role, name or access", &users_update_doc},
    {HTTP_DELETE, "/users/{id}", WHO_ADMIN, BODY_NONE, sizeof(struct erase_call),
     erase_delete_user_steps, "Delete a user", &erase_delete_user_doc},
    {HTTP_GET, "/users/{id}/chatbots", WHO_ADMIN, BODY_NONE, sizeof(struct agents),
     users_chatbots_steps, "List the agents that a user made, as chatbots", &users_chatbots_doc},

    {HTTP_POST, "/v1/chat/completions", WHO_KEY, BODY_JSON, sizeof(struct completion),
     completions_steps, "Ask an agent in OpenAI's protocol", &completions_doc},
    {HTTP_GET, "/v1/models", WHO_KEY, BODY_NONE, sizeof(struct v1), models_list_steps,
     "The key's agent, as a list of models", &models_list_doc},
    {HTTP_GET, "/v1/models/{id}", WHO_KEY, BODY_NONE, sizeof(struct v1), models_get_steps,
     "The key's agent, as a model", &models_get_doc},

    {HTTP_GET, "/widget.js", WHO_ANYONE, BODY_NONE, 0, page_widget_steps,
     "The widget, for a script element", &page_widget_doc},
    {HTTP_GET, "/widget.mjs", WHO_ANYONE, BODY_NONE, 0, page_widget_steps,
     "The widget, as a module", &page_widget_doc},
};

const struct http_hooks *api_hooks(void)
{
    static const struct http_hooks hooks = {
        .routes = routes, .n_routes = COUNT(routes), .on_head = api_on_head, .who = api_who, .cors = api_cors};

    return &hooks;
}
