/* The headers of a trace: what is read is written as the same, and a list stays one when others
 * that are well-formed stand beside it. */
#include "fuzz.h"
#include "trace/context.h"

static void check_parent(struct str value)
{
    struct trace_context c, again;
    char text[TRACEPARENT_BYTES];
    struct str written;

    if (!trace_context_parse(value, &c))
        return;
    written = trace_context_write(&c, text);
    MUST(trace_context_parse(written, &again) && memcmp(&c, &again, sizeof(c)) == 0);
    MUST(str_eq((struct str){value.ptr + 3, 49}, (struct str){written.ptr + 3, 49}));
}

static void check_state(struct str value)
{
    struct buf longer = {0};

    if (!trace_state_is_valid(value))
        return;
    MUST(!str_has_control(value) || memchr(value.ptr, '\t', value.len));
    MUST(utf8_is_valid(value) && value.len <= TRACESTATE_BYTES);
    buf_append_str(&longer, value);
    buf_append_str(&longer, STR(",=1"));
    MUST(!trace_state_is_valid(buf_str(&longer)));
    buf_deinit(&longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str value = {(const char *)data, size};

    check_parent(value);
    check_state(value);
    return 0;
}
