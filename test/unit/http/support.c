#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct config test_config;
struct config_list test_listen;
const char *test_peers, *test_metrics;
struct test_server ts;

/* ---- routes ---- */

static void say_hello(struct flow *f)
{
    response_send(request_of(f), 200, "text/plain", STR("hello"));
}

static void say_special(struct flow *f)
{
    response_send(request_of(f), 200, "text/plain", STR("special"));
}

static void say_params(struct flow *f)
{
    struct request *req = request_of(f);

    response_send(
        req, 200, "text/plain",
        arena_printf(&req->arena, "%.*s|%.*s", STR_ARG(req->params[0]), STR_ARG(req->params[1])));
}

static void delete_item(struct flow *f)
{
    response_empty(request_of(f), 204);
}

static void echo_body(struct flow *f)
{
    struct request *req = request_of(f);

    response_json(req, 200, req->body);
}

static void say_form(struct flow *f)
{
    struct request *req = request_of(f);
    struct str rest = req->body, name, value;
    struct buf out = {.data = NULL};

    while (form_next(&req->arena, &rest, &name, &value))
        buf_printf(&out, "[%.*s=%.*s]", STR_ARG(name), STR_ARG(value));
    response_send(req, 200, "text/plain", buf_str(&out));
    buf_deinit(&out);
}

static void say_upload(struct flow *f)
{
    struct request *req = request_of(f);
    struct multipart_part part;
    struct error err = multipart_find(req, "file", &part);

    if (is_error(err))
        flow_fail(f, err);
    else
        response_send(req, 200, "text/plain", part.data);
}

static void fail_fields(struct flow *f)
{
    request_field_error(request_of(f), "email", "is missing");
    request_field_error(request_of(f), "password", "is \"short\"");
    flow_fail(f, ERROR(ERR_INVALID, 0, "Some fields are wrong"));
}

static void fail_busy(struct flow *f)
{
    flow_fail(f, ERROR(ERR_BUSY, 7, "the inner queue of table x"));
}

static void stay_mute(struct flow *f)
{
    (void)f;
}

static void say_query(struct flow *f)
{
    struct request *req = request_of(f);
    struct str value = request_query(req, "name");

    response_send(req, 200, "text/plain", value.ptr ? value : STR("(none)"));
}

static void say_cookie(struct flow *f)
{
    struct request *req = request_of(f);
    struct str value = request_cookie(req, "access_token");

    response_set_header(req, "Set-Cookie", STR("a=1"));
    response_set_header(req, "Set-Cookie", STR("b=2"));
    response_set_header(req, "X-Bad", STR("a\r\nX-Injected: 1"));
    response_send(req, 200, "text/plain", value.ptr ? value : STR("(none)"));
}

static void say_address(struct flow *f)
{
    struct request *req = request_of(f);

    response_send(req, 200, "text/plain",
                  arena_printf(&req->arena, "%.*s %.*s %s", STR_ARG(req->address),
                               STR_ARG(req->address_group), req->is_secure ? "https" : "http"));
}

struct parked {
    struct op op;
};

static void cancel_parked(struct op *op)
{
    ts.parked = NULL;
    ts.parked_op = NULL;
    op_end(op, ERROR(ERR_CANCELED, 0, NULL));
}

static void park(struct flow *f)
{
    struct parked *p = request_of(f)->state;

    op_begin(&p->op, f, cancel_parked);
    ts.parked = request_of(f);
    ts.parked_op = &p->op;
}

static void begin_stream(struct flow *f)
{
    response_begin_stream(request_of(f), 200, "text/event-stream");
    response_stream_write(request_of(f), "first;", 6);
}

static void say_waited(struct flow *f)
{
    response_send(request_of(f), 200, "text/plain", STR("waited"));
}

static void note_end(struct flow *f)
{
    ts.n_ended++;
    ts.last_error = f->err.status;
}

struct flood {
    struct op op;
    size_t n_sent;
};

static void cancel_flood(struct op *op)
{
    op_end(op, ERROR(ERR_CANCELED, 0, NULL));
}

/* on_drained is called once for each time that it was asked for. */
static void pump_flood(void *state)
{
    struct request *req = state;
    struct flood *s = req->state;
    static const char piece[1000];

    ts.n_drained++;
    while (s->n_sent < FLOOD_BYTES && !response_stream_is_full(req)) {
        response_stream_write(req, piece, sizeof(piece));
        s->n_sent += sizeof(piece);
    }
    response_stream_on_drained(req, pump_flood, req);
    assert_true(req->conn->out.cap <= test_config.limits.output_bytes);
    if (s->n_sent >= FLOOD_BYTES && op_is_running(&s->op))
        op_end(&s->op, NO_ERROR);
}

