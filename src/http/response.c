/* Answers: whole ones, failed ones, and those that come bit by bit. All goes to the connection's
 * output. */
#include "config/config.h"
#include "internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Of the lines that a handler sets. */
#define HEADERS_MAX_BYTES (16 * 1024)
/* A Retry-After of more is nobody's plan. */
#define RETRY_AFTER_MAX_S (24 * 3600)
/* A chunk's length and its two line ends. */
#define CHUNK_FRAME_BYTES 24
/* A stream with less of limits.output_bytes left than such a part waits. */
#define STREAM_SPARE_PART 8

static struct str reason(int status)
{
    static const struct {
        int status;
        struct str text;
    } rows[] = {
        {101, {"Switching Protocols", 19}},
        {200, {"OK", 2}},
        {201, {"Created", 7}},
        {202, {"Accepted", 8}},
        {204, {"No Content", 10}},
        {301, {"Moved Permanently", 17}},
        {302, {"Found", 5}},
        {303, {"See Other", 9}},
        {304, {"Not Modified", 12}},
        {307, {"Temporary Redirect", 18}},
        {308, {"Permanent Redirect", 18}},
        {400, {"Bad Request", 11}},
        {401, {"Unauthorized", 12}},
        {403, {"Forbidden", 9}},
        {404, {"Not Found", 9}},
        {405, {"Method Not Allowed", 18}},
        {406, {"Not Acceptable", 14}},
        {408, {"Request Timeout", 15}},
        {409, {"Conflict", 8}},
        {413, {"Content Too Large", 17}},
        {414, {"URI Too Long", 12}},
        {415, {"Unsupported Media Type", 22}},
        {417, {"Expectation Failed", 18}},
        {422, {"Unprocessable Content", 21}},
        {426, {"Upgrade Required", 16}},
        {429, {"Too Many Requests", 17}},
        {431, {"Request Header Fields Too Large", 31}},
        {500, {"Internal Server Error", 21}},
        {501, {"Not Implemented", 15}},
        {502, {"Bad Gateway", 11}},
        {503, {"Service Unavailable", 19}},
        {504, {"Gateway Timeout", 15}},
        {507, {"Insufficient Storage", 20}},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].status == status)
            return rows[i].text;
    return STR("Unknown");
}

static bool has_body(int status)
{
    return status != 204 && status != 304 && status >= 200;
}

/* The IMF-fixdate of RFC 9110 section 5.6.7, made once a second. */
static struct str date_text(struct http_loop *h)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t now_s = clock_wall_us() / 1000000;
    time_t t = (time_t)now_s;
    struct tm tm;

    if (now_s != h->date_s) {
        gmtime_r(&t, &tm);
        snprintf(h->date, sizeof(h->date), "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                 days + 3 * tm.tm_wday, (unsigned)tm.tm_mday % 100U, months + 3 * tm.tm_mon,
                 (unsigned)(tm.tm_year + 1900) % 10000U, (unsigned)tm.tm_hour % 100U,
                 (unsigned)tm.tm_min % 100U, (unsigned)tm.tm_sec % 100U);
        h->date_s = now_s;
    }
    return str_from(h->date);
}

static void append_line(struct buf *out, struct str name, struct str value)
{
    buf_append_str(out, name);
    buf_append_str(out, STR(": "));
    buf_append_str(out, value);
    buf_append_str(out, STR("\r\n"));
}

static void write_common_lines(struct request *req, struct buf *out)
{
    append_line(out, STR("Date"), date_text(req->conn->http));
    append_line(out, STR("X-Request-Id"), req->id_text);
    buf_append_str(out, STR("X-Content-Type-Options: nosniff\r\n"
                            "Referrer-Policy: no-referrer\r\n"));
    if (req->is_secure)
        buf_append_str(out, STR("Strict-Transport-Security: max-age=31536000\r\n"));
    cors_write(req, out);
    buf_append_str(out, buf_str(&req->response->headers));
}

/* Status line and header lines but for those about the body's length, and the empty line. */
static struct buf *begin_head(struct request *req, int status, const char *content_type)
{
    struct response *res = req->response;
    struct buf *out = conn_out(req->conn);

