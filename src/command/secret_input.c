/* Asks for passwords, reads them from stdin, or makes them. */
#include "secret_input.h"

#include "provision.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* One line without its end. False: there is none, or it is too long. */
static bool read_line(char out[PASSWORD_MAX_BYTES])
{
    size_t len;

    if (!fgets(out, PASSWORD_MAX_BYTES, stdin))
        return false;
    len = strlen(out);
    if (len > 0 && out[len - 1] == '\n')
        out[--len] = 0;
    else if (len == PASSWORD_MAX_BYTES - 1)
        return false;
    if (len > 0 && out[len - 1] == '\r')
        out[--len] = 0;
    return true;
}

static bool ask(const char *prompt, char out[PASSWORD_MAX_BYTES])
{
    struct termios before, silent;
    bool ok;

    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    fputs(prompt, stderr);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    ok = read_line(out);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    return ok;
}

static struct error ask_twice(char out[PASSWORD_MAX_BYTES])
{
    char again[PASSWORD_MAX_BYTES];
    bool is_same;

    if (!isatty(STDIN_FILENO))
        return ERROR(ERR_INVALID, 0, "no terminal to ask: use --password-stdin or --generate");
    if (!ask("Password: ", out) || !ask("Again: ", again))
        return ERROR(ERR_INVALID, 0, "no password was given");
    is_same = strcmp(out, again) == 0;
    explicit_bzero(again, sizeof(again));
    return is_same ? NO_ERROR : ERROR(ERR_INVALID, 0, "the two passwords differ");
}

struct error secret_input_read(enum password_source source, char out[PASSWORD_MAX_BYTES])
{
    struct error err = NO_ERROR;
    struct str text;

    switch (source) {
    case PASSWORD_GENERATED:
        provision_generate_password(out);
        return NO_ERROR;
    case PASSWORD_STDIN:
        if (!read_line(out))
            err = ERROR(ERR_INVALID, 0, "stdin holds no line with a password");
        break;
    case PASSWORD_ASKED:
        err = ask_twice(out);
        break;
    }
    if (is_error(err))
        return err;
    text = str_from(out);
    if (!utf8_is_valid(text) || utf8_length(text) < PASSWORD_MIN_CHARS ||
        utf8_length(text) > PASSWORD_MAX_CHARS)
        return ERROR(ERR_INVALID, 0, "a password has 8 to 128 characters");
    return NO_ERROR;
}