static void flood(struct flow *f)
{
    struct request *req = request_of(f);
    struct flood *s = req->state;

    response_begin_stream(req, 200, "application/octet-stream");
    op_begin(&s->op, f, cancel_flood);
    pump_flood(req);
}

/* ---- a WebSocket that answers ---- */

struct socket {
    struct op op;
    size_t n_left; /* of the flood */
};

static void cancel_socket(struct op *op)
{
    op_end(op, ERROR(ERR_CANCELED, 0, NULL));
}

static void pump_socket(void *state)
{
    struct request *req = state;
    struct socket *s = req->state;
    static char piece[1000];

    memset(piece, 'x', sizeof(piece));
    ts.n_drained++;
    while (s->n_left > 0 && !response_stream_is_full(req)) {
        websocket_send(req, (struct str){piece, sizeof(piece)});
        s->n_left -= sizeof(piece);
    }
    response_stream_on_drained(req, pump_socket, req);
    assert_true(req->conn->out.cap <= test_config.limits.output_bytes);
}

static void on_socket_text(void *state, struct str text)
{
    struct request *req = state;
    struct socket *s = req->state;
    static const char big[BIG_BYTES];

    ts.n_texts++;
    if (str_eq(text, STR("end"))) {
        op_end(&s->op, NO_ERROR);
    } else if (str_eq(text, STR("fail"))) {
        op_end(&s->op, ERROR(ERR_INTERNAL, 0, NULL));
    } else if (str_eq(text, STR("close"))) {
        websocket_close(req, CLOSE_TRY_LATER, "busy");
        websocket_send(req, STR("too late"));
        op_end(&s->op, NO_ERROR);
    } else if (str_eq(text, STR("big"))) {
        websocket_send(req, (struct str){big, sizeof(big)});
    } else if (str_eq(text, STR("flood"))) {
        s->n_left = FLOOD_BYTES / 1000 * 1000;
        pump_socket(req);
    } else {
        websocket_send(req, text);
    }
}

static void on_socket_drain(void *state)
{
    struct request *req = state;
    struct socket *s = req->state;

    websocket_close(req, CLOSE_GOING_AWAY, "bye");
    op_end(&s->op, NO_ERROR);
}

static void open_socket(struct flow *f)
{
    static const struct websocket_handler handler = {on_socket_text, on_socket_drain};
    struct request *req = request_of(f);
    struct socket *s = req->state;

    if (websocket_accept(req, &handler, req))
        op_begin(&s->op, f, cancel_socket);
}

#define STEPS(name, ...) static const struct step name[] = {__VA_ARGS__, STEP_END}
STEPS(hello_steps, STEP(say_hello));
STEPS(special_steps, STEP(say_special));
STEPS(params_steps, STEP(say_params));
STEPS(delete_steps, STEP(delete_item));
STEPS(echo_steps, STEP(echo_body));
STEPS(form_steps, STEP(say_form));
STEPS(upload_steps, STEP(say_upload));
STEPS(fields_steps, STEP(fail_fields));
STEPS(busy_steps, STEP(fail_busy));
STEPS(mute_steps, STEP(stay_mute));
STEPS(query_steps, STEP(say_query));
STEPS(cookie_steps, STEP(say_cookie));
STEPS(address_steps, STEP(say_address));
STEPS(wait_steps, STEP(park), STEP(say_waited), STEP_ALWAYS(note_end));
STEPS(stream_steps, STEP(begin_stream), STEP(park), STEP_ALWAYS(note_end));
STEPS(flood_steps, STEP(flood), STEP_ALWAYS(note_end));
STEPS(socket_steps, STEP(open_socket), STEP_ALWAYS(note_end));

