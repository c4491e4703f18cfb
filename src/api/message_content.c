/* Reads the content of a message. */
#include "message_content.h"

#include "config/config.h"

#define NO_TEXT   "The content must be text, or a list of text parts"
#define NOT_TEXTS "Agents read text only: this part is something else"

struct error message_content_read(struct arena *a, yyjson_val *val, struct str *out)
{
    struct buf text = {.max_bytes = config()->limits.body_bytes};
    yyjson_arr_iter parts;
    yyjson_val *part;

    *out = json_text(val);
    if (out->ptr)
        return NO_ERROR;
    if (!yyjson_arr_iter_init(val, &parts))
        return ERROR(ERR_INVALID, 0, NO_TEXT);
    while ((part = yyjson_arr_iter_next(&parts))) {
        struct str piece = json_text(json_member(part, "text"));

        if (!yyjson_equals_str(json_member(part, "type"), "text") || !piece.ptr) {
            buf_deinit(&text);
            return ERROR(ERR_INVALID, 0, NOT_TEXTS);
        }
        if (text.len > 0)
            buf_append_char(&text, '\n');
        buf_append_str(&text, piece);
    }
    if (!text.failed)
        *out = arena_copy(a, text.len > 0 ? buf_str(&text) : STR(""));
    buf_deinit(&text);
    return out->ptr ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, NULL);
}
