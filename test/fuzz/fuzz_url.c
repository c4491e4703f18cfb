/* The guard on calls out. A URL that an admin may save has no inner literal address, whoever reads
 * it: libcurl sees the host that we judged. And an address that is inner stays so in each form that
 * can carry it. */
#include "base/cidr.h"
#include "config/config.h"
#include "fuzz.h"
#include "upstream/egress.h"
#include "upstream/resolver.h"
#include "upstream/upstream.h"

#include <arpa/inet.h>
#include <netdb.h>

static void open_guard(void)
{
    static const struct config nothing_allowed;
    static bool is_open;

    if (is_open)
        return;
    config_set(&nothing_allowed);
    MUST(!is_error(egress_open()));
    is_open = true;
}

/* Is this address inner? In its own words: RFC 1918, 6598, 3927, 1122, 5771. */
static bool is_inner_v4(uint32_t ip)
{
    return ip >> 24 == 0 || ip >> 24 == 10 || ip >> 24 == 127 || ip >> 16 == 0xa9fe ||
           ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 || ip >> 22 == 0x64400000 >> 22 ||
           ip >> 28 >= 0xe;
}

static bool allows_v6(const unsigned char bytes[16])
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    memcpy(&v6.sin6_addr, bytes, 16);
    return egress_allows((const struct sockaddr *)&v6, STR("host.example"));
}

static bool allows_v4(uint32_t ip)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(ip)};

    return egress_allows((const struct sockaddr *)&v4, STR("host.example"));
}

/* bytes: any 16. */
static void check_address(const unsigned char bytes[16])
{
    uint32_t ip =
        (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    unsigned char mapped[16] = {[10] = 0xff, [11] = 0xff}, nat64[16] = {0, 0x64, 0xff, 0x9b};
    unsigned char six_to_four[16] = {0x20, 0x02};

    MUST(!is_inner_v4(ip) || !allows_v4(ip));
    memcpy(mapped + 12, bytes, 4);
    memcpy(nat64 + 12, bytes, 4);
    memcpy(six_to_four + 2, bytes, 14);
    MUST(!allows_v6(mapped) && !allows_v6(nat64) && !allows_v6(six_to_four));
    MUST(!allows_v6(bytes) || bytes[0] >> 5 == 1); /* 2000::/3 */
}

static char *part(CURLU *url, CURLUPart what, unsigned flags)
{
    char *text = NULL;

    MUST(curl_url_get(url, what, &text, flags) == CURLUE_OK);
    return text;
}

/* What libcurl makes of the text itself, which no code of ours has touched. */
static void compare_with_curl(struct str url, const struct egress_url *ours)
{
    char *copy = strndup(url.ptr, url.len), *host, *port, *scheme;
    CURLU *theirs = curl_url();
    size_t len;

    MUST(theirs && copy && curl_url_set(theirs, CURLUPART_URL, copy, 0) == CURLUE_OK);
    host = part(theirs, CURLUPART_HOST, CURLU_PUNYCODE);
    port = part(theirs, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    scheme = part(theirs, CURLUPART_SCHEME, 0);
    len = strlen(host);
    if (host[0] == '[')
        MUST(len == strlen(ours->host) + 2 && strncmp(host + 1, ours->host, len - 2) == 0);
    else
        MUST(strcmp(host, ours->host) == 0);
    MUST(strcmp(port, ours->port) == 0);
    MUST(strcmp(scheme, ours->is_https ? "https" : "http") == 0);
    curl_free(host);
    curl_free(port);
    curl_free(scheme);
    curl_url_cleanup(theirs);
    free(copy);
}

/* What the transfer is given, and what it would say again, is what was judged. */
static void check_same(const struct egress_url *judged)
{
    struct egress_url again;
    char *host = part(judged->parsed, CURLUPART_HOST, 0);

    MUST(strstr(host, judged->host) != NULL && strlen(host) <= strlen(judged->host) + 2);
    curl_free(host);
    MUST(!is_error(egress_parse_url(str_from(judged->full), &again)));
    MUST(strcmp(again.full, judged->full) == 0 && strcmp(again.host, judged->host) == 0 &&
         strcmp(again.port, judged->port) == 0 && again.is_https == judged->is_https);
    egress_url_free(&again);
    MUST(!is_error(egress_check_url(str_from(judged->full))));
}

/* Whatever finds an address in the host without asking DNS: getaddrinfo(), our resolver. */
static void check_literal(const char *host)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *list = NULL;
    struct addresses found;

    if (getaddrinfo(host, NULL, &hints, &list) == 0) {
        MUST(egress_allows(list->ai_addr, str_from(host)));
        freeaddrinfo(list);
    }
    if (resolver_literal(host, &found) && !found.is_v6[0])
        MUST(allows_v4(ntohl(found.ip[0].v4.s_addr)));
    else if (found.n > 0)
        MUST(allows_v6(found.ip[0].v6.s6_addr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str url = {(const char *)data, size};
    struct egress_url parts;
    struct error err;

    open_guard();
    if (size >= 16)
        check_address(data);
    if (is_error(egress_check_url(url)))
        return 0;
    err = egress_parse_url(url, &parts);
    MUST(!is_error(err) && !str_has_control(str_from(parts.full)));
    compare_with_curl(url, &parts);
    check_same(&parts);
    check_literal(parts.host);
    egress_url_free(&parts);
    return 0;
}
