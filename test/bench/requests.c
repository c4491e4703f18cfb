/* See requests.h. */
#include "requests.h"

#include "system.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MARK "%n"

static struct {
    char *bytes;
    size_t len, room;
} out;

static char *room_for(size_t len)
{
    if (out.len + len > out.room) {
        out.room = (out.len + len) * 2;
        out.bytes = must_realloc(out.bytes, out.room);
    }
    out.len += len;
    return out.bytes + out.len - len;
}

static void append(struct str s)
{
    if (s.len > 0)
        memcpy(room_for(s.len), s.ptr, s.len);
}

/* The text with the seed's digits in the place of each mark. */
static void append_marked(struct str s, struct str seed)
{
    const char *mark;

    while (s.len > 0 && (mark = memmem(s.ptr, s.len, MARK, 2))) {
        size_t n = (size_t)(mark - s.ptr);

        append((struct str){s.ptr, n});
        append(seed);
        s.ptr += n + 2;
        s.len -= n + 2;
    }
    append(s);
}

static struct str next_field(char **rest, char separator)
{
    char *end = strchr(*rest, separator);
    struct str field = {*rest, end ? (size_t)(end - *rest) : strlen(*rest)};

    *rest += field.len + (end ? 1 : 0);
    return field;
}

/* Turns each "\n" into a line end, in place: both are two bytes. */
static void unescape(struct str headers)
{
    for (char *p = (char *)headers.ptr;
         (p = memmem(p, (size_t)(headers.ptr + headers.len - p), "\\n", 2));)
        memcpy(p, "\r\n", 2);
}

static uint32_t count_marks(struct str s)
{
    uint32_t n = 0;
    const char *mark;

    while (s.len > 0 && (mark = memmem(s.ptr, s.len, MARK, 2))) {
        n++;
        s.len -= (size_t)(mark + 2 - s.ptr);
        s.ptr = mark + 2;
    }
    return n;
}

static void read_row(struct request *row, char *line)
{
    row->method = next_field(&line, '\t');
    row->path = next_field(&line, '\t');
    row->headers = next_field(&line, '\t');
    row->body = (struct str){line, strlen(line)};
    row->n_marks = count_marks(row->body);
    unescape(row->headers);
}

static char *read_file(const char *name)
{
    FILE *file = fopen(name, "r");
    char *text = NULL;
    size_t len = 0, n;

    if (!file)
        quit(2, "bench_load: %s: %s", name, strerror(errno));
    do {
        text = must_realloc(text, len + 65536 + 1);
        n = fread(text + len, 1, 65536, file);
        len += n;
    } while (n > 0);
    fclose(file);
    text[len] = '\0';
    return text;
}

void requests_read(struct requests *r, const char *file, const char *host)
{
    char *text = read_file(file);
    uint32_t room = 0;

    *r = (struct requests){.host = host};
    while (*text) {
        char *line = text;
        char *eol = strchr(line, '\n');

        text = eol ? eol + 1 : line + strlen(line);
        if (eol)
            *eol = '\0';
        if (!*line)
            continue;
        if (r->n == room) {
            room = room ? 2 * room : 64;
            r->rows = must_realloc(r->rows, room * sizeof(*r->rows));
        }
        read_row(&r->rows[r->n], line);
        if (r->rows[r->n++].path.len == 0)
            quit(2, "bench_load: %s: line %u has no path", file, r->n);
    }
    if (r->n == 0)
        quit(2, "bench_load: %s holds no request", file);
}

struct str requests_write(const struct requests *r, uint64_t i, uint64_t seed)
{
    const struct request *row = &r->rows[i % r->n];
    char digits[24], length[48];
    struct str seed_text = {digits, (size_t)sprintf(digits, "%llu", (unsigned long long)seed)};
    size_t body_len = row->body.len - row->n_marks * 2 + row->n_marks * seed_text.len;

    out.len = 0;
    append(row->method);
    append(STR(" "));
    append_marked(row->path, seed_text);
    append(STR(" HTTP/1.1\r\nHost: "));
    append((struct str){r->host, strlen(r->host)});
    append(STR("\r\n"));
    if (row->headers.len > 0) {
        append_marked(row->headers, seed_text);
        append(STR("\r\n"));
    }
    if (body_len > 0 || (row->method.len == 4 && memcmp(row->method.ptr, "POST", 4) == 0))
        append((struct str){length, (size_t)sprintf(length, "Content-Length: %zu\r\n", body_len)});
    append(STR("\r\n"));
    append_marked(row->body, seed_text);
    return (struct str){out.bytes, out.len};
}
