/* The search: the query's embedding, the comparison, the words. */
#include "document/search.h"

#include "base/json.h"
#include "base/log.h"
#include "config/config.h"
#include "db/search.h"
#include "loop/loop.h"
#include "pgvector.h"
#include "provider.h"
#include "vector.h"

#include <stdlib.h>

#define MAX_WORDS       48
#define MAX_QUERY_BYTES 24000 /* what models take */
#define PAGE_FLOATS     (256 * 1024)
#define MIN_PAGE_ROWS   16
#define MAX_PAGE_ROWS   500
#define TOO_LONG        "The search in the documents takes too long"

enum embedding_column { EMBEDDING_CHUNK_ID, EMBEDDING_VECTOR };
enum nearest_column { NEAREST_CHUNK_ID, NEAREST_SIMILARITY };
enum hit_column { HIT_CHUNK_ID, HIT_DOCUMENT_ID, HIT_TITLE, HIT_CONTENT, HIT_METADATA };

/* All chunks of the team are looked at, but only a page of them is in memory. */
struct document_comparison {
    struct top top;
    struct arena page; /* rows of one */
    struct db_query rows;
    struct subflow nearest_flow;
    struct id after;
    size_t page_rows;
    bool is_begun, is_done;
};

static struct document_search *search_of(struct flow *f)
{
    return f->state;
}

static struct db_arg team_arg(const struct document_search *s)
{
    return db_uuid(id_str(&s->team_id));
}

static void on_deadline(struct timer *t)
{
    struct document_search *s = container_of(t, struct document_search, deadline);

    flow_fail(s->flow, ERROR(ERR_DB_TIMEOUT, 0, TOO_LONG));
}

static void free_page(void *page)
{
    arena_free(page);
}

static void begin(struct flow *f)
{
    struct document_search *s = search_of(f);

    s->flow = f;
    s->hits = arena_alloc(s->arena, s->max_hits * sizeof(*s->hits));
    s->comparison = arena_alloc(s->arena, sizeof(*s->comparison));
    /* With the request and not with the search: what the database said of an error lies in it. */
    if (!s->hits || !s->comparison || !arena_defer(s->arena, free_page, &s->comparison->page)) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    timer_start(&s->deadline, config()->documents.search_seconds * 1000, on_deadline);
    db_query(&s->settings, f, s->arena, SQL_TEAM_EMBEDDINGS, DB_ARGS(team_arg(s)));
}

/* ---- the query's embedding ---- */

static void ask_provider(struct flow *f)
{
    struct document_search *s = search_of(f);
    struct embeddings_request rq = s->provider;

    s->query = utf8_prefix(s->query, MAX_QUERY_BYTES);
    rq.inputs = &s->query;
    rq.n_inputs = 1;
    rq.tries = 1;
    rq.timeout_ms = config()->documents.search_seconds * 1000 / 2; /* the words have the rest */
    embeddings_start(&s->embeddings, f, s->arena, &rq);
}

static const struct step embedding_steps[] = {STEP(ask_provider), STEP_END};

static void embed_query(struct flow *f)
{
    struct document_search *s = search_of(f);

    s->has_provider = embeddings_provider(s->arena, s->settings.result, &s->provider);
    if (!s->vector && s->has_provider)
        flow_try(f, &s->embedding_flow, embedding_steps, s);
}

static void take_embedding(struct flow *f)
{
    struct document_search *s = search_of(f);

    if (s->vector || !s->has_provider)
        return;
    s->embedding_err = s->embedding_flow.flow.err;
    if (is_error(s->embedding_err))
        return;
    s->vector = s->embeddings.vectors[0];
    s->n_dimensions = s->embeddings.n_dimensions;
}

/* ---- the comparison ---- */

static bool is_near_enough(const struct document_search *s, double similarity)
{
    return similarity >= s->threshold || s->threshold <= -1;
}

