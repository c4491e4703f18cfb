/* What requests to model providers have in common: the agent's config and model, its options, the
 * turns of the chat. */
#ifndef AERIE_UPSTREAM_MODEL_REQUEST_H
#define AERIE_UPSTREAM_MODEL_REQUEST_H

#include "base/json.h"
#include "upstream/upstream.h"

struct model_request {
    const struct upstream_prompt *prompt;
    struct str model;   /* never "" once open */
    yyjson_val *config; /* NULL: it says nothing */
    struct arena arena;
};
/* An error: the agent has no model. Close it in each case. */
struct error model_request_open(struct model_request *rq,
                                const struct upstream_prompt *prompt) MUST_CHECK;
void model_request_close(struct model_request *rq);

/* base_url without slashes at its end, then path, unless it ends with that already. */
void model_request_url(struct buf *url, struct str base_url, struct str path);

/* What an agent's config may say about the answer; the rest of it is about the chat. */
struct model_option {
    const char *key;  /* in the config */
    const char *name; /* in the request; of neighbours with the same name the first counts */
    bool is_list;     /* one string in the config becomes a list of one */
};
/* False: the config says nothing (null is nothing). */
bool model_request_has(const struct model_request *rq, const char *key);
void model_request_write_options(const struct model_request *rq, struct json *j,
                                 const struct model_option *options, size_t n);

/* For providers that insist on turns: the user has the first, then they alternate, and none is
 * blank. Messages that follow one another in the same role become parts of one turn. */
struct model_turns {
    struct str assistant; /* what the provider calls it */
    const char *parts;    /* the member that holds the parts */
    bool has_types;       /* a part says that it is text */
};
void model_request_write_turns(const struct model_request *rq, struct json *j,
                               const struct model_turns *words);

#endif
