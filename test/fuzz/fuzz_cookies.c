/* The lines that lists of names and weights come in: Cookie and Accept. */
#include "http/internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str line = {(const char *)data, size}, value;
    struct header_line lines[] = {{STR("cookie"), line}, {STR("accept"), line}};
    struct request req = {.headers = lines, .n_headers = 2};

    value = request_cookie(&req, "a");
    if (value.ptr && (value.ptr < line.ptr || value.ptr + value.len > line.ptr + line.len))
        abort();
    request_accepts(&req, "text/event-stream");
    return 0;
}
