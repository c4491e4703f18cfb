/* POST /api/v1/documents: a file or a text becomes a document, all in the request's flow. */
#include "documents.h"

#include "answer.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "cluster/cluster.h"
#include "config/config.h"
#include "team_door.h"

#include <stddef.h>

#define METADATA_BYTES 16384
#define TITLE_CHARS    300
#define MAX_DEPTH      64
#define MAX_CHARS      1073741824
#define UNTITLED       "Untitled"
#define NOT_TAKEN      "A document must be text, Markdown or HTML in UTF-8, or a PDF"
#define TOO_MANY       "The team has as many documents as this server allows: delete some first"

static const struct input_field fields[] = {
    {.name = "content",
     .kind = INPUT_TEXT,
     .is_required = true,
     .min = 1,
     .max = MAX_CHARS, /* limits.upload_bytes is the bound */
     .offset = offsetof(struct document_upload, content)},
    {.name = "content_type",
     .kind = INPUT_LINE,
     .max = 200,
     .offset = offsetof(struct document_upload, content_type)},
    {.name = "metadata",
     .kind = INPUT_OBJECT,
     .max = METADATA_BYTES,
     .offset = offsetof(struct document_upload, metadata)},
    {.name = "title",
     .kind = INPUT_LINE,
     .max = TITLE_CHARS,
     .offset = offsetof(struct document_upload, title)},
};

static const struct schema form_schema = {
    "DocumentUpload",
    .members = MEMBERS({"file", DOC_FILE}, {"title", DOC_TEXT | DOC_OPTIONAL},
                       {"metadata", DOC_TEXT | DOC_OPTIONAL, .about = "A JSON object"}),
};

/* ---- what was sent ---- */

static bool is_form(const struct request *req)
{
    return str_starts_with_nocase(request_header(req, "content-type"), STR("multipart/form-data"));
}

/* A part that may be missing: ptr NULL. False: the flow has failed. */
static bool find_part(struct request *req, const char *name, struct multipart_part *part)
{
    struct error err = multipart_find(req, name, part);

    if (!is_error(err) || err.status == ERR_INVALID)
        return true;
    flow_fail(&req->flow, err);
    return false;
}

static void take_form_title(struct request *req, struct str text)
{
    struct document_upload *s = req->state;

    s->title.text = str_trim(text);
    if (!utf8_is_valid(s->title.text) || str_has_control(s->title.text) ||
        utf8_length(s->title.text) > TITLE_CHARS)
        input_wrong(req, "title", "must be one line of at most 300 characters");
}

static void take_form_metadata(struct request *req, struct str text)
{
    struct document_upload *s = req->state;
    yyjson_val *root = NULL;
    struct error err = json_read(&req->arena, text, MAX_DEPTH, &root);

    s->metadata.text = text;
    if (is_error(err) || !yyjson_is_obj(root) || text.len > METADATA_BYTES)
        input_wrong(req, "metadata", "must be a JSON object of at most 16384 bytes");
}

/* Some senders tell where the file lay. */
static struct str base_name(struct str path)
{
    for (size_t i = path.len; i > 0; i--)
        if (path.ptr[i - 1] == '/' || path.ptr[i - 1] == '\\')
            return str_skip(path, i);
    return path;
}

static void read_form(struct request *req)
{
    struct document_upload *s = req->state;
    struct multipart_part file, title, metadata;

    if (!find_part(req, "file", &file) || !find_part(req, "title", &title) ||
        !find_part(req, "metadata", &metadata))
        return;
    if (!file.data.ptr)
        input_wrong(req, "file", "is required");
    if (title.data.len > 0)
        take_form_title(req, title.data);
    if (metadata.data.len > 0)
        take_form_metadata(req, metadata.data);
    s->data = file.data;
    s->declared_type = file.content_type;
    s->file_name = base_name(file.filename);
    if (request_has_field_errors(req))
        flow_fail(&req->flow, ERROR(ERR_INVALID, 0, NULL));
}

static void read_upload(struct flow *f)
{
    struct request *req = request_of(f);
    struct document_upload *s = req->state;

    if (is_form(req)) {
        read_form(req);
    } else if (input_read(req, fields, sizeof(fields) / sizeof(fields[0]), s)) {
        s->data = s->content.text;
        s->declared_type = s->content_type.text;
    }
    if (is_error(f->err))
        return;
    s->kind = document_kind_of(s->data, s->declared_type);
    if (s->data.len > config()->limits.upload_bytes)
        flow_fail(f, ERROR(ERR_TOO_LARGE, 0, "The document is too large"));
    else if (s->kind == DOCUMENT_IS_UNKNOWN)
        flow_fail(f, ERROR(ERR_MEDIA_TYPE, 0, NOT_TAKEN));
}

/* ---- the same content twice is one document ---- */

static void find_same(struct flow *f)
{
    struct request *req = request_of(f);
    struct document_upload *s = req->state;
    unsigned char sum[SHA256_BYTES];

    crypto_sha256(s->data, sum);
    s->hash = crypto_hex(&req->arena, (struct str){(const char *)sum, sizeof(sum)});
    if (s->hash.ptr)
        db_query(&s->find, f, &req->arena, SQL_DOCUMENT_FIND_HASH,
                 DB_ARGS(team_arg(req), db_text(s->hash)));
    else
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
}

static void take_same(struct flow *f)
{
    struct document_upload *s = request_of(f)->state;

    if (s->find.result->n_rows == 0) {
        s->is_new = true;
        s->id = id_v7();
    } else {
        s->row = s->find.result;
        (void)!id_parse(db_get_text(s->row, 0, DOCUMENT_ID), &s->id);
    }
}

