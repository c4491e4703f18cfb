/* One request's bytes, judged. See parser.h. */
#include "parser.h"

#include <llhttp.h>
#include <stdlib.h>
#include <string.h>

/* Chunk headers, extensions and trailers may cost as much as a head, and this much for each byte of
 * body: an endless extension or row of zeros would otherwise be a request of any length. */
#define FRAMING_BYTES_PER_BYTE 16

struct parser {
    llhttp_t llhttp;
    struct parser_limits limits;
    struct buf head;  /* the head's bytes; in trailers: the name of the line being read */
    struct buf lines; /* of struct parser_line */
    struct parser_span target;
    struct buf body;
    const char *fed;     /* of the body, during one call */
    uint64_t n_raw_body; /* bytes fed after the head, in calls before */
    const char *method;
    struct error error;
    size_t line_bytes; /* of the request line, as far as its version is read */
    bool has_version;  /* the request line is read */
    bool has_head;
    bool is_in_trailers;
    bool is_value_open; /* inside the value of the last line */
    bool keeps_alive, has_body, is_chunked;
    unsigned minor_version;
    uint64_t content_length;
};

static int refuse(struct parser *p, enum status status, const char *detail)
{
    p->error = ERROR(status, 0, detail);
    return HPE_USER;
}

/* Adds a piece that llhttp found in the head's bytes. False: it does not touch what came before. */
static bool span_extend(struct parser *p, struct parser_span *span, const char *at, size_t len)
{
    uint32_t offset = (uint32_t)(at - p->head.data);

    if (span->len == 0)
        span->at = offset;
    else if (span->at + span->len != offset)
        return false;
    span->len += (uint32_t)len;
    return true;
}

static struct parser_line *last_line(struct parser *p)
{
    return (struct parser_line *)(void *)(p->lines.data + p->lines.len) - 1;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
    struct parser *p = llhttp->data;

    span_extend(p, &p->target, at, len);
    return HPE_OK;
}

static int on_version(llhttp_t *llhttp, const char *at, size_t len)
{
    struct parser *p = llhttp->data;

    p->line_bytes = (size_t)(at - p->head.data) + len;
    return HPE_OK;
}

static int on_version_complete(llhttp_t *llhttp)
{
    struct parser *p = llhttp->data;

    p->has_version = true;
    if (p->line_bytes > p->limits.request_line_bytes)
        return refuse(p, ERR_URI_TOO_LONG, "The request line is too long");
    if (llhttp_get_http_major(llhttp) != 1 || llhttp_get_http_minor(llhttp) > 1)
        return refuse(p, ERR_BAD_REQUEST, "Only HTTP/1.0 and HTTP/1.1 are spoken here");
    return HPE_OK;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
    struct parser *p = llhttp->data;

    if (p->is_in_trailers) {
        if (p->is_value_open)
            p->head.len = 0;
        p->is_value_open = false;
        buf_append(&p->head, at, len);
        return p->head.failed ? refuse(p, ERR_BAD_REQUEST, "A trailer field's name is too long")
                              : HPE_OK;
    }
    if (p->lines.len == 0 || p->is_value_open) {
        struct parser_line line = {{0, 0}, {0, 0}};

        buf_append(&p->lines, &line, sizeof(line));
        if (p->lines.failed)
            return refuse(p, ERR_NO_MEMORY, NULL);
        p->is_value_open = false;
    }
    span_extend(p, &last_line(p)->name, at, len);
    return HPE_OK;
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    static const struct str refused[] = {
        {"connection", 10}, {"content-encoding", 16},  {"content-length", 14},
        {"host", 4},        {"transfer-encoding", 17},
    };
    struct parser *p = llhttp->data;
    struct str name = buf_str(&p->head);

    if (!p->is_in_trailers)
        return p->lines.len / sizeof(struct parser_line) > p->limits.header_lines
                   ? refuse(p, ERR_HEAD_TOO_LARGE, "There are too many header lines")
                   : HPE_OK;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (str_eq_nocase(name, refused[i]))
            return refuse(p, ERR_BAD_REQUEST, "A trailer field may not say this");
    return HPE_OK;
}

static const char folded[] = "Folded header lines are not accepted";

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
    struct parser *p = llhttp->data;

    p->is_value_open = true;
    if (p->is_in_trailers || len == 0)
        return HPE_OK;
    if (!span_extend(p, &last_line(p)->value, at, len))
        return refuse(p, ERR_BAD_REQUEST, folded);
    return HPE_OK;
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    struct parser *p = llhttp->data;

    p->is_value_open = true; /* also after an empty value */
    return HPE_OK;
}

static struct str line_text(const struct parser *p, struct parser_span span)
{
    return str_trim((struct str){p->head.data + span.at, span.len});
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct parser *p = llhttp->data;

