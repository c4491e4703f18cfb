/* The route table as a tree of path segments. Made at start, read by all loops. */
#ifndef AERIE_SRC_HTTP_ROUTER_H
#define AERIE_SRC_HTTP_ROUTER_H

#include "http/http.h"

struct route_node;
struct router {
    struct arena arena;
    struct route_node *root;
};

/* routes stay in place. ERR_INTERNAL: the table is wrong (a path twice, too many parameters). */
struct error router_init(struct router *r, const struct route *routes, size_t n_routes) MUST_CHECK;
void router_deinit(struct router *r);

struct route_match {
    const struct route *route; /* NULL: the path is not there, or not with that method */
    unsigned methods; /* bits 1 << enum http_method of what the path takes; 0: no such path */
    struct str params[ROUTE_MAX_PARAMS]; /* raw */
};
/* A segment's own text wins over a {parameter}; a path that ends in '/' is another path. */
struct route_match router_find(const struct router *r, enum http_method method, struct str path);

#endif
