/* Multipart bodies: hostile ones, whose first line is the Content-Type, and one made of the input,
 * which must come back byte for byte. */
#include "fuzz.h"
#include "http/internal.h"

#define BOUNDARY "seven-of-nine"

static struct error find(struct request *req, struct str type, struct str body,
                         struct multipart_part *part)
{
    static struct header_line line = {{"content-type", 12}, {NULL, 0}};

    line.value = type;
    *req = (struct request){.headers = &line, .n_headers = 1, .body = body};
    return multipart_find(req, "file", part);
}

static void check_hostile(struct str all)
{
    struct multipart_part part;
    struct request req;
    struct str type = take_line(&all);

    if (!is_error(find(&req, type, all, &part))) {
        MUST(is_within(part.data, all));
        MUST(str_eq(part.name, STR("file")));
        MUST(part.filename.len <= all.len && part.content_type.len <= all.len);
        MUST(str_find(part.content_type, '\n') == part.content_type.len);
    }
    /* A head of a thousand parameters must not cost more than it is long. */
    MUST(req.arena.used_bytes <= 64 * (all.len + type.len) + 4096);
    arena_free(&req.arena);
}

static void write_quoted(struct buf *out, struct str text)
{
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            buf_append_char(out, '\\');
        buf_append_char(out, text.ptr[i]);
    }
    buf_append_char(out, '"');
}

static void check_round_trip(struct str all)
{
    struct str filename = take_line(&all);
    struct multipart_part part;
    struct request req;
    struct buf body = {0};

    if (str_has_control(filename) || str_contains(all, STR("\r\n--" BOUNDARY)))
        return;
    buf_append_str(&body, STR("--" BOUNDARY "\r\ncontent-disposition: form-data; name=other\r\n\r\n"
                              "--no\r\n--" BOUNDARY
                              "\r\nContent-Disposition: form-data; name=\"file\"; filename="));
    write_quoted(&body, filename);
    buf_append_str(&body, STR("\r\nContent-Type: text/plain\r\n\r\n"));
    buf_append_str(&body, all);
    buf_append_str(&body, STR("\r\n--" BOUNDARY "--\r\n"));
    MUST(!is_error(
        find(&req, STR("multipart/form-data; boundary=" BOUNDARY), buf_str(&body), &part)));
    MUST(str_eq(part.data, all));
    MUST(str_eq(part.filename, filename));
    MUST(str_eq(part.content_type, STR("text/plain")));
    arena_free(&req.arena);
    buf_deinit(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = {(const char *)data, size};

    check_hostile(all);
    if (size <= 4096)
        check_round_trip(all);
    return 0;
}
