/* The span of a request: whose part it is, and what is told of it. */
#include "config/config.h"
#include "internal.h"
#include "trace/span.h"

#include <stdio.h>
#include <string.h>

/* A client that is believed could have each of its requests recorded, and put them into any trace:
 * so the word of a proxy counts, which is the operator's and says what it likes, and that of a
 * node.
 */
static bool is_believed(const struct request *req)
{
    const struct config_trace_rules *rules = &config()->trace_rules;

    return (req->is_from_proxy && rules->follows_proxies) || req->listener == LISTENER_PEER ||
           rules->follows_all;
}

/* Two lines are as good as none (W3C Trace Context, section 3.2.1: it is a single value). */
static bool read_traceparent(const struct request *req, struct trace_context *out)
{
    struct str found = STR_NONE;

    for (size_t i = 0; i < req->n_headers; i++) {
        if (!str_eq_nocase(req->headers[i].name, STR("traceparent")))
            continue;
        if (found.ptr)
            return false;
        found = req->headers[i].value.ptr ? req->headers[i].value : STR("");
    }
    return trace_context_parse(found, out);
}

/* The lines are one list (section 3.3.1). One that is not well-formed, or too long, is none. */
static struct str read_tracestate(const struct request *req, char out[TRACESTATE_BYTES])
{
    struct str all = {out, 0};

    for (size_t i = 0; i < req->n_headers; i++) {
        struct str line = req->headers[i].value;

        if (!str_eq_nocase(req->headers[i].name, STR("tracestate")) || line.len == 0)
            continue;
        if (all.len + 1 + line.len > TRACESTATE_BYTES)
            return STR("");
        if (all.len > 0)
            out[all.len++] = ',';
        /* Both are OWS; where it goes on to, a tab may be refused. */
        for (size_t at = 0; at < line.len; at++)
            out[all.len++] = line.ptr[at] == '\t' ? ' ' : line.ptr[at];
    }
    return trace_state_is_valid(all) ? all : STR("");
}

void request_begin_span(struct request *req)
{
    struct trace_context caller;
    char state[TRACESTATE_BYTES];

    if (is_believed(req) && read_traceparent(req, &caller))
        req->span = span_enter(&caller, read_tracestate(req, state));
    else if (trace_is_on())
        req->span = span_enter(NULL, STR(""));
}

/* Of an answer that was cut, or of a failure of ours; a client's mistake is no error of the
 * server's (semantic conventions for HTTP spans, "Status"). */
static const char *failure_of(const struct request *req, char status[16])
{
    const struct response *res = req->response;

    if (res->status >= 500) {
        snprintf(status, 16, "%d", res->status);
        return status;
    }
    if (res->is_stream && is_error(req->flow.err) && req->flow.err.status != ERR_GONE &&
        req->flow.err.status != ERR_STOPPED)
        return status_row(req->flow.err.status)->name;
    return NULL;
}

/* Without url.path, client.address and user_agent.original: they tell of people. */
void request_end_span(struct request *req)
{
    const struct response *res = req->response;
    const char *method = req->is_head ? "HEAD" : http_method_name(req->method);
    char status[16], name[128];
    const char *failure = failure_of(req, status);
    const struct span_fact facts[] = {
        {"http.request.method", str_from(method), 0},
        {"http.route", str_from(req->route ? req->route->path : ""), 0},
        {"url.scheme", req->is_secure ? STR("https") : STR("http"), 0},
        {"network.protocol.version", req->is_http_1_0 ? STR("1.0") : STR("1.1"), 0},
        {"error.type", str_from(failure ? failure : ""), 0},
        {"http.response.status_code", STR_NONE, res->status},
    };
    size_t n = sizeof(facts) / sizeof(facts[0]) - (res->status == 0);

    snprintf(name, sizeof(name), "%s%s%s", method, req->route ? " " : "",
             req->route ? req->route->path : "");
    span_end(req->span, &(struct span_record){.kind = SPAN_SERVER,
                                              .name = str_from(name),
                                              .facts = facts,
                                              .n_facts = n,
                                              .has_failed = failure != NULL});
    req->span = NULL;
}
