/* One request's bytes, judged: llhttp in strict mode, and what llhttp lets pass but we refuse.
 * Knows neither sockets nor routes. It names no http/http.h, because llhttp's own names of methods
 * are the same as ours. */
#ifndef AERIE_SRC_HTTP_PARSER_H
#define AERIE_SRC_HTTP_PARSER_H

#include "base/buf.h"
#include "base/error.h"

struct parser_limits {
    size_t request_line_bytes, head_bytes, header_lines;
};

/* Offsets into the head's bytes. */
struct parser_span {
    uint32_t at, len;
};
struct parser_line {
    struct parser_span name, value;
};

/* What the head says. Views are into the parser's memory. */
struct parser_head {
    struct str bytes;          /* the whole head as it came */
    const char *method;        /* "GET", or a name that we do not serve; static */
    struct parser_span target; /* raw */
    const struct parser_line *lines;
    size_t n_lines;
    unsigned minor_version; /* HTTP/1.0 or 1.1 */
    bool has_body;          /* chunked, or a Content-Length above 0 */
    uint64_t content_length;
    bool keeps_alive; /* the client would go on */
};

enum parser_event {
    PARSER_MORE,  /* all was used, and more must come */
    PARSER_HEAD,  /* the head is complete: look at it, then parser_accept_body() and feed on */
    PARSER_DONE,  /* the request is complete */
    PARSER_FAILED /* parser_error() says why; nothing may be fed any more */
};

struct parser;
struct parser *parser_new(const struct parser_limits *limits); /* NULL: no memory */
void parser_free(struct parser *p);                            /* NULL is fine */
/* Uses bytes up to the next event; *used says how many. len may be 0 after PARSER_HEAD. */
enum parser_event parser_feed(struct parser *p, const char *data, size_t len, size_t *used);
struct parser_head parser_head(const struct parser *p);
/* How much body the head's route takes. Past it: ERR_TOO_LARGE. */
void parser_accept_body(struct parser *p, size_t max_bytes);
size_t parser_body_len(const struct parser *p);
/* The body becomes the caller's, who buf_deinit()s it. */
struct buf parser_take_body(struct parser *p);
struct error parser_error(const struct parser *p);

#endif
