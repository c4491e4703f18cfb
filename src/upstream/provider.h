/* What a provider is to this room: one row. A new provider is one file, one row in provider.c, and
 * a row in the table of test/unit/upstream/model_test.c. */
#ifndef AERIE_UPSTREAM_PROVIDER_H
#define AERIE_UPSTREAM_PROVIDER_H

#include "config/config.h"
#include "reply.h"

/* An answer made here, without a network. The state is in memory that the call owns, all-zero
 * before. */
struct builtin_type {
    size_t state_bytes;
    struct error (*init)(void *state, const struct upstream_prompt *prompt, struct reply *reply);
    /* Adds the next piece to the reply. Milliseconds until it wants to be called again, or -1:
     * done. */
    int (*next)(void *state);
    void (*deinit)(void *state);
};

struct provider_header {
    const char *name, *value;
};
#define PROVIDER_HEADERS_MAX 2

/* A row is asked over HTTP (write_request and reader), or answers by itself (builtin). */
struct provider {
    const char *name;     /* in the API and in the database */
    const char *greeting; /* the first thing that people see of a turn */
    const char *base_url; /* used when the agent has no URL; NULL: it needs one */
    /* Where the configuration's keys and base URL for it are, a struct config_service in struct
     * config; 0: nowhere. */
    size_t service;
    const char *models_path; /* behind the base URL; NULL: it has no list of models */
    bool needs_token;
    bool hides_auth; /* a wrong key is answered as a bad request, of which only the body tells */
    bool takes_keys; /* a team's, though it may do without; who needs a token takes them, too */
    const char *key_header; /* carries the key, bare; NULL: Authorization does, as a bearer token */
    struct provider_header headers[PROVIDER_HEADERS_MAX]; /* in each request; name NULL: none */
    bool may_repeat;                                      /* asking twice does not act twice */
    unsigned max_idle_s; /* connections idle longer are not used again */
    /* Fills the URL (at most url->max_bytes) and the JSON body. An error ends the call. */
    struct error (*write_request)(const struct upstream_prompt *prompt, struct str base_url,
                                  struct buf *url, struct buf *body);
    const struct reader_type *reader;
    const struct builtin_type *builtin;
};

/* "" : it needs one from the agent. */
struct str provider_base_url(const struct provider *p);
/* The configuration's keys for it. */
struct config_list provider_keys(const struct provider *p);

extern const struct builtin_type echo_type;
extern const struct reader_type anthropic_reader_type;
extern const struct reader_type gemini_reader_type;
extern const struct reader_type n8n_reader_type;
extern const struct reader_type openai_reader_type;
struct error anthropic_write_request(const struct upstream_prompt *prompt, struct str base_url,
                                     struct buf *url, struct buf *body);
struct error gemini_write_request(const struct upstream_prompt *prompt, struct str base_url,
                                  struct buf *url, struct buf *body);
struct error n8n_write_request(const struct upstream_prompt *prompt, struct str base_url,
                               struct buf *url, struct buf *body);
struct error openai_write_request(const struct upstream_prompt *prompt, struct str base_url,
                                  struct buf *url, struct buf *body);

#endif
