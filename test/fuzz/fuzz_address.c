/* Who the client is: X-Forwarded-For and the peer, addresses and blocks of them. The first line of
 * the input is the peer, the second a trusted block, the others are header lines. */
#include "fuzz.h"
#include "config/config.h"
#include "http/internal.h"

#include <arpa/inet.h>

#define MAX_LINES 4

/* Bit by bit, as the RFCs tell it. */
static bool is_inside(const struct cidr *c, const struct ip *ip)
{
    if (c->base.is_v4 != ip->is_v4)
        return false;
    for (unsigned i = 0; i < c->bits; i++)
        if ((c->base.bytes[i / 8] ^ ip->bytes[i / 8]) >> (7 - i % 8) & 1)
            return false;
    return true;
}

/* An address that is read is written so that it is read again, by the system too. */
static void check_ip(const struct ip *ip)
{
    char text[IP_TEXT_BYTES], group[IP_TEXT_BYTES];
    struct str shown = ip_format(ip, text);
    unsigned char bytes[16];
    struct cidr net;
    struct ip again;

    MUST(ip_parse(shown, &again) && ip_eq(ip, &again));
    MUST(inet_pton(ip->is_v4 ? AF_INET : AF_INET6, text, bytes) == 1);
    MUST(memcmp(bytes, ip->bytes, ip->is_v4 ? 4 : 16) == 0);
    MUST(cidr_parse(ip_format_group(ip, group), &net));
    MUST(net.bits == (ip->is_v4 ? 32 : 64) && cidr_match_ip(&net, ip));
}

static void check_block(struct str text, const struct cidr *c, const struct ip *ip)
{
    struct cidr again;
    char base[IP_TEXT_BYTES], written[IP_TEXT_BYTES + 8];

    MUST(c->bits <= (c->base.is_v4 ? 32 : 128));
    MUST(cidr_match_ip(c, &c->base));
    MUST(cidr_match_ip(c, ip) == is_inside(c, ip));
    ip_format(&c->base, base);
    snprintf(written, sizeof(written), "%s/%u", base, c->bits);
    MUST(cidr_parse(str_from(written), &again));
    MUST(again.bits == c->bits && ip_eq(&again.base, &c->base));
    MUST(!str_has_control(text));
}

/* The client is the peer, or stands in the lines; and a peer that is not trusted is believed
 * nothing. */
static void check_client(const struct request *req, const struct ip *peer, bool is_trusted)
{
    struct ip client;
    bool is_told = false;

    MUST(ip_parse(req->address, &client));
    check_ip(&client);
    MUST(req->is_from_proxy == is_trusted && (is_trusted || !req->is_secure));
    for (size_t i = 0; i < req->n_headers; i++) {
        struct str rest = req->headers[i].value, hop;

        while (str_next(&rest, ',', &hop)) {
            struct ip ip;

            for (size_t from = 0; from < hop.len && !is_told; from++)
                for (size_t len = hop.len - from; len > 1 && !is_told; len--)
                    is_told = len <= 45 && ip_parse((struct str){hop.ptr + from, len}, &ip) &&
                              ip_eq(&ip, &client);
        }
    }
    MUST(ip_eq(&client, peer) || (is_trusted && is_told));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size < 400 ? size : 400};
    struct str peer_text = take_line(&rest), block_text = take_line(&rest);
    struct ip peer = {.is_v4 = true, .bytes = {192, 0, 2, 1}};
    struct header_line lines[MAX_LINES];
    struct request req = {.headers = lines};
    struct cidr trusted;
    bool has_block = cidr_parse(block_text, &trusted);
    struct config settings = {.trusted_networks = {.blocks = &trusted, .n = has_block}};

    if (ip_parse(peer_text, &peer))
        check_ip(&peer);
    if (has_block)
        check_block(block_text, &trusted, &peer);
    for (; req.n_headers < MAX_LINES && rest.len > 0; req.n_headers++) {
        bool is_scheme = str_starts_with(rest, STR("h"));

        lines[req.n_headers] = (struct header_line){
            is_scheme ? STR("X-Forwarded-Proto") : STR("X-Forwarded-For"), take_line(&rest)};
    }
    config_set(&settings);
    MUST(!is_error(address_fill(&req, &peer)));
    check_client(&req, &peer, has_block && is_inside(&trusted, &peer));
    arena_free(&req.arena);
    return 0;
}
