/* aerie migrate-to: the whole SQLite database into an empty PostgreSQL, and a look whether all of
 * it is there. */
#include "command.h"
#include "config/config.h"
#include "db/bulk.h"
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct move {
    struct db *from, *to;
    bool as_json;
};

/* One table on its way. */
struct move_table {
    struct bulk_put *put;            /* NULL: they are only looked at */
    const struct bulk_columns *json; /* the target's: it knows what is JSON */
    struct bulk_sum sum;
    struct progress progress;
};

static struct error take_row(const struct bulk_cell *cells, size_t n, void *state)
{
    struct move_table *t = state;

    (void)n;
    if (!bulk_sum_add(&t->sum, t->json, cells))
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    progress_tell(&t->progress, (uint64_t)t->sum.rows);
    return t->put ? bulk_put_row(t->put, cells) : NO_ERROR;
}

static struct error copy_table(struct move *m, const struct bulk_table *table,
                               const struct bulk_columns *columns, struct bulk_sum *sum)
{
    struct move_table t = {.json = columns,
                           .progress = {.what = table->name, .unit = "rows copied"}};
    int64_t total = 0;
    struct error err = bulk_count(m->from, table->name, NULL, NULL, &total);

    t.progress.total = (uint64_t)total;
    if (!is_error(err))
        err = bulk_put_begin(&t.put, m->to, table->name, columns);
    if (!is_error(err)) {
        err = bulk_read(m->from, table, columns, NULL, take_row, &t);
        if (is_error(err))
            bulk_put_free(t.put);
        else
            err = bulk_put_end(t.put);
    }
    progress_end(&t.progress);
    *sum = t.sum;
    return err;
}

static struct error compare_table(struct move *m, const struct bulk_table *table,
                                  const struct bulk_columns *columns, const struct bulk_sum *sum)
{
    struct move_table t = {
        .json = columns,
        .progress = {.what = table->name, .unit = "rows compared", .total = (uint64_t)sum->rows}};
    static char words[160];
    int64_t before = 0, after = 0;
    struct error err = bulk_read(m->to, table, columns, NULL, take_row, &t);

    progress_end(&t.progress);
    if (!is_error(err))
        err = bulk_count(m->from, table->name, NULL, NULL, &before);
    if (!is_error(err))
        err = bulk_count(m->to, table->name, NULL, NULL, &after);
    if (is_error(err))
        return err;
    if (before == after && before == sum->rows && bulk_sum_equal(sum, &t.sum))
        return NO_ERROR;
    snprintf(words, sizeof(words),
             "%s: %" PRId64 " rows are %" PRId64
             " there, and not the same ones: nothing was moved, and this is a fault of Aerie's",
             table->name, before, after);
    return ERROR(ERR_INTERNAL, 0, words);
}

static int say_table(const struct move *m, const struct bulk_table *table,
                     const struct bulk_sum *sum)
{
    char text[BULK_SUM_TEXT_BYTES];
    struct buf line = {0};
    struct json j = {.buf = &line};

    bulk_sum_text(sum, text);
    if (m->as_json) {
        json_begin_object(&j);
        json_pair_str(&j, "table", str_from(table->name));
        json_pair_int(&j, "sqlite", sum->rows);
        json_pair_int(&j, "postgresql", sum->rows);
        json_pair_str(&j, "sum", str_from(text));
        json_end_object(&j);
    } else {
        buf_printf(&line, "%-16s %10" PRId64 " = %-10" PRId64 " %.16s", table->name, sum->rows,
                   sum->rows, text);
    }
    return command_print(&line);
}

static int move_table(struct move *m, const struct bulk_table *table)
{
    struct bulk_columns from = {0}, to = {0};
    struct bulk_sum sum = {0};
    struct error err = bulk_columns(m->from, table->name, &from);

    if (!is_error(err))
        err = bulk_columns(m->to, table->name, &to);
    if (!is_error(err))
        err = bulk_columns_match(table->name, &from, &to);
    if (!is_error(err))
        err = copy_table(m, table, &to, &sum);
    if (!is_error(err))
        err = compare_table(m, table, &to, &sum);
    return is_error(err) ? command_fail(err) : say_table(m, table, &sum);
}

