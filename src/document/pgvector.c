/* PostgreSQL's extension "vector": brought into use at the start. */
#include "pgvector.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"

#define FILL_ROWS 500 /* a transaction */

static bool is_used;

static struct error fill(struct db *db)
{
    struct arena arena = {0};
    struct db_result result;
    struct error err;
    int64_t n, n_filled = 0, began_us = clock_wall_us();

    do {
        err = db_run(db, &arena, SQL_VECTORS_FILL, DB_ARGS(db_int(FILL_ROWS)), &result);
        n = is_error(err) ? 0 : db_get_int(&result, 0, 0);
        n_filled += n;
        arena_free(&arena);
    } while (n > 0);
    if (n_filled > 0)
        log_info("document: %lld embeddings were brought to pgvector in %lld ms",
                 (long long)n_filled, (long long)(clock_wall_us() - began_us) / 1000);
    return err;
}

struct error pgvector_open(struct db *db)
{
    struct arena arena = {0};
    struct db_result result;
    struct error err;

    is_used = false;
    if (db_is_sqlite(db) || str_eq(config()->documents.pgvector, STR("off")))
        return NO_ERROR;
    err = db_run(db, &arena, SQL_VECTORS_BEGIN, NULL, 0, &result);
    if (!is_error(err) && db_get_bool(&result, 0, 0)) {
        err = fill(db);
        is_used = !is_error(err);
    }
    if (is_error(err))
        log_warn("document: pgvector cannot be used: %s", err.detail ? err.detail : "");
    else
        log_info("document: embeddings are compared by %s", is_used ? "pgvector" : "the server");
    arena_free(&arena);
    return NO_ERROR;
}

bool pgvector_is_used(void)
{
    return is_used;
}
