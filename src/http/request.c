/* A request's life: from its head to the end of its flow, and what handlers ask of it. */
#include "config/config.h"
#include "internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "trace/span.h"

#include <stdlib.h>
#include <string.h>

/* The form around an upload: boundaries, names, small fields. */
#define UPLOAD_FORM_BYTES (64 * 1024)
/* Of a path in the log. */
#define LOG_PATH_BYTES 200
/* What most requests take beside the texts in their body, so that it fits in one piece. */
#define ARENA_BYTES      896
#define ARENA_BODY_BYTES 4096

struct exchange {
    struct request req;
    struct response response;
};

/* ---- birth and death ---- */

static bool is_token_char(char ch)
{
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
           ch == '-' || ch == '_' || ch == '.';
}

static void choose_id(struct request *req)
{
    struct str given = request_header(req, "x-request-id");
    bool is_sane = given.len > 0 && given.len <= ID_LEN;

    for (size_t i = 0; is_sane && i < given.len; i++)
        is_sane = is_token_char(given.ptr[i]);
    if (is_sane) {
        memcpy(req->id.text, given.ptr, given.len);
        req->id.text[given.len] = '\0';
        req->id_text = (struct str){req->id.text, given.len};
    } else {
        req->id = id_v7();
        req->id_text = id_str(&req->id);
    }
}

static bool copy_head(struct request *req, const struct parser *p)
{
    struct parser_head head = parser_head(p);
    struct header_line *lines = malloc(head.n_lines * sizeof(*lines) + head.bytes.len);
    struct str bytes = {(char *)&lines[head.n_lines], head.bytes.len};

    if (!lines)
        return false;
    memcpy(&lines[head.n_lines], head.bytes.ptr, head.bytes.len);
    arena_reserve(&req->arena, ARENA_BYTES + (head.content_length < ARENA_BODY_BYTES
                                                  ? (size_t)head.content_length
                                                  : ARENA_BODY_BYTES));
    for (size_t i = 0; i < head.n_lines; i++) {
        const struct parser_line *line = &head.lines[i];

        lines[i].name = (struct str){bytes.ptr + line->name.at, line->name.len};
        lines[i].value = str_trim((struct str){bytes.ptr + line->value.at, line->value.len});
    }
    req->headers = req->response->head = lines;
    req->n_headers = head.n_lines;
    req->is_http_1_0 = head.minor_version == 0;
    req->is_head = strcmp(head.method, "HEAD") == 0;
    req->path = (struct str){bytes.ptr + head.target.at, head.target.len};
    req->response->keep_alive = head.keeps_alive;
    return true;
}

struct request *request_new(struct conn *c, const struct parser *p)
{
    struct exchange *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    e->req.response = &e->response;
    e->req.loop = c->http->loop;
    e->req.conn = c;
    e->req.is_secure = c->tls != NULL;
    e->req.listener = c->listener->kind;
    e->response.started_ms = loop_now_ms(c->http->loop);
    if (p && !copy_head(&e->req, p)) {
        arena_free(&e->req.arena);
        free(e);
        return NULL;
    }
    choose_id(&e->req);
    return &e->req;
}

void request_init_within(struct request *inner, const struct request *outer, struct str body)
{
    static struct response answered = {.state = RESPONSE_DONE}; /* never written */

    *inner = (struct request){
        .loop = outer->loop,
        .conn = outer->conn,
        .listener = outer->listener,
        .route = outer->route,
        .method = outer->method,
        .body = body,
        .id = outer->id,
        .id_text = outer->id_text,
        .span = outer->span,
        .address = outer->address,
        .address_group = outer->address_group,
        .is_secure = outer->is_secure,
        .caller = outer->caller,
        .response = &answered,
    };
}

void request_free(struct request *req)
{
    struct exchange *e = container_of(req, struct exchange, req);

    if (req->span)
        request_end_span(req);
    buf_deinit(&e->response.headers);
    buf_deinit(&e->response.body_in);
    free(e->response.head);
    arena_free(&req->arena);
    free(e);
}

