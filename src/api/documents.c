/* /api/v1/documents: list, read, delete, embed again. */
#include "documents.h"

#include "answer.h"

#define NOT_FOUND "Document not found"

const struct schema document_schema = {
    "Document",
    .members =
        MEMBERS({"id", DOC_ID}, {"title", DOC_TEXT}, {"content_type", DOC_TEXT},
                {"content_hash", DOC_TEXT, .about = "SHA-256 of what was uploaded"},
                {"metadata", DOC_OBJECT}, {"status", DOC_TEXT, .values = "processing|ready|failed"},
                {"error", DOC_TEXT | DOC_NULL, .about = "Why it was not embedded"},
                {"byte_count", DOC_INT}, {"char_count", DOC_INT}, {"chunk_count", DOC_INT},
                {"created_at", DOC_TIME}, {"updated_at", DOC_TIME}),
};

void document_write(struct json *j, const struct db_result *r, size_t row)
{
    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(r, row, DOCUMENT_ID));
    json_pair_str(j, "title", db_get_text(r, row, DOCUMENT_TITLE));
    json_pair_str(j, "content_type", db_get_text(r, row, DOCUMENT_CONTENT_TYPE));
    json_pair_str(j, "content_hash", db_get_text(r, row, DOCUMENT_CONTENT_HASH));
    json_pair_raw(j, "metadata", db_get_text(r, row, DOCUMENT_METADATA));
    json_pair_str(j, "status", db_get_text(r, row, DOCUMENT_STATUS));
    json_pair_str_or_null(j, "error", db_get_text(r, row, DOCUMENT_ERROR));
    json_pair_int(j, "byte_count", db_get_int(r, row, DOCUMENT_BYTES));
    json_pair_int(j, "char_count", db_get_int(r, row, DOCUMENT_CHARS));
    json_pair_int(j, "chunk_count", db_get_int(r, row, DOCUMENT_CHUNKS));
    json_pair_time(j, "created_at", db_get_int(r, row, DOCUMENT_CREATED_AT));
    json_pair_time(j, "updated_at", db_get_int(r, row, DOCUMENT_UPDATED_AT));
    json_end_object(j);
}

void document_answer(struct request *req, int status, const struct db_result *r)
{
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (r->n_rows == 0) {
        flow_fail(&req->flow, ERROR(ERR_NOT_FOUND, 0, NOT_FOUND));
        return;
    }
    document_write(&j, r, 0);
    answer_json(req, status, &body);
}

/* ---- GET /api/v1/documents ---- */

static void load_list(struct flow *f)
{
    struct request *req = request_of(f);
    struct documents *s = req->state;

    if (!input_page(req, &s->limit, &s->offset))
        return;
    db_query(&s->count, f, &req->arena, SQL_DOCUMENT_COUNT, DB_ARGS(team_door_arg(req)));
    db_query(&s->query, f, &req->arena, SQL_DOCUMENT_LIST,
             DB_ARGS(team_door_arg(req), db_int(s->limit), db_int(s->offset)));
}

static void answer_list(struct flow *f)
{
    struct request *req = request_of(f);
    struct documents *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    json_begin_array(&j);
    for (size_t row = 0; row < s->query.result->n_rows; row++)
        document_write(&j, s->query.result, row);
    json_end_array(&j);
    answer_set_total(req, db_get_int(s->count.result, 0, 0));
    answer_json(req, 200, &body);
}

const struct step documents_list_steps[] = {
    STEP(team_door_load),            /* 401, 403 */
    STEP(team_door_check_documents), /* 401, 403 */
    STEP(load_list),                 /* 422 */
    STEP(answer_list),
    STEP_END,
};
const struct route_doc documents_list_doc = {
    TAG_DOCUMENTS,
    ANSWERS({200, &document_schema, .is_list = true}),
    .is_paged = true,
    .takes_key = true,
    .takes_access_token = true,
};

/* ---- one document ---- */

static void read_id(struct flow *f)
{
    struct request *req = request_of(f);
    struct documents *s = req->state;

    (void)!input_path_id(req, 0, NOT_FOUND, &s->id);
}

static void load_one(struct flow *f)
{
    struct request *req = request_of(f);
    struct documents *s = req->state;

    db_query(&s->query, f, &req->arena, SQL_DOCUMENT_GET,
             DB_ARGS(team_door_arg(req), db_uuid(id_str(&s->id))));
}

static void answer_one(struct flow *f)
{
    struct request *req = request_of(f);
    struct documents *s = req->state;

    document_answer(req, 200, s->query.result);
}

const struct step documents_get_steps[] = {
    STEP(team_door_load),            /* 401, 403 */
    STEP(team_door_check_documents), /* 401, 403 */
    STEP(read_id),                   /* 404 */
    STEP(load_one),
    STEP(answer_one), /* 404 */
    STEP_END,
};
const struct route_doc documents_get_doc = {
    TAG_DOCUMENTS,
    ANSWERS({200, &document_schema}),
    .takes_key = true,
    .takes_access_token = true,
};

static void remove_one(struct flow *f)
{
    struct request *req = request_of(f);
    struct documents *s = req->state;

    db_query(&s->query, f, &req->arena, SQL_DOCUMENT_REMOVE,
             DB_ARGS(team_door_arg(req), db_uuid(id_str(&s->id))));
}

static void answer_removed(struct flow *f)
{
    struct request *req = request_of(f);
    struct documents *s = req->state;

    if (s->query.result->n_changed == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NOT_FOUND));
    else
        response_empty(req, 204);
}

const struct step documents_delete_steps[] = {
    STEP(team_door_load),            /* 401, 403 */
    STEP(team_door_check_documents), /* 401, 403 */
    STEP(read_id),                   /* 404 */
    STEP(remove_one),
    STEP(answer_removed), /* 404 */
    STEP_END,
};
const struct route_doc documents_delete_doc = {
    TAG_DOCUMENTS,
    ANSWERS({204}),
    .takes_key = true,
    .takes_access_token = true,
};

/* ---- POST /api/v1/documents/{id}/embed ---- */

static void embed(struct flow *f)
{
    struct request *req = request_of(f);
    struct documents *s = req->state;

    if (s->query.result->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NOT_FOUND));
        return;
    }
    s->embed.team_id = s->door.team_id;
    s->embed.document_id = s->id;
    s->embed.arena = &req->arena;
    flow_try(f, &s->embed_flow, document_embed_steps, &s->embed);
}

static void release(struct flow *f)
{
    struct documents *s = request_of(f)->state;

    arena_free(&s->embed.page);
}

const struct step documents_embed_steps[] = {
    STEP(team_door_load),            /* 401, 403 */
    STEP(team_door_check_documents), /* 401, 403 */
    STEP(read_id),                   /* 404 */
    STEP(load_one),
    STEP(embed),    /* 404 */
    STEP(load_one), /* its status tells how it went */
    STEP(answer_one),
    STEP_ALWAYS(release),
    STEP_END,
};
const struct route_doc documents_embed_doc = {
    TAG_DOCUMENTS,
    ANSWERS({200, &document_schema}),
    .takes_key = true,
    .takes_access_token = true,
    .about = "When the provider fails, the document's `status` is `failed`.",
};
