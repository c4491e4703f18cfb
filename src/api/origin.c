/* Reads and compares origins. */
#include "api/origin.h"

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '[' || c == ']' || c == ':';
}

/* Where the port's colon is: after the last ']' of an IPv6 address. */
static size_t find_port(struct str authority)
{
    size_t i = authority.len;

    while (i > 0 && authority.ptr[i - 1] != ':' && authority.ptr[i - 1] != ']')
        i--;
    return i > 0 && authority.ptr[i - 1] == ':' ? i - 1 : authority.len;
}

bool origin_parse(struct str text, struct origin *out)
{
    int64_t port;
    size_t colon;

    if (str_starts_with_nocase(text, STR("https://"))) {
        out->scheme = STR("https");
        out->port = 443;
    } else if (str_starts_with_nocase(text, STR("http://"))) {
        out->scheme = STR("http");
        out->port = 80;
    } else {
        return false;
    }
    text = str_skip(text, out->scheme.len + 3);
    colon = find_port(text);
    out->host = (struct str){text.ptr, colon};
    if (out->host.len == 0 || out->host.len > 253)
        return false;
    for (size_t i = 0; i < out->host.len; i++)
        if (!is_host_char(out->host.ptr[i]))
            return false;
    if (colon == text.len)
        return true;
    if (text.ptr[colon + 1 < text.len ? colon + 1 : colon] == '-' ||
        !str_to_i64(str_skip(text, colon + 1), &port) || port < 1 || port > 65535)
        return false;
    out->port = (uint64_t)port;
    return true;
}

bool origin_of_url(struct str url, struct origin *out)
{
    struct str rest;
    size_t start = str_starts_with_nocase(url, STR("https://")) ? 8 : 7;

    rest = str_skip(url, start);
    for (size_t i = 0; i < rest.len; i++)
        if (rest.ptr[i] == '/' || rest.ptr[i] == '?' || rest.ptr[i] == '#') {
            url.len = start + i;
            break;
        }
    return origin_parse(url, out);
}

bool origin_eq(const struct origin *a, const struct origin *b)
{
    return a->port == b->port && str_eq_nocase(a->scheme, b->scheme) &&
           str_eq_nocase(a->host, b->host);
}
