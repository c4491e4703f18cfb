/* The origin of the calling page, in a form that can be kept and compared. */
#include "caller_origin.h"

#include "api/origin.h"
#include "base/json.h"

#define MAX_DEPTH 8

/* ptr NULL: no memory. */
static struct str normal_form(struct request *req, const struct origin *o)
{
    struct str text = arena_printf(&req->arena, "%.*s://%.*s:%llu", STR_ARG(o->scheme),
                                   STR_ARG(o->host), (unsigned long long)o->port);
    char *p = (char *)text.ptr;

    for (size_t i = 0; p && i < text.len; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] - 'A' + 'a');
    return text;
}

struct str caller_origin(struct request *req)
{
    struct str origin = request_header(req, "origin"), referer = request_header(req, "referer");
    struct origin o;
    struct str text = STR_NONE;

    if (!origin.ptr && !referer.ptr)
        return STR_NONE;
    if (origin.ptr ? origin_parse(origin, &o) : origin_of_url(referer, &o))
        text = normal_form(req, &o);
    return text.ptr ? text : STR("null");
}

bool caller_origin_is_in(struct request *req, struct str origin, struct str list)
{
    yyjson_val *root = NULL, *item;
    struct origin asked;
    bool is_page = origin_parse(origin, &asked);
    size_t i, n;

    if (is_error(json_read(&req->arena, list, MAX_DEPTH, &root)))
        return false;
    yyjson_arr_foreach(root, i, n, item)
    {
        struct origin allowed;

        if (yyjson_equals_str(item, "*") ||
            (is_page && origin_parse(json_text(item), &allowed) && origin_eq(&asked, &allowed)))
            return true;
    }
    return false;
}
