/* See reader.h. A line is told by how it begins; in one that carries text, the text begins after
 * `"content":"` and ends with the next quote. The texts of text.h hold nothing that JSON escapes,
 * so an escape is a wrong byte. */
#include "reader.h"

#include <string.h>

enum line_kind { LINE_TEXT, LINE_DONE, LINE_ERROR, LINE_OTHER };

struct line_form {
    enum line_kind kind;
    struct str begin;
};

enum reader_state {
    READER_HEAD, /* the line's first bytes are gathered, until they tell its kind */
    READER_SEEK, /* its text is to come */
    READER_TEXT, /* in it */
    READER_SKIP, /* the rest of the line says nothing */
};

/* The first row that fits counts. A row is at most READER_HEAD_BYTES long, and in none does the
 * text's mark begin. */
static const struct line_form forms[][4] = {
    [READ_SSE] =
        {
            {LINE_TEXT, STR("data: {\"type\":\"message\"")},
            {LINE_DONE, STR("data: {\"type\":\"done\"")},
            {LINE_ERROR, STR("data: {\"type\":\"error\"")},
            {LINE_OTHER, STR("")},
        },
    [READ_LINES] =
        {
            {LINE_TEXT, STR("{\"type\":\"item\"")},
            {LINE_DONE, STR("{\"type\":\"end\"")},
            {LINE_ERROR, STR("{\"type\":\"error\"")},
            {LINE_OTHER, STR("")},
        },
    [READ_OPENAI] =
        {
            {LINE_DONE, STR("data: [DONE]")},
            {LINE_ERROR, STR("data: {\"error\"")},
            {LINE_TEXT, STR("data: {")},
            {LINE_OTHER, STR("")},
        },
};

void match_init(struct match *m, const char *text)
{
    uint8_t n = 0;

    m->text = text;
    m->len = (uint8_t)strlen(text);
    m->back[0] = 0;
    for (uint8_t i = 1; i < m->len; i++) {
        m->back[i] = n;
        while (n > 0 && text[i] != text[n])
            n = m->back[n];
        if (text[i] == text[n])
            n++;
    }
}

/* Goes on from *matched; returns how many bytes it took: up to and with the text's end, or all. */
static size_t match_feed(const struct match *m, uint8_t *matched, const char *bytes, size_t len)
{
    uint8_t n = *matched;
    size_t i = 0;

    while (i < len && n < m->len) {
        char c = bytes[i++];

        while (n > 0 && c != m->text[n])
            n = m->back[n];
        if (c == m->text[n])
            n++;
    }
    *matched = n;
    return i;
}

/* With so many bytes a line's kind is sure. */
static uint8_t longest_begin(enum read_as as)
{
    size_t longest = 0;

    for (const struct line_form *form = forms[as]; form->begin.len > 0; form++)
        if (form->begin.len > longest)
            longest = form->begin.len;
    return (uint8_t)longest;
}

bool reading_init(struct reading *r, const char *name, const char *expect)
{
    static const char *const names[] = {
        [READ_SSE] = "sse", [READ_LINES] = "lines", [READ_OPENAI] = "openai", [READ_BODY] = "body"};

    match_init(&r->text, "\"content\":\"");
    match_init(&r->expect, expect ? expect : "");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0) {
            r->as = (enum read_as)i;
            r->head_bytes = r->as == READ_BODY ? 0 : longest_begin(r->as);
            return true;
        }
    return false;
}

static enum reader_state begin_line(struct reader *rd, enum read_as as)
{
    const struct line_form *form = forms[as];

    while (rd->head_len < form->begin.len ||
           memcmp(rd->head, form->begin.ptr, form->begin.len) != 0)
        form++;
    rd->head_len = 0;
    rd->matched = 0;
    switch (form->kind) {
    case LINE_TEXT:
        return READER_SEEK;
    case LINE_DONE:
        rd->is_done = true;
        break;
    case LINE_ERROR:
        rd->has_failed = true;
        break;
    case LINE_OTHER:
        break;
    }
    return READER_SKIP;
}

/* Gathers the line's first bytes. */
static size_t take_head(struct reader *rd, const struct reading *how, const char *bytes, size_t len)
{
    size_t n = how->head_bytes - rd->head_len;
    const char *eol;

    if (n > len)
        n = len;
    eol = memchr(bytes, '\n', n);
    if (eol)
        n = (size_t)(eol - bytes);
    memcpy(rd->head + rd->head_len, bytes, n);
    rd->head_len += (uint8_t)n;
    if (eol || rd->head_len == how->head_bytes)
        rd->state = begin_line(rd, how->as);
    if (!eol)
        return n;
    rd->state = READER_HEAD;
    return n + 1;
}

/* Up to the text, or to the line's end. */
static size_t seek_text(struct reader *rd, const struct match *mark, const char *bytes, size_t len)
{
    const char *eol = memchr(bytes, '\n', len);
    size_t n = match_feed(mark, &rd->matched, bytes, eol ? (size_t)(eol - bytes) : len);

    if (rd->matched == mark->len) {
        rd->state = READER_TEXT;
        return n;
    }
    if (!eol)
        return n;
    rd->state = READER_HEAD;
    return n + 1;
}

static size_t take_text(struct reader *rd, struct text_check *check, const char *bytes, size_t len)
{
    const char *quote = memchr(bytes, '"', len);
    size_t n = quote ? (size_t)(quote - bytes) : len;

    rd->has_text = rd->has_text || n > 0;
    text_check_feed(check, bytes, n);
    if (!quote)
        return n;
    rd->state = READER_SKIP;
    return n + 1;
}

static size_t skip_line(struct reader *rd, const char *bytes, size_t len)
{
    const char *eol = memchr(bytes, '\n', len);

    if (!eol)
        return len;
    rd->state = READER_HEAD;
    return (size_t)(eol - bytes) + 1;
}

static void feed_lines(struct reader *rd, const struct reading *how, struct str body,
                       struct text_check *check)
{
    while (body.len > 0) {
        size_t n = 0;

        switch ((enum reader_state)rd->state) {
        case READER_HEAD:
            n = take_head(rd, how, body.ptr, body.len);
            break;
        case READER_SEEK:
            n = seek_text(rd, &how->text, body.ptr, body.len);
            break;
        case READER_TEXT:
            n = take_text(rd, check, body.ptr, body.len);
            break;
        case READER_SKIP:
            n = skip_line(rd, body.ptr, body.len);
            break;
        }
        body.ptr += n;
        body.len -= n;
    }
}

void reader_feed(struct reader *rd, const struct reading *how, struct str body,
                 struct text_check *check)
{
    if (how->as != READ_BODY) {
        feed_lines(rd, how, body, check);
        return;
    }
    rd->has_text = rd->has_text || body.len > 0;
    match_feed(&how->expect, &rd->matched, body.ptr, body.len);
    rd->is_done = rd->has_text && rd->matched == how->expect.len;
}
