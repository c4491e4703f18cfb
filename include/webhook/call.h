/* One call of a webhook's receiver: what is said, and what it is signed with. */
#ifndef AERIE_WEBHOOK_CALL_H
#define AERIE_WEBHOOK_CALL_H

#include "upstream/fetch.h"

/* Everything in the caller's memory, in place during the call of webhook_call_make(). */
struct webhook_message {
    struct str webhook_id, url;
    struct str secret, previous_secret; /* sealed; the latter ptr NULL: it signs no more */
    struct str delivery_id;             /* the same over all tries */
    struct str event_id, type, team_id;
    int64_t created_us;
    struct str data; /* a JSON object */
    struct str text; /* ptr NULL: null */
    bool has_text;   /* data gets a member text */
};

/* out's texts: in the arena. ERR_UNAVAILABLE: the seal does not open; ERR_NO_MEMORY. */
struct error webhook_call_make(struct arena *a, const struct webhook_message *m,
                               struct fetch_request *out) MUST_CHECK;

/* A new secret, to be shown once, and as it is stored. ptr NULL: no memory. */
struct webhook_secret {
    struct str text, sealed;
};
struct webhook_secret webhook_secret_new(struct arena *a, struct str webhook_id);

/* Did the receiver take it? By the head of its answer: whatever comes behind that does not count.
 */
static inline bool webhook_was_taken(int http_status)
{
    return http_status >= 200 && http_status < 300;
}
/* What became of a call, in plain words, static; "" : it was taken. */
const char *webhook_call_words(struct error err, int http_status);

#endif
