/* The way from people to the server, tried through a public address and without credentials. */
#include "doctor.h"

#include "base/cidr.h"
#include "base/clock.h"
#include "base/json.h"
#include "upstream/event_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MS       15000
#define LONG_MS       90000
#define EVENT_BYTES   4096
#define TICKS_MAX     8
#define TICK_MS       200
#define JSON_DEPTH    8
#define US_PER_DAY    INT64_C(86400000000)
#define DAYS_LOW      14
#define DAYS_GONE     3
#define DATE_US       3000000 /* a Date has whole seconds, and has travelled */
#define UPLOAD_BYTES  2097152 /* limits.upload_bytes, where no configuration is there */
#define AROUND_UPLOAD 4096    /* the form around it */

static bool is_https(const struct remote *r)
{
    return str_starts_with_nocase(str_from(r->base.data), STR("https://"));
}

/* Loopback, private, link-local: no address that people have who come from outside. */
static bool is_inner(const char *address)
{
    static const char *const blocks[] = {"127.0.0.0/8", "10.0.0.0/8",    "172.16.0.0/12",
                                         "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10",
                                         "::1/128",     "fc00::/7",      "fe80::/10"};
    struct cidr block;
    struct ip ip;

    if (!ip_parse(str_from(address), &ip))
        return false;
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
        if (cidr_parse(str_from(blocks[i]), &block) && cidr_match_ip(&block, &ip))
            return true;
    return false;
}

/* ---- does it get there ---- */

static const char *remedy_of(const struct remote_call *call)
{
    if (call->code == CURLE_COULDNT_RESOLVE_HOST)
        return "Its name is not in DNS, or not yet: `dig +short HOST` must tell an address.";
    if (call->code == CURLE_COULDNT_CONNECT)
        return "Is the proxy running, the port right, and the firewall open?";
    if (call->code == CURLE_PEER_FAILED_VERIFICATION)
        return "Is the certificate for this name, still valid, and sent with its intermediate ones "
               "(fullchain.pem)? For a private authority set upstream.ca_file.";
    if (call->code != CURLE_OK)
        return "See the proxy's error log.";
    if (call->status / 100 == 3)
        return "Give the address that it leads to.";
    if (call->status >= 502 && call->status <= 504)
        return "The proxy does not reach Aerie: is it running, and proxy_pass its address and port?";
    return "Does the address lead to Aerie? A path before it must be taken away by the proxy.";
}

static void judge_certificate(struct doctor *d, const struct remote_call *call)
{
    int64_t days = (call->certificate_end_us - clock_wall_us()) / US_PER_DAY;

    if (call->certificate_end_us == 0)
        return;
    if (days < DAYS_LOW)
        doctor_say(d, days < DAYS_GONE ? MARK_PROBLEM : MARK_WARNING, "certificate",
                   "Renew it, and see why that did not happen by itself: `certbot renew --dry-run`, "
                   "`systemctl list-timers`.",
                   "ends in %" PRId64 " days", days);
    else
        doctor_say(d, MARK_OK, "certificate", NULL, "is good for %" PRId64 " days", days);
}

static bool judge_health(struct doctor *d, struct remote *r, char peer[64], bool *has_proxy)
{
    struct remote_call call = {.method = "GET",
                               .path = "/health",
                               .timeout_ms = CALL_MS,
                               .wants_certificate = is_https(r)};
    struct buf told = {0};
    char version[32];
    bool ok;
    time_t date;

    remote_run(r, &call);
    ok = doctor_is_aerie(&call, version);
    if (!ok) {
        remote_explain(r, &call, &told);
        doctor_say(d, MARK_PROBLEM, "address", remedy_of(&call), "%.*s%s%s", STR_ARG(buf_str(&told)),
                   call.location[0] ? "; it leads to " : "", call.location);
    } else {
        doctor_say(d, MARK_OK, "address", NULL, "%s leads to Aerie %s", r->base.data, version);
        judge_certificate(d, &call);
        date = call.date[0] ? curl_getdate(call.date, NULL) : -1;
        if (date > 0)
            doctor_say_clock(d, "the public address", clock_wall_us() - (int64_t)date * 1000000,
                             DATE_US);
    }
    *has_proxy = call.server[0] != 0; /* Aerie itself does not say who it is */
    snprintf(peer, 64, "%s", call.peer);
    buf_deinit(&told);
    remote_call_deinit(&call);
    return ok;
}

/* ---- streams ---- */

struct trial {
    struct event_stream events;
    uint64_t at_us[TICKS_MAX];
    unsigned n;
    char proxy[16], address[64];
    bool is_secure, is_upgrade;
};

