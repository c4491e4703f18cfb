/* What a reader makes of a provider's bytes: text for people, or why there is none. In memory only.
 */
#ifndef AERIE_UPSTREAM_REPLY_H
#define AERIE_UPSTREAM_REPLY_H

#include "base/buf.h"
#include "base/error.h"
#include "json_lines.h"
#include "upstream/upstream.h"

enum reply_state {
    REPLY_OPEN,       /* more may come */
    REPLY_DONE,       /* it said so; what follows does not count */
    REPLY_ERROR_TOLD, /* err is set, yet the body may go on for a moment */
    REPLY_FAILED,     /* err is set, nothing else is wanted */
};

struct reply {
    enum reply_state state;
    struct error err;
    struct buf text;   /* valid UTF-8 that nobody has taken yet */
    size_t text_bytes; /* of the whole reply so far */
    size_t max_text_bytes, max_event_bytes;
    struct utf8_stream utf8; /* of plain text */
    bool is_cut;             /* err is about JSON that stops in the middle */
    bool lacks_end;          /* the provider tells when it is done, and did not */
    enum upstream_finish finish;
    enum upstream_clue clue; /* to err */
    struct upstream_usage usage;
    char *model; /* as the provider names it, of UPSTREAM_MODEL_BYTES; NULL: nobody asks */
};

/* Whole characters; invalid ones and NUL become U+FFFD. Past the bound the reply fails. */
void reply_add(struct reply *r, struct str text);
/* The same for bytes that may be cut inside a character. */
void reply_add_bytes(struct reply *r, struct str bytes);
void reply_end_bytes(struct reply *r); /* a character cut off becomes U+FFFD */
/* The first error counts. */
void reply_fail(struct reply *r, enum status status, const char *detail);
/* The provider says in its answer what others say by an HTTP status; http_status <= 0: something
 * else. */
void reply_refuse(struct reply *r, int http_status);
/* It fails for what came in place of a reply. */
void reply_mistake(struct reply *r, enum upstream_clue clue, const char *detail);
/* For values that could not be read: detail, unless it is for want of memory. */
void reply_fail_json(struct reply *r, const struct json_values *values, const char *detail);
void reply_tell_error(struct reply *r, enum status status, const char *detail);
void reply_done(struct reply *r);
static inline bool reply_takes_more(const struct reply *r)
{
    return r->state == REPLY_OPEN || r->state == REPLY_ERROR_TOLD;
}

/* How one family of providers answers. The state is in memory that the call owns. */
struct reader_type {
    size_t state_bytes;
    /* state is all-zero; reply stays in place. */
    void (*init)(void *state, struct reply *reply);
    void (*feed)(void *state, struct str bytes);
    /* The body has ended: whole, or cut (then what could be text is kept, nothing is judged). */
    void (*end)(void *state, bool is_whole);
    void (*deinit)(void *state);
};

#endif
