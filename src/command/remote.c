/* HTTP for commands, by libcurl's easy interface. */
#include "remote.h"

#include "base/arena.h"
#include "base/json.h"
#include "terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONNECT_MS 10000
#define JSON_DEPTH 64
#define TOLD_BYTES 300

struct error remote_open(struct remote *c, struct str url, struct str ca_file)
{
    struct str rest = url;

    *c = (struct remote){.easy = NULL};
    while (rest.len > 0 && rest.ptr[rest.len - 1] == '/')
        rest.len--;
    if (!str_starts_with_nocase(rest, STR("http://")) &&
        !str_starts_with_nocase(rest, STR("https://")))
        return ERROR(ERR_INVALID, 0, "--url must begin with http:// or https://");
    if (str_contains(rest, STR("@")) || str_contains(rest, STR("?")) ||
        str_contains(rest, STR("#")) || str_has_control(rest))
        return ERROR(ERR_INVALID, 0, "--url is a host and perhaps a path: no user, password or query");
    buf_append_str(&c->base, rest);
    buf_append_char(&c->base, 0);
    if (ca_file.len > 0)
        c->ca_file = strndup(ca_file.ptr, ca_file.len);
    c->easy = curl_easy_init();
    if (c->base.failed || !c->easy || (ca_file.len > 0 && !c->ca_file)) {
        remote_close(c);
        return ERROR(ERR_NO_MEMORY, 0, "out of memory");
    }
    return NO_ERROR;
}

void remote_close(struct remote *c)
{
    curl_easy_cleanup(c->easy);
    explicit_bzero(c->token, sizeof(c->token));
    buf_deinit(&c->base);
    free((char *)c->ca_file);
    *c = (struct remote){.easy = NULL};
}

void remote_call_deinit(struct remote_call *call)
{
    buf_deinit(&call->body_read);
}

/* ---- while it runs ---- */

static size_t on_data(char *data, size_t size, size_t n, void *state)
{
    struct remote_call *call = state;
    size_t len = size * n;

    if (call->on_bytes && call->status == 200)
        return call->on_bytes(call, (struct str){data, len}) ? len : 0;
    buf_append(&call->body_read, data, len);
    return call->body_read.failed ? 0 : len;
}

static void take_header(struct str line, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);
    struct str value;

    if (line.len <= len || line.ptr[len] != ':' || strncasecmp(line.ptr, name, len) != 0)
        return;
    value = str_trim(str_skip(line, len + 1));
    snprintf(out, size, "%.*s", STR_ARG(value));
}

/* The status line of each answer comes here too: 100 Continue's, then the last one's. */
static size_t on_header(char *data, size_t size, size_t n, void *state)
{
    struct remote_call *call = state;
    struct str line = {data, size * n};

    if (str_starts_with(line, STR("HTTP/"))) {
        struct str rest = str_skip(line, str_find(line, ' ') + 1);

        call->status = rest.len >= 3 ? strtol(rest.ptr, NULL, 10) : 0;
    }
    take_header(line, "content-type", call->type, sizeof(call->type));
    take_header(line, "content-encoding", call->encoding, sizeof(call->encoding));
    take_header(line, "date", call->date, sizeof(call->date));
    take_header(line, "location", call->location, sizeof(call->location));
    take_header(line, "retry-after", call->retry_after, sizeof(call->retry_after));
    take_header(line, "server", call->server, sizeof(call->server));
    return line.len;
}

static int on_progress(void *state, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct remote_call *call = state;

    (void)a, (void)b, (void)c, (void)d;
    return call->on_wait && !call->on_wait(call);
}

/* ---- a call ---- */

static bool add_line(struct curl_slist **list, const char *name, const char *value)
{
    char line[REMOTE_TOKEN_BYTES + 64];
    struct curl_slist *longer;

    snprintf(line, sizeof(line), "%s: %s", name, value);
    longer = curl_slist_append(*list, line);
    explicit_bzero(line, sizeof(line));
    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool add_lines(const struct remote *c, const struct remote_call *call,
                      struct curl_slist **list)
{
    char bearer[REMOTE_TOKEN_BYTES + 16];
    bool ok = add_line(list, "Accept", call->accept ? call->accept : "application/json");

    if (c->token[0] && !call->has_no_token) {
        snprintf(bearer, sizeof(bearer), "Bearer %s", c->token);
        ok = ok && add_line(list, "Authorization", bearer);
        explicit_bzero(bearer, sizeof(bearer));
    }
    if (call->body.ptr)
        ok = ok && add_line(list, "Content-Type",
                            call->content_type ? call->content_type : "application/json");
    for (const char *const *h = call->headers; h && *h && ok; h++) {
        struct curl_slist *longer = curl_slist_append(*list, *h);

        ok = longer != NULL;
        *list = ok ? longer : *list;
    }
    return ok;
}

static bool set_options(struct remote *c, struct remote_call *call, const char *url,
                        struct curl_slist *lines)
{
    CURL *easy = c->easy;
    bool ok = true;

#define SET(option, value) (ok = (curl_easy_setopt(easy, option, value) == CURLE_OK) && ok)
    SET(CURLOPT_URL, url);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_USERAGENT, "aerie/" AERIE_VERSION);
    SET(CURLOPT_CUSTOMREQUEST, call->method);
    SET(CURLOPT_HTTPHEADER, lines);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    SET(CURLOPT_TIMEOUT_MS, call->timeout_ms);
    SET(CURLOPT_LOW_SPEED_LIMIT, call->silence_s > 0 ? 1L : 0L);
    SET(CURLOPT_LOW_SPEED_TIME, call->silence_s);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_ERRORBUFFER, call->reason);
    SET(CURLOPT_WRITEFUNCTION, on_data);
    SET(CURLOPT_WRITEDATA, call);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, call);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, call);
    SET(CURLOPT_NOPROGRESS, 0L);
    if (call->is_http_1)
        SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (call->takes_gzip)
        SET(CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
    if (call->wants_certificate)
        SET(CURLOPT_CERTINFO, 1L);
    if (c->ca_file)
        SET(CURLOPT_CAINFO, c->ca_file);
    if (strcmp(call->method, "HEAD") == 0)
        SET(CURLOPT_NOBODY, 1L);
    if (call->body.ptr) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
        SET(CURLOPT_POSTFIELDS, call->body.ptr);
    }
