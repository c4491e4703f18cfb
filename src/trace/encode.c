/* Spans as OTLP has them in JSON (OpenTelemetry Protocol 1.x, "JSON Protobuf Encoding"): ids are
 * hexadecimal, numbers of 64 bits are strings, enums are numbers. */
#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "config/config.h"
#include "internal.h"

#include <stdio.h>

#define STATUS_ERROR       2
#define FACT_TEXT_BYTES    255
#define HAS_IS_REMOTE_FLAG 0x100
#define IS_REMOTE_FLAG     0x200

static void put_hex(struct json *j, const char *name, const unsigned char *bytes, size_t n)
{
    char text[2 * TRACE_ID_BYTES];

    crypto_write_hex(bytes, n, text);
    json_pair_str(j, name, (struct str){text, 2 * n});
}

static void put_decimal(struct json *j, const char *name, int64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%lld", (long long)number);

    json_pair_str(j, name, (struct str){text, (size_t)len});
}

static void put_time(struct json *j, const char *name, int64_t wall_us)
{
    put_decimal(j, name, wall_us * 1000);
}

static void put_fact(struct json *j, const struct span_fact *fact)
{
    if (fact->text.ptr && fact->text.len == 0)
        return;
    json_begin_object(j);
    json_pair_str(j, "key", str_from(fact->name));
    json_key(j, "value");
    json_begin_object(j);
    if (fact->text.ptr)
        json_pair_str(j, "stringValue", utf8_prefix(fact->text, FACT_TEXT_BYTES));
    else
        put_decimal(j, "intValue", fact->number);
    json_end_object(j);
    json_end_object(j);
}

static void put_facts(struct json *j, const struct span_fact *facts, size_t n)
{
    json_key(j, "attributes");
    json_begin_array(j);
    for (size_t i = 0; i < n; i++)
        put_fact(j, &facts[i]);
    json_end_array(j);
}

/* By the monotonic clock: a span has no negative length though somebody sets the other one. */
static int64_t wall_us_of(const struct span *s, uint64_t mono_us)
{
    return s->began_wall_us + (mono_us > s->began_us ? (int64_t)(mono_us - s->began_us) : 0);
}

static void put_event(struct json *j, const struct span *s, const struct span_record *r)
{
    json_key(j, "events");
    json_begin_array(j);
    json_begin_object(j);
    put_time(j, "timeUnixNano", wall_us_of(s, r->event_us));
    json_pair_str(j, "name", str_from(r->event));
    json_end_object(j);
    json_end_array(j);
}

static void put_parent(struct json *j, const struct span *s)
{
    for (size_t i = 0; i < SPAN_ID_BYTES; i++) {
        if (!s->parent_id[i])
            continue;
        put_hex(j, "parentSpanId", s->parent_id, SPAN_ID_BYTES);
        return;
    }
}

void span_encode(struct buf *out, const struct span *s, const struct span_record *r)
{
    struct json j = {.buf = out};

    json_begin_object(&j);
    put_hex(&j, "traceId", s->context.trace_id, TRACE_ID_BYTES);
    put_hex(&j, "spanId", s->context.span_id, SPAN_ID_BYTES);
    put_parent(&j, s);
    if (s->state_len > 0)
        json_pair_str(&j, "traceState", (struct str){s->state, s->state_len});
    json_pair_int(&j, "flags",
                  s->context.flags | HAS_IS_REMOTE_FLAG |
                      (s->is_parent_remote ? IS_REMOTE_FLAG : 0));
    json_pair_str(&j, "name", utf8_prefix(r->name, FACT_TEXT_BYTES));
    json_pair_int(&j, "kind", r->kind);
    put_time(&j, "startTimeUnixNano", s->began_wall_us);
    put_time(&j, "endTimeUnixNano", wall_us_of(s, clock_mono_us()));
    put_facts(&j, r->facts, r->n_facts);
    if (r->event)
        put_event(&j, s, r);
    json_key(&j, "status");
    json_begin_object(&j);
    if (r->has_failed)
        json_pair_int(&j, "code", STATUS_ERROR);
    json_end_object(&j);
    json_end_object(&j);
}

void span_encode_head(struct buf *out, struct str instance_id)
{
    const struct span_fact resource[] = {
        {"service.name", config()->tracing.service, 0},
        {"service.instance.id", instance_id, 0},
        {"service.version", STR(AERIE_VERSION), 0},
    };
    struct json j = {.buf = out};

    json_begin_object(&j);
    json_key(&j, "resourceSpans");
    json_begin_array(&j);
    json_begin_object(&j);
    json_key(&j, "resource");
    json_begin_object(&j);
    put_facts(&j, resource, sizeof(resource) / sizeof(resource[0]));
    json_end_object(&j);
    json_key(&j, "scopeSpans");
    json_begin_array(&j);
    json_begin_object(&j);
    json_key(&j, "scope");
    json_begin_object(&j);
    json_pair_str(&j, "name", STR("aerie"));
    json_pair_str(&j, "version", STR(AERIE_VERSION));
    json_end_object(&j);
    json_key(&j, "spans");
    json_begin_array(&j);
}

void span_encode_tail(struct buf *out)
{
    buf_append_str(out, STR("]}]}]}"));
}
