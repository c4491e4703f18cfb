/* Origins, which say whose page may call with cookies: one that is read names the host and port
 * that libcurl reads in it, and is the same with another letters' case and with its port told. */
#include "api/origin.h"
#include "base/arena.h"
#include "fuzz.h"

#include <curl/curl.h>

static void compare_with_curl(struct str text, const struct origin *o)
{
    CURLU *url = curl_url();
    char *host = NULL, *port = NULL, *copy = strndup(text.ptr, text.len);

    MUST(url && copy);
    if (curl_url_set(url, CURLUPART_URL, copy, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
        /* libcurl writes addresses in their shortest form. */
        bool is_address = o->host.ptr[0] == '[' || strspn(host, "0123456789.") == strlen(host);

        MUST(is_address || str_eq_nocase(str_from(host), o->host));
        MUST(strtoull(port, NULL, 10) == o->port);
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct origin o, same;
    struct arena arena = {0};
    struct str longer;

    if (origin_parse(text, &o)) {
        MUST(o.port >= 1 && o.port <= 65535 && is_within(o.host, text));
        compare_with_curl(text, &o);
        MUST(origin_parse(arena_lower(&arena, text), &same) && origin_eq(&o, &same));
        longer = arena_printf(&arena, "%.*s://%.*s:%llu", STR_ARG(o.scheme), STR_ARG(o.host),
                              (unsigned long long)o.port);
        MUST(origin_parse(longer, &same) && origin_eq(&o, &same));
        MUST(origin_of_url(text, &same) && origin_eq(&o, &same));
        longer = arena_printf(&arena, "%.*s/path?http://other.example#x", STR_ARG(text));
        MUST(origin_of_url(longer, &same) && origin_eq(&o, &same));
    }
    arena_free(&arena);
    return 0;
}
