/* /api/chats: list, search, create, read, change, delete. A chat is its owner's alone. */
#include "chats.h"

#include "answer.h"
#include "api/input.h"
#include "ask.h"
#include "base/clock.h"
#include "chat/hub.h"
#include "chat/turn.h"
#include "config/config.h"
#include "db/db.h"
#include "db/search.h"
#include "doc.h"
#include "elsewhere.h"
#include "message_json.h"
#include "take_rate.h"
#include "webhook/event.h"

#include <stddef.h>

#define MINUTE_MS        60000
#define DEFAULT_MESSAGES 50
#define METADATA_BYTES   16384
#define MAX_WORDS        256
/* Messages that a search puts into the index first: a second's work. */
#define FEED_MAX 1000

/* ---- GET /api/chats ---- */

static void list_read(struct flow *f)
{
    struct request *req = request_of(f);
    struct chats_list *s = req->state;

    if (input_page(req, &s->limit, &s->offset) &&
        input_query_bool(req, "include_archived", false, &s->with_archived) &&
        input_query_int(req, "messages", 0, 200, DEFAULT_MESSAGES, &s->n_messages))
        s->search = str_trim(request_query(req, "q"));
}

/* The results of a list without q. */
enum list_result { LIST_CHATS, LIST_COUNT, LIST_MESSAGES };

static void query_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct chats_list *s = req->state;
    const struct db_arg page[] = {team_arg(req),    user_arg(req),     db_bool(s->with_archived),
                                  db_int(s->limit), db_int(s->offset), db_int(s->n_messages)};
    const struct db_call calls[] = {
        [LIST_CHATS] = {SQL_CHAT_LIST, page, 5},
        [LIST_COUNT] = {SQL_CHAT_COUNT, page, 3},
        [LIST_MESSAGES] = {SQL_CHAT_LIST_MESSAGES, page, 6},
    };

    db_batch(&s->chats, f, &req->arena, calls, s->n_messages > 0 ? 3 : 2);
}

static void list_query(struct flow *f)
{
    struct request *req = request_of(f);
    struct chats_list *s = req->state;

    const struct db_arg team[] = {team_arg(req)};
    const struct db_call feed[] = {{SQL_SEARCH_FEED, team, 1}, {SQL_SEARCH_FED, team, 1}};

    if (s->search.len == 0)
        query_page(f);
    else if (db_is_sqlite_here())
        db_batch(&s->feed, f, &req->arena, feed, 2);
    else
        db_query(&s->feed, f, &req->arena, SQL_SEARCH_KEEP_UP,
                 DB_ARGS(team_arg(req), db_int(FEED_MAX)));
}

static void list_search(struct flow *f)
{
    struct request *req = request_of(f);
    struct chats_list *s = req->state;
    struct str words;

    if (s->search.len == 0)
        return;
    words = db_search_words(&req->arena, s->search, " ", MAX_WORDS);
    if (!words.ptr)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else if (words.len > 0)
        db_query(&s->chats, f, &req->arena, SQL_CHAT_SEARCH,
                 DB_ARGS(team_arg(req), user_arg(req), db_bool(s->with_archived), db_int(s->limit),
                         db_int(s->offset), db_text(words)));
}

static void list_search_messages(struct flow *f)
{
    struct request *req = request_of(f);
    struct chats_list *s = req->state;
    struct buf ids = {0};
    struct json j = {.buf = &ids};

    if (s->search.len == 0 || s->n_messages == 0 || !s->chats.result ||
        s->chats.result->n_rows == 0)
        return;
    json_begin_array(&j);
    for (size_t row = 0; row < s->chats.result->n_rows; row++)
        json_str(&j, db_get_text(s->chats.result, row, CHAT_ID));
    json_end_array(&j);
    if (ids.failed)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else
        db_query(
            &s->messages, f, &req->arena, SQL_CHAT_SEARCH_MESSAGES,
            DB_ARGS(team_arg(req), user_arg(req), db_json(buf_str(&ids)), db_int(s->n_messages)));
    buf_deinit(&ids);
}

static int64_t list_total(const struct chats_list *s)
{
    const struct db_result *chats = s->chats.result;

    if (s->search.len == 0)
        return db_get_int(db_result_at(&s->chats, LIST_COUNT), 0, 0);
    return chats && chats->n_rows > 0 ? db_get_int(chats, 0, CHAT_TOTAL) : 0;
}

/* NULL: none were asked for, or found. */
static const struct db_result *list_messages(const struct chats_list *s)
{
    if (s->search.len > 0)
        return s->messages.result;
    return s->n_messages > 0 ? db_result_at(&s->chats, LIST_MESSAGES) : NULL;
}

