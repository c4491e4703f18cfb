/* libcurl on a loop: its multi handles, their sockets, and what every exchange has in common. What
 * an exchange is about is post.h's. */
#ifndef AERIE_UPSTREAM_CLIENT_H
#define AERIE_UPSTREAM_CLIENT_H

#include "loop/loop.h"
#include "resolver.h"
#include "urls.h"

#include <curl/curl.h>

struct client; /* a loop's */
struct multi;
struct sock;

struct client *client_new(struct loop *l, struct workers *resolver_workers);
/* Closes idle connections and frees c; no exchange may be open. on_closed comes from the loop,
 * perhaps before this returns. */
void client_close(struct client *c, void (*on_closed)(struct loop *l));
struct loop *client_loop(const struct client *c);
struct resolver *client_resolver(struct client *c);
struct urls *client_urls(struct client *c);
/* What every request carries; the client's, and never changed. */
struct curl_slist *client_headers(const struct client *c, bool has_body);

/* One request and its answer as libcurl carries them, all-zero before, in place until closed. */
struct exchange {
    const char *host; /* the asker's, for the egress guard and the log */
    bool is_tls;
    bool is_inside; /* to an own node: no egress guard, and a connection that nobody else uses */
    /* From the loop, never inside libcurl. May close the exchange and open it again. */
    void (*on_end)(struct exchange *x, CURLcode result);

    CURL *easy; /* between open and close; for its options */
    struct client *client;
    struct multi *multi; /* while libcurl has it */
    bool is_running;     /* on_end is to come */
    struct sock *sock;   /* the one that it opened, until the connection stands */
    struct list link;    /* in its multi's starting ones */
};

/* Sets easy, with every option that does not depend on the request. False: no memory. */
bool exchange_open(struct exchange *x, struct client *c) MUST_CHECK;
/* Hands it to libcurl, whose callbacks come from the loop. ERR_BUSY or ERR_NO_MEMORY. */
struct error exchange_start(struct exchange *x) MUST_CHECK;
/* The connection stands: what is left of the exchange does not decide over its socket any more.
 * False: it was made before, and egress.allow does not list its address now. */
bool exchange_connected(struct exchange *x, const char *peer_ip) MUST_CHECK;
/* In each state, also before open; not inside libcurl. One that runs loses its connection. */
void exchange_close(struct exchange *x);

#endif
