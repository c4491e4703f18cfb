/* Asking an agent: one call out, streamed in, as an operation of a flow. Providers are rows of one
 * table. */
#ifndef AERIE_UPSTREAM_UPSTREAM_H
#define AERIE_UPSTREAM_UPSTREAM_H

#include "base/arena.h"
#include "base/json.h"
#include "loop/flow.h"
#include "loop/loop.h"

struct provider;

struct upstream_message {
    struct str role, content;
    int64_t created_us;
};

/* Whom to ask, and what. Everything in the caller's arena, in place until the first on_text() or
 * the end of the call. */
struct upstream_prompt {
    const struct provider *provider;
    struct str url; /* the webhook, or the base URL; "" : the provider's own */
    /* In clear, a pool to choose from. None: the configuration's keys for this provider, unless the
     * agent has a URL of its own, which need not be the provider's. */
    const struct str *tokens;
    size_t n_tokens;
    struct str model, system_prompt;
    struct str config;                       /* the agent's config, a JSON object */
    struct str session_id;                   /* the chat's id */
    const struct upstream_message *messages; /* oldest first; the last is the user's */
    size_t n_messages;
};

struct upstream_usage {
    int64_t prompt_tokens, completion_tokens, total_tokens;
    bool is_known;
};

/* How the reply ended, as far as the provider tells. */
enum upstream_finish {
    UPSTREAM_STOPPED,  /* by itself; or not told */
    UPSTREAM_LENGTH,   /* cut at the most tokens that it may have */
    UPSTREAM_FILTERED, /* cut or refused by the provider's filter: the call fails with ERR_PROVIDER_ERROR */
};

/* What came in place of a reply, where that is known: it tells what to change. */
enum upstream_clue {
    CLUE_NONE,
    CLUE_STARTED,  /* n8n's word that a workflow runs, which does not respond with its end */
    CLUE_STARTING, /* n8n is not up yet */
    CLUE_REQUEST,  /* our own request */
    CLUE_PAGE,     /* a web page */
    CLUE_NO_REPLY, /* JSON without any of the members that a reply may be in */
};

#define UPSTREAM_MODEL_BYTES 128

/* Inside the caller's state, all-zero, in place until it ends. */
struct upstream_call {
    struct op op;
    void *state; /* the caller's */
    /* A piece of the reply: valid UTF-8, never empty, not cut inside a character. Called on the
     * loop, not before upstream_start() has returned; may call flow_fail() on the call's flow. */
    void (*on_text)(struct upstream_call *call, struct str text);
    /* Something for people to see ("Retrying in 2 s"); may be NULL. */
    void (*on_status)(struct upstream_call *call, struct str text);
    uint64_t first_byte_us;      /* by the monotonic clock, when the answer began; 0: not yet */
    struct upstream_usage usage; /* as far as told, when the call has ended */
    enum upstream_finish finish; /* when the call has ended */
    enum upstream_clue clue;     /* when it has failed */
    int http_status;             /* of the last answer, when the call has ended; 0: there was none */
    struct str model;            /* as the provider names it, in model_text; known when the call has ended; may be "" */
    char model_text[UPSTREAM_MODEL_BYTES];
    struct upstream_transfer *transfer; /* the room's own */
};

/* Before the first piece of text, a model provider that cannot answer is asked again: with another
 * key at once, then after a wait; n8n never is. ERR_PROVIDER_RATE_LIMITED's code: seconds to wait.
 * Ends with NO_ERROR (the reply is whole and not empty), one of ERR_PROVIDER_…, ERR_EMPTY_REPLY,
 * ERR_INTERRUPTED, ERR_UPSTREAM_LIMIT, ERR_BUSY, ERR_NO_MEMORY, or ERR_CANCELED. Cancel ends the
 * transfer at once. */
void upstream_start(struct upstream_call *call, struct flow *f,
                    const struct upstream_prompt *prompt);

/* By its name in the API ("n8n"); NULL: no such provider. */
const struct provider *provider_find(struct str name);
/* Who answers at a URL of OpenAI's protocol: the one whose own URL it is, or begins with; else
 * openai_compatible. */
const struct provider *provider_of_url(struct str url);
const char *provider_name(const struct provider *p);
/* What the first status event says: "Sending request to n8n webhook...". */
const char *provider_greeting(const struct provider *p);
bool provider_needs_url(const struct provider *p);
bool provider_needs_key(const struct provider *p);
bool provider_takes_keys(const struct provider *p); /* those of a team */
bool provider_has_key(const struct provider *p);    /* in the configuration */
const struct provider *provider_at(size_t i);       /* in the order of their names; NULL: no more */

/* A URL an admin wants to save: http or https, a host, no credentials, no control characters, no
 * literal inner address outside egress.allow. ERR_INVALID with a sentence otherwise. */
struct error egress_check_url(struct str url) MUST_CHECK;

void upstream_metrics(struct buf *out); /* calls by provider, for GET /metrics */

struct error
upstream_open(void) MUST_CHECK; /* once, main thread: curl_global_init, resolver threads */
void upstream_close(void);
struct error upstream_attach(struct loop *l) MUST_CHECK;
void upstream_detach(struct loop *l, void (*on_detached)(struct loop *l));

#endif
