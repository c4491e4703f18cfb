/* What PostgreSQL's own tools need to reach the database that a connection reaches. */
#include "db/backup.h"

#include "db/bulk.h"
#include "db/bulk_driver.h"
#include "db/pg.h"

#include <stdio.h>
#include <string.h>

static struct error take_name(const struct bulk_cell *cells, size_t n, void *state)
{
    (void)n;
    snprintf(state, 64, "%.*s", STR_ARG(cells[0].text));
    return NO_ERROR;
}

struct error db_snapshot_name(struct db *db, char out[64])
{
    out[0] = '\0';
    return pg_bulk.rows(db, "SELECT pg_export_snapshot()", NULL, take_name, out);
}

static struct error take_count(const struct bulk_cell *cells, size_t n, void *state)
{
    (void)n;
    *(int64_t *)state = cells[0].number;
    return NO_ERROR;
}

struct error db_count_others(struct db *db, int64_t *n)
{
    *n = 0;
    return pg_bulk.rows(db,
                        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                        "AND application_name = 'aerie' AND pid <> pg_backend_pid()",
                        NULL, take_count, n);
}

/* What is empty is quickly taken back, step by step. */
struct error db_forget_all(struct db *db)
{
    struct buf sql = {0};
    struct bulk_counts found;
    struct error err = bulk_count_all(db, &found);
    int number = 1;

    for (size_t i = 0; i < found.n && !is_error(err); i++)
        if (bulk_table_find(str_from(found.items[i].table)) &&
            strcmp(found.items[i].table, "schema_migrations") != 0)
            buf_printf(&sql, "%s\"%s\"", sql.len > 0 ? ", " : "TRUNCATE ", found.items[i].table);
    buf_append_char(&sql, '\0');
    if (sql.failed)
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!is_error(err) && sql.len > 1)
        err = db->driver->script(db, sql.data);
    buf_deinit(&sql);
    while (number > 0 && !is_error(err))
        err = db_migrate_down(db, &number);
    return is_error(err) ? err : db->driver->script(db, "DROP TABLE IF EXISTS schema_migrations");
}

struct error db_tool_environment(struct arena *a, struct str url, char ***out, const char **name)
{
    struct str rest = STR_NONE;
    PQconninfoOption *options;
    size_t n = 0;
    char **list;

    *name = NULL;
    if (db_url_parse(a, url, STR(""), &rest) != DB_URL_PG || !rest.ptr)
        return ERROR(ERR_INVALID, 0, "the address must begin with postgresql://");
    options = PQconninfoParse(rest.ptr, NULL);
    if (!options)
        return ERROR(ERR_INVALID, 0, "the address is not one of PostgreSQL");
    for (const PQconninfoOption *o = options; o->keyword; o++)
        n++;
    list = arena_alloc(a, (n + 1) * sizeof(*list));
    n = 0;
    for (const PQconninfoOption *o = options; o->keyword && list; o++) {
        if (!o->val || !o->envvar)
            continue;
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): an arena's text is ours to give away */
        list[n++] = (char *)(uintptr_t)arena_printf(a, "%s=%s", o->envvar, o->val).ptr;
        if (strcmp(o->keyword, "dbname") == 0)
            *name = arena_copy(a, str_from(o->val)).ptr;
    }
    PQconninfoFree(options);
    *out = list;
    return list && !a->failed ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, NULL);
}
