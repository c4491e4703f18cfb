/* Asks for passwords, reads them from stdin, or makes them. */
#include "secret_input.h"

#include "provision.h"

#include <string.h>
#include <termios.h>
#include <unistd.h>

#define TOO_SHORT_OR_LONG "a password has 8 to 128 characters"

enum secret_line secret_input_line(FILE *in, char *out, size_t size)
{
    size_t len = 0;
    int c;

    while ((c = getc(in)) != EOF && c != '\n') {
        if (c == 0) /* whoever reads out would take what is before it for all */
            return SECRET_NUL;
        if (len == size - 1)
            return SECRET_TOO_LONG;
        out[len++] = (char)c;
    }
    if (len == 0 && c == EOF)
        return SECRET_NONE;
    if (len > 0 && out[len - 1] == '\r')
        len--;
    out[len] = 0;
    return SECRET_READ;
}

static struct error read_line(FILE *in, char out[PASSWORD_MAX_BYTES])
{
    switch (secret_input_line(in, out, PASSWORD_MAX_BYTES)) {
    case SECRET_READ:
        return NO_ERROR;
    case SECRET_NONE:
        return ERROR(ERR_INVALID, 0, "no password was given");
    case SECRET_NUL:
        return ERROR(ERR_INVALID, 0, "a password has no NUL character");
    case SECRET_TOO_LONG:
        break;
    }
    return ERROR(ERR_INVALID, 0, TOO_SHORT_OR_LONG);
}

/* Switches the echo off before it asks: the switch forgets what was typed until then. */
struct error secret_input_ask(FILE *terminal, const char *prompt, char out[PASSWORD_MAX_BYTES])
{
    struct termios before, silent;
    struct error err;

    if (tcgetattr(fileno(terminal), &before) != 0)
        return ERROR(ERR_INVALID, 0, "no terminal to ask: use --password-stdin or --generate");
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(fileno(terminal), TCSAFLUSH, &silent);
    fputs(prompt, stderr);
    err = read_line(terminal, out);
    tcsetattr(fileno(terminal), TCSAFLUSH, &before);
    fputc('\n', stderr);
    return err;
}

static struct error ask_twice(char out[PASSWORD_MAX_BYTES])
{
    char again[PASSWORD_MAX_BYTES];
    struct error err = secret_input_ask(stdin, "Password: ", out);

    if (!is_error(err))
        err = secret_input_ask(stdin, "Again: ", again);
    if (!is_error(err) && strcmp(out, again) != 0)
        err = ERROR(ERR_INVALID, 0, "the two passwords differ");
    explicit_bzero(again, sizeof(again));
    return err;
}

struct error secret_input_read(enum password_source source, char out[PASSWORD_MAX_BYTES])
{
    struct error err;
    struct str text;

    if (source == PASSWORD_GENERATED) {
        provision_generate_password(out);
        return NO_ERROR;
    }
    err = source == PASSWORD_STDIN ? read_line(stdin, out) : ask_twice(out);
    if (is_error(err))
        return err;
    text = str_from(out);
    if (!utf8_is_valid(text) || utf8_length(text) < PASSWORD_MIN_CHARS ||
        utf8_length(text) > PASSWORD_MAX_CHARS)
        return ERROR(ERR_INVALID, 0, TOO_SHORT_OR_LONG);
    return NO_ERROR;
}
