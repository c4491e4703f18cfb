/* Reading what a client sent, by a table of fields: types, bounds and sentences are settled here,
 * so that a handler sees only what is right. Fields that the table does not name never bind. */
#ifndef AERIE_API_INPUT_H
#define AERIE_API_INPUT_H

#include "account/caller.h"
#include "http/http.h"

enum input_kind {
    INPUT_TEXT, /* min and max count characters; control characters but \n, \r and \t are refused */
    INPUT_LINE, /* as text, no control characters at all, trimmed */
    INPUT_EMAIL,  /* lower-cased */
    INPUT_SECRET, /* as text, never trimmed */
    INPUT_ID,     /* a UUID, lower-cased */
    INPUT_BOOL,
    INPUT_INT,    /* min and max bound the value */
    INPUT_OBJECT, /* text holds it as compact JSON; max counts bytes */
    INPUT_LINES,  /* an array of strings; text holds it as compact JSON; max counts items of ≤ 300
                     characters */
};

/* One per field in the handler's input struct. */
struct input {
    struct str text; /* in the request's arena */
    int64_t number;  /* INPUT_BOOL, INPUT_INT */
    bool is_given;   /* the client named it (also as null) */
    bool is_null;
};

/* Is there a value? */
static inline bool input_is_set(const struct input *in)
{
    return in->is_given && !in->is_null;
}

struct input_field {
    const char *name;
    enum input_kind kind;
    bool is_required;
    bool is_nullable; /* null is accepted and told; otherwise null is like absent unless required */
    int64_t min, max;
    size_t offset;      /* of the struct input */
    const char *alias;  /* another name of the same field, or NULL */
    const char *values; /* of a text: the words it may be, "user|admin"; NULL: any */
};

/* Fills the struct at base from the body: JSON, or a form where the route takes forms. False: the
 * flow has failed, with 400 (not JSON, no object) or 422 (every wrong field named). */
bool input_read(struct request *req, const struct input_field *fields, size_t n,
                void *base) MUST_CHECK;

/* A text that stands deeper in the body than the table reaches, held to the same rules. text: valid
 * UTF-8, copied. */
void input_take_text(struct request *req, const struct input_field *field, struct str text,
                     struct input *out);
/* A wrong field that the table cannot tell: a row of the 422, which the caller then fails with; out
 * of memory, the flow has failed. */
void input_wrong(struct request *req, const char *field, const char *message);
/* Of lower-cased, valid UTF-8. */
bool input_is_email(struct str text);
/* Words of small letters and digits, joined by single hyphens; at most 63. */
bool input_is_slug(struct str text);

/* limit 1–200 (50 when absent) and offset ≥ 0 from the query. False: the flow has failed with 422.
 */
bool input_page(struct request *req, int64_t *limit, int64_t *offset) MUST_CHECK;
/* A whole number of the query between min and max, or fallback when absent. */
bool input_query_int(struct request *req, const char *name, int64_t min, int64_t max,
                     int64_t fallback, int64_t *out) MUST_CHECK;
bool input_query_bool(struct request *req, const char *name, bool fallback, bool *out) MUST_CHECK;
/* An id of the query, in the arena; ptr NULL when absent. False: the flow has failed with 422. */
bool input_query_id(struct request *req, const char *name, struct str *out) MUST_CHECK;
/* Path parameter i as an id. What is no UUID cannot exist: the flow fails with 404 and the sentence
 * given. */
bool input_path_id(struct request *req, unsigned i, const char *not_found,
                   struct id *out) MUST_CHECK;

static inline struct caller *caller_of(const struct request *req)
{
    return req->caller;
}

#endif
