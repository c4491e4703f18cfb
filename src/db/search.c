/* The words of a search. */
#include "db/search.h"

#include "base/buf.h"

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c & 0x80);
}

struct str db_search_words(struct arena *a, struct str text, const char *joint, size_t max_words)
{
    struct buf out = {0};
    struct str words;

    for (size_t i = 0, n = 0; i < text.len && n < max_words;) {
        size_t from = i;

        while (i < text.len && is_word_byte(text.ptr[i]))
            i++;
        if (i > from)
            buf_printf(&out, "%s\"%.*s\"", n++ > 0 ? joint : "", (int)(i - from), text.ptr + from);
        else
            i++;
    }
    words = out.failed ? STR_NONE : arena_copy(a, out.data ? buf_str(&out) : STR(""));
    buf_deinit(&out);
    return words;
}
