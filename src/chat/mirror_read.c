/* What another node tells of its turn, judged and put into a log. See mirror_read.h. */
#include "mirror_read.h"

#include "base/json.h"

#define DEPTH      64 /* of what a provider's answer may bring into the metadata */
#define DETAIL_MAX 2048

void mirror_reading_begin(struct mirror_reading *r)
{
    r->has_head = r->is_wrong = false;
    buf_deinit(&r->end);
}

void mirror_reading_deinit(struct mirror_reading *r)
{
    buf_deinit(&r->end);
}

enum status status_named(struct str name)
{
    for (int status = OK; status < N_STATUSES; status++)
        if (str_eq(str_from(status_row((enum status)status)->name), name))
            return (enum status)status;
    return ERR_INTERNAL;
}

/* Is it "<reply>:<n>" of this log? */
static bool read_id(const struct turn_log *log, struct str id, uint64_t *n)
{
    struct str reply;
    int64_t number;

    if (!str_next(&id, ':', &reply) || !str_eq(reply, id_str(&log->reply_id)) ||
        !str_to_i64(id, &number) || number <= 0)
        return false;
    *n = (uint64_t)number;
    return true;
}

/* Readers begin when the log is no shorter than it was there: they may have had all of that. */
static void open_when_level(struct mirror_reading *r)
{
    struct turn_log *log = r->log;

    if (turn_log_phase(log) == TURN_LOG_PENDING && turn_log_last(log) >= r->last)
        turn_log_open(log);
}

static bool read_head(struct mirror_reading *r, yyjson_val *head)
{
    struct turn_log *log = r->log;
    int64_t last = yyjson_get_sint(json_member(head, "last"));

    if (r->has_head || last < 0 ||
        !str_eq(json_text(json_member(head, "reply_id")), id_str(&log->reply_id)))
        return false;
    r->has_head = true;
    r->last = (uint64_t)last;
    if (turn_log_phase(log) == TURN_LOG_PENDING) {
        log->tokens_limit = yyjson_get_sint(json_member(head, "tokens_limit"));
        log->tokens_left = yyjson_get_sint(json_member(head, "tokens_left"));
    }
    open_when_level(r);
    return true;
}

/* The number of the notice that would come next. */
static bool is_next(struct turn_log *log, uint64_t n)
{
    return n == turn_log_last(log) + 1;
}

static bool add_text(struct turn_log *log, uint64_t n, struct str text)
{
    size_t before = turn_log_text(log).len;

    return text.len > 0 && n == turn_log_number(before + text.len, 0) && turn_log_append(log, text);
}

static bool add_notice(struct turn_log *log, uint64_t n, struct str json)
{
    if (!is_next(log, n))
        return false;
    turn_log_notice(log, json);
    return turn_log_last(log) == n;
}

static bool read_event(struct mirror_reading *r, struct str id, yyjson_val *event, struct str json)
{
    struct str type = json_text(json_member(event, "type"));
    uint64_t n;

    if (!r->has_head || r->end.len > 0 || !read_id(r->log, id, &n))
        return false;
    if (str_eq(type, STR("done")) || str_eq(type, STR("error"))) {
        buf_append_str(&r->end, json);
        return is_next(r->log, n) && !r->end.failed;
    }
    if (str_eq(type, STR("message"))) {
        if (!add_text(r->log, n, json_text(json_member(json_member(event, "data"), "content"))))
            return false;
    } else if (!add_notice(r->log, n, json)) {
        return false;
    }
    open_when_level(r);
    return true;
}

/* ---- the end ---- */

static struct str keep(struct turn_log *log, struct str text)
{
    return text.len > 0 ? arena_copy(log->memory, text) : STR("");
}

static struct str keep_json(struct turn_log *log, yyjson_val *val)
{
    struct buf out = {0};
    struct str kept = STR("");

    if (!yyjson_is_obj(val))
        return kept;
    json_write_value(&out, val);
    if (!out.failed)
        kept = keep(log, buf_str(&out));
    buf_deinit(&out);
    return kept;
}

static bool read_tail(struct mirror_reading *r, yyjson_val *tail)
{
    struct turn_log *log = r->log;
    struct str detail = json_text(json_member(tail, "detail"));

    if (!r->has_head || r->end.len == 0 || !yyjson_is_str(json_member(tail, "outcome")))
        return false;
    detail = utf8_prefix(detail, DETAIL_MAX);
    log->outcome = ERROR(status_named(json_text(json_member(tail, "outcome"))),
                         (int)yyjson_get_sint(json_member(tail, "code")),
                         detail.len > 0 ? keep(log, detail).ptr : NULL);
    log->reply_outcome = status_named(json_text(json_member(tail, "reply_outcome")));
    log->is_saved = yyjson_is_true(json_member(tail, "is_saved"));
    log->is_stopped = yyjson_is_true(json_member(tail, "is_stopped"));
    log->model = keep(log, json_text(json_member(tail, "model")));
    log->usage = keep_json(log, json_member(tail, "usage"));
    log->metadata = keep_json(log, json_member(tail, "metadata"));
    if (turn_log_phase(log) == TURN_LOG_PENDING)
        turn_log_open(log);
    turn_log_close(log, buf_str(&r->end));
    return true;
}

bool mirror_read(void *reading, struct str type, struct str id, struct str data)
{
    struct mirror_reading *r = reading;
    struct arena arena = {0};
    yyjson_val *root = NULL;
    bool is_right = false;

    if (!is_error(json_read(&arena, data, DEPTH, &root))) {
        if (str_eq(type, STR(PEER_HEAD)))
            is_right = read_head(r, root);
        else if (str_eq(type, STR(PEER_TAIL)))
            is_right = read_tail(r, root);
        else if (type.len == 0)
            is_right = read_event(r, id, root, data);
        else
            is_right = true; /* of a later version */
    }
    arena_free(&arena);
    r->is_wrong = !is_right;
    return is_right && turn_log_phase(r->log) != TURN_LOG_CLOSED;
}
