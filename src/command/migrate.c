/* aerie migrate: the schema, up, down, and how it stands. */
#include "command.h"

#include <stdio.h>
#include <string.h>

static int migrate_up(struct db *db)
{
    int n_applied = 0;
    struct error err = db_migrate_up(db, &n_applied);

    if (is_error(err))
        return command_fail(err);
    fprintf(stderr, "aerie: %d applied\n", n_applied);
    return COMMAND_OK;
}

static int migrate_down(struct db *db)
{
    int number = 0;
    struct error err = db_migrate_down(db, &number);

    if (is_error(err))
        return command_fail(err);
    if (number > 0)
        fprintf(stderr, "aerie: %04d taken back\n", number);
    else
        fprintf(stderr, "aerie: nothing to take back\n");
    return COMMAND_OK;
}

struct status_print {
    bool as_json;
    int exit;
};

static void print_row(const struct db_migration *m, bool applied, void *state)
{
    struct status_print *p = state;
    struct buf line = {0};
    struct json j = {.buf = &line};

    if (p->as_json) {
        json_begin_object(&j);
        json_pair_int(&j, "number", m->number);
        json_pair_str(&j, "name", str_from(m->name));
        json_pair_bool(&j, "is_applied", applied);
        json_end_object(&j);
    } else {
        buf_printf(&line, "%04d  %-7s  %s", m->number, applied ? "applied" : "missing", m->name);
    }
    if (command_print(&line) != COMMAND_OK)
        p->exit = COMMAND_FAILED;
}

static int migrate_status(struct db *db, bool as_json)
{
    struct status_print print = {.as_json = as_json, .exit = COMMAND_OK};
    struct error err = db_migrate_status(db, print_row, &print);

    return is_error(err) ? command_fail(err) : print.exit;
}

int command_migrate(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    bool as_json = false;
    const struct command_option options[] = {{"--json", NULL, &as_json}};
    struct db *db;
    struct error err;
    int exit;

    if ((strcmp(verb, "up") != 0 && strcmp(verb, "down") != 0 && strcmp(verb, "status") != 0) ||
        !command_read_options(argc, argv, 2, options, 1))
        return command_usage(argv[0]);
    err = db_open(&db, DB_OPEN_COMMAND);
    if (is_error(err))
        return command_fail(err);
    if (verb[0] == 'u')
        exit = migrate_up(db);
    else
        exit = verb[0] == 'd' ? migrate_down(db) : migrate_status(db, as_json);
    db_close(db);
    return exit;
}
