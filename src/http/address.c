/* Who the client is: the peer, or what trusted proxies say of it. */
#include "config/config.h"
#include "internal.h"

static bool is_trusted(const struct config_networks *trusted, const struct ip *ip)
{
    for (size_t i = 0; i < trusted->n; i++)
        if (cidr_match_ip(&trusted->blocks[i], ip))
            return true;
    return false;
}

/* A client at a file has no address: whether it is a proxy is for the operator to say, in a word.
 */
static bool are_files_trusted(void)
{
    const struct config_list *trusted = &config()->trusted_proxies;

    for (size_t i = 0; i < trusted->n; i++)
        if (str_eq(trusted->items[i], STR("unix")))
            return true;
    return false;
}

/* "1.2.3.4", "1.2.3.4:5678", "2001:db8::1", "[2001:db8::1]:5678". */
static bool parse_hop(struct str hop, struct ip *out)
{
    size_t colon = str_find(hop, ':');

    if (hop.len > 0 && hop.ptr[0] == '[') {
        hop = str_skip(hop, 1);
        hop.len = str_find(hop, ']');
    } else if (colon < hop.len && str_find(str_skip(hop, colon + 1), ':') == hop.len - colon - 1) {
        hop.len = colon;
    }
    return ip_parse(hop, out);
}

/* Takes the last hop off *line. */
static bool last_hop(struct str *line, struct str *hop)
{
    size_t at = line->len;

    if (!line->ptr)
        return false;
    while (at > 0 && line->ptr[at - 1] != ',')
        at--;
    *hop = str_trim((struct str){line->ptr + at, line->len - at});
    *line = at > 0 ? (struct str){line->ptr, at - 1} : STR_NONE;
    return true;
}

/* Walks from the hop nearest to us to the first that is no proxy of ours. A hop that is no address
 * ends the walk: what is left of it was written by whoever wrote that. */
static void walk_hops(const struct request *req, const struct config_networks *trusted,
                      struct ip *client)
{
    for (size_t i = req->n_headers; i-- > 0;) {
        struct str line = req->headers[i].value, hop;
        struct ip ip;

        if (!str_eq_nocase(req->headers[i].name, STR("x-forwarded-for")))
            continue;
        while (last_hop(&line, &hop)) {
            if (!parse_hop(hop, &ip))
                return;
            *client = ip;
            if (!is_trusted(trusted, &ip))
                return;
        }
    }
}

/* The proxy nearest to us wrote the last word. Without one, what it spoke itself counts. */
static bool said_https(const struct request *req)
{
    struct str line = STR_NONE, word;

    for (size_t i = 0; i < req->n_headers; i++)
        if (str_eq_nocase(req->headers[i].name, STR("x-forwarded-proto")))
            line = req->headers[i].value;
    if (!line.ptr)
        return req->is_secure;
    return last_hop(&line, &word) && str_eq_nocase(word, STR("https"));
}

struct error address_fill(struct request *req, const struct ip *peer)
{
    const struct config_networks *trusted = &config()->trusted_networks;
    char text[IP_TEXT_BYTES];
    struct ip client = peer ? *peer : (struct ip){.is_v4 = true, .bytes = {127, 0, 0, 1}};

    if (peer ? is_trusted(trusted, peer) : are_files_trusted()) {
        walk_hops(req, trusted, &client);
        req->is_from_proxy = true;
        req->is_secure = said_https(req);
    }
    req->address = arena_copy(&req->arena, ip_format(&client, text));
    if (client.is_v4)
        req->address_group = req->address;
    else
        req->address_group = arena_copy(&req->arena, ip_format_group(&client, text));
    return req->address.ptr && req->address_group.ptr ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, NULL);
}