static struct db_arg model_arg(const struct document_search *s)
{
    return db_text(s->has_provider ? s->provider.model : STR_NONE);
}

/* ---- by PostgreSQL ---- */

static void ask_nearest(struct flow *f)
{
    struct document_search *s = search_of(f);
    struct document_comparison *c = s->comparison;
    struct buf vector = {0};

    for (size_t i = 0; i < s->n_dimensions; i++)
        buf_printf(&vector, "%c%.9g", i == 0 ? '[' : ',', (double)s->vector[i]);
    buf_printf(&vector, "]");
    if (vector.failed)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else
        db_query(&c->rows, f, &c->page, SQL_CHUNKS_NEAREST,
                 DB_ARGS(team_arg(s), db_int((int64_t)s->n_dimensions), model_arg(s),
                         db_text(buf_str(&vector)), db_int((int64_t)s->max_hits)));
    buf_deinit(&vector);
}

static const struct step nearest_steps[] = {STEP(ask_nearest), STEP_END};

static bool is_for_pgvector(const struct document_search *s)
{
    return s->vector && s->n_dimensions <= PGVECTOR_DIMENSIONS_MAX && pgvector_is_used();
}

static void find_nearest(struct flow *f)
{
    struct document_search *s = search_of(f);

    s->comparison->top.max = s->max_hits;
    if (is_for_pgvector(s))
        flow_try(f, &s->comparison->nearest_flow, nearest_steps, s);
}

/* Someone may have removed the extension since the start. */
static void take_nearest(struct flow *f)
{
    struct document_search *s = search_of(f);
    struct document_comparison *c = s->comparison;
    struct error err = c->nearest_flow.flow.err;
    const struct db_result *r = c->rows.result;

    if (!is_for_pgvector(s))
        return;
    if (err.status == ERR_DB) {
        log_warn("document: pgvector did not answer, so the server compares: %s",
                 err.detail ? err.detail : "");
        return;
    }
    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    for (size_t row = 0; row < r->n_rows; row++) {
        double similarity = strtod(db_get_text(r, row, NEAREST_SIMILARITY).ptr, NULL);

        if (is_near_enough(s, similarity))
            top_offer(&c->top, db_get_text(r, row, NEAREST_CHUNK_ID), (float)similarity);
    }
    c->is_done = s->is_by_vector = true;
}

/* ---- by the server ---- */

static void take_page(struct document_search *s)
{
    struct document_comparison *c = s->comparison;
    const struct db_result *r = c->rows.result;

    for (size_t row = 0; row < r->n_rows; row++) {
        struct str stored = db_get_text(r, row, EMBEDDING_VECTOR);
        float similarity;

        if (stored.len != s->n_dimensions * sizeof(float))
            continue;
        similarity = vector_dot(s->vector, stored.ptr, s->n_dimensions);
        if (is_near_enough(s, similarity))
            top_offer(&c->top, db_get_text(r, row, EMBEDDING_CHUNK_ID), similarity);
    }
    if (r->n_rows > 0)
        (void)!id_parse(db_get_text(r, r->n_rows - 1, EMBEDDING_CHUNK_ID), &c->after);
}

/* Comes back to itself until no page is left. */
static void compare(struct flow *f)
{
    struct document_search *s = search_of(f);
    struct document_comparison *c = s->comparison;

    if (!s->vector || c->is_done)
        return;
    if (c->is_begun) {
        take_page(s);
        if (c->rows.result->n_rows < c->page_rows)
            return;
    } else {
        c->is_begun = s->is_by_vector = true;
        c->page_rows = PAGE_FLOATS / s->n_dimensions;
        if (c->page_rows < MIN_PAGE_ROWS)
            c->page_rows = MIN_PAGE_ROWS;
        if (c->page_rows > MAX_PAGE_ROWS)
            c->page_rows = MAX_PAGE_ROWS;
    }
    arena_free(&c->page);
    flow_repeat(f);
    db_query(&c->rows, f, &c->page, SQL_CHUNK_EMBEDDINGS,
             DB_ARGS(team_arg(s), db_int((int64_t)s->n_dimensions), model_arg(s),
                     db_uuid(id_str(&c->after)), db_int((int64_t)c->page_rows)));
}

