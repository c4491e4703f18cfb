/* Where a server listens or is reached. */
#include "base/endpoint.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

_Static_assert(ENDPOINT_PATH_BYTES <= sizeof(((struct sockaddr_un *)0)->sun_path),
               "a path fits into an address");

static bool parse_path(struct str path, struct endpoint *out)
{
    if (path.len < 2 || path.ptr[0] != '/' || str_ends_with(path, STR("/")) ||
        path.len >= sizeof(out->path) || memchr(path.ptr, '\0', path.len))
        return false;
    out->is_unix = true;
    memcpy(out->path, path.ptr, path.len);
    return true;
}

static bool parse_host(struct str host, struct ip *out)
{
    if (str_eq(host, STR("*")))
        host = STR("0.0.0.0");
    else if (str_eq_nocase(host, STR("localhost")))
        host = STR("127.0.0.1");
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        return ip_parse((struct str){host.ptr + 1, host.len - 2}, out);
    return !str_contains(host, STR(":")) && ip_parse(host, out);
}

bool endpoint_parse(struct str text, struct endpoint *out)
{
    size_t colon = text.len;
    int64_t port;

    memset(out, 0, sizeof(*out));
    if (str_starts_with(text, STR("unix:")))
        return parse_path(str_skip(text, 5), out);
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0 || !parse_host((struct str){text.ptr, colon - 1}, &out->ip) ||
        !str_to_i64(str_skip(text, colon), &port) || port < 0 || port > UINT16_MAX)
        return false;
    out->port = (uint16_t)port;
    return true;
}

struct str endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_BYTES])
{
    char ip[IP_TEXT_BYTES];
    int len;

    if (e->is_unix)
        len = snprintf(out, ENDPOINT_TEXT_BYTES, "unix:%s", e->path);
    else
        len = snprintf(out, ENDPOINT_TEXT_BYTES, e->ip.is_v4 ? "%.*s:%u" : "[%.*s]:%u",
                       STR_ARG(ip_format(&e->ip, ip)), (unsigned)e->port);
    return (struct str){out, (size_t)len};
}

socklen_t endpoint_sockaddr(const struct endpoint *e, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (e->is_unix) {
        struct sockaddr_un *un = (struct sockaddr_un *)out;

        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, e->path, sizeof(e->path));
        return sizeof(*un);
    }
    if (e->ip.is_v4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;

        in->sin_family = AF_INET;
        in->sin_port = htons(e->port);
        memcpy(&in->sin_addr, e->ip.bytes, sizeof(in->sin_addr));
        return sizeof(*in);
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(e->port);
        memcpy(&in6->sin6_addr, e->ip.bytes, sizeof(in6->sin6_addr));
        return sizeof(*in6);
    }
}

bool endpoint_from_sockaddr(const struct sockaddr *addr, socklen_t len, struct endpoint *out)
{
    memset(out, 0, sizeof(*out));
    if (addr->sa_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)addr;
        const size_t start = offsetof(struct sockaddr_un, sun_path);

        return len > start &&
               parse_path((struct str){un->sun_path, strnlen(un->sun_path, len - start)}, out);
    }
    if (!ip_from_sockaddr(addr, &out->ip))
        return false;
    /* The port stands at the same place in both. */
    out->port = ntohs(((const struct sockaddr_in *)addr)->sin_port);
    return true;
}

bool endpoint_eq(const struct endpoint *a, const struct endpoint *b)
{
    if (a->is_unix || b->is_unix)
        return a->is_unix && b->is_unix && strcmp(a->path, b->path) == 0;
    return a->port == b->port && ip_eq(&a->ip, &b->ip);
}
