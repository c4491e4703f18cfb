/* The door: credentials from the header or the cookie, checked without the database. */
#include "api/auth.h"

#include "account/revocation.h"
#include "account/token_cache.h"
#include "api/origin.h"
#include "base/clock.h"
#include "config/config.h"
#include "peer.h"

#include <errno.h>

static bool is_for_sockets(const struct request *req)
{
    return req->route && req->route->who == WHO_SOCKET;
}

/* The token that the request brings; ptr NULL: none. A header wins over the query, and that over
 * the cookie, even when it is wrong. */
static struct str credentials(struct request *req)
{
    struct str header = request_header(req, "authorization");
    struct str query = is_for_sockets(req) ? request_query(req, "token") : STR_NONE;

    if (!header.ptr)
        return query.ptr ? query : request_cookie(req, "access_token");
    if (str_starts_with_nocase(header, STR("Bearer ")))
        return str_trim(str_skip(header, 7));
    return STR("");
}

struct str api_key_sent(const struct request *req)
{
    struct str header = request_header(req, "authorization"), bearer;

    if (str_starts_with_nocase(header, STR("Bearer "))) {
        bearer = str_trim(str_skip(header, 7));
        if (str_starts_with(bearer, STR("eck_")))
            return bearer;
    }
    return request_header(req, "x-api-key");
}

static bool is_unsafe(enum http_method m)
{
    return m != HTTP_GET && m != HTTP_HEAD && m != HTTP_OPTIONS;
}

/* Browsers send cookies along wherever the page comes from, but nothing else can make them send a
 * header of ours. */
static bool is_by_cookie(const struct request *req)
{
    return !request_header(req, "authorization").ptr &&
           (request_cookie(req, "access_token").ptr || request_cookie(req, "refresh_token").ptr);
}

/* Is it a page of this server? Behind a proxy that ends TLS without telling, an https page calls
 * what we take for http; a page that came without TLS never speaks for a server that has it. */
static bool is_own(const struct request *req, const struct origin *o)
{
    struct str host = request_header(req, "host");
    struct origin own;
    char url[300] = "https://";
    size_t n = sizeof("https://") - 1;

    if (host.len == 0 || host.len > 260 || (req->is_secure && str_eq(o->scheme, STR("http"))))
        return false;
    if (str_eq(o->scheme, STR("http"))) {
        n = sizeof("http://") - 1;
        for (size_t i = 0; i < n; i++)
            url[i] = "http://"[i];
    }
    for (size_t i = 0; i < host.len; i++)
        url[n++] = host.ptr[i];
    return origin_parse((struct str){url, n}, &own) && origin_eq(o, &own);
}

static bool is_listed(const struct origin *o)
{
    const struct config_list *list = &config()->allowed_origins;

    for (size_t i = 0; i < list->n; i++) {
        struct origin allowed;

        if (origin_parse(list->items[i], &allowed) && origin_eq(o, &allowed))
            return true;
    }
    return false;
}

static bool is_ours(struct request *req, struct str origin)
{
    struct origin o;

    return origin_parse(origin, &o) && (is_own(req, &o) || is_listed(&o));
}

enum cors api_cors(struct request *req, struct str origin)
{
    unsigned who = req->route ? req->route->who : WHO_ANYONE;
    bool is_preflight = req->method == HTTP_OPTIONS;
    bool takes_key = who == WHO_KEY || who == WHO_USER_OR_KEY || who == WHO_ADMIN_OR_KEY;

    if (who == WHO_VISITOR)
        return CORS_WITHOUT_CREDENTIALS;
    if (is_ours(req, origin))
        return CORS_WITH_CREDENTIALS;
    return is_preflight && takes_key ? CORS_WITHOUT_CREDENTIALS : CORS_REFUSED;
}

