/* Answers of n8n and of model providers: whole or cut in two, the reply must be the same, valid
 * UTF-8 and within its bound. */
#include "upstream/provider.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const struct reader_type *type, struct str first, struct str second,
                struct reply *reply)
{
    void *reader = calloc(1, type->state_bytes);

    if (!reader)
        abort();
    *reply = (struct reply){.max_text_bytes = 300, .max_event_bytes = 512};
    type->init(reader, reply);
    type->feed(reader, first);
    type->feed(reader, second);
    if (reply->state != REPLY_DONE)
        type->end(reader, true);
    type->deinit(reader);
    free(reader);
    if (!utf8_is_valid(buf_str(&reply->text)) || reply->text_bytes > 300 ||
        reply->text.len != reply->text_bytes)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data + 2, size > 2 ? size - 2 : 0};
    size_t cut = bytes.len ? data[1] % bytes.len : 0;
    static const struct reader_type *const types[] = {&n8n_reader_type, &openai_reader_type,
                                                      &anthropic_reader_type, &gemini_reader_type};
    const struct reader_type *type;
    struct reply whole, parts;

    if (size < 2)
        return 0;
    type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
    run(type, bytes, STR_NONE, &whole);
    run(type, (struct str){bytes.ptr, cut}, str_skip(bytes, cut), &parts);
    /* A bound may be met at another byte when the pieces differ; below it nothing may differ. */
    if (whole.err.status != ERR_UPSTREAM_LIMIT && parts.err.status != ERR_UPSTREAM_LIMIT &&
        (whole.err.status != parts.err.status ||
         !str_eq(buf_str(&whole.text), buf_str(&parts.text))))
        abort();
    buf_deinit(&whole.text);
    buf_deinit(&parts.text);
    return 0;
}
