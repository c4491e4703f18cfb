/* POST /api/v1/documents/search. */
#include "answer.h"
#include "config/config.h"
#include "documents.h"
#include "team_door.h"

#include <stddef.h>

#define DEFAULT_MATCHES 5
#define NOT_NUMBERS     "must be an array of 1 to 16384 numbers, not all of them 0"

static const struct input_field fields[] = {
    {.name = "match_count",
     .kind = INPUT_INT,
     .min = 1,
     .max = DOCUMENT_HITS_MAX,
     .offset = offsetof(struct document_search_call, match_count)},
    {.name = "query",
     .kind = INPUT_TEXT,
     .min = 1,
     .max = 32000,
     .offset = offsetof(struct document_search_call, query)},
};

static void read_embedding(struct request *req, yyjson_val *array)
{
    struct document_search_call *s = req->state;
    struct embedding read;
    struct error err = embedding_read(&req->arena, array, &read);

    if (err.status == ERR_NO_MEMORY) {
        flow_fail(&req->flow, err);
    } else if (is_error(err) || read.is_zero) {
        input_wrong(req, "embedding", NOT_NUMBERS);
    } else {
        s->search.vector = read.values;
        s->search.n_dimensions = read.n;
    }
}

/* The members that are no texts and no whole numbers. */
static void read_numbers(struct request *req)
{
    struct document_search_call *s = req->state;
    yyjson_val *root = NULL, *embedding, *threshold;
    struct error err =
        json_read(&req->arena, req->body, (unsigned)config()->limits.json_depth, &root);

    if (is_error(err)) {
        flow_fail(&req->flow, err);
        return;
    }
    embedding = json_member(root, "embedding");
    if (!embedding || yyjson_is_null(embedding))
        embedding = json_member(root, "query_embedding");
    if (embedding && !yyjson_is_null(embedding))
        read_embedding(req, embedding);
    threshold = json_member(root, "match_threshold");
    s->search.threshold = -1;
    if (!threshold || yyjson_is_null(threshold))
        return;
    s->search.threshold = yyjson_get_num(threshold);
    if (!yyjson_is_num(threshold) || !(s->search.threshold >= 0 && s->search.threshold <= 1))
        input_wrong(req, "match_threshold", "must be a number between 0 and 1");
}

static void read_search(struct flow *f)
{
    struct request *req = request_of(f);
    struct document_search_call *s = req->state;

    if (!input_read(req, fields, sizeof(fields) / sizeof(fields[0]), s))
        return;
    read_numbers(req);
    if (!is_error(f->err) && !s->query.text.ptr && !s->search.vector &&
        !request_has_field_errors(req))
        input_wrong(req, "query", "is required, or embedding");
    if (request_has_field_errors(req))
        flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
}

static void search(struct flow *f)
{
    struct request *req = request_of(f);
    struct document_search_call *s = req->state;

    s->search.team_id = caller_of(req)->team_id;
    s->search.arena = &req->arena;
    s->search.query = s->query.text;
    s->search.max_hits =
        s->match_count.is_given ? (unsigned)s->match_count.number : DEFAULT_MATCHES;
    flow_call(f, &s->search_flow, document_search_steps, &s->search);
}

static const struct schema hit_schema = {
    "DocumentMatch",
    .members = MEMBERS({"document_id", DOC_ID}, {"chunk_id", DOC_ID}, {"title", DOC_TEXT},
                       {"content", DOC_TEXT},
                       {"similarity", DOC_NUMBER | DOC_NULL,
                        .about = "The cosine; null where words were searched"},
                       {"metadata", DOC_OBJECT}),
};

static const struct schema search_schema = {
    "DocumentSearch",
    .members =
        MEMBERS({"results", DOC_OBJECT | DOC_LIST, &hit_schema},
                {"mode", DOC_TEXT, .values = "vector|text"}, {"warning", DOC_TEXT | DOC_OPTIONAL}),
};

/* One of query and embedding is required. */
static const struct schema search_body_schema = {
    "DocumentQuestion",
    .members = MEMBERS({"query", DOC_TEXT | DOC_OPTIONAL, .min = 1, .max = 32000},
                       {"embedding", DOC_NUMBER | DOC_LIST | DOC_OPTIONAL},
                       {"query_embedding", DOC_NUMBER | DOC_LIST | DOC_OPTIONAL},
                       {"match_count", DOC_INT | DOC_OPTIONAL, .min = 1, .max = DOCUMENT_HITS_MAX},
                       {"match_threshold", DOC_NUMBER | DOC_OPTIONAL, .min = 0, .max = 1}),
};

static void write_hit(struct json *j, const struct document_hit *hit)
{
    json_begin_object(j);
    json_pair_str(j, "document_id", hit->document_id);
    json_pair_str(j, "chunk_id", hit->chunk_id);
    json_pair_str(j, "title", hit->title);
    json_pair_str(j, "content", hit->content);
    json_key(j, "similarity");
    if (hit->is_by_words)
        json_null(j);
    else
        json_number(j, hit->similarity < -1 ? -1 : hit->similarity > 1 ? 1 : hit->similarity);
    json_pair_raw(j, "metadata", hit->metadata);
    json_end_object(j);
}

static void answer(struct flow *f)
{
    struct request *req = request_of(f);
    const struct document_search *s = &((struct document_search_call *)req->state)->search;
    struct buf body = {0};
    struct json j = {.buf = &body};

    json_begin_object(&j);
    json_key(&j, "results");
    json_begin_array(&j);
    for (size_t i = 0; i < s->n_hits; i++)
        write_hit(&j, &s->hits[i]);
    json_end_array(&j);
    json_pair_str(&j, "mode", s->is_by_vector ? STR("vector") : STR("text"));
    if (is_error(s->embedding_err))
        json_pair_str(&j, "warning", str_from(embeddings_failure(s->embedding_err)));
    json_end_object(&j);
    answer_json(req, 200, &body);
}

const struct step document_search_call_steps[] = {
    STEP(team_door_documents), /* 401, 403 */
    STEP(read_search),         /* 400, 422 */
    STEP(search),
    STEP(answer),
    STEP_END,
};
const struct route_doc document_search_call_doc = {
    TAG_DOCUMENTS,
    ANSWERS({200, &search_schema}),
    .schema = &search_body_schema,
    .example = "{\"query\": \"How do I return a parcel?\", \"match_count\": 3}",
};
