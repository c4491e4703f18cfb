/* Whole tables: catalogue, transactions, counts; rows come from and go to the drivers. Its SQL is
 * put together from names that the table of tables and the database's catalogue give. */
#include "db/bulk.h"

#include "db/bulk_driver.h"

#include <stdlib.h>
#include <string.h>

/* What each database fills by itself: rows keep their order, and words are put into the index where
 * they are. */
static const char *const own_columns[] = {"pos", "is_indexed"};

static const struct bulk_driver *driver_of(const struct db *db)
{
    return db->driver->bulk;
}

bool bulk_is_number(enum bulk_kind kind)
{
    return kind == BULK_INT || kind == BULK_BOOL || kind == BULK_TIME;
}

static bool keep_name(char out[BULK_NAME_BYTES], struct str name)
{
    if (name.len >= BULK_NAME_BYTES)
        return false;
    memcpy(out, name.ptr, name.len);
    out[name.len] = '\0';
    return true;
}

/* ---- columns ---- */
static struct error take_column(const struct bulk_cell *cells, size_t n, void *state)
{
    struct {
        struct bulk_columns *out;
        const struct bulk_driver *driver;
        const struct bulk_table *table;
    } *into = state;
    struct bulk_column *column = &into->out->items[into->out->n];

    (void)n;
    for (size_t i = 0; i < sizeof(own_columns) / sizeof(own_columns[0]); i++)
        if (str_eq(cells[0].text, str_from(own_columns[i])))
            return NO_ERROR;
    if (into->table && into->table->own && str_eq(cells[0].text, str_from(into->table->own)))
        return NO_ERROR;
    if (into->out->n == BULK_COLUMNS_MAX || !keep_name(column->name, cells[0].text))
        return ERROR(ERR_INTERNAL, 0, "a table has too many columns, or too long a name");
    column->kind = into->driver->kind_of(cells[1].text);
    into->out->n++;
    return NO_ERROR;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct bulk_column *)a)->name, ((const struct bulk_column *)b)->name);
}

struct error bulk_columns(struct db *db, const char *table, struct bulk_columns *out)
{
    struct {
        struct bulk_columns *out;
        const struct bulk_driver *driver;
        const struct bulk_table *table;
    } into = {out, driver_of(db), bulk_table_find(str_from(table))};
    struct error err;

    *out = (struct bulk_columns){0};
    err = driver_of(db)->rows(db, driver_of(db)->list_columns, table, take_column, &into);
    if (!is_error(err) && out->n == 0)
        err = db_say(ERR_NOT_FOUND, 0, "the database has no table %s", table);
    qsort(out->items, out->n, sizeof(out->items[0]), by_name);
    return err;
}

size_t bulk_column_find(const struct bulk_columns *columns, struct str name)
{
    size_t i = 0;

    while (i < columns->n && !str_eq(str_from(columns->items[i].name), name))
        i++;
    return i;
}

static const char *only_in(const struct bulk_columns *a, const struct bulk_columns *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (bulk_column_find(b, str_from(a->items[i].name)) == b->n)
            return a->items[i].name;
    return NULL;
}

struct error bulk_columns_match(const char *table, const struct bulk_columns *a,
                                const struct bulk_columns *b)
{
    const char *extra = only_in(a, b);

    if (!extra)
        extra = only_in(b, a);
    return extra ? db_say(ERR_CONFLICT, 0, "%s: only one of the two sides has a column %s", table,
                          extra)
                 : NO_ERROR;
}

void bulk_append_columns(struct buf *out, const struct bulk_columns *columns)
{
    for (size_t i = 0; i < columns->n; i++)
        buf_printf(out, "%s\"%s\"", i > 0 ? ", " : "", columns->items[i].name);
}

/* ---- transactions ---- */
static struct error script(struct db *db, const char *sql)
{
    struct error err;

    uv_mutex_lock(&db->run_lock);
    err = db->driver->script(db, sql);
    uv_mutex_unlock(&db->run_lock);
    return err;
}

static struct error take_number(const struct bulk_cell *cells, size_t n, void *state)
{
    (void)n;
    *(int64_t *)state = cells[0].is_null ? 0 : cells[0].number;
    return NO_ERROR;
}

struct error bulk_begin(struct db *db, enum bulk_use use)
{
    struct error err =
        script(db, use == BULK_READS ? driver_of(db)->begin_reads : driver_of(db)->begin_writes);
    int64_t n;

    /* SQLite takes its snapshot with the first look. */
    if (!is_error(err) && use == BULK_READS)
        err = driver_of(db)->rows(
            db, db->driver->is_sqlite ? "SELECT count(*) FROM sqlite_schema" : "SELECT 1::bigint",
            NULL, take_number, &n);
    return err;
}

struct error bulk_commit(struct db *db)
{
    return script(db, "COMMIT");
}

void bulk_rollback(struct db *db)
{
    /* There is nothing to be done about what it says: the connection goes with the command. */
    (void)is_error(script(db, "ROLLBACK"));
}

