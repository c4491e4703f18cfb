/* A password from whoever runs the command. */
#ifndef AERIE_SRC_COMMAND_SECRET_INPUT_H
#define AERIE_SRC_COMMAND_SECRET_INPUT_H

#include "base/error.h"

#include <stdio.h>

#define PASSWORD_MIN_CHARS 8
#define PASSWORD_MAX_CHARS 128
#define PASSWORD_MAX_BYTES (4 * PASSWORD_MAX_CHARS + 2)

enum password_source {
    PASSWORD_ASKED, /* from the terminal, twice, without echo */
    PASSWORD_STDIN, /* the first line of stdin */
    PASSWORD_GENERATED,
};

enum secret_line { SECRET_READ, SECRET_NONE, SECRET_NUL, SECRET_TOO_LONG };
/* One line without its end; out then ends with a NUL. */
enum secret_line secret_input_line(FILE *in, char *out, size_t size);
/* One line from a terminal, without echo; ERR_INVALID with a sentence. */
struct error secret_input_ask(FILE *terminal, const char *prompt,
                              char out[PASSWORD_MAX_BYTES]) MUST_CHECK;
/* ERR_INVALID with a sentence: too short or long, a NUL, not the same twice, no terminal to ask. */
struct error secret_input_read(enum password_source source,
                               char out[PASSWORD_MAX_BYTES]) MUST_CHECK;

#endif
