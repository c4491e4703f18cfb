/* The text of an HTML document, by libxml2's parser. In a process of its own (command read-html): the
 * parser does not survive each allocation that fails. */
#ifndef AERIE_DOCUMENT_HTML_H
#define AERIE_DOCUMENT_HTML_H

#include "base/buf.h"
#include "base/error.h"

/* Appends the document without comments, scripts, styles and attributes; a short meta tag keeps its
 * own. Whatever is wrong with it: no other tag has any. */
void html_bare(struct str html, struct buf *out);

/* Appends what people read: headings as "# …", items as "- …"; no scripts, styles or navigation.
 * Nothing is fetched. A title is cut at its bound. ERR_INVALID (nested too deep), ERR_TOO_LARGE
 * (past out's bound) or ERR_NO_MEMORY. */
struct error html_to_text(struct str html, struct buf *out, struct buf *title) MUST_CHECK;

/* What that process ends with besides COMMAND_OK and COMMAND_FAILED. */
#define HTML_EXIT_TOO_DEEP 3

#endif
