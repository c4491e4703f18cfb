/* Whole tables in PostgreSQL, over the connection that blocks: read in single-row mode, written
 * with COPY. */
#include "db/bulk.h"

#include "base/clock.h"
#include "db/bulk_driver.h"
#include "db/pg.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a COPY takes before the next one begins: PostgreSQL looks at references at the end of each,
 * and keeps a list of them until then. */
#define BATCH_ROWS 10000

/* Without the values that a server's words may quote. */
static struct error fail(PGconn *pg, const PGresult *res, const char *table)
{
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *words = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *constraint = res ? PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME) : NULL;
    const char *lead = table ? table : "", *colon = table ? ": " : "";

    if (!state)
        return PQstatus(pg) == CONNECTION_OK
                   ? db_say(ERR_DB, 0, "%s%s%s", lead, colon, words ? words : "no answer")
                   : db_say(ERR_DB, DB_CODE_UNKNOWN, "the connection to PostgreSQL was lost");
    if (strncmp(state, "23", 2) == 0)
        return db_say(ERR_CONFLICT, db_sqlstate(state), "%s%s%s", lead, colon,
                      constraint && constraint[0] ? constraint
                      : words                     ? words
                                                  : state);
    if (strcmp(state, "53100") == 0)
        return db_say(ERR_DISK_FULL, db_sqlstate(state), "no room is left on the database's disk");
    if (strncmp(state, "22", 2) == 0)
        return db_say(ERR_DB, db_sqlstate(state), "%s%sa value does not fit its type (%s)", lead,
                      colon, state);
    return db_say(ERR_DB, db_sqlstate(state), "%s%s%s", lead, colon, words ? words : state);
}

static enum bulk_kind kind_of(struct str type)
{
    static const struct {
        struct str type;
        enum bulk_kind kind;
    } kinds[] = {
        {{"bool", 4}, BULK_BOOL},  {{"bytea", 5}, BULK_BYTES},       {{"int2", 4}, BULK_INT},
        {{"int4", 4}, BULK_INT},   {{"int8", 4}, BULK_INT},          {{"json", 4}, BULK_JSON},
        {{"jsonb", 5}, BULK_JSON}, {{"timestamptz", 11}, BULK_TIME}, {{"uuid", 4}, BULK_UUID},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (str_eq(kinds[i].type, type))
            return kinds[i].kind;
    return BULK_TEXT;
}

/* ---- reading ---- */
static struct error give_row(PGresult *res, bulk_row *row, void *state)
{
    const size_t n = (size_t)PQnfields(res);
    struct bulk_cell cells[BULK_COLUMNS_MAX];
    enum bulk_kind kinds[BULK_COLUMNS_MAX];
    struct arena arena = {0};
    struct db_result result;
    struct error err;

    if (n > BULK_COLUMNS_MAX) {
        PQclear(res);
        return ERROR(ERR_INTERNAL, 0, "a table has too many columns");
    }
    for (size_t i = 0; i < n; i++)
        kinds[i] = pg_kind(PQftype(res, (int)i));
    err = pg_decode(res, &arena, &result);
    for (size_t i = 0; i < n && !is_error(err); i++)
        cells[i] = (struct bulk_cell){.is_null = result.cells[i].is_null,
                                      .kind = kinds[i],
                                      .number = result.cells[i].number,
                                      .text = result.cells[i].text};
    if (!is_error(err))
        err = row(cells, n, state);
    arena_free(&arena);
    return err;
}

/* What is still on its way is of no use to anyone. */
static void stop_reading(PGconn *pg)
{
    char words[256];
    PGcancel *cancel = PQgetCancel(pg);
    PGresult *res;

    if (cancel)
        (void)PQcancel(cancel, words, sizeof(words)); /* where that fails it is all read */
    PQfreeCancel(cancel);
    while ((res = PQgetResult(pg)))
        PQclear(res);
}

static struct error rows(struct db *db, const char *sql, const char *arg, bulk_row *row,
                         void *state)
{
    PGconn *pg = pg_blocking(db);
    const char *values[] = {arg};
    struct error err = NO_ERROR;
    PGresult *res;

    if (!PQsendQueryParams(pg, sql, arg ? 1 : 0, NULL, values, NULL, NULL, 1))
        return fail(pg, NULL, NULL);
    PQsetSingleRowMode(pg);
    while (!is_error(err) && (res = PQgetResult(pg))) {
        switch (PQresultStatus(res)) {
        case PGRES_SINGLE_TUPLE:
            err = give_row(res, row, state);
            break;
        case PGRES_TUPLES_OK: /* the end */
            PQclear(res);
            break;
        default:
            err = fail(pg, res, NULL);
            PQclear(res);
            break;
        }
    }
    if (is_error(err)) {
        char words[400];

        /* The words may be in memory that the next complaint is written to. */
        snprintf(words, sizeof(words), "%s", err.detail ? err.detail : "");
        stop_reading(pg);
        err = db_say(err.status, err.code, "%s", words);
    }
    return err;
}

/* ---- writing ---- */
static struct error put_begin(struct bulk_put *p)
{
    PGconn *pg = pg_blocking(p->db);
    struct error err = NO_ERROR;
    PGresult *res;