    res->status = status;
    counter_add(&http_count()->requests[status / 100 % 6], 1);
    if (status >= 400)
        http_count_error(status);
    if (!out)
        return NULL;
    if (side_of(req->conn->http, req->listener)->is_draining)
        res->keep_alive = false;
    buf_append_str(out, STR("HTTP/1.1 "));
    buf_append_decimal(out, (uint64_t)status);
    buf_append_char(out, ' ');
    buf_append_str(out, reason(status));
    buf_append_str(out, STR("\r\n"));
    write_common_lines(req, out);
    buf_deinit(&res->headers);
    if (content_type)
        append_line(out, STR("Content-Type"), str_from(content_type));
    if (!res->keep_alive)
        buf_append_str(out, STR("Connection: close\r\n"));
    else if (req->is_http_1_0)
        buf_append_str(out, STR("Connection: keep-alive\r\n"));
    return out;
}

void response_set_header(struct request *req, const char *name, struct str value)
{
    struct buf *headers = &req->response->headers;

    if (req->response->state != RESPONSE_NONE)
        return; /* the head is out */
    /* What a client brought must not become lines of its own. */
    if (str_has_control(value)) {
        log_warn("http: a value of %s with control characters is left out", name);
        return;
    }
    if (!headers->data && !headers->failed)
        buf_init(headers, HEADERS_MAX_BYTES);
    append_line(headers, str_from(name), value);
}

/* NOLINTBEGIN(misc-no-recursion): what is refused is answered 503, which is not refused again */

/* The one place where a request that was short of memory becomes a 503, whatever its
 * handler made of what it could not get: a parameter that seems to be missing, a header left out.
 */
static bool is_refused_for_memory(struct request *req)
{
    struct buf *headers = &req->response->headers;

    if (!req->arena.failed && !headers->failed)
        return false;
    buf_deinit(headers);
    response_error(req, ERROR(ERR_NO_MEMORY, 0, NULL));
    return true;
}

void response_send(struct request *req, int status, const char *content_type, struct str body)
{
    struct response *res = req->response;
    struct buf *out;

    if (res->state != RESPONSE_NONE || (status < 500 && is_refused_for_memory(req)))
        return;
    res->state = RESPONSE_DONE;
    out = begin_head(req, status, has_body(status) ? content_type : NULL);
    if (!out)
        return;
    if (has_body(status)) {
        buf_append_str(out, STR("Content-Length: "));
        buf_append_decimal(out, body.len);
        buf_append_str(out, STR("\r\n"));
    }
    buf_append_str(out, STR("\r\n"));
    if (has_body(status) && !req->is_head) {
        buf_append_str(out, body);
        res->n_bytes = body.len;
    }
}

void response_json(struct request *req, int status, struct str json)
{
    response_set_header(req, "Cache-Control", STR("no-store")); /* it is one caller's alone */
    response_send(req, status, "application/json", json);
}

void response_empty(struct request *req, int status)
{
    response_send(req, status, NULL, STR_NONE);
}

bool response_is_started(const struct request *req)
{
    return req->response->state != RESPONSE_NONE;
}

/* ---- errors ---- */

static int retry_after_s(struct error err)
{
    bool is_told = err.status == ERR_RATE_LIMITED || err.status == ERR_BUDGET_SPENT || err.status == ERR_BUSY ||
                   err.status == ERR_UNAVAILABLE || err.status == ERR_PROVIDER_RATE_LIMITED;

    if (!is_told || err.code < 1)
        return 1;
    return err.code < RETRY_AFTER_MAX_S ? err.code : RETRY_AFTER_MAX_S;
}

static void send_detail(struct request *req, int http_status, const char *detail,
                        const struct field_error *errors)
{
    struct buf body = {.data = NULL};
    struct json j = {.buf = &body};

    json_begin_object(&j);
    json_pair_str(&j, "detail", str_from(detail));
    if (errors) {
        json_key(&j, "errors");
        json_begin_array(&j);
        for (; errors; errors = errors->next) {
            json_begin_object(&j);
            json_pair_str(&j, "field", str_from(errors->field));
            json_pair_str(&j, "message", str_from(errors->message));
            json_end_object(&j);
        }
        json_end_array(&j);
    }
    json_end_object(&j);
    if (!body.failed)
        response_json(req, http_status, buf_str(&body));
    else
        response_json(req, 503,
                      STR("{\"detail\":\"The server is short of memory, try again later\"}"));
    buf_deinit(&body);
}

