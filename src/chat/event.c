/* The events of a turn as JSON. See chat/event.h. */
#include "chat/event.h"

#include "base/json.h"
#include "config/config.h"

const char *event_code(const struct error *err)
{
    switch (err->status) {
    case ERR_PROVIDER_UNREACHABLE:
    case ERR_PROVIDER_TIMEOUT:
    case ERR_PROVIDER_AUTH:
    case ERR_PROVIDER_RATE_LIMITED:
    case ERR_PROVIDER_ERROR:
    case ERR_PROVIDER_MALFORMED:
    case ERR_EMPTY_REPLY:
    case ERR_INTERRUPTED:
    case ERR_UPSTREAM_LIMIT:
    case ERR_NOT_SAVED:
    case ERR_BUDGET_SPENT:
        return status_row(err->status)->name;
    default:
        return "internal";
    }
}

const char *event_detail(const struct error *err)
{
    return err->detail ? err->detail : status_row(err->status)->detail;
}

static void begin(struct json *j, const char *type)
{
    json_begin_object(j);
    json_pair_str(j, "type", str_from(type));
    json_key(j, "data");
    json_begin_object(j);
}

static void end(struct json *j)
{
    json_end_object(j);
    json_end_object(j);
}

void event_write_status(struct buf *out, const char *level, struct str description,
                        struct str session_id)
{
    struct json j = {.buf = out};

    begin(&j, "status");
    json_pair_str(&j, "description", description);
    json_pair_str(&j, "level", str_from(level));
    json_pair_bool(&j, "done", false);
    if (session_id.len > 0)
        json_pair_str(&j, "session_id", session_id);
    end(&j);
}

void event_write_done(struct buf *out, struct str reply_id, bool is_stopped)
{
    struct json j = {.buf = out};

    begin(&j, "done");
    json_pair_str(&j, "message", is_stopped ? STR("Stream stopped") : STR("Stream completed"));
    json_pair_str(&j, "message_id", reply_id);
    if (is_stopped)
        json_pair_bool(&j, "stopped", true);
    end(&j);
}

void event_write_error(struct buf *out, struct str code, struct str detail, struct str reply_id,
                       int retry_after_s)
{
    struct json j = {.buf = out};

    begin(&j, "error");
    json_pair_str(&j, "message", detail);
    json_pair_str(&j, "code", code);
    if (reply_id.len > 0)
        json_pair_str(&j, "message_id", reply_id);
    if (retry_after_s > 0)
        json_pair_int(&j, "retry_after", retry_after_s);
    end(&j);
}

struct stored_failure event_stored_failure(struct arena *a, struct str metadata)
{
    const struct error cut = ERROR(ERR_INTERRUPTED, 0, NULL);
    struct stored_failure f = {0};
    yyjson_val *root = NULL, *why;

    if (metadata.len > 0 &&
        !is_error(json_read(a, metadata, (unsigned)config()->limits.json_depth, &root))) {
        why = json_member(root, "error");
        f.code = json_text(json_member(why, "code"));
        f.detail = json_text(json_member(why, "message"));
    }
    if (!f.code.ptr)
        f.code = str_from(event_code(&cut));
    if (!f.detail.ptr)
        f.detail = str_from(event_detail(&cut));
    return f;
}

void event_write_stored_end(struct buf *out, struct arena *a, struct str reply_id,
                            struct str status, struct str metadata)
{
    bool is_stopped = str_eq(status, STR("stopped"));
    struct stored_failure why;

    if (is_stopped || str_eq(status, STR("complete"))) {
        event_write_done(out, reply_id, is_stopped);
        return;
    }
    why = event_stored_failure(a, metadata);
    event_write_error(out, why.code, why.detail, reply_id, 0);
}
