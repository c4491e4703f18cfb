/* Whole tables, for the commands that move data: read row by row and written in bulk, in constant
 * memory. All of it blocks, on one thread without a loop. Which tables there are and how each is
 * moved is one table here; their columns are the database's own word. */
#ifndef AERIE_DB_BULK_H
#define AERIE_DB_BULK_H

#include "config/seal.h"
#include "db/db.h"

/* ---- the table of tables ---- */
enum table_way {
    TABLE_OF_TEAM,  /* moved with its team, and with the whole database */
    TABLE_OF_WHOLE, /* moved with the whole database only */
    TABLE_LEFT,     /* stays: why says who makes it anew */
};

struct bulk_table {
    const char *name;
    enum table_way way;
    const char *team_column;   /* NULL: rows are nobody's */
    const char *why;           /* of those that are not moved with their team */
    const char *own;           /* a column that is empty in a new place; NULL: none */
    const char *leased;        /* columns that begin so are 0 where a team comes to; NULL: none */
    const char *order;         /* the column whose order is kept; NULL: none has to be */
    const char *hash_column;   /* of passwords: may be left out */
    const char *sealed[2];     /* columns under the server's secret */
    enum seal_purpose purpose; /* of these */
    bool is_all_secret;        /* a row is nothing without the first of them */
    bool is_optional;          /* the database may not have it */
};
/* In an order in which rows may be written: what they refer to comes first. */
const struct bulk_table *bulk_tables(size_t *n);
const struct bulk_table *bulk_table_find(struct str name); /* NULL: none of that name */

/* ---- cells ---- */
/* What a column takes. SQLite knows TEXT, INT and BYTES only. */
enum bulk_kind { BULK_TEXT, BULK_INT, BULK_BYTES, BULK_BOOL, BULK_TIME, BULK_UUID, BULK_JSON };
/* BOOL (0 or 1), INT and TIME (µs since 1970; INT64_MAX: never) have a number, the others a text.
 */
struct bulk_cell {
    bool is_null;
    enum bulk_kind kind;
    int64_t number;
    struct str text;
};
bool bulk_is_number(enum bulk_kind kind);

#define BULK_NAME_BYTES  64
#define BULK_COLUMNS_MAX 64
struct bulk_columns {
    size_t n;
    struct bulk_column {
        char name[BULK_NAME_BYTES];
        enum bulk_kind kind;
    } items[BULK_COLUMNS_MAX];
};
/* Sorted by name, so that both databases have them in one order; without those that each database
 * fills by itself. ERR_NOT_FOUND: no such table. */
struct error bulk_columns(struct db *db, const char *table, struct bulk_columns *out) MUST_CHECK;
size_t bulk_column_find(const struct bulk_columns *columns, struct str name); /* n: none */
/* ERR_CONFLICT names the first column that only one of them has. */
struct error bulk_columns_match(const char *table, const struct bulk_columns *a,
                                const struct bulk_columns *b) MUST_CHECK;

/* ---- one transaction ---- */
enum bulk_use {
    BULK_READS,  /* one snapshot until its end */
    BULK_WRITES, /* all or nothing */
};
struct error bulk_begin(struct db *db, enum bulk_use use) MUST_CHECK;
struct error bulk_commit(struct db *db) MUST_CHECK;
void bulk_rollback(struct db *db); /* nothing is left of it; also when nothing was begun */

/* ---- rows ---- */
/* cells: until it returns. An error ends the reading, and is what bulk_read() returns. */
typedef struct error bulk_row(const struct bulk_cell *cells, size_t n, void *state);
/* team: an id, or NULL: everyone's rows. */
struct error bulk_read(struct db *db, const struct bulk_table *table,
                       const struct bulk_columns *columns, const char *team, bulk_row *row,
                       void *state) MUST_CHECK;
struct error bulk_count(struct db *db, const char *table, const char *team_column, const char *team,
                        int64_t *n) MUST_CHECK;

/* Between begin and end no other statement may run on db. */
struct bulk_put;
struct error bulk_put_begin(struct bulk_put **out, struct db *db, const char *table,
                            const struct bulk_columns *columns) MUST_CHECK;
struct error bulk_put_row(struct bulk_put *p, const struct bulk_cell *cells) MUST_CHECK;
/* Frees p, whatever comes. ERR_CONFLICT: something of it is taken already. */
struct error bulk_put_end(struct bulk_put *p) MUST_CHECK;
void bulk_put_free(struct bulk_put *p); /* without its end: the transaction must be rolled back */

/* ---- counts of all tables that the database has ---- */
#define BULK_TABLES_MAX 96
struct bulk_counts {
    size_t n;
    struct bulk_count {
        char table[BULK_NAME_BYTES];
        int64_t rows;
    } items[BULK_TABLES_MAX];
};
struct error bulk_count_all(struct db *db, struct bulk_counts *out) MUST_CHECK;
const struct bulk_count *bulk_counts_find(const struct bulk_counts *c, struct str table);
/* ERR_CONFLICT: the database has a table that the table of tables does not name, or not one that it
 * names. */
struct error bulk_know_all(struct db *db) MUST_CHECK;
/* The last migration that the database has had; 0: it has no schema. */
struct error bulk_migration(struct db *db, int64_t *out) MUST_CHECK;

/* ---- are two databases' rows the same? ---- */
/* The sum of every row's SHA-256, so that the order of rows does not count. All-zero is no row. */
struct bulk_sum {
    uint64_t parts[4];
    int64_t rows;
};
/* json: where a column's JSON is compared by what it means (kind BULK_JSON); the columns of the
 * database that knows. False: no memory. */
bool bulk_sum_add(struct bulk_sum *sum, const struct bulk_columns *json,
                  const struct bulk_cell *cells) MUST_CHECK;
bool bulk_sum_equal(const struct bulk_sum *a, const struct bulk_sum *b);
#define BULK_SUM_TEXT_BYTES 65
void bulk_sum_text(const struct bulk_sum *sum, char out[BULK_SUM_TEXT_BYTES]);

#endif
