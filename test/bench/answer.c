/* See answer.h. */
#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Adds to the line; true: it is whole, without its line end. */
static bool take_line(struct answer *a, const char *bytes, size_t len, size_t *taken)
{
    const char *eol = memchr(bytes, '\n', len);
    size_t n = eol ? (size_t)(eol - bytes) : len;
    size_t room = sizeof(a->line) - 1 - a->line_len;

    if (room > n)
        room = n;
    memcpy(a->line + a->line_len, bytes, room);
    a->line_len += (uint8_t)room;
    *taken = eol ? n + 1 : n;
    if (!eol)
        return false;
    if (a->line_len > 0 && a->line[a->line_len - 1] == '\r')
        a->line_len--;
    a->line[a->line_len] = '\0';
    return true;
}

static const char *value_of(const char *line, const char *name)
{
    size_t len = strlen(name);

    if (strncasecmp(line, name, len) != 0)
        return NULL;
    return line + len + strspn(line + len, " \t");
}

static enum answer_state body_state(struct answer *a)
{
    if (a->status / 100 == 1) { /* 100 Continue: the real head follows */
        a->status = 0;
        return ANSWER_HEAD;
    }
    if (a->status == 204 || a->status == 304)
        return ANSWER_ENDED;
    if (a->is_chunked)
        return ANSWER_CHUNK_SIZE;
    if (a->has_length)
        return a->left > 0 ? ANSWER_LENGTH : ANSWER_ENDED;
    a->closes = true;
    return ANSWER_TO_CLOSE;
}

static enum answer_state take_head_line(struct answer *a)
{
    const char *line = a->line;
    const char *value;

    if (a->status == 0) {
        if (strncmp(line, "HTTP/1.", 7) != 0 || a->line_len < 12)
            return ANSWER_BROKEN;
        a->status = (uint16_t)strtoul(line + 9, NULL, 10);
        return a->status >= 100 ? ANSWER_HEAD : ANSWER_BROKEN;
    }
    if (a->line_len == 0)
        return body_state(a);
    if ((value = value_of(line, "content-length:"))) {
        a->has_length = true;
        a->left = strtoull(value, NULL, 10);
    } else if ((value = value_of(line, "transfer-encoding:"))) {
        a->is_chunked = strcasecmp(value, "chunked") == 0;
    } else if ((value = value_of(line, "connection:"))) {
        a->closes = strcasecmp(value, "close") == 0;
    }
    return ANSWER_HEAD;
}

static enum answer_state take_chunk_size(struct answer *a)
{
    char *end;

    a->left = strtoull(a->line, &end, 16);
    if (end == a->line || (*end && *end != ';' && *end != ' '))
        return ANSWER_BROKEN;
    return a->left > 0 ? ANSWER_CHUNK : ANSWER_TRAILER;
}

static void take_whole_line(struct answer *a)
{
    switch (a->state) {
    case ANSWER_HEAD:
        a->state = take_head_line(a);
        break;
    case ANSWER_CHUNK_SIZE:
        a->state = take_chunk_size(a);
        break;
    case ANSWER_CHUNK_END:
        a->state = a->line_len == 0 ? ANSWER_CHUNK_SIZE : ANSWER_BROKEN;
        break;
    case ANSWER_TRAILER:
        if (a->line_len == 0)
            a->state = ANSWER_ENDED;
        break;
    case ANSWER_LENGTH:
    case ANSWER_CHUNK:
    case ANSWER_TO_CLOSE:
    case ANSWER_ENDED:
    case ANSWER_BROKEN:
        break;
    }
    a->line_len = 0;
}

static size_t take_body(struct answer *a, const char *bytes, size_t len, struct str *body)
{
    *body = (struct str){bytes, a->left < len ? (size_t)a->left : len};
    a->left -= body->len;
    if (a->left == 0)
        a->state = a->state == ANSWER_CHUNK ? ANSWER_CHUNK_END : ANSWER_ENDED;
    return body->len;
}

size_t answer_read(struct answer *a, const char *bytes, size_t len, struct str *body)
{
    size_t at = 0, taken;

    *body = STR_NONE;
    while (at < len && body->len == 0) {
        switch (a->state) {
        case ANSWER_HEAD:
        case ANSWER_CHUNK_SIZE:
        case ANSWER_CHUNK_END:
        case ANSWER_TRAILER:
            if (take_line(a, bytes + at, len - at, &taken))
                take_whole_line(a);
            at += taken;
            break;
        case ANSWER_LENGTH:
        case ANSWER_CHUNK:
            at += take_body(a, bytes + at, len - at, body);
            break;
        case ANSWER_TO_CLOSE:
            *body = (struct str){bytes + at, len - at};
            return len;
        case ANSWER_ENDED:
        case ANSWER_BROKEN:
            return at;
        }
    }
    return at;
}