enum { ANYONE, NOBODY };
static const struct route routes[] = {
    {HTTP_GET, "/", ANYONE, BODY_NONE, 0, hello_steps, ""},
    {HTTP_GET, "/address", ANYONE, BODY_NONE, 0, address_steps, ""},
    {HTTP_GET, "/busy", ANYONE, BODY_NONE, 0, busy_steps, ""},
    {HTTP_GET, "/cookie", ANYONE, BODY_NONE, 0, cookie_steps, ""},
    {HTTP_POST, "/echo", ANYONE, BODY_JSON, 0, echo_steps, ""},
    {HTTP_GET, "/fail", ANYONE, BODY_NONE, 0, fields_steps, ""},
    {HTTP_GET, "/flood", ANYONE, BODY_NONE, sizeof(struct flood), flood_steps, ""},
    {HTTP_POST, "/form", ANYONE, BODY_FORM, 0, form_steps, ""},
    {HTTP_GET, "/hello", ANYONE, BODY_NONE, 0, hello_steps, ""},
    {HTTP_POST, "/ignore", ANYONE, BODY_NONE, 0, hello_steps, ""},
    {HTTP_GET, "/items/special", ANYONE, BODY_NONE, 0, special_steps, ""},
    {HTTP_GET, "/items/{id}", ANYONE, BODY_NONE, 0, params_steps, ""},
    {HTTP_DELETE, "/items/{id}", ANYONE, BODY_NONE, 0, delete_steps, ""},
    {HTTP_GET, "/items/{id}/parts/{part}", ANYONE, BODY_NONE, 0, params_steps, ""},
    {HTTP_GET, "/mute", ANYONE, BODY_NONE, 0, mute_steps, ""},
    {HTTP_GET, "/query", ANYONE, BODY_NONE, 0, query_steps, ""},
    {HTTP_GET, "/secret", NOBODY, BODY_NONE, 0, hello_steps, ""},
    {HTTP_POST, "/secret", NOBODY, BODY_JSON, 0, echo_steps, ""},
    {HTTP_GET, "/socket", ANYONE, BODY_NONE, sizeof(struct socket), socket_steps, ""},
    {HTTP_GET, "/stream", ANYONE, BODY_NONE, sizeof(struct parked), stream_steps, ""},
    {HTTP_POST, "/upload", ANYONE, BODY_UPLOAD, 0, upload_steps, ""},
    {HTTP_GET, "/wait", ANYONE, BODY_NONE, sizeof(struct parked), wait_steps, ""},
    {HTTP_POST, "/wait", ANYONE, BODY_JSON, sizeof(struct parked), wait_steps, ""},
};

static struct error on_head(struct request *req)
{
    return req->route->who == NOBODY ? ERROR(ERR_UNAUTHORIZED, 0, "Sign in first") : NO_ERROR;
}

static enum cors cors(struct request *req, struct str origin)
{
    (void)req;
    return str_eq(origin, STR("https://good.example")) ? CORS_WITH_CREDENTIALS : CORS_REFUSED;
}

/* ---- the server ---- */

void server_start(const char *trusted_proxies)
{
    static const struct http_hooks hooks = {
        .routes = routes,
        .n_routes = sizeof(routes) / sizeof(routes[0]),
        .on_head = on_head,
        .cors = cors,
    };
    static struct str trusted;

    test_config = (struct config){
        .server = {.listen = test_listen, .host = STR("127.0.0.1"), .port = 0, .unix_mode = STR("0660")},
        .limits = {.request_line_bytes = 8192,
                   .head_bytes = 16384,
                   .header_lines = 100,
                   .body_bytes = 1 << 20,
                   .upload_bytes = 2 << 20,
                   .head_seconds = 10,
                   .body_min_bytes_per_second = 1024,
                   .idle_seconds = 75,
                   .write_seconds = 30,
                   .pipeline_bytes = 16384,
                   .output_bytes = 65536,
                   .output_total_bytes = 256 << 20,
                   .websocket_message_bytes = 65536,
                   .websocket_ping_seconds = 30,
                   .websocket_pong_seconds = 10},
    };
    if (test_metrics)
        test_config.metrics.listen = str_from(test_metrics);
    if (trusted_proxies) {
        trusted = str_from(trusted_proxies);
        test_config.trusted_proxies = (struct config_list){&trusted, 1};
    }
    assert_int_equal(config_settle_networks(&test_config).status, OK);
    config_set(&test_config);
    ts = (struct test_server){.loop = malloc(sizeof(*ts.loop))};
    assert_non_null(ts.loop);
    assert_int_equal(loop_init(ts.loop, 0).status, OK);
    assert_int_equal(http_open(&hooks, 1, &ts.server).status, OK);
    if (test_peers)
        assert_int_equal(
            http_listen_to_peers(ts.server, str_from(test_peers), true, "key nodes.listen").status, OK);
    assert_int_equal(http_attach(ts.server, ts.loop).status, OK);
}

static void on_drained(struct loop *l)
{
    (void)l;
    ts.is_drained = true;
}

