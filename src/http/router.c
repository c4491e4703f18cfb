/* The route table as a tree of path segments. */
#include "router.h"

struct route_node {
    struct str segment; /* "" for the root and for {parameters} */
    struct route_node *next;
    struct route_node *children; /* exact ones */
    struct route_node *param;
    const struct route *routes[N_HTTP_METHODS];
};

/* Takes "/segment" off *rest. "/" gives an empty segment, so a path that ends in '/' has one more.
 */
static bool next_segment(struct str *rest, struct str *segment)
{
    struct str after;

    if (rest->len == 0 || rest->ptr[0] != '/')
        return false;
    after = str_skip(*rest, 1);
    *segment = (struct str){after.ptr, str_find(after, '/')};
    *rest = str_skip(after, segment->len);
    return true;
}

static struct route_node *find_child(const struct route_node *n, struct str segment)
{
    struct route_node *child = n->children;

    while (child && !str_eq(child->segment, segment))
        child = child->next;
    return child;
}

static struct route_node *add_child(struct router *r, struct route_node *n, struct str segment)
{
    bool is_param = str_starts_with(segment, STR("{"));
    struct route_node *child = is_param ? n->param : find_child(n, segment);

    if (child)
        return child;
    child = arena_alloc(&r->arena, sizeof(*child));
    if (!child)
        return NULL;
    if (is_param) {
        n->param = child;
    } else {
        child->segment = segment;
        child->next = n->children;
        n->children = child;
    }
    return child;
}

static struct error add_route(struct router *r, const struct route *route)
{
    struct str rest = str_from(route->path), segment;
    struct route_node *n = r->root;
    unsigned n_params = 0;

    while (next_segment(&rest, &segment)) {
        n_params += str_starts_with(segment, STR("{"));
        n = add_child(r, n, segment);
        if (!n)
            return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    if (rest.len > 0 || n == r->root || n_params > ROUTE_MAX_PARAMS)
        return ERROR(ERR_INTERNAL, 0, "a route's path begins with '/' and has few parameters");
    if (n->routes[route->method])
        return ERROR(ERR_INTERNAL, 0, "two routes have the same method and path");
    n->routes[route->method] = route;
    return NO_ERROR;
}

struct error router_init(struct router *r, const struct route *routes, size_t n_routes)
{
    struct error err = NO_ERROR;

    *r = (struct router){.root = NULL};
    r->root = arena_alloc(&r->arena, sizeof(*r->root));
    if (!r->root)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    for (size_t i = 0; i < n_routes && !is_error(err); i++)
        err = add_route(r, &routes[i]);
    if (is_error(err))
        router_deinit(r);
    return err;
}

void router_deinit(struct router *r)
{
    arena_free(&r->arena);
    r->root = NULL;
}

struct search {
    enum http_method method;
    struct route_match match;
    struct str params[ROUTE_MAX_PARAMS]; /* on the way to the node looked at */
};

static void note_leaf(struct search *s, const struct route_node *n)
{
    for (unsigned m = 0; m < N_HTTP_METHODS; m++)
        if (n->routes[m])
            s->match.methods |= 1U << m;
    if (!n->routes[s->method])
        return;
    s->match.route = n->routes[s->method];
    for (size_t i = 0; i < ROUTE_MAX_PARAMS; i++)
        s->match.params[i] = s->params[i];
}

/* NOLINTNEXTLINE(misc-no-recursion): the table's depth bounds it, not the client */
static void search(struct search *s, const struct route_node *n, struct str rest, unsigned n_params)
{
    const struct route_node *child;
    struct str segment;

    if (!next_segment(&rest, &segment)) {
        note_leaf(s, n);
        return;
    }
    child = find_child(n, segment);
    if (child)
        search(s, child, rest, n_params);
    if (s->match.route || !n->param || segment.len == 0 || n_params == ROUTE_MAX_PARAMS)
        return;
    s->params[n_params] = segment;
    search(s, n->param, rest, n_params + 1);
    s->params[n_params] = STR_NONE;
}

struct route_match router_find(const struct router *r, enum http_method method, struct str path)
{
    struct search s = {.method = method};

    if (path.len > 0 && path.ptr[0] == '/')
        search(&s, r->root, path, 0);
    return s.match;
}
