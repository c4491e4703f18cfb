/* A server, a loop and the recorded conversations for the tests of upstream. */
#include "harness.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <yyjson.h>

/* ---- the server ---- */

static bool request_is_whole(const char *bytes, size_t len)
{
    const char *end = memmem(bytes, len, "\r\n\r\n", 4);
    const char *length;
    size_t body;

    if (!end)
        return false;
    length = memmem(bytes, len, "Content-Length: ", 16);
    body = length ? strtoul(length + 16, NULL, 10) : 0;
    return len >= (size_t)(end - bytes) + 4 + body;
}

static bool read_request(struct server *s, int fd)
{
    size_t len = 0;

    while (len == 0 || !request_is_whole(s->request, len)) {
        ssize_t n = recv(fd, s->request + len, sizeof(s->request) - 1 - len, 0);

        if (n <= 0)
            return false;
        len += (size_t)n;
    }
    s->request[len] = '\0';
    return true;
}

static void write_answer(const struct answer *a, int fd)
{
    size_t done = 0;

    while (done < a->bytes.len) {
        size_t left = a->bytes.len - done;
        size_t n = a->piece_bytes && a->piece_bytes < left ? a->piece_bytes : left;
        ssize_t sent = send(fd, a->bytes.ptr + done, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        done += (size_t)sent;
    }
}

static void wait_for_close(struct server *s, int fd)
{
    char byte[512];

    while (recv(fd, byte, sizeof(byte), 0) > 0)
        ;
    s->n_closed_by_client++;
}

static void serve(struct server *s, int fd)
{
    while (read_request(s, fd)) {
        unsigned n = s->n_requests++;
        const struct answer *a = &s->answers[n < s->n_answers ? n : s->n_answers - 1];
        struct linger hard = {.l_onoff = 1};

        write_answer(a, fd);
        if (a->finish == FINISH_NEXT)
            continue;
        if (a->finish == FINISH_HANG)
            wait_for_close(s, fd);
        if (a->finish == FINISH_RESET)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        break;
    }
    close(fd);
}

static void *server_main(void *arg)
{
    struct server *s = arg;
    int fd, on = 1;

    while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
        s->n_connections++;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        serve(s, fd);
    }
    return NULL;
}

void server_start(struct server *s, const struct answer *answers, size_t n)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    s->answers = answers;
    s->n_answers = n;
    s->n_connections = s->n_requests = s->n_closed_by_client = 0;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(s->fd, 16), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&address, &len), 0);
    s->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, server_main, s), 0);
}

void server_stop(struct server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
}

/* ---- one call on a loop ---- */

struct config test_config;
static struct str allowed[] = {{"127.0.0.0/8", 11}};

void harness_open(void)
{
    test_config = (struct config){
        .upstream = {.connect_seconds = 10,
                     .first_byte_seconds = 10,
                     .idle_seconds = 10,
                     .total_seconds = 20,
                     .event_bytes = 256 * 1024,
                     .reply_bytes = 1024 * 1024,
                     .error_wait_ms = 50,
                     .retries = 2,
                     .backoff_ms = 20,
                     .backoff_max_ms = 2000,
                     .idle_connections = 4,
                     .dns_cache_seconds = 10},
        .egress = {.allow = {.items = allowed, .n = 1}},
    };
    assert_false(is_error(config_settle_networks(&test_config)));
    config_set(&test_config);
    assert_false(is_error(upstream_open()));
}

void harness_close(void)
{
    upstream_close();
    arena_free(&test_config.arena);
    test_config.egress_networks = (struct config_networks){0};
}

struct asker {
    struct flow flow;
    struct upstream_call call;
    struct fetch fetch;
    struct arena arena;
    struct upstream_prompt prompt;
    struct upstream_message message;
    const struct ask *what;
    struct outcome *out;
    uv_prepare_t turns;
    uv_async_t wake;
    uv_timer_t rest;
    unsigned n_left;
};

static struct loop loop;

static void watch(const struct asker *a, bool is_ours)
{
    if (a->what->watch)
        a->what->watch(is_ours);
}

static void on_text(struct upstream_call *call, struct str text)
{
    struct asker *a = call->state;

    watch(a, false);
    assert_true(text.len > 0);
    assert_true(utf8_is_valid(text));
    buf_append_str(&a->out->text, text);
    a->out->n_pieces++;
    watch(a, true);
    if (a->out->n_pieces == a->what->cancel_at_piece)
        flow_fail(&a->flow, ERROR(ERR_STOPPED, 0, NULL));
}

static void on_status(struct upstream_call *call, struct str text)
{
    struct asker *a = call->state;

    watch(a, false);
    buf_append_str(&a->out->status, text);
    watch(a, true);
}