/* ---- reading ---- */
struct error bulk_read(struct db *db, const struct bulk_table *table,
                       const struct bulk_columns *columns, const char *team, bulk_row *row,
                       void *state)
{
    struct buf sql = {0};
    struct error err;

    buf_append_str(&sql, STR("SELECT "));
    bulk_append_columns(&sql, columns);
    buf_printf(&sql, " FROM \"%s\"", table->name);
    if (team)
        buf_printf(&sql, " WHERE \"%s\" = $1", table->team_column);
    if (table->order)
        buf_printf(&sql, " ORDER BY \"%s\"", table->order);
    buf_append_char(&sql, '\0');
    err = sql.failed ? ERROR(ERR_NO_MEMORY, 0, NULL)
                     : driver_of(db)->rows(db, sql.data, team, row, state);
    buf_deinit(&sql);
    return err;
}

struct error bulk_count(struct db *db, const char *table, const char *team_column, const char *team,
                        int64_t *n)
{
    char sql[3 * BULK_NAME_BYTES];

    *n = 0;
    if (team)
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM \"%s\" WHERE \"%s\" = $1", table,
                 team_column);
    else
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM \"%s\"", table);
    return driver_of(db)->rows(db, sql, team, take_number, n);
}

/* ---- writing ---- */
struct error bulk_put_begin(struct bulk_put **out, struct db *db, const char *table,
                            const struct bulk_columns *columns)
{
    struct bulk_put *p = calloc(1, sizeof(*p));
    struct error err;

    *out = NULL;
    if (!p)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    p->db = db;
    p->columns = *columns;
    if (!keep_name(p->table, str_from(table))) {
        free(p);
        return ERROR(ERR_INTERNAL, 0, "a table's name is too long");
    }
    err = driver_of(db)->put_begin(p);
    if (is_error(err))
        bulk_put_free(p);
    else
        *out = p;
    return err;
}

struct error bulk_put_row(struct bulk_put *p, const struct bulk_cell *cells)
{
    for (size_t i = 0; i < p->columns.n; i++) {
        const struct bulk_cell *cell = &cells[i];

        if (cell->is_null || bulk_is_number(cell->kind) || cell->kind == BULK_BYTES)
            continue;
        if (!utf8_is_valid(cell->text) ||
            (cell->text.len > 0 && memchr(cell->text.ptr, 0, cell->text.len)))
            return db_say(ERR_INVALID, 0, "%s: %s of a row is no text that a database takes",
                          p->table, p->columns.items[i].name);
    }
    return driver_of(p->db)->put_row(p, cells);
}

struct error bulk_put_end(struct bulk_put *p)
{
    struct error err = driver_of(p->db)->put_end(p);

    bulk_put_free(p);
    return err;
}

void bulk_put_free(struct bulk_put *p)
{
    if (!p)
        return;
    driver_of(p->db)->put_free(p);
    buf_deinit(&p->line);
    free(p);
}

/* ---- counts ---- */
static struct error take_table(const struct bulk_cell *cells, size_t n, void *state)
{
    struct bulk_counts *out = state;

    (void)n;
    if (out->n == BULK_TABLES_MAX || !keep_name(out->items[out->n].table, cells[0].text))
        return ERROR(ERR_INTERNAL, 0, "the database has too many tables, or too long a name");
    out->items[out->n++].rows = 0;
    return NO_ERROR;
}

static struct error list_tables(struct db *db, struct bulk_counts *out)
{
    out->n = 0;
    return driver_of(db)->rows(db, driver_of(db)->list_tables, NULL, take_table, out);
}

struct error bulk_count_all(struct db *db, struct bulk_counts *out)
{
    struct error err = list_tables(db, out);

    for (size_t i = 0; i < out->n && !is_error(err); i++)
        err = bulk_count(db, out->items[i].table, NULL, NULL, &out->items[i].rows);
    return err;
}

const struct bulk_count *bulk_counts_find(const struct bulk_counts *c, struct str table)
{
    for (size_t i = 0; i < c->n; i++)
        if (str_eq(str_from(c->items[i].table), table))
            return &c->items[i];
    return NULL;
}

struct error bulk_know_all(struct db *db)
{
    struct bulk_counts found;
    struct error err = list_tables(db, &found);
    size_t n;
    const struct bulk_table *known = bulk_tables(&n);

    for (size_t i = 0; i < found.n && !is_error(err); i++)
        if (!bulk_table_find(str_from(found.items[i].table)))
            err =
                db_say(ERR_CONFLICT, 0,
                       "the database has a table %s, of which this program does not know how it is "
                       "moved: if it is not Aerie's, put it into another database",
                       found.items[i].table);
    for (size_t i = 0; i < n && !is_error(err); i++)
        if (!known[i].is_optional && !bulk_counts_find(&found, str_from(known[i].name)))
            err = db_say(ERR_CONFLICT, 0, "the database has no table %s", known[i].name);
    return err;
}

struct error bulk_migration(struct db *db, int64_t *out)
{
    struct bulk_counts found;
    struct error err = list_tables(db, &found);

    *out = 0;
    if (!is_error(err) && bulk_counts_find(&found, STR("schema_migrations")))
        err = driver_of(db)->rows(db, "SELECT max(number) FROM schema_migrations", NULL,
                                  take_number, out);
    return err;
}
