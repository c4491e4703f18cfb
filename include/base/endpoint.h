/* Where a server listens or is reached, as people write it: "127.0.0.1:8000", "[::1]:8000",
 * "localhost:8000", "*:8000" or "unix:/run/aerie/aerie.sock". Any thread; nothing is owned. */
#ifndef AERIE_BASE_ENDPOINT_H
#define AERIE_BASE_ENDPOINT_H

#include "base/cidr.h"

#include <sys/socket.h>

/* With the NUL at its end, what a sockaddr_un takes. */
#define ENDPOINT_PATH_BYTES 108
#define ENDPOINT_TEXT_BYTES (ENDPOINT_PATH_BYTES + 8)

struct endpoint {
    bool is_unix;
    struct ip ip; /* "*" is 0.0.0.0, localhost is 127.0.0.1 */
    uint16_t port;
    char path[ENDPOINT_PATH_BYTES]; /* absolute */
};

/* False: neither form. A port must be told, and is from 0 to 65535. */
bool endpoint_parse(struct str text, struct endpoint *out);
/* As it is written, in its normal form. */
struct str endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_BYTES]);
/* For bind() and connect(). Returns its length. */
socklen_t endpoint_sockaddr(const struct endpoint *e, struct sockaddr_storage *out);
/* False: of another family, or a socket without a name. */
bool endpoint_from_sockaddr(const struct sockaddr *addr, socklen_t len, struct endpoint *out);
bool endpoint_eq(const struct endpoint *a, const struct endpoint *b);

#endif