static void on_tick(void *state, struct str type, struct str data)
{
    struct trial *t = state;
    struct arena arena = {0};
    yyjson_val *root;

    (void)type;
    if (t->n < TICKS_MAX)
        t->at_us[t->n] = clock_mono_us();
    if (t->n++ == 0 && !is_error(json_read(&arena, data, JSON_DEPTH, &root))) {
        snprintf(t->proxy, sizeof(t->proxy), "%.*s", STR_ARG(json_text(json_member(root, "proxy"))));
        snprintf(t->address, sizeof(t->address), "%.*s",
                 STR_ARG(json_text(json_member(root, "address"))));
        t->is_secure = yyjson_get_bool(json_member(root, "is_secure"));
        t->is_upgrade = yyjson_get_bool(json_member(root, "is_upgrade"));
    }
    arena_free(&arena);
}

static bool on_bytes(struct remote_call *call, struct str bytes)
{
    struct trial *t = call->state;

    return event_stream_feed(&t->events, bytes);
}

enum trial_kind { TRIAL_PLAIN, TRIAL_GZIP, TRIAL_LONG, TRIAL_UPGRADE };

static struct remote_call try_stream(struct remote *r, struct trial *t, enum trial_kind kind)
{
    static const char *const upgrade[] = {"Connection: Upgrade", "Upgrade: websocket", NULL};
    bool is_long = kind == TRIAL_LONG;
    struct remote_call call = {.method = "GET",
                               .path = is_long ? "/health/stream?long=true" : "/health/stream",
                               .accept = "text/event-stream",
                               .timeout_ms = is_long ? LONG_MS : CALL_MS,
                               .takes_gzip = kind == TRIAL_GZIP,
                               .is_http_1 = kind == TRIAL_UPGRADE,
                               .headers = kind == TRIAL_UPGRADE ? upgrade : NULL,
                               .on_bytes = on_bytes,
                               .state = t};

    *t = (struct trial){
        .events = {.on_event = on_tick, .state = t, .max_bytes = EVENT_BYTES}};
    remote_run(r, &call);
    event_stream_deinit(&t->events);
    remote_call_deinit(&call);
    return call;
}

static bool is_whole(const struct remote_call *call, const struct trial *t)
{
    return call->code == CURLE_OK && call->status == 200 && t->n == 5;
}

/* Sent over four pauses: that they came within two is that something kept them. */
static bool is_held(const struct trial *t)
{
    return t->at_us[4] - t->at_us[0] < 2 * TICK_MS * 1000;
}

/* One that was held may be this machine's own hiccup: so a second one. */
static bool comes_through(struct remote *r, enum trial_kind kind)
{
    struct trial t;
    struct remote_call call;

    for (int i = 0; i < 2; i++) {
        call = try_stream(r, &t, kind);
        if (is_whole(&call, &t) && !is_held(&t))
            return true;
    }
    return false;
}

static void say_held(struct doctor *d, struct remote *r, const struct remote_call *call)
{
    if (call->encoding[0] && comes_through(r, TRIAL_PLAIN))
        doctor_say(d, MARK_PROBLEM, "streams",
                   "nginx: leave text/event-stream out of gzip_types (`*` has it), or `gzip off;` in the "
                   "location. Apache: `SetEnvIfExpr \"%{HTTP:Accept} =~ m#text/event-stream#\" no-gzip` "
                   "before mod_deflate. A CDN: no compression of text/event-stream. Aerie says "
                   "`Cache-Control: no-transform`, which this proxy does not heed.",
                   "a proxy between compresses them (%s), and so holds them back: a reply comes all at "
                   "once",
                   call->encoding);
    else
        doctor_say(d, MARK_PROBLEM, "streams",
                   "nginx: `proxy_buffering off;` and `proxy_http_version 1.1;` in the location, and no "
                   "`proxy_ignore_headers X-Accel-Buffering`. Apache: `ProxyPass ... flushpackets=on`. Caddy: `flush_interval "
                   "-1`. Cloudflare or another CDN: no response buffering and no caching for this host. "
                   "docs/operations.md has a whole site for nginx.",
                   "a proxy between holds them back%s: a reply comes all at once",
                   call->encoding[0] ? ", and compresses them" : "");
}