#undef SET
    return ok;
}

/* The end of the server's own certificate, the first of the chain. */
static int64_t certificate_end(CURL *easy)
{
    struct curl_certinfo *info = NULL;

    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &info) != CURLE_OK || !info ||
        info->num_of_certs < 1)
        return 0;
    for (struct curl_slist *line = info->certinfo[0]; line; line = line->next)
        if (strncmp(line->data, "Expire date:", 12) == 0)
            return (int64_t)curl_getdate(line->data + 12, NULL) * 1000000;
    return 0;
}

void remote_run(struct remote *c, struct remote_call *call)
{
    bool is_whole = strstr(call->path, "://") != NULL;
    struct curl_slist *lines = NULL;
    struct buf url = {0};
    char *peer = NULL;

    call->body_read.max_bytes = REMOTE_BODY_BYTES;
    call->code = CURLE_OUT_OF_MEMORY;
    buf_printf(&url, "%s%s", is_whole ? "" : c->base.data, call->path);
    buf_append_char(&url, 0);
    curl_easy_reset(c->easy);
    if (!url.failed && add_lines(c, call, &lines) && set_options(c, call, url.data, lines)) {
        call->code = curl_easy_perform(c->easy);
        curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &call->n_connects);
        if (curl_easy_getinfo(c->easy, CURLINFO_PRIMARY_IP, &peer) == CURLE_OK && peer)
            snprintf(call->peer, sizeof(call->peer), "%s", peer);
        if (call->wants_certificate)
            call->certificate_end_us = certificate_end(c->easy);
        if (call->code != CURLE_OK && !call->reason[0])
            snprintf(call->reason, sizeof(call->reason), "%s", curl_easy_strerror(call->code));
    }
    curl_easy_reset(c->easy); /* forgets what lives in this call */
    curl_slist_free_all(lines);
    buf_deinit(&url);
}

/* ---- saying ---- */

/* The "detail" of our errors with the first wrong field, or the message of OpenAI's. */
static struct str detail_of(struct arena *a, const struct remote_call *call)
{
    yyjson_val *root, *detail, *field;

    if (!strstr(call->type, "json") ||
        is_error(json_read(a, buf_str(&call->body_read), JSON_DEPTH, &root)))
        return STR_NONE;
    detail = json_member(root, "detail");
    if (!detail)
        detail = json_member(json_member(root, "error"), "message");
    field = yyjson_arr_get_first(json_member(root, "errors"));
    if (field)
        return arena_printf(a, "%.*s: %.*s %.*s", STR_ARG(json_text(detail)),
                            STR_ARG(json_text(json_member(field, "field"))),
                            STR_ARG(json_text(json_member(field, "message"))));
    return utf8_prefix(json_text(detail), TOLD_BYTES);
}

static void explain_failure(const struct remote *c, const struct remote_call *call, struct buf *out)
{
    switch (call->code) {
    case CURLE_COULDNT_CONNECT:
        buf_printf(out, "nothing answers at %s: is the server running, and the port right?",
                   c->base.data);
        return;
    case CURLE_COULDNT_RESOLVE_HOST:
        buf_printf(out, "no address is known for the host of %s", c->base.data);
        return;
    case CURLE_OPERATION_TIMEDOUT:
        buf_printf(out, "%s does not answer in time", c->base.data);
        return;
    case CURLE_PEER_FAILED_VERIFICATION:
        buf_printf(out, "the certificate of %s is not to be trusted: ", c->base.data);
        break;
    default:
        buf_printf(out, "%s: ", c->base.data);
    }
    terminal_append_harmless(out, str_from(call->reason));
}

void remote_explain(const struct remote *c, const struct remote_call *call, struct buf *out)
{
    struct arena arena = {0};
    struct str detail;

    if (call->status == 0 || call->code != CURLE_OK) {
        explain_failure(c, call, out);
        return;
    }
    detail = detail_of(&arena, call);
    if (detail.len > 0)
        terminal_append_harmless(out, detail);
    else
        buf_printf(out, "%s answered %ld, which is no word of Aerie's", c->base.data, call->status);
    if (detail.len > 0 && call->retry_after[0]) {
        buf_append_str(out, STR("; try again in "));
        terminal_append_harmless(out, str_from(call->retry_after));
        buf_append_str(out, STR(" s"));
    }
    arena_free(&arena);
}
