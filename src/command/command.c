/* What commands share, and the table of them. */
#include "command.h"

#include <stdio.h>
#include <string.h>

static const struct command table[] = {
    {"config", "config [--json | --markdown]",
     "print what is in force, secrets masked, or the table of keys", NEEDS_CONFIG, command_config},
    {"init", "init", "make a first team, its admin and an echo agent, where they are missing",
     NEEDS_SECRET, command_init},
    {"key", "key create --agent ID [--name NAME] [--scope LIST] [--expires TIME] [--json]",
     "make an API key, shown once", NEEDS_SECRET, command_key},
    {"migrate", "migrate up | down | status [--json]", "bring the schema up to date, or back",
     NEEDS_SECRET, command_migrate},
    {"openapi", "openapi", "print openapi.json", NEEDS_CONFIG, command_openapi},
    {"read-html", "read-html <PAGE", NULL, NEEDS_NOTHING, command_read_html},
    {"seed", "seed", "make a team for demonstrations, with users, agents and chats", NEEDS_SECRET,
     command_seed},
    {"serve", "serve", "run the server (what happens without a command)", NEEDS_SECRET,
     command_serve},
    {"team",
     "team create --name NAME --slug SLUG [--json] | list [--json] | enable|disable --slug SLUG",
     "make, list and switch teams", NEEDS_SECRET, command_team},
    {"user",
     "user create --email E --team SLUG [--name NAME] [--role user|admin] [PASSWORD] [--json]\n"
     "             user list --team SLUG [--json]\n"
     "             user role --email E --team SLUG --role user|admin\n"
     "             user password --email E --team SLUG [PASSWORD]\n"
     "             user enable|disable --email E --team SLUG\n"
     "             PASSWORD: --password-stdin or --generate; else it is asked for",
     "make, list and change users", NEEDS_SECRET, command_user},
    {"version", "version", "print the version", NEEDS_NOTHING, command_version},
};

const struct command *commands(size_t *n)
{
    *n = sizeof(table) / sizeof(table[0]);
    return table;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

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

bool command_read_options(int argc, char **argv, int from, const struct command_option *options,
                          size_t n)
{
    for (int i = from; i < argc;) {
        int taken = 0;

        for (size_t k = 0; k < n && taken == 0; k++)
            taken = read_option(argc, argv, i, &options[k]);
        if (taken <= 0) {
            fprintf(stderr, "aerie: %s %s\n", argv[i],
                    taken < 0 ? "needs a value" : "is not understood here");
            return false;
        }
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

    fprintf(stderr, "usage: aerie %s\n", c ? c->usage : "COMMAND");
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
