/* Forms and queries. */
#include "http/internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {.max_bytes = 1 << 20};
    struct str rest = {(const char *)data, size}, name, value;
    size_t total = 0;

    while (form_next(&arena, &rest, &name, &value))
        total += name.len + value.len;
    if (total > size)
        abort();
    arena_free(&arena);
    return 0;
}
