/* application/x-www-form-urlencoded (URL standard, section 5.1): bodies and queries. */
#include "internal.h"

static bool decode(struct arena *a, struct str in, struct str *out)
{
    char *text = arena_alloc(a, in.len + 1);

    if (!text)
        return false;
    *out = (struct str){text, percent_decode(in, true, text)};
    return true;
}

bool form_next(struct arena *a, struct str *rest, struct str *name, struct str *value)
{
    struct str pair;

    while (str_next(rest, '&', &pair)) {
        size_t equals = str_find(pair, '=');

        if (pair.len == 0)
            continue;
        return decode(a, (struct str){pair.ptr, equals}, name) &&
               decode(a, str_skip(pair, equals + (equals < pair.len)), value);
    }
    return false;
}
