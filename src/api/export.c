/* A chat as a file: JSON, Markdown or plain text, page by page, in constant memory. */
#include "export.h"

#include "answer.h"
#include "base/clock.h"
#include "doc.h"
#include "message_json.h"

#define PAGE_ROWS 50

/* How a chat is written in one format. */
struct export_format {
    struct str name;
    const char *content_type, *extension;
    void (*begin)(struct buf *out, const struct db_result *chat);
    void (*message)(struct buf *out, const struct db_result *rows, size_t row,
                    const struct id *user_id, bool is_first);
    void (*end)(struct buf *out);
};

static const struct schema export_schema = {
    "ExportedChat",
    .members = MEMBERS({"id", DOC_ID}, {"agent_id", DOC_ID | DOC_NULL}, {"title", DOC_TEXT},
                       {"metadata", DOC_OBJECT}, {"created_at", DOC_TIME}, {"updated_at", DOC_TIME},
                       {"messages", DOC_OBJECT | DOC_LIST, &message_schema}),
};

static void json_begin(struct buf *out, const struct db_result *chat)
{
    struct json j = {.buf = out};

    json_begin_object(&j);
    json_pair_str(&j, "id", db_get_text(chat, 0, CHAT_ID));
    json_pair_str_or_null(&j, "agent_id", db_get_text(chat, 0, CHAT_AGENT_ID));
    json_pair_str(&j, "title", db_get_text(chat, 0, CHAT_TITLE));
    json_pair_raw(&j, "metadata", db_get_text(chat, 0, CHAT_METADATA));
    json_pair_time(&j, "created_at", db_get_int(chat, 0, CHAT_CREATED_AT));
    json_pair_time(&j, "updated_at", db_get_int(chat, 0, CHAT_UPDATED_AT));
    json_key(&j, "messages");
    buf_append_char(out, '[');
}

static void json_message(struct buf *out, const struct db_result *rows, size_t row,
                         const struct id *user_id, bool is_first)
{
    struct json j = {.buf = out, .needs_comma = !is_first};

    message_write(&j, rows, row, user_id);
}

static void json_end(struct buf *out)
{
    buf_append_str(out, STR("]}"));
}

static void markdown_begin(struct buf *out, const struct db_result *chat)
{
    buf_append_str(out, STR("# "));
    buf_append_str(out, db_get_text(chat, 0, CHAT_TITLE));
    buf_append_char(out, '\n');
}

static struct str speaker(struct str role)
{
    return str_eq(role, STR("user"))        ? STR("User")
           : str_eq(role, STR("assistant")) ? STR("Assistant")
                                            : STR("System");
}

static void write_time(struct buf *out, int64_t wall_us)
{
    char text[CLOCK_TEXT_BYTES];

    buf_append_str(out, clock_format(wall_us, text));
}

/* A reply that is not whole says so. */
static void write_state(struct buf *out, struct str status)
{
    if (str_eq(status, STR("complete")))
        return;
    buf_append_str(out, STR(", "));
    buf_append_str(out, status);
}

static void markdown_message(struct buf *out, const struct db_result *rows, size_t row,
                             const struct id *user_id, bool is_first)
{
    struct message_view v;

    (void)is_first;
    message_view_open(&v, rows, row, user_id);
    buf_append_str(out, STR("\n## "));
    buf_append_str(out, speaker(db_get_text(rows, row, MESSAGE_ROLE)));
    buf_append_str(out, STR("\n\n*"));
    write_time(out, db_get_int(rows, row, MESSAGE_CREATED_AT));
    write_state(out, v.status);
    buf_append_str(out, STR("*\n\n"));
    buf_append_str(out, v.content);
    buf_append_char(out, '\n');
    message_view_close(&v);
}

static void text_begin(struct buf *out, const struct db_result *chat)
{
    buf_append_str(out, db_get_text(chat, 0, CHAT_TITLE));
    buf_append_char(out, '\n');
}

static void text_message(struct buf *out, const struct db_result *rows, size_t row,
                         const struct id *user_id, bool is_first)
{
    struct message_view v;

    (void)is_first;
    message_view_open(&v, rows, row, user_id);
    buf_append_str(out, STR("\n["));
    write_time(out, db_get_int(rows, row, MESSAGE_CREATED_AT));
    write_state(out, v.status);
    buf_append_str(out, STR("] "));
    buf_append_str(out, speaker(db_get_text(rows, row, MESSAGE_ROLE)));
    buf_append_str(out, STR(":\n"));
    buf_append_str(out, v.content);
    buf_append_char(out, '\n');
    message_view_close(&v);
}

