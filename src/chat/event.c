/* The events of a turn as JSON. See chat/event.h. */
#include "chat/event.h"

#include "base/json.h"

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
