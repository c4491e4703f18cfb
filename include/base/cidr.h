/* Internet addresses and blocks of them (RFC 4632, RFC 4291). Any thread; nothing is owned.
 * An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is the IPv4 address it holds: both forms are one
 * address here. */
#ifndef AERIE_BASE_CIDR_H
#define AERIE_BASE_CIDR_H

#include "base/str.h"

struct sockaddr;

/* IPv4: the first 4 bytes count, the others are 0. */
struct ip {
    unsigned char bytes[16];
    bool is_v4;
};

#define IP_TEXT_BYTES 64
/* Decimal dots or colons; brackets, ports and zones are no part of an address. */
bool ip_parse(struct str text, struct ip *out);
/* False: neither AF_INET nor AF_INET6. */
bool ip_from_sockaddr(const struct sockaddr *addr, struct ip *out);
bool ip_eq(const struct ip *a, const struct ip *b);
struct str ip_format(const struct ip *ip, char out[IP_TEXT_BYTES]);
/* For limits, where one subscriber owns a whole /64: an IPv4 address itself, or
 * "2001:db8:1:2::/64". */
struct str ip_format_group(const struct ip *ip, char out[IP_TEXT_BYTES]);

struct cidr {
    struct ip base; /* host bits are 0 */
    unsigned bits;
};

/* "10.0.0.0/8", "fd00::/8", or one address. Host bits that are set are cleared. A block of mapped
 * addresses
 * ("::ffff:10.0.0.0/104") is the IPv4 block it holds. */
bool cidr_parse(struct str text, struct cidr *out);
bool cidr_match_ip(const struct cidr *c, const struct ip *ip);
/* False for other families. */
bool cidr_match(const struct cidr *c, const struct sockaddr *addr);

#endif