/* ---- reading and storing ---- */

static bool needs_reader(const struct document_upload *s)
{
    return s->kind == DOCUMENT_IS_PDF || s->kind == DOCUMENT_IS_HTML;
}

static void read_file(struct flow *f)
{
    struct document_upload *s = request_of(f)->state;

    if (s->is_new && needs_reader(s))
        document_reader_start(&s->reader, f, s->data, s->kind);
}

static void read_text(struct flow *f)
{
    struct document_upload *s = request_of(f)->state;

    if (s->is_new)
        document_read_start(&s->read, f,
                            needs_reader(s) ? document_reader_text(&s->reader) : s->data);
}

static bool is_line(struct str s)
{
    return s.len > 0 && utf8_is_valid(s) && !str_has_control(s);
}

/* The sender's, the page's own, the file's name. */
static struct str choose_title(const struct document_upload *s)
{
    struct str page = str_trim(document_reader_title(&s->reader));

    if (s->title.text.len > 0)
        return s->title.text;
    if (is_line(page))
        return utf8_prefix(page, TITLE_CHARS);
    return is_line(s->file_name) ? utf8_prefix(s->file_name, TITLE_CHARS) : STR(UNTITLED);
}

static void store(struct flow *f)
{
    struct request *req = request_of(f);
    struct document_upload *s = req->state;
    struct str metadata = s->metadata.text.len > 0 ? s->metadata.text : STR("{}");
    struct db_arg team = team_arg(req), id = db_uuid(id_str(&s->id));
    struct db_arg document[] = {team,
                                id,
                                db_text(choose_title(s)),
                                db_text(str_from(document_media_type(s->kind))),
                                db_text(s->hash),
                                db_json(metadata),
                                db_text(STR("processing")),
                                db_int((int64_t)s->data.len),
                                db_int((int64_t)s->read.n_chars),
                                db_int((int64_t)s->read.n_chunks),
                                db_time(clock_wall_us()),
                                db_int((int64_t)config()->documents.per_team),
                                db_uuid(id_str(cluster_node_id()))};
    struct db_arg chunks[] = {team, id, db_json(buf_str(&s->read.chunks))};
    struct db_arg same[] = {team, db_text(s->hash)};
    const struct db_call calls[] = {
        {SQL_TEAM_LOCK, &team, 1}, /* so that documents.per_team is counted by one at a time */
        {SQL_DOCUMENT_ADD, document, 13},
        {SQL_CHUNKS_ADD, chunks, 3},
        {SQL_DOCUMENT_FIND_HASH, same, 2},
    };

    if (s->is_new)
        db_batch(&s->store, f, &req->arena, calls, 4);
}

static void check_stored(struct flow *f)
{
    struct document_upload *s = request_of(f)->state;

    document_reader_deinit(&s->reader);
    document_read_deinit(&s->read);
    if (!s->is_new)
        return;
    s->row = db_result_at(&s->store, 3);
    if (s->row->n_rows == 0)
        flow_fail(f, ERROR(ERR_CONFLICT, 0, TOO_MANY));
    else if (!str_eq(db_get_text(s->row, 0, DOCUMENT_ID), id_str(&s->id))) {
        s->is_new = false; /* another call was faster */
        (void)!id_parse(db_get_text(s->row, 0, DOCUMENT_ID), &s->id);
    }
}

/* ---- embedding ---- */

static void embed(struct flow *f)
{
    struct request *req = request_of(f);
    struct document_upload *s = req->state;

    if (!s->is_new && str_eq(db_get_text(s->row, 0, DOCUMENT_STATUS), STR("ready")))
        return;
    s->embed.team_id = caller_of(req)->team_id;
    s->embed.document_id = s->id;
    s->embed.arena = &req->arena;
    flow_try(f, &s->embed_flow, document_embed_steps, &s->embed);
}

static void load_stored(struct flow *f)
{
    struct request *req = request_of(f);
    struct document_upload *s = req->state;

    db_query(&s->find, f, &req->arena, SQL_DOCUMENT_GET,
             DB_ARGS(team_arg(req), db_uuid(id_str(&s->id))));
}

static void answer(struct flow *f)
{
    struct request *req = request_of(f);
    struct document_upload *s = req->state;

    document_answer(req, s->is_new ? 201 : 200, s->find.result);
}

static void release(struct flow *f)
{
    struct document_upload *s = request_of(f)->state;

    arena_free(&s->embed.page);
    document_reader_deinit(&s->reader);
    document_read_deinit(&s->read);
}

const struct step document_upload_steps[] = {
    STEP(team_door_documents), /* 401, 403 */
    STEP(read_upload),         /* 400, 413, 415, 422 */
    STEP(find_same),
    STEP(take_same),
    STEP(read_file),    /* 413, 422, 503 */
    STEP(read_text),    /* 413, 422, 503 */
    STEP(store),        /* the document and its chunks in one transaction */
    STEP(check_stored), /* 409 */
    STEP(embed),        /* what fails there is told by the document's status */
    STEP(load_stored),
    STEP(answer),
    STEP_ALWAYS(release),
    STEP_END,
};
const struct route_doc document_upload_doc = {
    TAG_DOCUMENTS,
    ANSWERS({201, &document_schema}, {200, &document_schema, .about = "The team has this content"}),
    DOC_ERRORS(409),
    DOC_BODY(fields),
    .schema = &form_schema,
    .example = "{\"title\": \"Returns\", \"content\": \"Returns are free within thirty days.\"}",
    .about =
        "Text, Markdown, HTML or PDF, told by its content. `status` is `failed`, with the reason "
        "in `error`, when the embedding provider did not do its part.",
};
