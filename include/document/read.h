/* From an uploaded file to text in chunks. Nothing of it runs on the loop: PDFs and HTML are read by
 * processes of their own, and text is cut on threads behind a bounded queue. */
#ifndef AERIE_DOCUMENT_READ_H
#define AERIE_DOCUMENT_READ_H

#include "base/arena.h"
#include "base/buf.h"
#include "document/document.h"
#include "loop/flow.h"
#include "loop/workers.h"

/* Inside the caller's state, all zero, in place until it ends; then document_read_deinit(). */
struct document_read {
    struct op op;
    struct work work;
    struct str data;
    struct error err;
    struct buf chunks; /* [{"id": …, "content": …}], JSON */
    size_t n_chunks, n_chars;
};

/* data: UTF-8, in place until it ends. Ends with ERR_BUSY, ERR_TOO_LARGE, ERR_INVALID (there
 * is no text in it), ERR_NO_MEMORY or ERR_CANCELED. */
void document_read_start(struct document_read *r, struct flow *f, struct str data);
void document_read_deinit(struct document_read *r);

/* The text of a PDF or of an HTML page, by a process of its own, so that neither a crash nor a bomb
 * in a file harms the server. Limited in time, memory and output. Inside the caller's state, all
 * zero, in place until it ends; then document_reader_deinit(). */
struct document_reader_process;
struct document_reader {
    struct op op;
    struct buf text; /* what the process wrote: valid UTF-8, and a title's line first */
    bool has_title;
    struct document_reader_process *process;
};

/* data: in place until it ends. kind: PDF or HTML. Ends with ERR_UNAVAILABLE (there is no such
 * program), ERR_BUSY, ERR_TOO_LARGE, ERR_INVALID (damaged, encrypted, nested too deep, or not read
 * in time), ERR_NO_MEMORY or ERR_CANCELED. */
void document_reader_start(struct document_reader *r, struct flow *f, struct str data,
                           enum document_kind kind);
/* Within r, once it has ended. The title may be empty. */
struct str document_reader_title(const struct document_reader *r);
struct str document_reader_text(const struct document_reader *r);
void document_reader_deinit(struct document_reader *r);

#endif