void response_detail(struct request *req, int http_status, const char *detail)
{
    if (req->response->state == RESPONSE_NONE)
        send_detail(req, http_status, detail, NULL);
}

void response_error(struct request *req, struct error err)
{
    const struct status_row *row = status_row(err.status);
    int status = row->http_status >= 400 ? row->http_status : 500;
    char seconds[16];

    if (req->response->state != RESPONSE_NONE)
        return;
    if (req->conn->state == CONN_CLOSED) {
        req->response->state = RESPONSE_DONE;
        return;
    }
    if (status >= 500)
        request_log_failure(req, "http", err);
    if (status == 401)
        response_set_header(req, "WWW-Authenticate", STR("Bearer"));
    if (status == 429 || status == 503) {
        snprintf(seconds, sizeof(seconds), "%d", retry_after_s(err));
        response_set_header(req, "Retry-After", str_from(seconds));
    }
    send_detail(req, status, error_public_detail(&err),
                err.status == ERR_INVALID ? req->field_errors : NULL);
}
/* NOLINTEND(misc-no-recursion) */

/* ---- streams ---- */

void response_begin_stream(struct request *req, int status, const char *content_type)
{
    struct response *res = req->response;
    struct buf *out;

    if (res->state != RESPONSE_NONE || is_refused_for_memory(req))
        return;
    res->state = RESPONSE_STREAMING;
    res->is_stream = true;
    res->is_chunked = !req->is_http_1_0;
    if (!res->is_chunked)
        res->keep_alive = false; /* the end of the connection is the end of the body */
    out = begin_head(req, status, content_type);
    if (out && res->is_chunked)
        buf_append_str(out, STR("Transfer-Encoding: chunked\r\n"));
    if (out)
        buf_append_str(out, STR("\r\n"));
    request_drop_input(req);
}

void response_stream_write(struct request *req, const void *data, size_t len)
{
    struct response *res = req->response;
    struct buf *out;

    /* A chunk of 0 would be the end. */
    if (res->state != RESPONSE_STREAMING || len == 0 || req->is_head)
        return;
    out = conn_stream_out(req->conn, len + CHUNK_FRAME_BYTES);
    if (!out)
        return;
    if (res->is_chunked) {
        buf_append_hex(out, len);
        buf_append_str(out, STR("\r\n"));
    }
    buf_append(out, data, len);
    res->n_bytes += len;
    if (res->is_chunked)
        buf_append_str(out, STR("\r\n"));
    response_note_full(req);
}

size_t response_stream_room(const struct request *req)
{
    size_t most = config()->limits.output_bytes, waiting = conn_out_waiting(req->conn);

    return waiting < most ? most - waiting : 0;
}

void response_note_full(struct request *req)
{
    size_t most = config()->limits.output_bytes;

    if (conn_out_waiting(req->conn) >= most - most / STREAM_SPARE_PART)
        req->response->was_full = true;
}

bool response_stream_is_full(const struct request *req)
{
    return req->response->state != RESPONSE_DONE && req->response->was_full;
}

void response_stream_on_drained(struct request *req, void (*on_drained)(void *state), void *state)
{
    req->response->on_drained = on_drained;
    req->response->drained_state = state;
}

void response_end_stream(struct request *req)
{
    struct response *res = req->response;
    struct buf *out = conn_out(req->conn);

    if (res->state != RESPONSE_STREAMING)
        return;
    res->state = RESPONSE_DONE;
    if (out && res->is_chunked && !req->is_head)
        buf_append_str(out, STR("0\r\n\r\n"));
}

void response_upgrade(struct request *req, struct str accept)
{
    struct response *res = req->response;
    struct buf *out;

    res->state = RESPONSE_UPGRADED;
    res->is_stream = true;
    res->keep_alive = true; /* whatever the client's Connection line says beside */
    out = begin_head(req, 101, NULL);
    res->keep_alive = false;
    if (!out)
        return;
    buf_append_str(out, STR("Upgrade: websocket\r\nConnection: Upgrade\r\n"));
    append_line(out, STR("Sec-WebSocket-Accept"), accept);
    buf_append_str(out, STR("\r\n"));
}

void response_cut_stream(struct request *req)
{
    req->response->state = RESPONSE_DONE;
    req->response->keep_alive = false;
    req->conn->is_cut = true;
}
