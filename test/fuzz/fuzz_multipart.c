/* Multipart bodies; the first line is the Content-Type. */
#include "http/internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = {(const char *)data, size};
    size_t end = str_find(all, '\n');
    struct header_line line = {STR("content-type"), {all.ptr, end}};
    struct request req = {.headers = &line, .n_headers = 1, .body = str_skip(all, end + 1)};
    struct multipart_part part;

    if (!is_error(multipart_find(&req, "file", &part)) && part.data.len > req.body.len)
        abort();
    arena_free(&req.arena);
    return 0;
}
