/* What people see at a terminal: its width, its colours, and text from elsewhere, which must not
 * command it. */
#ifndef AERIE_SRC_COMMAND_TERMINAL_H
#define AERIE_SRC_COMMAND_TERMINAL_H

#include "base/buf.h"

#include <stdio.h>

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GREEN, STYLE_YELLOW, STYLE_RED };

/* "auto", "always" or "never"; false: another word. Once, before anything is said. */
bool terminal_set_color(const char *word);
/* On a terminal, unless NO_COLOR is set or TERM is "dumb"; or as terminal_set_color() said. */
bool terminal_has_color(FILE *out);
/* The escape that begins a style, or "" where there is no colour. STYLE_PLAIN ends all. */
const char *terminal_style(FILE *out, enum style style);
/* Columns: COLUMNS, or the terminal's, or 80; between 40 and 120. */
unsigned terminal_width(FILE *out);

/* Appends text, words wrapped at width; lines after the first begin with indent spaces. column:
 * where the first one begins. A line feed in text stays one. */
void terminal_wrap(struct buf *out, struct str text, unsigned column, unsigned indent,
                   unsigned width);

/* Appends UTF-8 from elsewhere. Whatever could move the cursor, start an escape or turn the order
 * of letters becomes a picture of itself or U+FFFD; line feeds and tabs stay. */
void terminal_append_harmless(struct buf *out, struct str text);
/* The same for JSON, which keeps its meaning: such characters are written as \uXXXX. */
void terminal_append_harmless_json(struct buf *out, struct str json);

#endif
