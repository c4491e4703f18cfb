/* Remedies, by what went wrong. */
#include "agent_hint.h"

struct hint {
    int key; /* a clue or a status */
    const char *for_n8n, *for_models;
};

static const struct hint clues[] = {
    {CLUE_STARTED,
     "In n8n, set \"Respond\" of the Webhook node to \"Streaming\", or to \"When Last Node "
     "Finishes\": now it answers before there is a reply.",
     NULL},
    {CLUE_STARTING, "n8n has not finished starting. Wait a moment, and test again.", NULL},
    {CLUE_REQUEST,
     "The workflow answers with the item of its Webhook node. Let its last node return the reply "
     "as \"output\" or \"text\".",
     NULL},
    {CLUE_PAGE,
     "The URL is the one of n8n's editor, or a login page stands before n8n. Take the production "
     "URL that the Webhook node shows: https://…/webhook/….",
     NULL},
    {CLUE_NO_REPLY,
     "Let the last node of the workflow return the reply as \"output\", \"text\", \"content\", "
     "\"response\" or \"message\".",
     NULL},
};

static const struct hint statuses[] = {
    {ERR_PROVIDER_UNREACHABLE,
     "Check the URL's host and port, and that n8n runs. If it is inside your own network (this "
     "machine, a container, 10.…, 192.168.…), Aerie calls it only when the operator has listed the "
     "host or its network in egress.allow (EGRESS__ALLOW).",
     "Check the URL's host and port, and that the provider runs. If it is inside your own network "
     "(this machine, a container, 10.…, 192.168.…), Aerie calls it only when the operator has listed "
     "the host or its network in egress.allow (EGRESS__ALLOW)."},
    {ERR_PROVIDER_TIMEOUT,
     "Look at \"Executions\" in n8n for the node that takes so long, or let the operator raise "
     "upstream.first_byte_seconds and its neighbours.",
     "Try a smaller model, or let the operator raise upstream.first_byte_seconds and its "
     "neighbours."},
    {ERR_PROVIDER_AUTH,
     "Make the agent's webhook_token and the Header Auth of the Webhook node the same: the header "
     "is Authorization, its value \"Bearer \" and the token.",
     "Check the key of this provider: the agent's own, the team's, or the server's."},
    {ERR_PROVIDER_RATE_LIMITED, "n8n, or a proxy before it, limits how often it is called. Wait, then find out which.",
     "The provider limits how often this key is used. Wait, or add another key for the team."},
    {ERR_PROVIDER_ERROR, "The workflow failed: look at \"Executions\" in n8n for the node and its words.",
     "Look at the provider's own log or status page, and check the agent's model and config."},
    {ERR_PROVIDER_MALFORMED,
     "Something other than the workflow answers at this URL, or its answer is broken JSON. Check the URL, and "
     "let the last node return the reply as \"output\" or \"text\".",
     "Something other than the provider answers at this URL. Check the URL: it is the one before "
     "/chat/completions."},
    {ERR_EMPTY_REPLY,
     "Look at \"Executions\" in n8n which branch ran: with \"continue on error\" a failed model "
     "says nothing.",
     "Ask something else, or allow the model more tokens: it may have used them up before it said "
     "anything."},
    {ERR_INTERRUPTED,
     "n8n stopped in the middle, or a proxy before it cut the answer: raise the proxy's read "
     "timeout and turn its buffering off.",
     "The provider, or a proxy before it, cut the answer. Test again."},
    {ERR_UPSTREAM_LIMIT,
     "Let the workflow say less, or let the operator raise upstream.reply_bytes and "
     "upstream.event_bytes.",
     "Let the model say less, or let the operator raise upstream.reply_bytes and "
     "upstream.event_bytes."},
};

static const char *find(const struct hint *hints, size_t n, int key, bool is_n8n)
{
    for (size_t i = 0; i < n; i++) {
        if (hints[i].key == key)
            return is_n8n || !hints[i].for_models ? hints[i].for_n8n : hints[i].for_models;
    }
    return NULL;
}

/* An address that answers, but not to this. */
static const char *hint_of_status(const struct upstream_prompt *prompt, int http_status,
                                  bool is_n8n)
{
    if (http_status == 404 && str_contains(prompt->url, STR("/webhook-test/")))
        return "This is the test URL, which answers only while the editor listens. Activate the "
               "workflow, and take its production URL: /webhook/ in place of /webhook-test/.";
    if (http_status == 404)
        return is_n8n ? "Activate the workflow, and check that the path of the URL is the one of its Webhook node, and "
                        "its method POST."
                      : "Check the URL, which is the one before /chat/completions, and the model's "
                        "name.";
    if (http_status >= 300 && http_status < 400)
        return "The address sends its callers elsewhere. Open it in a browser, and take the URL "
               "where that ends; often https:// in place of http://.";
    return NULL;
}

const char *agent_hint(const struct upstream_prompt *prompt, const struct upstream_call *call,
                       struct error err)
{
    bool is_n8n = str_eq(str_from(provider_name(prompt->provider)), STR("n8n"));
    const char *hint = find(clues, sizeof(clues) / sizeof(clues[0]), (int)call->clue, is_n8n);

    if (!hint && err.status == ERR_PROVIDER_ERROR)
        hint = hint_of_status(prompt, call->http_status, is_n8n);
    if (!hint)
        hint = find(statuses, sizeof(statuses) / sizeof(statuses[0]), (int)err.status, is_n8n);
    return hint ? hint : "Test again. If it stays so, the server's log has more.";
}
