/* What bulk.c asks of a driver. */
#ifndef AERIE_DB_BULK_DRIVER_H
#define AERIE_DB_BULK_DRIVER_H

#include "db/bulk.h"
#include "db/internal.h"

struct bulk_put {
    struct db *db;
    char table[BULK_NAME_BYTES];
    struct bulk_columns columns;
    void *statement; /* SQLite's */
    struct buf line; /* PostgreSQL's */
    int64_t n_rows;  /* of this batch */
    bool is_open;    /* a COPY runs */
};

struct bulk_driver {
    const char *list_tables;  /* a row: name */
    const char *list_columns; /* $1 the table; a row: name, type in the words of kind_of() */
    const char *begin_reads, *begin_writes;
    enum bulk_kind (*kind_of)(struct str type);
    /* Calls row for each row of a statement; arg: $1, or NULL: it takes none. */
    struct error (*rows)(struct db *db, const char *sql, const char *arg, bulk_row *row,
                         void *state);
    struct error (*put_begin)(struct bulk_put *p);
    struct error (*put_row)(struct bulk_put *p, const struct bulk_cell *cells);
    struct error (*put_end)(struct bulk_put *p);
    void (*put_free)(struct bulk_put *p);
};
extern const struct bulk_driver sqlite_bulk;
extern const struct bulk_driver pg_bulk;

/* "a", "b": appends the columns as SQL. */
void bulk_append_columns(struct buf *out, const struct bulk_columns *columns);

#endif
