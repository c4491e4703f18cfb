/* A short stream for whoever wants to know what the way to here does to streams, and to addresses. */
#include "health_stream.h"

#include "answer.h"
#include "chat/follow.h"
#include "config/config.h"
#include "doc.h"
#include "take_rate.h"

#define TICKS          5
#define TICK_MS        200
#define LONG_TICKS     2
#define LONG_MS_MAX    60000
#define PER_MINUTE     30
#define MINUTE_MS      60000
#define TICK_MAX_BYTES 512

static const struct schema tick_schema = {
    "Tick",
    .members =
        MEMBERS({"tick", DOC_INT}, {"of", DOC_INT},
                {"proxy", DOC_TEXT | DOC_OPTIONAL, .values = "none|believed|silent|ignored",
                 .about = "in the first event: `believed`, the proxy's word for the client's address "
                          "counts; `silent`, a trusted proxy says nothing of it; `ignored`, a proxy "
                          "speaks that is not in `trusted_proxies`; `none`, no sign of a proxy"},
                {"address", DOC_TEXT | DOC_NULL | DOC_OPTIONAL,
                 .about = "in the first event: whom a trusted proxy says you are"},
                {"is_secure", DOC_BOOL | DOC_OPTIONAL,
                 .about = "in the first event: a trusted proxy says that you came by https"},
                {"is_upgrade", DOC_BOOL | DOC_OPTIONAL,
                 .about = "in the first event: the request asked for a WebSocket when it arrived here; "
                          "it gets none"}),
};

static bool has_header(const struct request *req, const char *name)
{
    return request_header(req, name).ptr != NULL;
}

/* What became of a proxy's word about the client. */
static const char *proxy_of(const struct request *req)
{
    bool is_told = has_header(req, "X-Forwarded-For");

    if (req->is_from_proxy)
        return is_told ? "believed" : "silent";
    return is_told || has_header(req, "Forwarded") || has_header(req, "X-Real-IP") ||
                   has_header(req, "Via")
               ? "ignored"
               : "none";
}

static bool is_upgrade(const struct request *req)
{
    struct str rest = request_header(req, "Connection"), word;
    bool is_named = false;

    while (!is_named && str_next(&rest, ',', &word))
        is_named = str_eq_nocase(str_trim(word), STR("upgrade"));
    return is_named && !req->is_http_1_0 &&
           str_eq_nocase(request_header(req, "Upgrade"), STR("websocket"));
}

/* The address of a proxy that is not known to be one is nobody's business: so only a believed one's
 * word is repeated. */
static void write_caller(struct request *req, struct json *j, const char *proxy)
{
    bool is_believed = str_eq(str_from(proxy), STR("believed"));

    json_pair_str(j, "proxy", str_from(proxy));
    json_pair_str_or_null(j, "address", is_believed ? req->address : STR_NONE);
    json_pair_bool(j, "is_secure", req->is_secure);
    json_pair_bool(j, "is_upgrade", is_upgrade(req));
}

static void send_tick(struct request *req)
{
    struct health_stream *s = req->state;
    bool is_first = s->n_sent == 0;
    const char *proxy = is_first ? proxy_of(req) : NULL; /* the headers go when the stream begins */
    struct buf out = {.max_bytes = TICK_MAX_BYTES};
    struct json j = {.buf = &out};

    buf_printf(&out, "id: %s:%u\ndata: ", s->id.text, ++s->n_sent);
    json_begin_object(&j);
    json_pair_int(&j, "tick", s->n_sent);
    json_pair_int(&j, "of", s->n_ticks);
    if (is_first)
        write_caller(req, &j, proxy);
    json_end_object(&j);
    buf_append_str(&out, STR("\n\n"));
    if (is_first)
        sse_begin(req);
    if (!out.failed)
        response_stream_write(req, out.data, out.len);
    buf_deinit(&out);
}

static void check_rate(struct flow *f)
{
    struct request *req = request_of(f);
    const struct rate rate = {RATE_HEALTH_STREAM, req->address_group, PER_MINUTE, MINUTE_MS};

    (void)!take_rate(req, &rate, NULL);
}

static void read_query(struct flow *f)
{
    struct request *req = request_of(f);
    struct health_stream *s = req->state;
    uint64_t silence_ms = config()->turn.heartbeat_seconds * 1000;
    bool is_long = str_eq(request_query(req, "long"), STR("true"));

    req->fails_at_eof = true;
    s->id = id_v7();
    s->n_ticks = is_long ? LONG_TICKS : TICKS;
    s->pause_ms = is_long ? silence_ms : TICK_MS;
    if (s->pause_ms > LONG_MS_MAX)
        s->pause_ms = LONG_MS_MAX;
}

static void tick(struct flow *f)
{
    struct request *req = request_of(f);
    struct health_stream *s = req->state;

    send_tick(req);
    if (s->n_sent == s->n_ticks || req->is_head)
        return;
    wait_start(&s->wait, f, s->pause_ms);
    flow_repeat(f);
}

static void end(struct flow *f)
{
    response_end_stream(request_of(f));
}

const struct step health_stream_steps[] = {
    STEP(check_rate), /* 429 */
    STEP(read_query),
    STEP(tick), /* again and again */
    STEP(end),
    STEP_END,
};

const struct route_doc health_stream_doc = {
    TAG_RUNNING,
    ANSWERS({200, &tick_schema, .type = "text/event-stream"}),
    .errors = DOC_ERRORS(429),
    .query = MEMBERS({"long", DOC_BOOL | DOC_OPTIONAL,
                      .about = "two events, with as much silence between as a stream may have"}),
    .about = "Five events, 200 ms apart, sent as replies are. If they arrive all at once, something "
             "between holds streams back. `aerie doctor --url` looks at it, and says what to do. 30 a "
             "minute from one address.",
};
