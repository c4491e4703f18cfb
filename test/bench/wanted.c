/* See wanted.h. */
#include "wanted.h"

#include "text.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define BODY_MAX_BYTES (1 << 20)

struct number {
    const char *name;
    size_t offset; /* of a uint32_t in struct wanted */
    uint32_t min, max;
};

static const struct number numbers[] = {
    {"burst", offsetof(struct wanted, burst), 1, 4096},
    {"bytes", offsetof(struct wanted, bytes), 1, TEXT_PIECE_MAX_BYTES},
    {"chunks", offsetof(struct wanted, chunks), 0, 100000000},
    {"first_ms", offsetof(struct wanted, first_ms), 0, 3600000},
    {"gap_ms", offsetof(struct wanted, gap_ms), 0, 3600000},
    {"turn", offsetof(struct wanted, turn), 1, 4096},
};

/* The part of *rest before the separator, which goes too. */
static struct str cut(struct str *rest, char separator)
{
    const char *at = rest->len > 0 ? memchr(rest->ptr, separator, rest->len) : NULL;
    struct str part = {rest->ptr, at ? (size_t)(at - rest->ptr) : rest->len};
    size_t taken = part.len + (at ? 1 : 0);

    rest->ptr += taken;
    rest->len -= taken;
    return part;
}

static bool is_named(struct str s, const char *name)
{
    return s.len == strlen(name) && strncasecmp(s.ptr, name, s.len) == 0;
}

static bool read_number(struct str text, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || n > max)
            return false;
        n = n * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *out = (uint32_t)n;
    return text.len > 0 && n >= min && n <= max;
}

/* Names that mean nothing here, such as hold, are let pass. */
static bool read_query(struct wanted *w, struct str query)
{
    while (query.len > 0) {
        struct str value = cut(&query, '&');
        struct str name = cut(&value, '=');

        if (is_named(name, "format"))
            w->format = value;
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
            if (is_named(name, numbers[i].name) &&
                !read_number(value, numbers[i].min, numbers[i].max,
                             (uint32_t *)((char *)w + numbers[i].offset)))
                return false;
    }
    return true;
}

static bool read_header(struct wanted *w, struct str line)
{
    struct str name = cut(&line, ':');
    uint32_t len;

    while (line.len > 0 && (*line.ptr == ' ' || *line.ptr == '\t')) {
        line.ptr++;
        line.len--;
    }
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (is_named(name, "content-length")) {
        if (!read_number(line, 0, BODY_MAX_BYTES, &len))
            return false;
        w->body_len = len;
    } else if (is_named(name, "connection")) {
        w->is_last = is_named(line, "close");
    } else if (is_named(name, "transfer-encoding")) {
        return false;
    }
    return true;
}

bool wanted_read(struct wanted *w, struct str head, struct str defaults)
{
    struct str line = cut(&head, '\n');

    *w = (struct wanted){.chunks = 32, .bytes = 100, .burst = 1, .turn = 256, .format = STR("n8n")};
    cut(&line, ' '); /* GET and POST are alike */
    w->query = cut(&line, ' ');
    w->path = cut(&w->query, '?');
    while (head.len > 0)
        if (!read_header(w, cut(&head, '\n')))
            return false;
    /* Where the URL is a base, to which a client adds its path, that comes after the query. */
    w->query = cut(&w->query, '/');
    return read_query(w, defaults) && read_query(w, w->query);
}
