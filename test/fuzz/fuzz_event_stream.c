/* Server-sent events from a provider: whole or cut in two, they must tell the same events. */
#include "upstream/event_stream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_event(void *state, struct str type, struct str data)
{
    struct buf *told = state;

    buf_append_str(told, type);
    buf_append_char(told, '|');
    buf_append_str(told, data);
    buf_append_char(told, '\n');
}

static bool run(struct str first, struct str second, struct buf *told)
{
    struct event_stream s = {.on_event = on_event, .state = told, .max_bytes = 512};
    bool fits = event_stream_feed(&s, first) && event_stream_feed(&s, second);

    if (fits)
        fits = event_stream_end(&s);
    event_stream_deinit(&s);
    return fits;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data + 1, size ? size - 1 : 0};
    size_t cut = size > 1 ? data[0] % bytes.len : 0;
    struct buf whole = {0}, parts = {0};

    if (size == 0)
        return 0;
    if (run(bytes, STR_NONE, &whole) !=
            run((struct str){bytes.ptr, cut}, str_skip(bytes, cut), &parts) ||
        !str_eq(buf_str(&whole), buf_str(&parts)))
        abort();
    buf_deinit(&whole);
    buf_deinit(&parts);
    return 0;
}
