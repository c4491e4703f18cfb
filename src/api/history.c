/* The caller's chats as a list of what was said last, in numbered pages. */
#include "history.h"

#include "answer.h"

#define MOST_PAGES       1000000
#define DEFAULT_PER_PAGE 20
#define MOST_PER_PAGE    100
#define LAST_CHARS       200 /* of a chat's last message */

/* The columns of CHAT_HISTORY. */
enum { HISTORY_ID, HISTORY_TITLE, HISTORY_LAST_MESSAGE, HISTORY_UPDATED_AT };

static const struct schema item_schema = {
    "HistoryItem",
    .members = MEMBERS({"session_id", DOC_ID}, {"title", DOC_TEXT},
                       {"last_message", DOC_TEXT | DOC_NULL,
                        .about = "At most 200 characters of it; null: nothing was said yet"},
                       {"updated_at", DOC_TIME}),
};
static const struct schema history_schema = {
    "History",
    .members = MEMBERS({"items", DOC_OBJECT | DOC_LIST, &item_schema}, {"page", DOC_INT},
                       {"per_page", DOC_INT}, {"total", DOC_INT}),
};

static void query_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct history *s = req->state;

    if (!input_query_int(req, "page", 1, MOST_PAGES, 1, &s->page) ||
        !input_query_int(req, "per_page", 1, MOST_PER_PAGE, DEFAULT_PER_PAGE, &s->per_page))
        return;
    db_query(&s->count, f, &req->arena, SQL_CHAT_COUNT,
             DB_ARGS(team_arg(req), user_arg(req), db_bool(false)));
    db_query(&s->chats, f, &req->arena, SQL_CHAT_HISTORY,
             DB_ARGS(team_arg(req), user_arg(req), db_int(s->per_page),
                     db_int((s->page - 1) * s->per_page), db_int(LAST_CHARS)));
}

static void answer_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct history *s = req->state;
    const struct db_result *chats = s->chats.result;
    struct buf out = {0};
    struct json j = {.buf = &out};

    json_begin_object(&j);
    json_key(&j, "items");
    json_begin_array(&j);
    for (size_t row = 0; row < chats->n_rows; row++) {
        json_begin_object(&j);
        json_pair_str(&j, "session_id", db_get_text(chats, row, HISTORY_ID));
        json_pair_str(&j, "title", db_get_text(chats, row, HISTORY_TITLE));
        json_pair_str_or_null(&j, "last_message", db_get_text(chats, row, HISTORY_LAST_MESSAGE));
        json_pair_time(&j, "updated_at", db_get_int(chats, row, HISTORY_UPDATED_AT));
        json_end_object(&j);
    }
    json_end_array(&j);
    json_pair_int(&j, "page", s->page);
    json_pair_int(&j, "per_page", s->per_page);
    json_pair_int(&j, "total", db_get_int(s->count.result, 0, 0));
    json_end_object(&j);
    answer_json(req, 200, &out);
}

const struct step history_steps[] = {
    STEP(query_page), /* the page and the total in one round trip; 422 */
    STEP(answer_page),
    STEP_END,
};
const struct route_doc history_doc = {
    TAG_CHAT,
    ANSWERS({200, &history_schema}),
    .query = MEMBERS({"page", DOC_INT | DOC_OPTIONAL, .min = 1, .max = MOST_PAGES},
                     {"per_page", DOC_INT | DOC_OPTIONAL, .min = 1, .max = MOST_PER_PAGE,
                      .about = "20 unless told"}),
    .about = "By `updated_at`, newest first; archived chats stay out.",
};
