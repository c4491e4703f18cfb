/* Whole tables in SQLite, over the connection that blocks. */
#include "db/bulk.h"

#include "db/bulk_driver.h"
#include "db/sqlite.h"

#include <string.h>

static struct error fail(struct sqlite_conn *c, const char *table)
{
    const int code = sqlite3_extended_errcode(c->db);
    const enum status status = sqlite_conn_status(c);

    if ((code & 0xff) == SQLITE_CONSTRAINT)
        return db_say(ERR_CONFLICT, code, "%s%s%s", table ? table : "", table ? ": " : "",
                      sqlite3_errmsg(c->db));
    if (status == ERR_BUSY)
        return db_say(ERR_BUSY, code, "another process writes to the database; try again");
    if (status == ERR_DISK_FULL)
        return db_say(ERR_DISK_FULL, code, "no room is left on the database's disk");
    return db_say(status, code, "%s%s%s", table ? table : "", table ? ": " : "",
                  sqlite3_errmsg(c->db));
}

static enum bulk_kind kind_of(struct str type)
{
    if (str_eq_nocase(type, STR("INTEGER")))
        return BULK_INT;
    return str_eq_nocase(type, STR("BLOB")) ? BULK_BYTES : BULK_TEXT;
}

/* ---- reading ---- */
static struct error read_cell(struct sqlite_conn *c, sqlite3_stmt *stmt, int i,
                              struct bulk_cell *out)
{
    const void *bytes;

    *out = (struct bulk_cell){0};
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_NULL:
        out->is_null = true;
        return NO_ERROR;
    case SQLITE_INTEGER:
        out->kind = BULK_INT;
        out->number = sqlite3_column_int64(stmt, i);
        return NO_ERROR;
    case SQLITE_FLOAT:
        return db_say(ERR_INTERNAL, 0, "%s is a fraction, which is not moved",
                      sqlite3_column_name(stmt, i));
    case SQLITE_BLOB:
        out->kind = BULK_BYTES;
        bytes = sqlite3_column_blob(stmt, i);
        break;
    default:
        bytes = sqlite3_column_text(stmt, i);
        break;
    }
    out->text = (struct str){bytes ? bytes : "", (size_t)sqlite3_column_bytes(stmt, i)};
    return bytes || out->text.len == 0 ? NO_ERROR : fail(c, NULL);
}

static struct error rows(struct db *db, const char *sql, const char *arg, bulk_row *row,
                         void *state)
{
    struct sqlite_conn *c = sqlite_blocking(db);
    struct bulk_cell cells[BULK_COLUMNS_MAX];
    sqlite3_stmt *stmt = NULL;
    struct error err = NO_ERROR;
    int n_columns, rc = SQLITE_DONE;

    if (sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return fail(c, NULL);
    n_columns = sqlite3_column_count(stmt);
    if (n_columns > BULK_COLUMNS_MAX)
        err = ERROR(ERR_INTERNAL, 0, "a table has too many columns");
    else if (arg && sqlite3_bind_text(stmt, 1, arg, -1, SQLITE_STATIC) != SQLITE_OK)
        err = fail(c, NULL);
    while (!is_error(err) && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (int i = 0; i < n_columns && !is_error(err); i++)
            err = read_cell(c, stmt, i, &cells[i]);
        if (!is_error(err))
            err = row(cells, (size_t)n_columns, state);
    }
    if (!is_error(err) && rc != SQLITE_DONE)
        err = fail(c, NULL);
    sqlite3_finalize(stmt);
    return err;
}

/* ---- writing ---- */
static struct error put_begin(struct bulk_put *p)
{
    struct sqlite_conn *c = sqlite_blocking(p->db);
    struct buf sql = {0};
    sqlite3_stmt *stmt = NULL;
    bool ok;

    buf_printf(&sql, "INSERT INTO \"%s\" (", p->table);
    bulk_append_columns(&sql, &p->columns);
    buf_append_str(&sql, STR(") VALUES ("));
    for (size_t i = 0; i < p->columns.n; i++)
        buf_append_str(&sql, i > 0 ? STR(", ?") : STR("?"));
    buf_append_str(&sql, STR(")"));
    if (sql.failed) {
        buf_deinit(&sql);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    ok = sqlite3_prepare_v3(c->db, sql.data, (int)sql.len, SQLITE_PREPARE_PERSISTENT, &stmt,
                            NULL) == SQLITE_OK;
    buf_deinit(&sql);
    p->statement = stmt;
    return ok ? NO_ERROR : fail(c, p->table);
}

static int bind_cell(sqlite3_stmt *stmt, int i, const struct bulk_cell *cell)
{
    if (cell->is_null)
        return sqlite3_bind_null(stmt, i);
    if (bulk_is_number(cell->kind))
        return sqlite3_bind_int64(stmt, i, cell->number);
    if (cell->kind == BULK_BYTES)
        return sqlite3_bind_blob64(stmt, i, cell->text.len > 0 ? cell->text.ptr : "",
                                   cell->text.len, SQLITE_STATIC);
    return sqlite3_bind_text64(stmt, i, cell->text.len > 0 ? cell->text.ptr : "", cell->text.len,
                               SQLITE_STATIC, SQLITE_UTF8);
}

static struct error put_row(struct bulk_put *p, const struct bulk_cell *cells)
{
    sqlite3_stmt *stmt = p->statement;
    bool ok = true;

    for (size_t i = 0; i < p->columns.n && ok; i++)
        ok = bind_cell(stmt, (int)i + 1, &cells[i]) == SQLITE_OK;
    ok = ok && sqlite3_step(stmt) == SQLITE_DONE;
    if (!ok) {
        struct error err = fail(sqlite_blocking(p->db), p->table);

        sqlite3_reset(stmt);
        return err;
    }
    sqlite3_reset(stmt);
    return NO_ERROR;
}

static struct error put_end(struct bulk_put *p)
{
    (void)p;
    return NO_ERROR;
}

static void put_free(struct bulk_put *p)
{
    sqlite3_finalize(p->statement);
}

const struct bulk_driver sqlite_bulk = {
    /* The parts of an index of words are no tables of ours. */
    .list_tables = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' "
                   "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    .list_columns = "SELECT name, type FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY name",
    .begin_reads = "BEGIN",
    .begin_writes = "BEGIN IMMEDIATE",
    .kind_of = kind_of,
    .rows = rows,
    .put_begin = put_begin,
    .put_row = put_row,
    .put_end = put_end,
    .put_free = put_free,
};