static void list_answer(struct flow *f)
{
    struct request *req = request_of(f);
    struct chats_list *s = req->state;
    const struct db_result *chats = s->chats.result, *messages = list_messages(s);
    struct buf out = {0};
    struct json j = {.buf = &out};

    json_begin_array(&j);
    for (size_t row = 0; chats && row < chats->n_rows; row++)
        chat_write(&j, chats, row, messages);
    json_end_array(&j);
    answer_set_total(req, list_total(s));
    answer_json(req, 200, &out);
}

const struct step chats_list_steps[] = {
    STEP(list_read),
    STEP(list_query),           /* the page, its messages and the total in one round trip */
    STEP(list_search),          /* with q: what was just said is in the index by now */
    STEP(list_search_messages), /* of the chats that were found */
    STEP(list_answer),
    STEP_END,
};

const struct route_doc chats_list_doc = {
    TAG_CHATS,
    ANSWERS({200, &chat_schema, .is_list = true}),
    .query = MEMBERS({"q", DOC_TEXT | DOC_OPTIONAL, .about = "Whole words in titles and messages"},
                     {"include_archived", DOC_BOOL | DOC_OPTIONAL},
                     {"messages", DOC_INT | DOC_OPTIONAL, .min = 0, .max = 200,
                      .about = "How many of the last messages come along; 50 unless told"}),
    .is_paged = true,
    .about = "By `updated_at`, newest first.",
};

/* ---- one chat: POST, GET, PUT, DELETE ---- */

static const struct input_field create_fields[] = {
    {.name = "agent_id",
     .kind = INPUT_ID,
     .is_required = true,
     .offset = offsetof(struct one_chat, agent_id)},
    {.name = "metadata",
     .kind = INPUT_OBJECT,
     .max = METADATA_BYTES,
     .offset = offsetof(struct one_chat, metadata)},
    {.name = "title",
     .kind = INPUT_LINE,
     .min = 0,
     .max = 200,
     .offset = offsetof(struct one_chat, title)},
};

static const struct input_field change_fields[] = {
    {.name = "is_archived", .kind = INPUT_BOOL, .offset = offsetof(struct one_chat, is_archived)},
    {.name = "metadata",
     .kind = INPUT_OBJECT,
     .max = METADATA_BYTES,
     .offset = offsetof(struct one_chat, metadata)},
    {.name = "title",
     .kind = INPUT_LINE,
     .min = 0,
     .max = 200,
     .offset = offsetof(struct one_chat, title)},
};

/* Nothing else bounds how much a user may store. Before the body is read, so that a flood is
 * cheap. */
static void create_rate(struct flow *f)
{
    struct request *req = request_of(f);
    const struct rate rate = {RATE_USER_CHATS, id_str(&caller_of(req)->user_id),
                              config()->limits.messages_per_minute, MINUTE_MS};

    (void)!take_rate(req, &rate, "Too many new chats; wait a moment");
}

static void create_read(struct flow *f)
{
    struct request *req = request_of(f);
    struct one_chat *s = req->state;

    s->id = id_v7();
    s->n_messages = 0;
    (void)!input_read(req, create_fields, sizeof(create_fields) / sizeof(create_fields[0]), s);
}

static void create_store(struct flow *f)
{
    struct request *req = request_of(f);
    struct one_chat *s = req->state;

    const struct caller *who = caller_of(req);
    int64_t now_us = clock_wall_us();
    const struct db_arg add[] = {
        team_arg(req),
        user_arg(req),
        db_uuid(id_str(&s->id)),
        db_uuid(s->agent_id.text),
        db_text(input_is_set(&s->title) ? s->title.text : STR("New chat")),
        db_json(input_is_set(&s->metadata) ? s->metadata.text : STR("{}")),
        db_time(now_us),
    };
    struct db_call calls[2] = {{SQL_CHAT_ADD, add, sizeof(add) / sizeof(add[0])}};
    struct webhook_event created;
    bool is_told = webhook_chat_created(&created, &req->arena, &who->team_id, &s->id,
                                        s->agent_id.text, id_str(&who->user_id), now_us, &calls[1]);

    db_batch(&s->write, f, &req->arena, calls, is_told ? 2 : 1);
}

