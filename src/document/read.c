/* Text to chunks, on threads: each document is a job with memory of its own. */
#include "document/read.h"

#include "base/id.h"
#include "base/json.h"
#include "config/config.h"
#include "pgvector.h"
#include "text.h"

#define BUSY_SECONDS 2
#define TOO_LONG     "The text of this document is longer than this server takes"
#define NO_TEXT      "There is no text in this document"

/* Set once, before the loops run. */
static struct workers *workers;

/* ---- on a thread ---- */

static struct error cut(struct document_read *r, struct str text)
{
    const struct config_documents *c = &config()->documents;
    struct chunker chunker = {
        .text = text, .max_chars = c->chunk_chars, .overlap_chars = c->chunk_overlap};
    struct json j = {.buf = &r->chunks};
    struct str chunk;

    json_begin_array(&j);
    while (chunker_next(&chunker, &chunk)) {
        struct id id = id_v7();

        if (++r->n_chunks > c->chunks)
            return ERROR(ERR_TOO_LARGE, 0, TOO_LONG);
        json_begin_object(&j);
        json_pair_str(&j, "id", id_str(&id));
        json_pair_str(&j, "content", chunk);
        json_end_object(&j);
    }
    json_end_array(&j);
    r->n_chars = utf8_length(text);
    if (r->n_chunks == 0)
        return ERROR(ERR_INVALID, 0, NO_TEXT);
    return r->chunks.failed ? ERROR(ERR_NO_MEMORY, 0, NULL) : NO_ERROR;
}

static void run_job(struct work *w)
{
    struct document_read *r = container_of(w, struct document_read, work);
    struct buf text = {.max_bytes = config()->documents.text_bytes};

    text_normalise(r->data, &text);
    if (text.failed)
        r->err = text.is_short_of_memory ? ERROR(ERR_NO_MEMORY, 0, NULL)
                                         : ERROR(ERR_TOO_LARGE, 0, TOO_LONG);
    if (!is_error(r->err))
        r->err = cut(r, buf_str(&text));
    buf_deinit(&text);
}

/* ---- on the loop ---- */

static void on_job_done(struct work *w)
{
    struct document_read *r = container_of(w, struct document_read, work);

    op_end(&r->op, r->err);
}

static void cancel_job(struct op *op)
{
    struct document_read *r = container_of(op, struct document_read, op);

    /* What runs already ends by itself: the text is bounded. */
    if (workers_cancel(workers, &r->work))
        op_end(op, ERROR(ERR_CANCELED, 0, NULL));
}

void document_read_start(struct document_read *r, struct flow *f, struct str data)
{
    r->data = data;
    op_begin(&r->op, f, cancel_job);
    if (!workers_submit(workers, &r->work, run_job, on_job_done))
        op_end(&r->op, ERROR(ERR_BUSY, BUSY_SECONDS, "Too many documents at once, try again soon"));
}

void document_read_deinit(struct document_read *r)
{
    buf_deinit(&r->chunks);
}

/* ---- the room ---- */

struct error document_open(struct db *db)
{
    const struct config_documents *c = &config()->documents;
    struct error err = pgvector_open(db);

    if (is_error(err))
        return err;
    workers = workers_new("documents", WORK_COMPUTES, (unsigned)c->threads, c->queue);
    return workers ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, "no threads for documents");
}

void document_close(void)
{
    if (workers)
        workers_free(workers);
    workers = NULL;
}