    p->method = llhttp_method_name(llhttp_get_method(llhttp));
    p->minor_version = llhttp_get_http_minor(llhttp);
    p->keeps_alive = llhttp_should_keep_alive(llhttp);
    llhttp->upgrade =
        0; /* an offer to upgrade (curl's h2c) is not taken, and the body is read as usual */
    p->has_head = true;
    return HPE_PAUSED;
}

/* Asked before each piece of content and at each end of what came, so that it does not matter how
 * the bytes were cut. */
static bool is_mostly_framing(const struct parser *p, const char *at)
{
    return p->is_chunked && p->n_raw_body + (size_t)(at - p->fed) >
                                p->limits.head_bytes + FRAMING_BYTES_PER_BYTE * p->body.len;
}

static const char mostly_framing[] = "The body is more framing than content";

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
    struct parser *p = llhttp->data;

    if (is_mostly_framing(p, at))
        return refuse(p, ERR_BAD_REQUEST, mostly_framing);
    if (len > p->body.max_bytes - p->body.len)
        return refuse(p, ERR_TOO_LARGE, NULL);
    buf_append(&p->body, at, len);
    return p->body.failed ? refuse(p, ERR_NO_MEMORY, NULL) : HPE_OK;
}

/* A length of 0 begins the trailers. */
static int on_chunk_header(llhttp_t *llhttp)
{
    struct parser *p = llhttp->data;

    if (llhttp->content_length == 0) {
        p->is_in_trailers = true;
        p->is_value_open = true;
    }
    if (llhttp->content_length > p->body.max_bytes - p->body.len)
        return refuse(p, ERR_TOO_LARGE, NULL);
    return HPE_OK;
}

