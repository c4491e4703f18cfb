/* What a page from another origin may do with answers (Fetch standard, section 3.2). Whether its
 * requests are obeyed is decided elsewhere. */
#include "internal.h"

static enum cors decide(struct request *req, struct str origin)
{
    const struct http_hooks *hooks = &req->conn->http->server->hooks;

    if (origin.len == 0 || str_has_control(origin))
        return CORS_REFUSED;
    if (req->cors == CORS_UNDECIDED && hooks->cors)
        req->cors = hooks->cors(req, origin);
    return req->cors;
}

static bool is_allowed(struct request *req, struct str origin)
{
    return decide(req, origin) >= CORS_WITHOUT_CREDENTIALS;
}

void cors_write(struct request *req, struct buf *out)
{
    struct str origin = request_header(req, "origin");

    if (!origin.ptr)
        return;
    buf_append_str(out, STR("Vary: Origin\r\n"));
    if (!is_allowed(req, origin))
        return;
    buf_append_str(out, STR("Access-Control-Allow-Origin: "));
    buf_append_str(out, origin);
    if (decide(req, origin) == CORS_WITH_CREDENTIALS)
        buf_append_str(out, STR("\r\nAccess-Control-Allow-Credentials: true"));
    buf_append_str(out, STR("\r\nAccess-Control-Expose-Headers: X-Request-Id, X-Total-Count, "
                            "Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, "
                            "X-RateLimit-Reset, X-RateLimit-Limit-Tokens, "
                            "X-RateLimit-Remaining-Tokens\r\n"));
}

static bool may_send(struct str name)
{
    static const struct str names[] = {
        {"accept", 6},           {"authorization", 13}, {"content-type", 12},
        {"idempotency-key", 15}, {"last-event-id", 13}, {"x-api-key", 9},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (str_eq_nocase(name, names[i]))
            return true;
    return false;
}

static void allow_asked_headers(struct request *req)
{
    struct str rest = request_header(req, "access-control-request-headers"), name;
    struct buf allowed = {.max_bytes = 256};

    while (str_next(&rest, ',', &name)) {
        name = str_trim(name);
        if (!may_send(name))
            continue;
        if (allowed.len > 0)
            buf_append_str(&allowed, STR(", "));
        buf_append_str(&allowed, name);
    }
    if (allowed.len > 0 && !allowed.failed)
        response_set_header(req, "Access-Control-Allow-Headers", buf_str(&allowed));
    buf_deinit(&allowed);
}

void cors_preflight(struct request *req, unsigned methods)
{
    struct buf names = {.max_bytes = 256};

    if (!request_header(req, "access-control-request-method").ptr ||
        !is_allowed(req, request_header(req, "origin")))
        return;
    for (unsigned m = 0; m < N_HTTP_METHODS; m++) {
        if (m == HTTP_OPTIONS || !(methods & 1U << m))
            continue;
        if (names.len > 0)
            buf_append_str(&names, STR(", "));
        buf_append_str(&names, str_from(http_method_name((enum http_method)m)));
    }
    response_set_header(req, "Access-Control-Allow-Methods", buf_str(&names));
    buf_deinit(&names);
    allow_asked_headers(req);
    response_set_header(req, "Access-Control-Max-Age", STR("600"));
}