bool api_is_from_our_page(struct request *req)
{
    struct str origin = request_header(req, "origin"), referer = request_header(req, "referer");
    struct origin o;

    if (origin.ptr)
        return is_ours(req, origin);
    if (referer.ptr)
        return origin_of_url(referer, &o) && (is_own(req, &o) || is_listed(&o));
    return true;
}

/* NULL: nobody we know. *err: memory is out. */
static struct caller *find_caller(struct request *req, struct str token, struct error *err)
{
    struct caller who, *out;

    if (!token_check(token, clock_wall_us(), &who)) {
        if (errno == ENOMEM)
            *err = ERROR(ERR_NO_MEMORY, 0, NULL);
        return NULL;
    }
    if (revocation_refuses(&who))
        return NULL;
    out = arena_alloc(&req->arena, sizeof(*out));
    if (out)
        *out = who;
    else
        *err = ERROR(ERR_NO_MEMORY, 0, NULL);
    return out;
}

/* May the steps still let an API key in? */
static bool brings_key(const struct request *req)
{
    unsigned who = req->route->who;

    return (who == WHO_USER_OR_KEY || who == WHO_ADMIN_OR_KEY) && api_key_sent(req).ptr != NULL;
}

static bool is_for_admins(const struct route *route)
{
    return route->who == WHO_ADMIN || route->who == WHO_ADMIN_OR_KEY;
}

/* Nodes, and whoever looks after the server, may have listeners of their own: what is served there
 * is served nowhere else, but for whether the server is well. */
static bool is_served_here(struct request *req)
{
    unsigned who = req->route ? req->route->who : WHO_ANYONE;

    switch (req->listener) {
    case LISTENER_PEER:
        return who == WHO_PEER && peer_is_signed(req);
    case LISTENER_METRICS:
        return who == WHO_METRICS || who == WHO_MONITOR;
    case LISTENER_PLAIN:
    case LISTENER_TLS:
        break;
    }
    return who != WHO_PEER && (who != WHO_METRICS || config()->metrics.listen.len == 0);
}

static bool needs_no_caller(const struct request *req)
{
    unsigned who = req->route ? req->route->who : WHO_ANYONE;

    return who == WHO_VISITOR || who == WHO_PEER || who == WHO_METRICS;
}

struct error api_on_head(struct request *req)
{
    struct str token = credentials(req);
    struct error err = NO_ERROR;
    struct caller *who;

    if (!is_served_here(req))
        return ERROR(ERR_NOT_FOUND, 0, NULL);
    if (needs_no_caller(req))
        return NO_ERROR;
    if (is_unsafe(req->method) && is_by_cookie(req) && !api_is_from_our_page(req))
        return ERROR(ERR_FORBIDDEN, 0, "This origin may not call with cookies");
    /* The same-origin policy does not hold for WebSockets (RFC 6455 section 10.2). */
    if (is_for_sockets(req) && request_header(req, "origin").ptr &&
        !is_ours(req, request_header(req, "origin")))
        return ERROR(ERR_FORBIDDEN, 0, "This origin may not open a WebSocket here");
    who = token.ptr ? find_caller(req, token, &err) : NULL;
    if (is_error(err))
        return err;
    req->caller = who;
    if (!req->route || req->route->who < WHO_USER)
        return NO_ERROR;
    if (who && is_for_admins(req->route) && !who->is_admin)
        req->caller = NULL; /* a key may have more to say */
    if (!req->caller && brings_key(req))
        return NO_ERROR;
    if (!who)
        return ERROR(ERR_UNAUTHORIZED, 0,
                     token.ptr ? "The token is not valid or has expired" : "Not authenticated");
    if (!req->caller)
        return ERROR(ERR_FORBIDDEN, 0, "Admin privileges required");
    return NO_ERROR;
}

void api_who(const struct request *req, struct str *team_id, struct str *user_id)
{
    const struct caller *who = req->caller;

    if (!who)
        return;
    *team_id = id_str(&who->team_id);
    *user_id = id_str(&who->user_id);
}
