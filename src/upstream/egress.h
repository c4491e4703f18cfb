/* The guard on every connection that leaves the server. */
#ifndef AERIE_UPSTREAM_EGRESS_H
#define AERIE_UPSTREAM_EGRESS_H

#include "base/error.h"

#include <curl/curl.h>
#include <sys/socket.h>

/* Reads the built-in blocks. Main thread, before any loop runs. */
struct error egress_open(void) MUST_CHECK;

/* May a connection go to this address, which was looked up for host? Any thread. */
bool egress_allows(const struct sockaddr *address, struct str host);
/* The same for an address in text, as inet_ntop() writes it. */
bool egress_allows_text(struct str address, struct str host);

/* A URL taken apart as libcurl will. All strings are libcurl's: egress_url_free(). */
struct egress_url {
    char *full; /* normal form, host in punycode */
    char *host; /* without brackets */
    char *port;
    bool is_https;
    CURLU *parsed; /* full, for CURLOPT_CURLU */
};
/* ERR_INVALID with a sentence, or ERR_NO_MEMORY. Says nothing about the address. Free out in each
 * case. */
struct error egress_parse_url(struct str url, struct egress_url *out) MUST_CHECK;
void egress_url_free(struct egress_url *url);

#endif