/* False: there was none to look at. */
static bool judge_stream(struct doctor *d, struct remote *r, struct trial *t)
{
    struct remote_call call = try_stream(r, t, TRIAL_GZIP);
    struct buf told = {0};

    if (!is_whole(&call, t)) {
        remote_explain(r, &call, &told);
        if (call.status == 404 || call.status == 429)
            doctor_say(d, MARK_WARNING, "streams",
                       call.status == 404 ? "The server may be older than this program, or the proxy "
                                            "keeps /health/stream from us."
                                          : "Wait a minute.",
                       "could not be tried: %.*s", STR_ARG(buf_str(&told)));
        else
            doctor_say(d, MARK_PROBLEM, "streams",
                       "See the proxy's error log, and its timeouts: a reply takes as long as it takes.",
                       "a short one did not arrive whole (%u of 5 events): %.*s", t->n,
                       STR_ARG(buf_str(&told)));
        buf_deinit(&told);
        return t->n > 0;
    }
    if (is_held(t) && !comes_through(r, TRIAL_GZIP))
        say_held(d, r, &call);
    else
        doctor_say(d, MARK_OK, "streams", NULL, "come through as they are sent%s%s",
                   call.encoding[0] ? ", though compressed: " : "", call.encoding);
    return true;
}

static void judge_silence(struct doctor *d, struct remote *r)
{
    struct trial t;
    uint64_t begun_us = clock_mono_us();
    struct remote_call call = try_stream(r, &t, TRIAL_LONG);
    double took_s = (double)(clock_mono_us() - begun_us) / 1000000;

    if (call.status == 200 && call.code == CURLE_OK && t.n == 2)
        doctor_say(d, MARK_OK, "silence", NULL,
                   "of %.0f s, the longest that a stream has, closes nothing", took_s);
    else
        doctor_say(d, MARK_PROBLEM, "silence",
                   "nginx: `proxy_read_timeout 75s;`. Apache: `ProxyTimeout 75`. A load balancer: idle "
                   "timeout above 60 s. Or lower turn.heartbeat_seconds.",
                   "something between closes a stream that is silent for %.0f s", took_s);
}

/* ---- who comes ---- */

static void judge_address(struct doctor *d, const struct remote *r, const struct trial *t,
                          const char *peer, bool has_proxy)
{
    static const char untrusted[] =
        "Put the proxy's own address into TRUSTED_PROXIES, such as 127.0.0.1 or 172.16.0.0/12, and "
        "restart. Until then limits per address hit all people together.";
    static const char silent[] =
        "nginx: `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`. Apache does so by itself. "
        "Until then limits per address hit all people together.";

    if (strcmp(t->proxy, "ignored") == 0)
        doctor_say(d, MARK_PROBLEM, "client address", untrusted,
                   "a proxy tells it, and is not believed: it is not in trusted_proxies");
    else if (strcmp(t->proxy, "silent") == 0)
        doctor_say(d, has_proxy ? MARK_PROBLEM : MARK_WARNING, "client address",
                   has_proxy ? silent : "All is well if there is no proxy between.",
                   has_proxy ? "the proxy is trusted, but does not tell it"
                             : "is not told, though you come from one of trusted_proxies");
    else if (strcmp(t->proxy, "none") == 0 && has_proxy)
        doctor_say(d, MARK_PROBLEM, "client address", silent,
                   "there is a proxy, which does not tell it");
    else if (strcmp(t->proxy, "believed") == 0 && is_inner(t->address) && !is_inner(peer))
        doctor_say(d, MARK_WARNING, "client address",
                   "Is that another proxy of yours? Then put it into TRUSTED_PROXIES, too.",
                   "the server takes you for %s", t->address);
    else if (strcmp(t->proxy, "believed") == 0)
        doctor_say(d, MARK_OK, "client address", NULL, "is told by the proxy: you are %s", t->address);
    else
        doctor_say(d, MARK_OK, "client address", NULL, "comes directly: there is no sign of a proxy");
    if (is_https(r) && !t->is_secure)
        doctor_say(d, MARK_WARNING, "https",
                   "nginx: `proxy_set_header X-Forwarded-Proto $scheme;`, from a proxy that is in "
                   "TRUSTED_PROXIES. Links and cookies depend on it.",
                   "the server does not know that people come by https");
}

/* ---- what else may break ---- */

/* The real thing would take credentials: what matters is whether the wish arrives. */
static void judge_websocket(struct doctor *d, struct remote *r)
{
    struct trial t;
    struct remote_call call = try_stream(r, &t, TRIAL_UPGRADE);

    if (t.n > 0 && t.is_upgrade)
        doctor_say(d, MARK_OK, "websockets", NULL, "may pass: their upgrade arrives");
    else
        doctor_say(d, t.n > 0 ? MARK_PROBLEM : MARK_WARNING, "websockets",
                   "nginx: `proxy_http_version 1.1;`, `proxy_set_header Upgrade $http_upgrade;` and "
                   "`proxy_set_header Connection $connection_upgrade;`. Apache: mod_proxy_wstunnel. Only "
                   "clients of /api/chat/ws need them.",
                   "%s (%ld)",
                   t.n > 0 ? "do not come through: the proxy takes their upgrade away"
                           : "could not be tried",
                   call.status);
}

