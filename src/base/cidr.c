/* Internet addresses and blocks of them. */
#include "base/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void from_v4(const void *bytes, struct ip *out)
{
    *out = (struct ip){.is_v4 = true};
    memcpy(out->bytes, bytes, 4);
}

static void from_v6(const unsigned char bytes[16], struct ip *out)
{
    if (memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
        from_v4(bytes + sizeof(mapped_prefix), out);
        return;
    }
    *out = (struct ip){.is_v4 = false};
    memcpy(out->bytes, bytes, 16);
}

/* *was_mapped tells a mapped address from a plain IPv4 one: the length of a prefix counts
 * differently. */
static bool parse(struct str text, struct ip *out, bool *was_mapped)
{
    char copy[INET6_ADDRSTRLEN + 1];
    unsigned char bytes[16];

    *was_mapped = false;
    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1) {
        from_v4(bytes, out);
        return true;
    }
    if (inet_pton(AF_INET6, copy, bytes) != 1)
        return false;
    from_v6(bytes, out);
    *was_mapped = out->is_v4;
    return true;
}

bool ip_parse(struct str text, struct ip *out)
{
    bool was_mapped;

    return parse(text, out, &was_mapped);
}

bool ip_from_sockaddr(const struct sockaddr *addr, struct ip *out)
{
    /* Copied, because a sockaddr may lie in a buffer that is not aligned for its real type. */
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, addr, sizeof(in));
        from_v4(&in.sin_addr, out);
        return true;
    }
    if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, addr, sizeof(in6));
        from_v6(in6.sin6_addr.s6_addr, out);
        return true;
    }
    return false;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
    return a->is_v4 == b->is_v4 && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* inet_ntop() takes eight times as long: each request's address is written. */
static struct str format_v4(const unsigned char bytes[4], char *out)
{
    char *to = out;

    for (unsigned i = 0; i < 4; i++) {
        unsigned n = bytes[i];

        if (i > 0)
            *to++ = '.';
        if (n >= 100)
            *to++ = (char)('0' + n / 100);
        if (n >= 10)
            *to++ = (char)('0' + n / 10 % 10);
        *to++ = (char)('0' + n % 10);
    }
    *to = '\0';
    return (struct str){out, (size_t)(to - out)};
}

struct str ip_format(const struct ip *ip, char out[IP_TEXT_BYTES])
{
    if (ip->is_v4)
        return format_v4(ip->bytes, out);
    inet_ntop(AF_INET6, ip->bytes, out, IP_TEXT_BYTES);
    return str_from(out);
}

struct str ip_format_group(const struct ip *ip, char out[IP_TEXT_BYTES])
{
    struct ip net = *ip;
    size_t len;

    if (ip->is_v4)
        return ip_format(ip, out);
    memset(net.bytes + 8, 0, 8);
    len = ip_format(&net, out).len;
    memcpy(out + len, "/64", 4);
    return str_from(out);
}

static void clear_host_bits(struct cidr *c)
{
    for (unsigned i = 0; i < 16; i++) {
        if (c->bits <= i * 8)
            c->base.bytes[i] = 0;
        else if (c->bits < i * 8 + 8)
            c->base.bytes[i] &= (unsigned char)(0xff << (i * 8 + 8 - c->bits));
    }
}

bool cidr_parse(struct str text, struct cidr *out)
{
    size_t slash = str_find(text, '/');
    struct str address = {text.ptr, slash};
    bool was_mapped;
    int64_t bits;

    *out = (struct cidr){.bits = 0};
    if (!parse(address, &out->base, &was_mapped))
        return false;
    out->bits = out->base.is_v4 ? 32 : 128;
    if (slash == text.len)
        return true;
    if (!str_to_i64(str_skip(text, slash + 1), &bits) || bits < 0)
        return false;
    if (was_mapped)
        bits -= 96; /* shorter ones would hold more than mapped addresses */
    if (bits < 0 || bits > (int64_t)out->bits)
        return false;
    out->bits = (unsigned)bits;
    clear_host_bits(out);
    return true;
}

bool cidr_match_ip(const struct cidr *c, const struct ip *ip)
{
    unsigned whole = c->bits / 8, rest = c->bits % 8;

    if (c->base.is_v4 != ip->is_v4 || memcmp(c->base.bytes, ip->bytes, whole) != 0)
        return false;
    return rest == 0 || ((c->base.bytes[whole] ^ ip->bytes[whole]) >> (8 - rest)) == 0;
}

bool cidr_match(const struct cidr *c, const struct sockaddr *addr)
{
    struct ip ip;

    return ip_from_sockaddr(addr, &ip) && cidr_match_ip(c, &ip);
}
