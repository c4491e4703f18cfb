/* A password from whoever runs the command. */
#ifndef AERIE_SRC_COMMAND_SECRET_INPUT_H
#define AERIE_SRC_COMMAND_SECRET_INPUT_H

#include "base/error.h"

#define PASSWORD_MIN_CHARS 8
#define PASSWORD_MAX_CHARS 128
#define PASSWORD_MAX_BYTES (4 * PASSWORD_MAX_CHARS + 2)

enum password_source {
    PASSWORD_ASKED, /* from the terminal, twice, without echo */
    PASSWORD_STDIN, /* the first line of stdin */
    PASSWORD_GENERATED,
};

/* ERR_INVALID with a sentence: too short or long, a NUL, not the same twice, no terminal to ask. */
struct error secret_input_read(enum password_source source,
                               char out[PASSWORD_MAX_BYTES]) MUST_CHECK;

#endif