static void judge_keep_alive(struct doctor *d, struct remote *r)
{
    long n_connects = 0;

    for (int i = 0; i < 2; i++) {
        struct remote_call call = {.method = "GET", .path = "/health", .timeout_ms = CALL_MS};

        remote_run(r, &call);
        n_connects = call.n_connects;
        remote_call_deinit(&call);
    }
    doctor_say(d, n_connects > 0 ? MARK_WARNING : MARK_OK, "keep-alive",
               n_connects > 0 ? "Let the proxy keep its clients' connections (nginx: "
                                "`keepalive_timeout 75s;`): each new one costs people a round trip, "
                                "and with https two."
                              : NULL,
               n_connects > 0 ? "each request needs a connection of its own"
                              : "connections are used again");
}

/* As large as uploads may be, without credentials: Aerie says 401, a proxy that wants no such body
 * 413. */
static void judge_size(struct doctor *d, struct remote *r)
{
    size_t len = (d->has_config ? (size_t)config()->limits.upload_bytes : UPLOAD_BYTES) + AROUND_UPLOAD;
    char *body = calloc(1, len);
    struct remote_call call = {.method = "POST",
                               .path = "/api/auth/me/avatar",
                               .body = {body, len},
                               .content_type = "multipart/form-data; boundary=aerie",
                               .timeout_ms = 4 * CALL_MS};

    if (!body)
        return;
    remote_run(r, &call);
    if (call.status == 401)
        doctor_say(d, MARK_OK, "uploads", NULL, "of %zu KiB may pass", len / 1024);
    else
        doctor_say(d, call.status == 413 ? MARK_PROBLEM : MARK_WARNING, "uploads",
                   call.status == 413 ? "nginx: `client_max_body_size 3m;`. Apache: `LimitRequestBody`. "
                                        "It must be above limits.upload_bytes."
                                      : "See the proxy's error log.",
                   call.status == 413 ? "of %zu KiB are refused by the proxy (%ld)"
                                      : "of %zu KiB were answered with %ld, not with Aerie's 401",
                   len / 1024, call.status);
    remote_call_deinit(&call);
    free(body);
}

/* Plain http beside https, on its usual port. */
static void judge_plain_http(struct doctor *d, struct remote *r)
{
    struct str host = str_skip(str_from(r->base.data), strlen("https://"));
    struct remote_call call = {.method = "GET", .timeout_ms = CALL_MS};
    char url[1024];

    host.len = str_find(host, '/');
    if (str_find(host, ':') < host.len)
        return;
    snprintf(url, sizeof(url), "http://%.*s/health", STR_ARG(host));
    call.path = url;
    remote_run(r, &call);
    if (call.status == 0)
        doctor_say(d, MARK_OK, "http", NULL, "is closed: only https answers");
    else if (call.status / 100 == 3 && strncmp(call.location, "https://", 8) == 0)
        doctor_say(d, MARK_OK, "http", NULL, "leads to https");
    else
        doctor_say(d, MARK_WARNING, "http",
                   "nginx: a server on port 80 with `return 301 https://$host$request_uri;`. Passwords "
                   "would go in clear.",
                   "answers by itself (%ld)", call.status);
    remote_call_deinit(&call);
}

static void look(struct doctor *d, struct remote *r)
{
    bool has_proxy = false;
    struct trial trial;
    char peer[64] = "";

    if (!judge_health(d, r, peer, &has_proxy))
        return;
    if (is_https(r))
        judge_plain_http(d, r);
    else if (!is_inner(peer))
        doctor_say(d, MARK_PROBLEM, "https", "Let the proxy speak TLS, or Aerie itself: docs/deploy.md.",
                   "passwords and messages go in clear over a public network");
    if (judge_stream(d, r, &trial))
        judge_address(d, r, &trial, peer, has_proxy);
    judge_websocket(d, r);
    judge_keep_alive(d, r);
    judge_size(d, r);
    if (d->is_long)
        judge_silence(d, r);
}

void doctor_check_way(struct doctor *d)
{
    struct remote r;
    struct error err = remote_open(&r, str_from(d->url),
                                   d->has_config ? config()->upstream.ca_file : STR_NONE);

    if (is_error(err)) {
        doctor_say(d, MARK_PROBLEM, "address", NULL, "%s", err.detail);
        return;
    }
    look(d, &r);
    remote_close(&r);
}
