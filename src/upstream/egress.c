/* Which addresses outbound calls may reach: the public Internet, and what the operator lists. */
#include "egress.h"

#include "base/cidr.h"
#include "config/config.h"
#include "upstream/upstream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX_BYTES  2048
#define HOST_MAX_BYTES 253

/* IANA's special-purpose registries (RFC 6890 and its successors). IPv6 is the other way round:
 * only global unicast (2000::/3) is open, so NAT64 (64:ff9b::/96), unique local and link-local
 * addresses fall out by themselves, and the list holds what is special inside it. */
static const char *const inner_blocks[] = {
    "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
    "2001::/23",     /* Teredo, ORCHID, benchmarking: RFC 2928 */
    "2001:db8::/32", /* documentation */
    "2002::/16",     /* 6to4 carries any IPv4 address */
    "3fff::/20",     /* documentation: RFC 9637 */
};
#define N_INNER_BLOCKS (sizeof(inner_blocks) / sizeof(inner_blocks[0]))

/* Written by egress_open() only, before the loops run. */
static struct {
    struct cidr inner[N_INNER_BLOCKS];
    struct cidr global_v6;
} guard;

static struct str without_dot(struct str host)
{
    return host.len > 1 && host.ptr[host.len - 1] == '.' ? (struct str){host.ptr, host.len - 1}
                                                         : host;
}

struct error egress_open(void)
{
    for (size_t i = 0; i < N_INNER_BLOCKS; i++)
        if (!cidr_parse(str_from(inner_blocks[i]), &guard.inner[i]))
            return ERROR(ERR_INTERNAL, (int)i, "a built-in address block cannot be read");
    if (!cidr_parse(STR("2000::/3"), &guard.global_v6))
        return ERROR(ERR_INTERNAL, 0, "a built-in address block cannot be read");
    return NO_ERROR;
}

static bool is_host_listed(struct str host)
{
    const struct config_list *allow = &config()->egress.allow;

    host = without_dot(host);
    for (size_t i = 0; i < allow->n; i++)
        if (str_eq_nocase(without_dot(allow->items[i]), host))
            return true;
    return false;
}

static bool is_listed(const struct sockaddr *address)
{
    const struct config_networks *allow = &config()->egress_networks;

    for (size_t i = 0; i < allow->n; i++)
        if (cidr_match(&allow->blocks[i], address))
            return true;
    return false;
}

static bool is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

        /* cidr_match() reads a mapped address as the IPv4 one; nobody public is reached that way.
         */
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) || !cidr_match(&guard.global_v6, address))
            return false;
    } else if (address->sa_family != AF_INET) {
        return false;
    }
    for (size_t i = 0; i < N_INNER_BLOCKS; i++)
        if (cidr_match(&guard.inner[i], address))
            return false;
    return true;
}

bool egress_allows(const struct sockaddr *address, struct str host)
{
    return is_public(address) || is_listed(address) || is_host_listed(host);
}

void egress_url_free(struct egress_url *url)
{
    curl_free(url->full);
    curl_free(url->host);
    curl_free(url->port);
    curl_url_cleanup(url->parsed);
    *url = (struct egress_url){0};
}

static bool is_plain(struct str url)
{
    for (size_t i = 0; i < url.len; i++)
        if ((unsigned char)url.ptr[i] <= ' ' || url.ptr[i] == 0x7f || url.ptr[i] == '\\')
            return false;
    return true;
}

/* libcurl decodes %7f in a host; no name or address has other characters than these. */
static bool is_host(const char *host)
{
    size_t len = strlen(host);

    return len > 0 && len <= HOST_MAX_BYTES &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") ==
               len;
}

static void strip_brackets(char *host)
{
    size_t len = strlen(host);

    if (len < 2 || host[0] != '[')
        return;
    memmove(host, host + 1, len - 2);
    host[len - 2] = '\0';
}

static struct error refuse(CURLUcode code, const char *sentence)
{
    return code == CURLUE_OUT_OF_MEMORY ? ERROR(ERR_NO_MEMORY, 0, NULL)
                                        : ERROR(ERR_INVALID, 0, sentence);
}

/* Brings the URL into its normal form, which says the same to whoever reads it again, and from
 * which all that is judged is read. libcurl unescapes a host only after it has looked whether it is
 * an address: http://%31.2 is http://1.2, and that is http://1.0.0.2. No honest URL is written so.
 */
