/* Documents: the kind, HTML to text, text to chunks. */
#include "document/document.h"
#include "document/html.h"
#include "document/text.h"
#include "fuzz.h"

static void cut(struct str text)
{
    struct chunker c = {.text = text, .max_chars = 100, .overlap_chars = 30};
    const char *last = NULL;
    struct str chunk;

    while (chunker_next(&c, &chunk)) {
        MUST(chunk.len > 0 && is_within(chunk, text));
        MUST(utf8_is_valid(chunk) && utf8_length(chunk) <= 100);
        MUST(!last || chunk.ptr > last);
        last = chunk.ptr;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    struct buf text = {.max_bytes = 1 << 20}, title = {.max_bytes = 2000}, plain = {0};

    (void)document_kind_of(in, STR("text/html"));
    if (html_to_text(in, &text, &title).status == OK) {
        MUST(utf8_is_valid(buf_str(&text)) && utf8_is_valid(buf_str(&title)));
        text_normalise(buf_str(&text), &plain);
        cut(buf_str(&plain));
        buf_clear(&plain);
    }
    if (utf8_is_valid(in)) {
        text_normalise(in, &plain);
        cut(buf_str(&plain));
    }
    buf_deinit(&text);
    buf_deinit(&title);
    buf_deinit(&plain);
    return 0;
}