static void create_check(struct flow *f)
{
    const struct one_chat *s = request_of(f)->state;

    if (s->write.result->n_changed == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Agent not found"));
}

static const struct member messages_query[] = {
    {"messages", DOC_INT | DOC_OPTIONAL, .min = 0, .max = 200,
     .about = "How many of the last messages come along; 50 unless told"},
    {NULL},
};

static void one_id(struct flow *f)
{
    struct request *req = request_of(f);
    struct one_chat *s = req->state;

    if (input_path_id(req, 0, "Chat not found", &s->id))
        (void)!input_query_int(req, "messages", 0, 200, DEFAULT_MESSAGES, &s->n_messages);
}

static void one_load(struct flow *f)
{
    struct request *req = request_of(f);
    struct one_chat *s = req->state;
    struct db_arg chat = db_uuid(id_str(&s->id));

    db_query(&s->chat, f, &req->arena, SQL_CHAT_GET, DB_ARGS(team_arg(req), user_arg(req), chat));
    if (s->n_messages > 0)
        db_query(
            &s->messages, f, &req->arena, SQL_MESSAGE_PAGE,
            DB_ARGS(team_arg(req), user_arg(req), chat, db_uuid(STR_NONE), db_int(s->n_messages)));
}

static void one_answer(struct flow *f)
{
    struct request *req = request_of(f);
    struct one_chat *s = req->state;
    struct buf out = {0};
    struct json j = {.buf = &out};

    if (s->chat.result->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Chat not found"));
        return;
    }
    chat_write(&j, s->chat.result, 0, s->n_messages > 0 ? s->messages.result : NULL);
    answer_json(req, req->method == HTTP_POST ? 201 : 200, &out);
}

static void change_read(struct flow *f)
{
    struct request *req = request_of(f);

    (void)!input_read(req, change_fields, sizeof(change_fields) / sizeof(change_fields[0]),
                      req->state);
}

static void change_store(struct flow *f)
{
    struct request *req = request_of(f);
    struct one_chat *s = req->state;

    db_query(
        &s->write, f, &req->arena, SQL_CHAT_UPDATE,
        DB_ARGS(team_arg(req), user_arg(req), db_uuid(id_str(&s->id)),
                db_text(input_is_set(&s->title) ? s->title.text : STR_NONE),
                db_json(input_is_set(&s->metadata) ? s->metadata.text : STR_NONE),
                input_is_set(&s->is_archived) ? db_bool(s->is_archived.number != 0) : db_null(),
                db_time(clock_wall_us())));
}

/* First, while the database still knows who runs its turn. */
static void remove_find(struct flow *f)
{
    struct request *req = request_of(f);
    struct one_chat *s = req->state;

    s->log = hub_find(&s->id, &caller_of(req)->user_id);
    if (s->log && !ask_hold_log(req, s->log))
        return;
    elsewhere_find(f, &caller_of(req)->team_id, &caller_of(req)->user_id, &s->id, NULL, &s->log);
}

static void remove_store(struct flow *f)
{
    struct request *req = request_of(f);
    struct one_chat *s = req->state;

    db_query(&s->write, f, &req->arena, SQL_CHAT_REMOVE,
             DB_ARGS(team_arg(req), user_arg(req), db_uuid(id_str(&s->id))));
}

static void remove_check(struct flow *f)
{
    const struct one_chat *s = request_of(f)->state;

    if (s->write.result->n_changed == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Chat not found"));
}

static void end_turn(struct turn_log *log)
{
    turn_stop(log, turn_chat_deleted);
    hub_remove(log);
}

/* A running turn ends; one that has ended is no longer there to be followed. */
static void remove_turn(struct flow *f)
{
    struct request *req = request_of(f);
    struct one_chat *s = req->state;
    struct turn_log *log = hub_find(&s->id, &caller_of(req)->user_id);

    if (log) { /* it may have begun meanwhile */
        end_turn(log);
        turn_log_unref(log);
    }
    if (s->log && s->log != log)
        end_turn(s->log);
}

static void remove_answer(struct flow *f)
{
    response_empty(request_of(f), 204);
}

const struct step chats_create_steps[] = {
    STEP(create_rate),                      /* 429 */
    STEP(create_read),                      /* 422 */
    STEP(create_store), STEP(create_check), /* 404 */
    STEP(one_load),     STEP(one_answer),   STEP_END,
};

const struct route_doc chats_create_doc = {
    TAG_CHATS,
    ANSWERS({201, &chat_schema}),
    DOC_ERRORS(404, 429),
    DOC_BODY(create_fields),
    .example =
        "{\"agent_id\": \"01a1fa9f-0000-7000-8000-000000000000\", \"title\": \"First steps\"}",
};
const struct step chats_get_steps[] = {
    STEP(one_id),
    STEP(one_load),
    STEP(one_answer),
    STEP_END,
};

const struct route_doc chats_get_doc = {TAG_CHATS, ANSWERS({200, &chat_schema}),
                                        .query = messages_query};
const struct step chats_change_steps[] = {
    STEP(one_id), STEP(change_read), STEP(change_store), STEP(one_load), STEP(one_answer), STEP_END,
};

const struct route_doc chats_change_doc = {
    TAG_CHATS,
    ANSWERS({200, &chat_schema}),
    DOC_BODY(change_fields),
    .query = messages_query,
    .example = "{\"title\": \"Getting to know the parrot\"}",
};
const struct step chats_remove_steps[] = {
    STEP(one_id),      STEP(remove_find),   STEP(remove_store), STEP(remove_check), /* 404 */
    STEP(remove_turn), STEP(remove_answer), STEP_END,
};

const struct route_doc chats_remove_doc = {
    TAG_CHATS,
    ANSWERS({204}),
    .query = NULL,
    .about = "Ends its running turn, too.",
};