static CURLUcode normalise(struct egress_url *out)
{
    char *again = NULL;
    CURLUcode code = curl_url_get(out->parsed, CURLUPART_URL, &out->full, CURLU_PUNYCODE);

    if (code == CURLUE_OK)
        code = curl_url_set(out->parsed, CURLUPART_URL, out->full, CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OK)
        code = curl_url_get(out->parsed, CURLUPART_URL, &again, 0);
    if (code == CURLUE_OK && strcmp(again, out->full) != 0)
        code = CURLUE_BAD_HOSTNAME;
    curl_free(again);
    return code;
}

static struct error read_parts(struct egress_url *out)
{
    CURLU *parts = out->parsed;
    char *scheme = NULL, *user = NULL, *zone = NULL;
    bool is_http, has_user, has_zone;
    CURLUcode code;

    code = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
    if (code != CURLUE_OK)
        return refuse(code, "The URL must begin with http:// or https://.");
    out->is_https = strcmp(scheme, "https") == 0;
    is_http = out->is_https || strcmp(scheme, "http") == 0;
    curl_free(scheme);
    if (!is_http)
        return ERROR(ERR_INVALID, 0, "The URL must begin with http:// or https://.");
    has_user = curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_OK;
    curl_free(user);
    if (has_user)
        return ERROR(ERR_INVALID, 0, "The URL must not hold a user name or a password.");
    has_zone = curl_url_get(parts, CURLUPART_ZONEID, &zone, 0) == CURLUE_OK;
    curl_free(zone);
    if (has_zone)
        return ERROR(ERR_INVALID, 0, "The URL must not hold an address with a zone.");
    code = curl_url_get(parts, CURLUPART_HOST, &out->host, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(parts, CURLUPART_PORT, &out->port, CURLU_DEFAULT_PORT);
    if (code != CURLUE_OK)
        return refuse(code, "The URL needs a valid host name.");
    strip_brackets(out->host);
    if (!is_host(out->host) || strcmp(out->port, "0") == 0)
        return ERROR(ERR_INVALID, 0, "The URL needs a valid host name and port.");
    return NO_ERROR;
}

struct error egress_parse_url(struct str url, struct egress_url *out)
{
    char text[URL_MAX_BYTES + 1];
    CURLUcode code;

    *out = (struct egress_url){0};
    if (url.len == 0)
        return ERROR(ERR_INVALID, 0, "The URL is missing.");
    if (url.len > URL_MAX_BYTES)
        return ERROR(ERR_INVALID, 0, "The URL is longer than 2048 characters.");
    if (!is_plain(url) || !utf8_is_valid(url))
        return ERROR(ERR_INVALID, 0, "The URL holds spaces or control characters.");
    memcpy(text, url.ptr, url.len);
    text[url.len] = '\0';
    out->parsed = curl_url();
    if (!out->parsed)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    code = curl_url_set(out->parsed, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    if (code != CURLUE_OK)
        return refuse(code, "This is not a valid http or https URL.");
    code = normalise(out);
    return code == CURLUE_OK ? read_parts(out) : refuse(code, "The URL needs a valid host name.");
}

static bool is_localhost(struct str host)
{
    host = without_dot(host);
    return str_eq_nocase(host, STR("localhost")) ||
           (host.len > 10 && str_eq_nocase(str_skip(host, host.len - 10), STR(".localhost")));
}

/* The address that the host says outright; false for a name that needs DNS. */
static bool literal_address(struct str host, struct sockaddr_storage *out)
{
    char text[256];
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    host = without_dot(host);
    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    memset(out, 0, sizeof(*out));
    if (is_localhost(host))
        memcpy(text, "127.0.0.1", sizeof("127.0.0.1"));
    /* inet_aton() also reads 0x7f.1 and 2130706433, as getaddrinfo() does. */
    if (inet_aton(text, &v4->sin_addr)) {
        v4->sin_family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        return true;
    }
    return false;
}

bool egress_allows_text(struct str address, struct str host)
{
    struct sockaddr_storage read;

    return literal_address(address, &read) && egress_allows((const struct sockaddr *)&read, host);
}

struct error egress_check_url(struct str url)
{
    struct egress_url parts;
    struct sockaddr_storage address;
    struct error err = egress_parse_url(url, &parts);

    if (!is_error(err) && literal_address(str_from(parts.host), &address) &&
        !egress_allows((const struct sockaddr *)&address, str_from(parts.host)))
        err = ERROR(ERR_INVALID, 0,
                    "The URL points at an inner address, which this server does not call. The "
                    "operator can list it in egress.allow.");
    egress_url_free(&parts);
    return err;
}