static void no_end(struct buf *out)
{
    (void)out;
}

static const struct export_format formats[] = {
    {STR("json"), "application/json", "json", json_begin, json_message, json_end},
    {STR("markdown"), "text/markdown; charset=utf-8", "md", markdown_begin, markdown_message,
     no_end},
    {STR("txt"), "text/plain; charset=utf-8", "txt", text_begin, text_message, no_end},
};

static void free_pages(void *state)
{
    struct chat_export *s = state;

    arena_free(&s->page_arena);
    buf_deinit(&s->out);
}

static void read_format(struct flow *f)
{
    struct request *req = request_of(f);
    struct chat_export *s = req->state;
    struct str name = request_query(req, "format");

    if (!arena_defer(&req->arena, free_pages, s)) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    if (!input_path_id(req, 0, "Chat not found", &s->chat_id))
        return;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (str_eq(name.ptr ? name : STR("json"), formats[i].name))
            s->format = &formats[i];
    if (!s->format) {
        request_field_error(req, "format", "must be json, markdown or txt");
        flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
    }
}

static void load_chat(struct flow *f)
{
    struct request *req = request_of(f);
    struct chat_export *s = req->state;

    db_query(&s->chat, f, &req->arena, SQL_CHAT_GET,
             DB_ARGS(team_arg(req), user_arg(req), db_uuid(id_str(&s->chat_id))));
}

static void begin(struct flow *f)
{
    struct request *req = request_of(f);
    struct chat_export *s = req->state;

    if (s->chat.result->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Chat not found"));
        return;
    }
    response_set_header(req, "Cache-Control", STR("no-store")); /* it is one caller's alone */
    response_set_header(req, "Content-Disposition",
                        arena_printf(&req->arena, "attachment; filename=\"chat-%s.%s\"",
                                     s->chat_id.text, s->format->extension));
}

static void load_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct chat_export *s = req->state;

    arena_free(&s->page_arena);
    db_query(&s->page, f, &s->page_arena, SQL_MESSAGE_AFTER,
             DB_ARGS(team_arg(req), user_arg(req), db_uuid(id_str(&s->chat_id)),
                     db_int(s->after_seq), db_int(PAGE_ROWS)));
}

static void format_page(struct request *req, struct chat_export *s)
{
    const struct db_result *rows = s->page.result;

    buf_clear(&s->out);
    if (s->after_seq == 0)
        s->format->begin(&s->out, s->chat.result);
    for (size_t row = 0; row < rows->n_rows; row++) {
        s->format->message(&s->out, rows, row, &caller_of(req)->user_id, s->after_seq == 0);
        s->after_seq = db_get_int(rows, row, MESSAGE_SEQ);
    }
    s->is_whole = rows->n_rows < PAGE_ROWS;
    if (s->is_whole)
        s->format->end(&s->out);
}

static void on_cancel(struct op *op)
{
    op_end(op, ERROR(ERR_CANCELED, 0, "the reader left"));
}

static void on_drained(void *state)
{
    op_end(state, NO_ERROR);
}

/* The head goes out with the first page, so that a database that fails before it is still a 503. */
static void send_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct chat_export *s = req->state;

    format_page(req, s);
    if (s->out.failed) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    if (!response_is_started(req))
        response_begin_stream(req, 200, s->format->content_type);
    response_stream_write(req, s->out.data, s->out.len);
    if (!s->is_whole && response_stream_is_full(req)) {
        op_begin(&s->drain, f, on_cancel);
        response_stream_on_drained(req, on_drained, &s->drain);
    }
}

static const struct step page_steps[] = {
    STEP(load_page),
    STEP(send_page), /* waits for a slow reader before the next page is read */
    STEP_END,
};

static void send_pages(struct flow *f)
{
    struct request *req = request_of(f);
    struct chat_export *s = req->state;

    if (s->is_whole) {
        response_end_stream(req);
        return;
    }
    flow_repeat(f);
    flow_call(f, &s->one_page, page_steps, req);
}

const struct step chats_export_steps[] = {
    STEP(read_format), STEP(load_chat), STEP(begin), STEP(send_pages), STEP_END,
};

const struct route_doc chats_export_doc = {
    TAG_CHATS,
    ANSWERS({200, &export_schema}, {200, .type = "text/markdown"}, {200, .type = "text/plain"}),
    .query = MEMBERS({"format", DOC_TEXT | DOC_OPTIONAL, .values = "json|markdown|txt"}),
    .about = "Streamed, however long the chat is.",
};
