/* From an uploaded file to text in chunks. Nothing of it runs on the loop: HTML and text are read
 * and cut on threads behind a bounded queue, PDFs by a process of their own. */
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
    enum document_kind kind;
    struct error err;
    struct buf title;  /* of an HTML document; may be empty */
    struct buf chunks; /* [{"id": …, "content": …}], JSON */
    size_t n_chunks, n_chars;
};

/* data: in place until it ends. Not for PDFs. Ends with ERR_BUSY, ERR_TOO_LARGE, ERR_INVALID (there
 * is no text in it), ERR_NO_MEMORY or ERR_CANCELED. */
void document_read_start(struct document_read *r, struct flow *f, struct str data,
                         enum document_kind kind);
void document_read_deinit(struct document_read *r);

/* A PDF's text by poppler's pdftotext: a process of its own, so that neither a crash nor a bomb in
 * a file harms the server. Limited in time, memory and output. Inside the caller's state, all zero,
 * in place until it ends; then document_pdf_deinit(). */
struct document_pdf_process;
struct document_pdf {
    struct op op;
    struct buf text; /* valid UTF-8 */
    struct document_pdf_process *process;
};

/* data: in place until it ends. Ends with ERR_UNAVAILABLE (there is no pdftotext), ERR_BUSY,
 * ERR_TOO_LARGE, ERR_INVALID (damaged, encrypted, or not read in time), ERR_NO_MEMORY or
 * ERR_CANCELED. */
void document_pdf_start(struct document_pdf *p, struct flow *f, struct str data);
void document_pdf_deinit(struct document_pdf *p);

#endif
