/* A line of the log under way, on the stack. */
#ifndef AERIE_SRC_BASE_LOG_LINE_H
#define AERIE_SRC_BASE_LOG_LINE_H

#include "base/str.h"

#include <limits.h>

/* A line is never longer than what a pipe takes whole once poll() calls it writable. */
#define LINE_BYTES PIPE_BUF
/* Kept free for what closes it. */
#define LINE_TAIL_BYTES 8

struct line {
    char bytes[LINE_BYTES];
    size_t len;
};

/* What does not fit any more is left out. */
void line_put(struct line *l, const char *bytes, size_t len);
/* Escaped and redacted; is_json: for the inside of a JSON string. */
void line_put_text(struct line *l, struct str text, bool is_json);

#endif
