/* What an OpenAI client asks for. */
#ifndef AERIE_SRC_API_COMPLETION_INPUT_H
#define AERIE_SRC_API_COMPLETION_INPUT_H

#include "http/http.h"
#include "upstream/upstream.h"

struct completion_input {
    struct upstream_message *messages; /* the user's and the assistant's, oldest first */
    size_t n_messages;
    struct str system; /* those of the system and the developer, joined; "" : none */
    bool is_stream, wants_usage;
};

/* Reads the body into memory of a; the request's state begins with a struct v1, whose key's agent
 * the model must be. False: the flow has failed, with 400 or 404. */
bool completion_read(struct request *req, struct arena *a, struct completion_input *out) MUST_CHECK;

extern const struct schema completion_request_schema;

#endif
