/* Embedding a document, a batch of chunks at a time. What was done stays done: a second run goes on
 * with what is missing. */
#include "document/embed.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "provider.h"

#define BROKEN_OFF "The call ended before the document was embedded"

enum chunk_column { CHUNK_ID, CHUNK_CONTENT };

static struct document_embed *embed_of(struct flow *f)
{
    return f->state;
}

static struct db_arg team_arg(const struct document_embed *e)
{
    return db_uuid(id_str(&e->team_id));
}

static void load_settings(struct flow *f)
{
    struct document_embed *e = embed_of(f);

    db_query(&e->settings, f, e->arena, SQL_TEAM_EMBEDDINGS, DB_ARGS(team_arg(e)));
}

static void choose_provider(struct flow *f)
{
    struct document_embed *e = embed_of(f);

    e->is_done = !embeddings_provider(e->arena, e->settings.result, &e->provider);
}

/* ---- one batch ---- */

static void load_chunks(struct flow *f)
{
    struct document_embed *e = embed_of(f);
    struct db_arg dimensions =
        e->provider.dimensions > 0 ? db_int((int64_t)e->provider.dimensions) : db_null();

    db_query(&e->chunks, f, &e->page, SQL_CHUNKS_TO_EMBED,
             DB_ARGS(team_arg(e), db_uuid(id_str(&e->document_id)), db_text(e->provider.model),
                     dimensions, db_int((int64_t)config()->embeddings.batch)));
}

static void ask_provider(struct flow *f)
{
    struct document_embed *e = embed_of(f);
    const struct db_result *r = e->chunks.result;
    struct embeddings_request rq = e->provider;
    struct str *inputs;

    if (r->n_rows == 0) {
        e->is_done = true;
        flow_finish(f);
        return;
    }
    inputs = arena_alloc(&e->page, r->n_rows * sizeof(*inputs));
    if (!inputs) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    for (size_t row = 0; row < r->n_rows; row++)
        inputs[row] = db_get_text(r, row, CHUNK_CONTENT);
    rq.inputs = inputs;
    rq.n_inputs = r->n_rows;
    embeddings_start(&e->embeddings, f, &e->page, &rq);
}

/* As many chunks as a batch of the database takes, from row on. */
static void write_chunks(struct flow *f, struct db_query *q, size_t row)
{
    struct document_embed *e = embed_of(f);
    const struct db_result *r = e->chunks.result;
    size_t n = r->n_rows - row < DB_BATCH_MAX ? r->n_rows - row : DB_BATCH_MAX;
    size_t n_bytes = e->embeddings.n_dimensions * sizeof(float);
    struct db_arg args[DB_BATCH_MAX][5];
    struct db_call calls[DB_BATCH_MAX];

    for (size_t i = 0; i < n; i++) {
        args[i][0] = team_arg(e);
        args[i][1] = db_uuid(db_get_text(r, row + i, CHUNK_ID));
        args[i][2] = db_text(e->provider.model);
        args[i][3] = db_int((int64_t)e->embeddings.n_dimensions);
        args[i][4] = db_bytes((struct str){(const char *)e->embeddings.vectors[row + i], n_bytes});
        calls[i] = (struct db_call){SQL_CHUNK_EMBED, args[i], 5};
    }
    db_batch(q, f, &e->page, calls, n);
}

static void store(struct flow *f)
{
    struct document_embed *e = embed_of(f);
    size_t n_rows = e->chunks.result->n_rows;
    size_t n_writes = (n_rows + DB_BATCH_MAX - 1) / DB_BATCH_MAX;

    e->is_done = n_rows < config()->embeddings.batch;
    e->writes = arena_alloc(&e->page, n_writes * sizeof(*e->writes));
    if (!e->writes) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    for (size_t i = 0; i < n_writes; i++)
        write_chunks(f, &e->writes[i], i * DB_BATCH_MAX);
}

static const struct step page_steps[] = {
    STEP(load_chunks),
    STEP(ask_provider),
    STEP(store),
    STEP_END,
};

/* ---- all of it ---- */

static void embed_pages(struct flow *f)
{
    struct document_embed *e = embed_of(f);

    if (e->is_done)
        return;
    arena_free(&e->page);
    flow_repeat(f);
    flow_call(f, &e->page_flow, page_steps, e);
}

static struct error reason(struct error err)
{
    bool is_broken_off = err.status == ERR_CANCELED || err.status == ERR_GONE;

    err.detail = is_broken_off ? BROKEN_OFF : embeddings_failure(err);
    return err;
}

static void settle(struct flow *f)
{
    struct document_embed *e = embed_of(f);
    bool has_failed = is_error(f->err);

    e->err = has_failed ? reason(f->err) : NO_ERROR;
    if (has_failed)
        log_info("document %s: not embedded: %s (%d)", e->document_id.text,
                 status_row(f->err.status)->name, f->err.code);
    db_query(&e->status, f, e->arena, SQL_DOCUMENT_SET_STATUS,
             DB_ARGS(team_arg(e), db_uuid(id_str(&e->document_id)),
                     db_text(has_failed ? STR("failed") : STR("ready")),
                     db_text(has_failed ? str_from(e->err.detail) : STR_NONE),
                     db_time(clock_wall_us())));
}

const struct step document_embed_steps[] = {
    STEP(load_settings), STEP(choose_provider), STEP(embed_pages), STEP_ALWAYS(settle), STEP_END,
};
