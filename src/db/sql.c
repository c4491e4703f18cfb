/* The table of statements. */
#include "db/sql.h"

#include "db/internal.h"

/* A random UUID (RFC 9562 section 5.4), for which SQLite has no function. */
#define SQLITE_NEW_ID                                                                              \
    "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), " \
    "2) || '-a' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"

#define STATEMENT(name, use, no_team, pg, sqlite) [SQL_##name] = {#name, use, no_team, pg, sqlite},
const struct sql_row sql_table[N_SQL] = {
#include "db/sql/all.h"
};
#undef STATEMENT

const char *sql_text(enum sql sql, bool is_sqlite)
{
    const struct sql_row *row = &sql_table[sql];

    return is_sqlite && row->sqlite ? row->sqlite : row->pg;
}

size_t sql_n_params(const char *text)
{
    size_t highest = 0;

    for (const char *p = text; *p; p++) {
        size_t n = 0;

        if (*p != '$')
            continue;
        for (const char *digit = p + 1; *digit >= '0' && *digit <= '9' && n < 1000; digit++)
            n = n * 10 + (size_t)(*digit - '0');
        if (n > highest)
            highest = n;
    }
    return highest;
}
