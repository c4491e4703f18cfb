/* aerie audit: who changed what in a team. */
#include "account/audit.h"
#include "base/clock.h"
#include "command.h"
#include "provision.h"

#define PAGE_ROWS 1000

static struct str or_word(struct str text, const char *word)
{
    return text.len > 0 ? text : str_from(word);
}

static int print_row(const struct db_result *r, size_t row, bool as_json)
{
    struct buf line = {0};
    struct json j = {.buf = &line};
    char time[CLOCK_TEXT_BYTES];
    struct str who = db_get_text(r, row, AUDIT_ACTOR_EMAIL);
    struct str what = db_get_text(r, row, AUDIT_SUBJECT_NAME);

    if (as_json) {
        audit_write(&j, r, row);
        return command_print(&line);
    }
    if (who.len == 0)
        who = db_get_text(r, row, AUDIT_ACTOR_ID);
    if (what.len == 0)
        what = db_get_text(r, row, AUDIT_SUBJECT_ID);
    buf_printf(&line, "%.*s  %-8.*s  %-20.*s  %.*s  by %.*s from %.*s  %.*s",
               STR_ARG(clock_format(db_get_int(r, row, AUDIT_CREATED_AT), time)),
               STR_ARG(db_get_text(r, row, AUDIT_ACTOR)),
               STR_ARG(db_get_text(r, row, AUDIT_ACTION)), STR_ARG(what),
               STR_ARG(or_word(who, "nobody known")),
               STR_ARG(or_word(db_get_text(r, row, AUDIT_ADDRESS), "the command line")),
               STR_ARG(db_get_text(r, row, AUDIT_DETAILS)));
    return command_print(&line);
}

/* Until now, so that what happens meanwhile moves no page. */
static int print_rows(struct db *db, const struct id *team, bool as_json)
{
    int64_t offset = 0, now_us = clock_wall_us() + 1;
    size_t n_rows = PAGE_ROWS;
    int exit = COMMAND_OK;

    while (exit == COMMAND_OK && n_rows == PAGE_ROWS) {
        struct arena arena = {0};
        struct db_result r;
        struct error err =
            db_run(db, &arena, SQL_AUDIT_LIST,
                   DB_ARGS(db_uuid(id_str(team)), db_time(0), db_time(now_us), db_null(), db_null(),
                           db_null(), db_null(), db_int(PAGE_ROWS), db_int(offset)),
                   &r);

        n_rows = is_error(err) ? 0 : r.n_rows;
        if (is_error(err))
            exit = command_fail(err);
        for (size_t row = 0; exit == COMMAND_OK && row < n_rows; row++)
            exit = print_row(&r, row, as_json);
        offset += PAGE_ROWS;
        arena_free(&arena);
    }
    return exit;
}

int command_audit(int argc, char **argv)
{
    const char *slug = NULL;
    bool as_json = false;
    const struct command_option options[] = {{"--team", &slug, NULL}, {"--json", NULL, &as_json}};
    struct id team;
    struct error err;
    struct db *db;
    int exit;

    if (!command_read_options(argc, argv, 1, options, sizeof(options) / sizeof(options[0])) ||
        !command_require("--team", slug))
        return command_usage(argv[0]);
    err = command_open_db(&db);
    if (is_error(err))
        return command_fail(err);
    err = provision_find_team(db, str_from(slug), &team);
    exit = is_error(err) ? command_fail(err) : print_rows(db, &team, as_json);
    db_close(db);
    return exit;
}