    buf_clear(&p->line);
    buf_printf(&p->line, "COPY \"%s\" (", p->table);
    bulk_append_columns(&p->line, &p->columns);
    buf_append(&p->line, ") FROM STDIN", sizeof(") FROM STDIN"));
    if (p->line.failed)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    res = PQexec(pg, p->line.data);
    if (PQresultStatus(res) == PGRES_COPY_IN)
        p->is_open = true;
    else
        err = fail(pg, res, p->table);
    PQclear(res);
    p->n_rows = 0;
    return err;
}

static void append_copied(struct buf *out, struct str text)
{
    size_t from = 0;

    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];

        if (c != '\\' && c != '\n' && c != '\r' && c != '\t')
            continue;
        buf_append(out, text.ptr + from, i - from);
        buf_append_char(out, '\\');
        buf_append_char(out, c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c);
        from = i + 1;
    }
    buf_append(out, text.ptr + from, text.len - from);
}

static void append_bytes(struct buf *out, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";

    buf_append_str(out, STR("\\\\x"));
    for (size_t i = 0; i < bytes.len; i++) {
        buf_append_char(out, digits[(unsigned char)bytes.ptr[i] >> 4]);
        buf_append_char(out, digits[(unsigned char)bytes.ptr[i] & 15]);
    }
}

/* As the column takes it: SQLite says "number" for times and truths, too. */
static void append_cell(struct buf *out, enum bulk_kind kind, const struct bulk_cell *cell)
{
    char at[CLOCK_TEXT_BYTES];

    if (cell->is_null)
        buf_append_str(out, STR("\\N"));
    else if (!bulk_is_number(cell->kind) && kind == BULK_BYTES)
        append_bytes(out, cell->text);
    else if (!bulk_is_number(cell->kind))
        append_copied(out, cell->text);
    else if (kind == BULK_TIME && cell->number == INT64_MAX)
        buf_append_str(out, STR("infinity"));
    else if (kind == BULK_TIME)
        buf_append_str(out, clock_format(cell->number, at));
    else if (kind == BULK_BOOL)
        buf_append_char(out, cell->number ? 't' : 'f');
    else
        buf_printf(out, "%" PRId64, cell->number);
}

static struct error put_end(struct bulk_put *p)
{
    PGconn *pg = pg_blocking(p->db);
    struct error err = NO_ERROR;
    PGresult *res;

    p->is_open = false;
    if (PQputCopyEnd(pg, NULL) != 1)
        err = fail(pg, NULL, p->table);
    while ((res = PQgetResult(pg))) {
        if (PQresultStatus(res) != PGRES_COMMAND_OK && !is_error(err))
            err = fail(pg, res, p->table);
        PQclear(res);
    }
    return err;
}

static struct error put_row(struct bulk_put *p, const struct bulk_cell *cells)
{
    struct error err = NO_ERROR;

    if (p->n_rows == BATCH_ROWS) {
        err = put_end(p);
        if (!is_error(err))
            err = put_begin(p);
    }
    if (is_error(err))
        return err;
    buf_clear(&p->line);
    for (size_t i = 0; i < p->columns.n; i++) {
        if (i > 0)
            buf_append_char(&p->line, '\t');
        append_cell(&p->line, p->columns.items[i].kind, &cells[i]);
    }
    buf_append_char(&p->line, '\n');
    if (p->line.failed)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    p->n_rows++;
    if (PQputCopyData(pg_blocking(p->db), p->line.data, (int)p->line.len) == 1)
        return NO_ERROR;
    /* The server may have said why. */
    err = put_end(p);
    return is_error(err) ? err : fail(pg_blocking(p->db), NULL, p->table);
}

static void put_free(struct bulk_put *p)
{
    PGconn *pg = pg_blocking(p->db);
    PGresult *res;

    if (!p->is_open)
        return;
    if (PQputCopyEnd(pg, "given up") != 1)
        return; /* the connection is gone, and the transaction with it */
    while ((res = PQgetResult(pg)))
        PQclear(res);
}

const struct bulk_driver pg_bulk = {
    /* Neither the parts of a table, nor what belongs to an extension. */
    .list_tables =
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') "
        "AND NOT c.relispartition AND NOT EXISTS (SELECT 1 FROM pg_depend d "
        "WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') "
        "ORDER BY c.relname",
    .list_columns = "SELECT a.attname, t.typname FROM pg_attribute a "
                    "JOIN pg_class c ON c.oid = a.attrelid "
                    "JOIN pg_namespace n ON n.oid = c.relnamespace "
                    "JOIN pg_type t ON t.oid = a.atttypid WHERE n.nspname = current_schema() "
                    "AND c.relname = $1 AND a.attnum > 0 AND NOT a.attisdropped "
                    "AND a.attgenerated = '' ORDER BY a.attnum",
    .begin_reads = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    .begin_writes = "BEGIN",
    .kind_of = kind_of,
    .rows = rows,
    .put_begin = put_begin,
    .put_row = put_row,
    .put_end = put_end,
    .put_free = put_free,
};
