/* Lines that each hold JSON, and reading JSON the way upstreams write it. */
#ifndef AERIE_UPSTREAM_JSON_LINES_H
#define AERIE_UPSTREAM_JSON_LINES_H

#include "base/buf.h"

#include <yyjson.h>

struct json_lines {
    /* Never blank; valid inside the call only. */
    void (*on_line)(void *state, struct str line);
    void *state;
    size_t max_bytes;
    struct buf line; /* one that is not whole yet */
};

/* False once a line is longer than max_bytes. */
bool json_lines_feed(struct json_lines *l, struct str bytes);
void json_lines_end(struct json_lines *l); /* the last line may lack its newline */
void json_lines_deinit(struct json_lines *l);

/* The values in a text, one after the other. Invalid UTF-8 and halves of surrogate pairs, which
 * JavaScript writes when it cuts a string inside an emoji, are read as U+FFFD. */
struct json_values {
    struct str rest;
    struct buf repaired; /* holds the text when it had to be */
    yyjson_doc *doc;
    bool is_cut;       /* JSON_BAD because the text stops in the middle of a value */
    bool is_no_memory; /* JSON_BAD for want of memory */
    char pool[8 * 1024];
};
enum json_values_next { JSON_VALUE, JSON_END, JSON_BAD };
void json_values_init(struct json_values *v, struct str text);
/* The value lives until the next call. */
enum json_values_next json_values_next(struct json_values *v, yyjson_val **value);
void json_values_deinit(struct json_values *v);

#endif
