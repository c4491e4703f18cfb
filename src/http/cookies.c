/* The Cookie line (RFC 6265 section 4.2). */
#include "internal.h"

/* A browser may quote a value; the quotes are no part of it. */
static struct str unquote(struct str value)
{
    if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
        return (struct str){value.ptr + 1, value.len - 2};
    return value;
}

static struct str find(struct str line, struct str wanted)
{
    struct str pair;

    while (str_next(&line, ';', &pair)) {
        size_t equals = str_find(pair, '=');

        if (equals == pair.len || !str_eq(str_trim((struct str){pair.ptr, equals}), wanted))
            continue;
        return unquote(str_trim(str_skip(pair, equals + 1)));
    }
    return STR_NONE;
}

struct str request_cookie(const struct request *req, const char *name)
{
    struct str wanted = str_from(name);

    for (size_t i = 0; i < req->n_headers; i++) {
        struct str value;

        if (!str_eq_nocase(req->headers[i].name, STR("cookie")))
            continue;
        value = find(req->headers[i].value, wanted);
        if (value.ptr)
            return value;
    }
    return STR_NONE;
}