void server_stop(void)
{
    test_listen = (struct config_list){.n = 0};
    test_peers = test_metrics = NULL;
    if (!ts.is_drained) {
        http_drain(ts.loop, on_drained);
        http_drain_peers(ts.loop, on_drained);
        http_abort(ts.loop);
        turn_until(&ts.is_drained);
    }
    assert_int_equal(http_stats(ts.server).connections, 0);
    assert_null(ts.parked);
    loop_close(ts.loop);
    loop_run(ts.loop);
    loop_deinit(ts.loop);
    http_close(ts.server);
    arena_free(&test_config.arena);
    free(ts.loop);
}

void finish_parked(void)
{
    struct op *op = ts.parked_op;

    assert_non_null(op);
    ts.parked = NULL;
    ts.parked_op = NULL;
    op_end(op, NO_ERROR);
}

void turn(unsigned n)
{
    while (n-- > 0)
        uv_run(&ts.loop->uv, UV_RUN_NOWAIT);
}

void turn_until(const bool *flag)
{
    uint64_t end_ms = uv_hrtime() / 1000000 + 5000;

    while (!*flag) {
        assert_true(uv_hrtime() / 1000000 < end_ms);
        turn(1);
    }
}

/* ---- the client ---- */

int client_connect(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)http_port(ts.server)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    turn(2);
    return fd;
}

void client_send_bytes(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n > 0) {
            at += n;
            len -= (size_t)n;
        } else if (errno != EAGAIN) {
            return; /* the server has closed: the answer says why */
        }
        turn(1);
    }
    turn(2);
}

void client_send(int fd, const char *text)
{
    client_send_bytes(fd, text, strlen(text));
}

/* *ended: the connection did. */
static char *read_until(int fd, const char *what, bool *ended)
{
    uint64_t end_ms = uv_hrtime() / 1000000 + 5000;
    size_t len = 0, cap = 4096;
    char *text = malloc(cap);

    *ended = false;
    for (;;) {
        ssize_t n;

        text[len] = '\0';
        if (what && strstr(text, what))
            return text;
        if (cap - len < 2048)
            text = realloc(text, cap *= 2);
        turn(1);
        n = recv(fd, text + len, cap - len - 1, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            *ended = true;
            return text;
        }
        if (n > 0)
            len += (size_t)n;
        if (uv_hrtime() / 1000000 > end_ms)
            return text;
    }
}

char *client_read_until(int fd, const char *what)
{
    bool ended;

    return read_until(fd, what, &ended);
}

char *client_read_to_end(int fd)
{
    bool ended;
    char *text = read_until(fd, NULL, &ended);

    if (!ended)
        fail_msg("the connection stays open after: %s", text);
    return text;
}

char *ask(const char *request)
{
    int fd = client_connect();
    char *text;

    client_send(fd, request);
    shutdown(fd, SHUT_WR);
    text = client_read_to_end(fd);
    close(fd);
    turn(2);
    return text;
}

void assert_status(const char *answer, int status)
{
    char expected[32];

    snprintf(expected, sizeof(expected), "HTTP/1.1 %d ", status);
    if (strncmp(answer, expected, strlen(expected)) != 0)
        fail_msg("expected %d, got: %.300s", status, answer);
}

bool client_is_closed(int fd)
{
    char byte;

    turn(20);
    for (unsigned i = 0; i < 1000; i++) {
        ssize_t n = recv(fd, &byte, 1, 0);

        if (n == 0 || (n < 0 && errno != EAGAIN))
            return true;
        turn(1);
    }
    return false;
}

void frame_append(struct buf *out, unsigned first, const char *payload, size_t len)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    unsigned n_length = len < 126 ? 0 : len < 65536 ? 2 : 8;

    buf_append_char(out, (char)first);
    buf_append_char(out, (char)(0x80 | (n_length == 0 ? len : n_length == 2 ? 126 : 127)));
    for (unsigned i = n_length; i-- > 0;)
        buf_append_char(out, (char)((uint64_t)len >> 8 * i));
    buf_append(out, mask, sizeof(mask));
    for (size_t i = 0; i < len; i++)
        buf_append_char(out, (char)(payload[i] ^ mask[i % 4]));
}

struct conn *the_conn(void)
{
    struct http_loop *h = http_loop_of(ts.loop);

    assert_int_equal(h->sides[0].n_conns, 1);
    return container_of(h->conns.next, struct conn, link);
}

void fire(struct timer *t)
{
    assert_true(timer_is_started(t));
    timer_stop(t);
    t->run(t);
    turn(2);
}
