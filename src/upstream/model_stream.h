/* What the answers of model providers have in common: server-sent events that hold JSON, or one
 * JSON text where the server does not stream. What their objects say is each provider's own. */
#ifndef AERIE_UPSTREAM_MODEL_STREAM_H
#define AERIE_UPSTREAM_MODEL_STREAM_H

#include "base/json.h"
#include "event_stream.h"
#include "reply.h"

/* The state of such a reader: its init() sets the first two. */
struct model_stream {
    struct reply *reply;
    /* A chunk of the stream, or the whole answer; an object, valid inside the call only. */
    void (*take)(struct model_stream *s, yyjson_val *object);
    bool has_finished; /* the provider said how the answer ended */

    enum { MODEL_UNTOLD, MODEL_EVENTS, MODEL_JSON } shape; /* UNTOLD: only white space so far */
    /* An answer that is not streamed, until its end; or lines between the events that are none:
     * a provider that fails in the middle may say so in plain JSON. */
    struct buf held;
    struct event_stream events;
};

/* The reader's feed, end and deinit. */
void model_stream_feed(void *state, struct str bytes);
void model_stream_end(void *state, bool is_whole);
void model_stream_deinit(void *state);

/* ---- for take() ---- */

/* A name and what it stands for; the last row's name is NULL. */
struct model_word {
    const char *name;
    int value;
};
/* -1: none of them. */
int model_word_value(const struct model_word *words, yyjson_val *name);

/* The first name counts. */
void model_stream_set_model(struct model_stream *s, struct str model);
/* A count of tokens; 0 for what is none. */
int64_t model_tokens(yyjson_val *val);
/* total 0: not told. */
void model_stream_set_usage(struct model_stream *s, int64_t prompt, int64_t completion,
                            int64_t total);
/* How the answer ended. */
void model_stream_set_finish(struct model_stream *s, enum upstream_finish finish);
/* The provider's filter ended it: fails the reply. */
void model_stream_filter(struct model_stream *s, const char *detail);

#endif