static void call_step(struct flow *f)
{
    struct asker *a = f->state;

    if (a->what->fetch) {
        watch(a, true);
        fetch_start(&a->fetch, f, &a->arena, a->what->fetch);
        return;
    }
    a->call = (struct upstream_call){.state = a, .on_text = on_text, .on_status = on_status};
    watch(a, true);
    upstream_start(&a->call, f, &a->prompt);
}

static const struct step steps[] = {STEP(call_step), STEP_END};

static void on_detached(struct loop *l)
{
    loop_close(l);
}

static void on_ended(struct flow *f)
{
    struct asker *a = f->state;

    watch(a, false);
    a->out->err = f->err;
    a->out->n_ends++;
    a->out->usage = a->call.usage;
    assert_false(op_is_running(&a->call.op) || op_is_running(&a->fetch.op));
    a->out->http_status = a->fetch.http_status;
    a->out->retry_after_s = a->fetch.retry_after_s;
    buf_append_str(&a->out->text, a->fetch.body);
    arena_free(&a->arena);
    snprintf(a->out->model, sizeof(a->out->model), "%.*s", STR_ARG(a->call.model));
    a->n_left--;
    uv_async_send(&a->wake);
}

static void on_rested(uv_timer_t *handle)
{
    struct asker *a = container_of(handle, struct asker, rest);

    a->out->n_rest_turns = a->out->n_turns - a->out->n_rest_turns;
    uv_close((uv_handle_t *)&a->turns, NULL);
    uv_close((uv_handle_t *)&a->wake, NULL);
    uv_close((uv_handle_t *)&a->rest, NULL);
    upstream_detach(&loop, on_detached);
}

static void on_wake(uv_async_t *handle)
{
    struct asker *a = handle->data;

    if (a->n_left > 0) {
        flow_start(&a->flow, steps, a, on_ended);
        return;
    }
    a->out->n_rest_turns = a->out->n_turns;
    uv_timer_start(&a->rest, on_rested, a->what->rest_ms, 0);
}

static void on_turn(uv_prepare_t *handle)
{
    struct asker *a = handle->data;

    a->out->n_turns++;
    usleep(a->what->turn_us);
    if (a->n_left > 0 && a->out->n_turns == a->what->cancel_at_turn)
        flow_fail(&a->flow, ERROR(ERR_STOPPED, 0, NULL));
}

void ask(const struct ask *what, struct outcome *out)
{
    struct str token = str_from(what->token);
    struct asker a = {.what = what, .out = out, .n_left = what->n_calls ? what->n_calls : 1};
    uint64_t began;

    *out = (struct outcome){0};
    a.message = (struct upstream_message){
        .role = STR("user"),
        .content = str_from(what->content ? what->content : "Hello"),
        .created_us = 1735725600000000,
    };
    a.prompt = (struct upstream_prompt){
        .provider = provider_find(str_from(what->provider ? what->provider : "n8n")),
        .url = str_from(what->url),
        .tokens = what->tokens ? what->tokens : &token,
        .n_tokens = what->tokens ? what->n_tokens : token.len > 0,
        .model = str_from(what->model),
        .config = str_from(what->config),
        .system_prompt = STR("You are helpful."),
        .session_id = STR("0198c0de-0000-7000-8000-000000000001"),
        .messages = &a.message,
        .n_messages = 1,
    };
    assert_non_null(a.prompt.provider);
    assert_false(is_error(loop_init(&loop, 0)));
    assert_false(is_error(upstream_attach(&loop)));
    uv_prepare_init(&loop.uv, &a.turns);
    a.turns.data = a.wake.data = &a;
    uv_async_init(&loop.uv, &a.wake, on_wake);
    uv_timer_init(&loop.uv, &a.rest);
    uv_prepare_start(&a.turns, on_turn);
    began = uv_hrtime();
    flow_start(&a.flow, steps, &a, on_ended);
    loop_run(&loop);
    loop_deinit(&loop);
    out->took_ms = (uv_hrtime() - began) / 1000000;
    buf_append_char(&out->text, '\0');
    out->text.len--;
    buf_append_char(&out->status, '\0');
    out->status.len--;
}

void outcome_free(struct outcome *out)
{
    buf_deinit(&out->text);
    buf_deinit(&out->status);
}

/* ---- captures ---- */