void request_drop_input(struct request *req)
{
    struct response *res = req->response;

    buf_deinit(&res->body_in);
    req->body = req->query = STR_NONE;
    req->path = str_from(req->route->path); /* the log does without its parameters */
    req->headers = NULL;
    req->n_headers = 0;
    free(res->head);
    res->head = NULL;
}

/* ---- the head ---- */

const char *http_method_name(enum http_method m)
{
    static const char *const names[N_HTTP_METHODS] = {
        [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
        [HTTP_OPTIONS] = "OPTIONS",
    };

    return m < N_HTTP_METHODS ? names[m] : "?";
}

/* N_HTTP_METHODS: none that we serve. */
static enum http_method method_from(const char *name)
{
    unsigned m = 0;

    while (m < N_HTTP_METHODS && strcmp(http_method_name((enum http_method)m), name) != 0)
        m++;
    return (enum http_method)m;
}

static void set_allow(struct request *req, unsigned methods)
{
    char text[64] = "";
    size_t len = 0;

    methods |= 1U << HTTP_OPTIONS;
    for (unsigned m = 0; m < N_HTTP_METHODS; m++) {
        const char *name = http_method_name((enum http_method)m);

        if (!(methods & 1U << m))
            continue;
        if (len > 0)
            len = (size_t)(stpcpy(text + len, ", ") - text);
        len = (size_t)(stpcpy(text + len, name) - text);
    }
    response_set_header(req, "Allow", (struct str){text, len});
}

static bool decode_params(struct request *req, const struct route_match *match)
{
    for (size_t i = 0; i < ROUTE_MAX_PARAMS && match->params[i].ptr; i++) {
        struct str raw = match->params[i];
        char *text = arena_alloc(&req->arena, raw.len + 1);

        if (!text)
            return false;
        req->params[i] = (struct str){text, percent_decode(raw, false, text)};
    }
    return true;
}

/* The media type without its parameters. */
static struct str media_type(const struct request *req)
{
    struct str type = request_header(req, "content-type");

    return str_trim((struct str){type.ptr, str_find(type, ';')});
}

static bool takes_media_type(enum body_kind kind, struct str type)
{
    bool is_json = str_eq_nocase(type, STR("application/json"));
    bool is_upload = str_eq_nocase(type, STR("multipart/form-data"));

    switch (kind) {
    case BODY_NONE:
        return true;
    case BODY_JSON:
        return is_json;
    case BODY_FORM:
        return is_json || str_eq_nocase(type, STR("application/x-www-form-urlencoded"));
    case BODY_UPLOAD:
        return is_upload;
    case BODY_JSON_OR_UPLOAD:
        return is_json || is_upload;
    }
    return false;
}

static size_t max_body_of(const struct route *route)
{
    const struct config_limits *limits = &config()->limits;

    bool is_upload = route->body == BODY_UPLOAD || route->body == BODY_JSON_OR_UPLOAD;

    return is_upload ? limits->upload_bytes + UPLOAD_FORM_BYTES : limits->body_bytes;
}

static bool is_at_file(const struct conn *c)
{
    return c->listener->socket->place->at.is_unix;
}

/* What holds for every request, whatever its route. */
static struct error judge_lines(struct request *req, const struct parser_head *head)
{
    struct str coding = request_header(req, "content-encoding");
    bool is_options = strcmp(head->method, "OPTIONS") == 0;
    struct error err;

    err = address_fill(req, is_at_file(req->conn) ? NULL : &req->conn->peer);
    if (is_error(err))
        return err;
    err = target_split(req->path, is_options, &req->path, &req->query);
    if (is_error(err))
        return err;
    if (strcmp(head->method, "CONNECT") == 0)
        return ERROR(ERR_BAD_REQUEST, 0, "This is no proxy");
    if (coding.len > 0 && !str_eq_nocase(coding, STR("identity")))
        return ERROR(ERR_MEDIA_TYPE, 0, "Bodies are taken without Content-Encoding only");
    return NO_ERROR;
}

/* A preflight asks about another request: that one's route says what pages may do. NULL: none. */
static const struct route *find_asked_route(struct request *req)
{
    struct str asked = request_header(req, "access-control-request-method");

    for (unsigned m = 0; m < N_HTTP_METHODS; m++)
        if (str_eq(asked, str_from(http_method_name((enum http_method)m))))
            return router_find(&req->conn->http->server->router, (enum http_method)m, req->path)
                .route;
    return NULL;
}

/* Sets req->route, or answers. False: answered. */
static bool find_route(struct request *req, const char *method_name)
{
    struct http_server *s = req->conn->http->server;
    enum http_method method = method_from(method_name);
    struct route_match match;

    req->method = method == HTTP_HEAD || method == N_HTTP_METHODS ? HTTP_GET : method;
    match = router_find(&s->router, req->method, req->path);
    if (match.methods & 1U << HTTP_GET)
        match.methods |= 1U << HTTP_HEAD;
    if (method == N_HTTP_METHODS)
        match.route = NULL;
    if (match.route) {
        req->route = match.route;
        if (decode_params(req, &match))
            return true;
        response_error(req, ERROR(ERR_NO_MEMORY, 0, NULL));
        return false;
    }
    if (method == HTTP_OPTIONS && str_eq(req->path, STR("*")))
        match.methods = (1U << N_HTTP_METHODS) - 1;
    if (match.methods == 0) {
        response_error(req, ERROR(ERR_NOT_FOUND, 0, NULL));
        return false;
    }
    set_allow(req, match.methods);
    if (method == HTTP_OPTIONS) {
        req->route = find_asked_route(req);
        cors_preflight(req, match.methods);
        response_empty(req, 204);
    } else {
        response_error(req, ERROR(ERR_METHOD, 0, NULL));
    }
    return false;
}

static struct error judge_body(const struct request *req, const struct parser_head *head,
                               size_t max_bytes)
{
    if (!head->has_body)
        return NO_ERROR;
    if (!takes_media_type(req->route->body, media_type(req)))
        return ERROR(ERR_MEDIA_TYPE, 0, NULL);
    if (head->content_length > max_bytes)
        return ERROR(ERR_TOO_LARGE, 0, NULL);
    return NO_ERROR;
}

bool request_judge_head(struct request *req, const struct parser *p, size_t *max_body_bytes)
{
    struct parser_head head = parser_head(p);
    const struct http_hooks *hooks = &req->conn->http->server->hooks;
    struct str expect = request_header(req, "expect");
    bool keep_alive = req->response->keep_alive;
    struct error err;

    /* Whoever is answered now has sent a body that nobody reads. */
    req->response->keep_alive = keep_alive && !head.has_body;
    err = judge_lines(req, &head);
    if (is_error(err)) {
        if (err.status == ERR_BAD_REQUEST)
            req->response->keep_alive = false; /* whoever speaks so is not followed any further */
        response_error(req, err);
        return false;
    }
    request_begin_span(req);
    if (expect.ptr && !str_eq_nocase(expect, STR("100-continue"))) {
        response_detail(req, 417, "The only expectation that is met is 100-continue");
        return false;
    }
    if (!find_route(req, head.method))
        return false;
    *max_body_bytes = max_body_of(req->route);
    err = hooks->on_head ? hooks->on_head(req) : NO_ERROR;
    if (!is_error(err))
        err = judge_body(req, &head, *max_body_bytes);
    if (!is_error(err) && req->route->state_bytes > 0) {
        req->state = arena_alloc(&req->arena, req->route->state_bytes);
        if (!req->state)
            err = ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    if (is_error(err)) {
        response_error(req, err);
        return false;
    }
    req->response->keep_alive = keep_alive;
    if (expect.ptr && head.has_body && !req->is_http_1_0) {
        struct buf *out = conn_out(req->conn);

        if (out)
            buf_append_str(out, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    return true;
}

/* ---- the flow ---- */

void request_log_failure(const struct request *req, const char *room, struct error err)
{
    const struct status_row *row = status_row(err.status);
    char trace_id[TRACE_ID_TEXT_BYTES] = "";

    if (req->span)
        trace_id_write(&req->span->context, trace_id);
    log_write((enum log_level)row->log_level, "%s: %s (%d): %s request=%s%s%s", room, row->name,
              err.code, err.detail ? err.detail : "", req->id.text, req->span ? " trace=" : "",
              trace_id);
}

/* Of what was answered bit by bit. NULL: it was answered at once. */
static const char *how_it_ended(const struct request *req)
{
    if (!req->response->is_stream)
        return NULL;
    return is_error(req->flow.err) ? status_row(req->flow.err.status)->name : "complete";
}

static void log_end(const struct request *req)
{
    const struct http_hooks *hooks = &req->conn->http->server->hooks;
    const struct response *res = req->response;
    char trace_id[TRACE_ID_TEXT_BYTES];
    struct log_access a = {
        .method = req->is_head ? "HEAD" : http_method_name(req->method),
        .path = utf8_prefix(req->path, LOG_PATH_BYTES),
        .status = res->status,
        .bytes = res->n_bytes,
        .ms = (unsigned)(loop_now_ms(req->loop) - res->started_ms),
        .request_id = req->id_text,
        .trace_id = req->span ? trace_id_write(&req->span->context, trace_id) : STR_NONE,
        .address = req->address,
        .ended = how_it_ended(req),
    };

    if (hooks->who)
        hooks->who(req, &a.team_id, &a.user_id);
    log_access(&a);
}

void request_check_end(struct request *req)
{
    struct response *res = req->response;
    struct conn *c = req->conn;
    bool keep_alive = res->keep_alive;

    if (res->is_flow_open || (c->state != CONN_CLOSED && res->state != RESPONSE_DONE))
        return;
    if (log_access_is_on())
        log_end(req);
    request_free(req);
    conn_end_request(c, keep_alive);
}

static void on_flow_end(struct flow *f)
{
    struct request *req = request_of(f);
    struct response *res = req->response;

    res->is_flow_open = false;
    switch (res->state) {
    case RESPONSE_NONE:
        if (is_error(f->err))
            response_error(req, f->err);
        else
            response_error(req, ERROR(ERR_INTERNAL, 0, "a handler gave no answer"));
        break;
    case RESPONSE_STREAMING:
        if (is_error(f->err))
            response_cut_stream(req);
        else
            response_end_stream(req);
        break;
    case RESPONSE_UPGRADED:
        websocket_close(req, is_error(f->err) ? CLOSE_INTERNAL : CLOSE_NORMAL, "");
        res->state = RESPONSE_DONE;
        break;
    case RESPONSE_DONE:
        break;
    }
    request_check_end(req);
}

void request_run(struct request *req)
{
    req->body = buf_str(&req->response->body_in);
    req->response->is_flow_open = true;
    flow_start_traced(&req->flow, req->span, req->route->steps, req, on_flow_end);
}

void request_lose_client(struct request *req)
{
    if (req->response->is_flow_open)
        flow_fail(&req->flow, ERROR(ERR_GONE, 0, "the client left"));
    else
        request_check_end(req);
}

/* ---- what handlers ask ---- */

struct str request_header(const struct request *req, const char *name)
{
    struct str wanted = str_from(name);

    for (size_t i = 0; i < req->n_headers; i++)
        if (str_eq_nocase(req->headers[i].name, wanted))
            return req->headers[i].value.ptr ? req->headers[i].value : STR("");
    return STR_NONE;
}

struct str request_query(struct request *req, const char *name)
{
    struct str rest = req->query, wanted = str_from(name), key, value;

    while (form_next(&req->arena, &rest, &key, &value))
        if (str_eq(key, wanted))
            return value;
    return STR_NONE;
}

void request_field_error(struct request *req, const char *field, const char *message)
{
    struct field_error *row = arena_alloc(&req->arena, sizeof(*row)), **end = &req->field_errors;

    if (!row)
        return; /* the 422 has one row less */
    *row = (struct field_error){.field = field, .message = message};
    while (*end)
        end = &(*end)->next;
    *end = row;
}

bool request_has_field_errors(const struct request *req)
{
    return req->field_errors != NULL;
}
