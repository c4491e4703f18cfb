/* What a client of /v1/chat/completions is sent. */
#ifndef AERIE_SRC_API_COMPLETION_OUTPUT_H
#define AERIE_SRC_API_COMPLETION_OUTPUT_H

#include "completions.h"

extern const struct schema completion_schema, completion_event_schema;

/* ---- streamed ---- */
/* The head of the answer and the first chunk: from now on the status is 200. */
void completion_begin_stream(struct completion *s);
/* A comment comes after each silence; the first one begins the stream. */
void completion_restart_heartbeat(struct completion *s);
/* Sends what there is and the socket takes. A slow client costs no more than one reply; with
 * is_blocked set, the rest follows as it reads, and then ends s->drain. */
void completion_pump(struct completion *s);
/* The last events, or the error. */
void completion_end_stream(struct completion *s, struct error err);
/* Fails the flow when an event could not be written. The last thing that a callback does, as it may
 * free s. */
void completion_check_failed(struct completion *s);

/* ---- or whole ---- */
void completion_answer_whole(struct completion *s);

#endif
