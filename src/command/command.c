/* What commands share: reading options, saying what went wrong, opening the database. */
#include "command.h"

#include "base/nearest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const char *command_config_path;

/* ---- options ---- */

/* How many of argv's words the option at i takes; 0: it is none of these, -1: its value is missing.
 */
static int read_option(int argc, char **argv, int i, const struct command_option *o)
{
    size_t len = strlen(o->name);

    if (strncmp(argv[i], o->name, len) != 0)
        return 0;
    if (o->flag && !argv[i][len]) {
        *o->flag = true;
        return 1;
    }
    if (o->value && argv[i][len] == '=') {
        *o->value = argv[i] + len + 1;
        return 1;
    }
    if (!o->value || argv[i][len])
        return 0;
    if (i + 1 >= argc)
        return -1;
    *o->value = argv[i + 1];
    return 2;
}

/* An option that may be read stands in the command's help: asserted, so a release has no use for it. */
static inline bool is_documented(const char *command, const char *option)
{
    const struct command *c = command_find(command);
    size_t len = strlen(option);

    for (const struct command_words *w = c ? c->options : NULL; w && w->words; w++)
        if (strncmp(w->words, option, len) == 0 && (!w->words[len] || w->words[len] == ' '))
            return true;
    return false;
}

static void say_unknown(const char *command, const char *word, const struct command_option *options,
                        size_t n)
{
    struct nearest nearest = {.asked = {word, strcspn(word, "=")}};

    for (size_t k = 0; k < n; k++)
        if (options[k].name)
            (void)nearest_offer(&nearest, str_from(options[k].name));
    if (nearest.name.ptr)
        fprintf(stderr, "aerie %s: %s is not understood here; did you mean %.*s?\n", command, word,
                STR_ARG(nearest.name));
    else
        fprintf(stderr, "aerie %s: %s is not understood here\n", command, word);
}

/* As read_option(), for a word that is no option. */
static int read_word(const char *word, const struct command_option *options, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (!options[k].name && !*options[k].value) {
            *options[k].value = word;
            return 1;
        }
    }
    return 0;
}

bool command_read_options(int argc, char **argv, int from, const struct command_option *options,
                          size_t n)
{
    bool are_over = false; /* after "--" */

    for (size_t k = 0; k < n; k++)
        assert(!options[k].name || is_documented(argv[0], options[k].name));
    for (int i = from; i < argc;) {
        int taken = 0;

        if (!are_over && strcmp(argv[i], "--") == 0) {
            are_over = true;
            i++;
            continue;
        }
        for (size_t k = 0; k < n && taken == 0 && !are_over; k++)
            if (options[k].name)
                taken = read_option(argc, argv, i, &options[k]);
        if (taken == 0 && (are_over || argv[i][0] != '-'))
            taken = read_word(argv[i], options, n);
        if (taken < 0)
            fprintf(stderr, "aerie %s: %s needs a value\n", argv[0], argv[i]);
        else if (taken == 0)
            say_unknown(argv[0], argv[i], options, n);
        if (taken <= 0)
            return false;
        i += taken;
    }
    return true;
}

bool command_require(const char *option, const char *value)
{
    if (value && value[0])
        return true;
    fprintf(stderr, "aerie: %s is missing\n", option);
    return false;
}

/* ---- saying ---- */

int command_usage(const char *name)
{
    const struct command *c = command_find(name);
    struct str rest = str_from(c ? c->usage : "COMMAND"), line;

    for (const char *lead = "usage: aerie"; str_next(&rest, '\n', &line); lead = "       aerie")
        fprintf(stderr, "%s %.*s\n", lead, STR_ARG(line));
    return COMMAND_USAGE;
}

int command_fail(struct error err)
{
    fprintf(stderr, "aerie: %s\n", err.detail ? err.detail : status_row(err.status)->detail);
    return COMMAND_FAILED;
}

int command_print(struct buf *line)
{
    bool ok = !line->failed;

    if (ok)
        ok = fwrite(line->data, 1, line->len, stdout) == line->len && putchar('\n') != EOF &&
             fflush(stdout) == 0;
    if (!ok)
        fprintf(stderr, "aerie: the answer could not be written\n");
    buf_deinit(line);
    return ok ? COMMAND_OK : COMMAND_FAILED;
}

/* ---- the database ---- */

struct error command_open_db(struct db **out)
{
    struct error err = db_open(out, DB_OPEN_COMMAND);
    int n_applied = 0;

    if (is_error(err))
        return err;
    err = db_migrate_up(*out, &n_applied);
    if (is_error(err)) {
        db_close(*out);
        *out = NULL;
    }
    return err;
}
