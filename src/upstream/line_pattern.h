/* A stream's lines, as a rule, differ from one another in their text alone: one that does is told
 * by comparing it with a line that was parsed, at a tenth of what parsing costs. */
#ifndef AERIE_UPSTREAM_LINE_PATTERN_H
#define AERIE_UPSTREAM_LINE_PATTERN_H

#include "base/buf.h"

#include <yyjson.h>

struct line_pattern {
    struct buf frame; /* what stands before and after the text; empty: no line is remembered */
    size_t head_len;
};

/* Remembers a line whose value is the object root, and which did nothing but add text, a string in
 * it, whatever the text and the later digits of its numbers are. One with escapes is not
 * remembered. */
void line_pattern_set(struct line_pattern *p, struct str line, yyjson_val *root, yyjson_val *text);
/* True when the line is JSON, and differs from the one remembered in its text and in digits that
 * follow a digit. text: in the line, and not yet known to be UTF-8. */
bool line_pattern_match(const struct line_pattern *p, struct str line, struct str *text);
void line_pattern_deinit(struct line_pattern *p);

#endif