/* ---- what was found ---- */

static void load_hits(struct flow *f)
{
    struct document_search *s = search_of(f);
    const struct top *top = &s->comparison->top;
    struct buf ids = {0};
    struct json j = {.buf = &ids};

    if (top->n == 0)
        return;
    json_begin_array(&j);
    for (size_t i = 0; i < top->n; i++)
        json_str(&j, id_str(&top->items[i].id));
    json_end_array(&j);
    if (ids.failed)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else
        db_query(&s->chunks, f, s->arena, SQL_CHUNKS_GET,
                 DB_ARGS(team_arg(s), db_json(buf_str(&ids))));
    buf_deinit(&ids);
}

static struct document_hit *add_hit(struct document_search *s, const struct db_result *r,
                                    size_t row)
{
    struct document_hit *hit = &s->hits[s->n_hits++];

    *hit = (struct document_hit){.chunk_id = db_get_text(r, row, HIT_CHUNK_ID),
                                 .document_id = db_get_text(r, row, HIT_DOCUMENT_ID),
                                 .title = db_get_text(r, row, HIT_TITLE),
                                 .content = db_get_text(r, row, HIT_CONTENT),
                                 .metadata = db_get_text(r, row, HIT_METADATA)};
    return hit;
}

/* What was deleted in the meantime is not there. */
static void take_hits(struct flow *f)
{
    struct document_search *s = search_of(f);
    const struct top *top = &s->comparison->top;
    const struct db_result *r = s->chunks.result;

    for (size_t i = 0; i < top->n; i++)
        for (size_t row = 0; row < r->n_rows; row++)
            if (str_eq(db_get_text(r, row, HIT_CHUNK_ID), id_str(&top->items[i].id)))
                add_hit(s, r, row)->similarity = top->items[i].similarity;
}

/* ---- by words ---- */

static void search_words(struct flow *f)
{
    struct document_search *s = search_of(f);
    struct str words = db_search_words(s->arena, s->query, " OR ", MAX_WORDS), fts5;
    struct str plain = db_search_words(s->arena, s->query, " ", MAX_WORDS);

    if (s->n_hits == s->max_hits || (words.ptr && words.len == 0))
        return;
    fts5 = arena_printf(s->arena, "team_id : \"%s\" AND content : (%.*s)", s->team_id.text,
                        STR_ARG(words));
    if (!words.ptr || !plain.ptr || !fts5.ptr)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else
        db_query(&s->words, f, s->arena, SQL_CHUNKS_BY_WORDS,
                 DB_ARGS(team_arg(s), db_text(plain), db_bool(s->is_by_vector),
                         db_int((int64_t)s->n_dimensions), model_arg(s),
                         db_int((int64_t)(s->max_hits - s->n_hits)), db_text(fts5)));
}

static void take_words(struct flow *f)
{
    struct document_search *s = search_of(f);
    const struct db_result *r = s->words.result;

    for (size_t row = 0; r && row < r->n_rows && s->n_hits < s->max_hits; row++)
        add_hit(s, r, row)->is_by_words = true;
}

static void end(struct flow *f)
{
    struct document_search *s = search_of(f);

    timer_stop(&s->deadline);
}

const struct step document_search_steps[] = {
    STEP(begin),
    STEP(embed_query),
    STEP(take_embedding), /* or the reason why there is none */
    STEP(find_nearest),
    STEP(take_nearest), /* where PostgreSQL can */
    STEP(compare),      /* else by page */
    STEP(load_hits),
    STEP(take_hits),
    STEP(search_words), /* for the places that are left */
    STEP(take_words),
    STEP_ALWAYS(end),
    STEP_END,
};