/* All in one transaction, so that whatever ends it leaves the target empty. */
static int move_all(struct move *m)
{
    struct error err = bulk_begin(m->from, BULK_READS);
    size_t n;
    const struct bulk_table *tables = bulk_tables(&n);
    int exit = COMMAND_OK;

    if (!is_error(err))
        err = bulk_begin(m->to, BULK_WRITES);
    if (is_error(err))
        return command_fail(err);
    for (size_t i = 0; i < n && exit == COMMAND_OK; i++)
        if (tables[i].way != TABLE_LEFT)
            exit = move_table(m, &tables[i]);
    if (exit == COMMAND_OK) {
        err = bulk_commit(m->to);
        if (is_error(err))
            exit = command_fail(err);
    } else {
        bulk_rollback(m->to);
    }
    bulk_rollback(m->from);
    return exit;
}

static struct error check_is_empty(struct db *db)
{
    static char words[160];
    struct error err = NO_ERROR;
    size_t n;
    const struct bulk_table *tables = bulk_tables(&n);

    for (size_t i = 0; i < n && !is_error(err); i++) {
        int64_t rows = 0;

        if (tables[i].way == TABLE_LEFT)
            continue;
        err = bulk_count(db, tables[i].name, NULL, NULL, &rows);
        if (is_error(err) || rows == 0)
            continue;
        snprintf(words, sizeof(words),
                 "that database is not empty (%s has %" PRId64
                 " rows): make a new one, with CREATE DATABASE",
                 tables[i].name, rows);
        err = ERROR(ERR_CONFLICT, 0, words);
    }
    return err;
}

static struct error bring_up(struct db *db)
{
    int n_applied;
    struct error err = db_migrate_up(db, &n_applied);

    return is_error(err) ? err : bulk_know_all(db);
}

/* The SQLite database, which must be there, and nobody's meanwhile. */
static struct error open_source(struct db **out)
{
    struct arena arena = {0};
    struct str file = db_configured_file(&arena);
    struct error err = NO_ERROR;

    if (!file.ptr)
        err = ERROR(ERR_INVALID, 0,
                    "the configured database is not a SQLite file: it is moved already");
    else if (access(file.ptr, F_OK) != 0)
        err = ERROR(ERR_NOT_FOUND, 0, "there is no SQLite file yet, so there is nothing to move");
    arena_free(&arena);
    if (!is_error(err))
        err = db_open(out, DB_OPEN_ALONE);
    if (err.status == ERR_CONFLICT)
        fputs(
            "aerie: a server runs on it: stop it first, or messages that come meanwhile are lost\n",
            stderr);
    return is_error(err) ? err : bring_up(*out);
}

static int say_what_next(struct str url)
{
    struct buf shown = {0};

    config_print_url(&shown, url);
    fprintf(
        stderr,
        "aerie: all rows are there, and the same. Put this line into .env or where DATABASE_URL "
        "is set now, and start the server; the SQLite file stays as it is.\n"
        "DATABASE_URL=%.*s\n",
        STR_ARG(buf_str(&shown)));
    buf_deinit(&shown);
    return COMMAND_OK;
}

int command_migrate_to(int argc, char **argv)
{
    struct move m = {0};
    const char *url = NULL;
    const struct command_option options[] = {{NULL, &url, NULL}, {"--json", NULL, &m.as_json}};
    struct error err;
    int exit;

    if (!command_read_options(argc, argv, 1, options, 2) || !command_require("the address", url))
        return command_usage(argv[0]);
    if (!str_starts_with(str_from(url), STR("postgres")))
        return command_fail(ERROR(ERR_INVALID, 0, "the address must begin with postgresql://"));
    err = open_source(&m.from);
    if (!is_error(err))
        err = db_open_url(&m.to, DB_OPEN_COMMAND, str_from(url));
    if (!is_error(err))
        err = bring_up(m.to);
    if (!is_error(err))
        err = check_is_empty(m.to);
    exit = is_error(err) ? command_fail(err) : move_all(&m);
    db_close(m.to);
    db_close(m.from);
    return exit == COMMAND_OK ? say_what_next(str_from(url)) : exit;
}