static void add_read(char *line, struct buf *out)
{
    char *first = strchr(line, '"'), *last = strrchr(line, '"');
    yyjson_doc *doc;

    if (line[0] != '+' || !first || first == last)
        return;
    doc = yyjson_read(first, (size_t)(last - first) + 1, 0);
    assert_non_null(doc);
    buf_append(out, yyjson_get_str(yyjson_doc_get_root(doc)),
               yyjson_get_len(yyjson_doc_get_root(doc)));
    yyjson_doc_free(doc);
}

void capture_read(const char *name, struct buf *out)
{
    char path[512], *line = NULL;
    size_t size = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s.txt", CAPTURES, name);
    file = fopen(path, "r");
    assert_non_null(file);
    while (getline(&line, &size, file) >= 0)
        add_read(line, out);
    free(line);
    fclose(file);
}

bool http_body(struct str answer, int *status, struct buf *body)
{
    const char *end = memmem(answer.ptr, answer.len, "\r\n\r\n", 4);
    struct str head, rest;

    assert_non_null(end);
    *status = atoi(answer.ptr + sizeof("HTTP/1.1"));
    head = (struct str){answer.ptr, (size_t)(end - answer.ptr)};
    rest = str_skip(answer, head.len + 4);
    if (!str_contains(head, STR("Transfer-Encoding: chunked"))) {
        buf_append_str(body, rest);
        return true;
    }
    while (rest.len > 0) {
        size_t n = strtoul(rest.ptr, NULL, 16);

        if (n == 0)
            return true;
        rest = str_skip(rest, str_find(rest, '\n') + 1);
        buf_append(body, rest.ptr, n);
        rest = str_skip(rest, n + 2);
    }
    return false;
}

#define TOKS_2  "tok0 tok1"
#define TOKS_14 TOKS_2 " tok2 tok3 tok4 tok5 tok6 tok7 tok8 tok9 tok10 tok11 tok12 tok13"
#define MOCK    "Hello from the mock model. You said: Hello"

const struct capture captures[] = {
    {"a1-respond-json", OK, "Echo: Hello"},
    {"a2-respond-text", OK, "Echo: Hello"},
    {"a4-respond-all-items", OK, "Echo: Hello"},
    {"a5-respond-no-data", ERR_EMPTY_REPLY, ""},
    {"a6-respond-node-never-reached", ERR_PROVIDER_ERROR, ""},
    {"b3-last-node-agent", OK, MOCK},
    {"b4-immediately", ERR_PROVIDER_MALFORMED, ""},
    {"b6b-echo-leaks-request-authorization", ERR_PROVIDER_MALFORMED, ""},
    {"b7-last-node-agent-all-entries", OK, MOCK},
    {"c1-stream-agent", OK, MOCK},
    {"c1b-stream-agent-unicode", OK, "Grüße 🎉 日本語 \u2028 end"},
    {"c3-stream-agent-tool-call", OK, "Hello from the mock model. You said: [[tool=any]] compute"},
    {"c6-stream-no-streaming-node", ERR_EMPTY_REPLY, ""},
    {"c8-stream-session-turn1", OK, TOKS_2},
    {"c8-stream-session-turn2", OK, TOKS_2},
    {"d1-auth-ok", OK, "authorized"},
    {"d1b-auth-wrong-token", ERR_PROVIDER_AUTH, ""},
    {"d2-auth-stream-ok", OK, TOKS_2},
    {"e1-chat-trigger-stream", OK, MOCK},
    {"e1c-chat-trigger-our-payload", ERR_PROVIDER_ERROR, ""},
    {"e1d-chat-trigger-load-previous", ERR_PROVIDER_MALFORMED, ""},
    {"f1-error-last-node", ERR_PROVIDER_ERROR, ""},
    {"f12-workflow-timeout-2s-stream", ERR_PROVIDER_ERROR, TOKS_14},
    {"f4-error-after-agent-streamed", ERR_PROVIDER_ERROR, "tok0 tok1 tok2"},
    {"f9-stream-model-dies-mid-stream", ERR_PROVIDER_ERROR, "tok0 tok1 tok2"},
    {"h1-wrong-path", ERR_PROVIDER_ERROR, ""},
    {"h2-wrong-method", ERR_PROVIDER_ERROR, ""},
    {"h4-invalid-json", ERR_PROVIDER_ERROR, ""},
    {"i1-client-disconnect-mid-stream", ERR_INTERRUPTED, TOKS_14 " tok14"},
    {"k2-server-sigkill-mid-stream", ERR_INTERRUPTED, TOKS_14 " tok14"},
};
const size_t n_captures = sizeof(captures) / sizeof(captures[0]);

int harness_set_up(void **state)
{
    (void)state;
    harness_open();
    return 0;
}

int harness_tear_down(void **state)
{
    (void)state;
    harness_close();
    return 0;
}