static int on_message_complete(llhttp_t *llhttp)
{
    (void)llhttp;
    return HPE_PAUSED; /* the next request has a parser of its own */
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_version = on_version,
    .on_version_complete = on_version_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

struct parser *parser_new(const struct parser_limits *limits)
{
    struct parser *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->limits = *limits;
    llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
    p->llhttp.data = p;
    /* One byte more than is allowed, to tell "full" from "too much". */
    buf_init(&p->head, limits->head_bytes + 1);
    buf_init(&p->lines, (limits->header_lines + 1) * sizeof(struct parser_line));
    return p;
}

void parser_free(struct parser *p)
{
    if (!p)
        return;
    buf_deinit(&p->head);
    buf_deinit(&p->lines);
    buf_deinit(&p->body);
    free(p);
}

static enum parser_event fail(struct parser *p, enum status status, const char *detail)
{
    if (!is_error(p->error))
        p->error = ERROR(status, 0, detail);
    return PARSER_FAILED;
}

static bool fail_head(struct parser *p, const char *detail)
{
    p->error = ERROR(ERR_BAD_REQUEST, 0, detail);
    return false;
}

/* llhttp takes several spaces where one belongs (RFC 9112 section 3), a line without a version as
 * HTTP/0.9, and RTSP/1.0 where the method is one of RTSP's. */
static bool is_request_line_plain(const struct parser *p)
{
    struct str line = buf_str(&p->head);

    while (line.len > 0 && (line.ptr[0] == '\r' || line.ptr[0] == '\n'))
        line = str_skip(line, 1);
    line.len = str_find(line, '\r');
    return p->has_version &&
           line.len == strlen(p->method) + 1 + p->target.len + strlen(" HTTP/1.1") &&
           str_starts_with(str_skip(line, line.len - strlen(" HTTP/1.1")), STR(" HTTP/"));
}

/* A line that begins with a space goes on with the one before (RFC 9112 section 5.2), also where
 * nothing of it is handed to on_header_value(). */
static bool has_folded_line(const struct parser *p)
{
    const char *at = p->head.data, *end = at + p->head.len;

    while ((at = memchr(at, '\n', (size_t)(end - at))) && ++at < end)
        if (*at == ' ' || *at == '\t')
            return true;
    return false;
}

/* The lines that decide where a message ends and whom it is for (RFC 9112 sections 3.2 and 6). */
static bool judge_framing(struct parser *p)
{
    const struct parser_line *lines = (const void *)p->lines.data;
    unsigned n_hosts = 0, n_lengths = 0, n_codings = 0;

    if (!is_request_line_plain(p))
        return fail_head(p, "The request line is not understood");
    if (has_folded_line(p))
        return fail_head(p, folded);
    for (size_t i = 0; i < p->lines.len / sizeof(*lines); i++) {
        struct str name = line_text(p, lines[i].name), value = line_text(p, lines[i].value);

        if (str_eq_nocase(name, STR("host"))) {
            n_hosts++;
        } else if (str_eq_nocase(name, STR("content-length"))) {
            n_lengths++;
        } else if (str_eq_nocase(name, STR("transfer-encoding"))) {
            n_codings++;
            if (!str_eq_nocase(value, STR("chunked")))
                return fail_head(p, "The only transfer coding is chunked");
        }
    }
    if (n_hosts > 1 || (n_hosts == 0 && p->minor_version == 1))
        return fail_head(p, "There must be one Host line");
    if (n_lengths + n_codings > 1)
        return fail_head(p, "The length of the body is told twice");
    if (n_codings > 0 && p->minor_version == 0)
        return fail_head(p, "HTTP/1.0 has no Transfer-Encoding");
    p->is_chunked = n_codings > 0;
    p->content_length = n_lengths > 0 ? p->llhttp.content_length : 0;
    p->has_body = p->is_chunked || p->content_length > 0;
    return true;
}

static enum parser_event feed_head(struct parser *p, const char *data, size_t len, size_t *used)
{
    size_t before = p->head.len, room = p->limits.head_bytes + 1 - before, n_read;
    llhttp_errno_t r;

    *used = len < room ? len : room;
    if (len == 0)
        return PARSER_MORE;
    /* llhttp's views must stay valid as offsets, so it reads our copy. */
    buf_append(&p->head, data, *used);
    if (p->head.failed)
        return fail(p, ERR_NO_MEMORY, NULL);
    n_read = p->head.len;
    r = llhttp_execute(&p->llhttp, p->head.data + before, *used);
    if (r != HPE_OK)
        n_read = (size_t)(llhttp_get_error_pos(&p->llhttp) - p->head.data);
    /* Goes before what was found further on: what is told must not depend on how the bytes were
     * cut.
     */
    if (!p->has_version && n_read > p->limits.request_line_bytes) {
        p->error = ERROR(ERR_URI_TOO_LONG, 0, "The request line is too long");
        return PARSER_FAILED;
    }
    if (r == HPE_PAUSED && p->has_head) {
        p->head.len = n_read;
        if (p->head.len > p->limits.head_bytes)
            return fail(p, ERR_HEAD_TOO_LARGE, NULL);
        *used = p->head.len - before;
        if (!judge_framing(p))
            return PARSER_FAILED;
        llhttp_resume(&p->llhttp);
        return PARSER_HEAD;
    }
    if (r != HPE_OK)
        return fail(p, ERR_BAD_REQUEST, "This is not HTTP/1.1");
    if (p->head.len > p->limits.head_bytes)
        return fail(p, ERR_HEAD_TOO_LARGE, NULL);
    return PARSER_MORE;
}

static enum parser_event feed_body(struct parser *p, const char *data, size_t len, size_t *used)
{
    llhttp_errno_t r;
    bool is_too_much;

    p->fed = data;
    r = llhttp_execute(&p->llhttp, data, len);
    *used = r == HPE_OK || len == 0 ? len : (size_t)(llhttp_get_error_pos(&p->llhttp) - data);
    is_too_much = is_mostly_framing(p, data + *used);
    p->n_raw_body += *used;
    if (is_too_much)
        p->error = ERROR(ERR_BAD_REQUEST, 0, mostly_framing);
    else if (r == HPE_OK || r == HPE_PAUSED)
        return r == HPE_OK ? PARSER_MORE : PARSER_DONE;
    return fail(p, ERR_BAD_REQUEST, "The body's framing is broken");
}

enum parser_event parser_feed(struct parser *p, const char *data, size_t len, size_t *used)
{
    return p->has_head ? feed_body(p, data, len, used) : feed_head(p, data, len, used);
}

struct parser_head parser_head(const struct parser *p)
{
    return (struct parser_head){
        .bytes = buf_str(&p->head),
        .method = p->method,
        .target = p->target,
        .lines = (const void *)p->lines.data,
        .n_lines = p->lines.len / sizeof(struct parser_line),
        .minor_version = p->minor_version,
        .has_body = p->has_body,
        .content_length = p->content_length,
        .keeps_alive = p->keeps_alive,
    };
}

void parser_accept_body(struct parser *p, size_t max_bytes)
{
    size_t head_bytes = p->limits.head_bytes;

    buf_deinit(&p->head); /* copied by now; reused for trailers, within the same bound */
    buf_init(&p->head, head_bytes);
    buf_init(&p->body, max_bytes);
    if (p->content_length > 0 && p->content_length <= max_bytes && p->content_length <= 64 * 1024)
        buf_reserve(&p->body,
                    p->content_length); /* one allocation; a failure shows at the append */
}

size_t parser_body_len(const struct parser *p)
{
    return p->body.len;
}

struct buf parser_take_body(struct parser *p)
{
    struct buf body = p->body;

    p->body = (struct buf){.data = NULL};
    return body;
}

struct error parser_error(const struct parser *p)
{
    return p->error;
}
