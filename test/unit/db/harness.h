/* A database and a loop for one test, and operations on them that the test can wait for. */
#ifndef AERIE_TEST_DB_HARNESS_H
#define AERIE_TEST_DB_HARNESS_H

#include "config/config.h"
#include "db/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct harness {
    struct config config; /* of this test; changed before harness_open() */
    char directory[64];   /* holds chat.db */
    char url[256];
    struct db *db;
    struct loop loop;
    bool is_attached;
};

/* url: PostgreSQL's, or NULL for a SQLite file in a new directory. */
struct harness *harness_new(const char *url);
void harness_open(struct harness *h);   /* opens; makes the table "things" */
void harness_attach(struct harness *h); /* the calling thread becomes the loop's */
void harness_detach(struct harness *h); /* ends when the loop holds nothing any more */
void harness_close(struct harness *h);
void harness_free(struct harness *h);

/* One operation in a flow of its own. Zeroed before use. */
struct call {
    struct flow flow;
    struct db_query query;
    struct arena arena;
    const struct db_call *calls;
    size_t n_calls;
    unsigned order; /* the how-manieth to end */
    bool has_ended;
    struct error err;
};
void call_start(struct call *c, const struct db_call *calls, size_t n_calls);
void call_await(struct harness *h, struct call *c);
/* Runs the loop until someone runs c, for the n-th time (0: the first). */
void call_await_taken(struct harness *h, struct call *c, unsigned n_tries);
/* Starts one statement and waits for its end. */
void call_run(struct harness *h, struct call *c, enum sql sql, const struct db_arg *args,
              size_t n_args);
void call_free(struct call *c);
/* Runs the loop until is_true(state). Fails the test after seconds. */
void harness_await(struct harness *h, bool (*is_true)(void *state), void *state);

/* db_run(), which must succeed; the first cell's number, or 0. */
int64_t run_number(struct harness *h, enum sql sql, const struct db_arg *args, size_t n_args);
#define NO_ARGS NULL, 0
#define CALL(name, ...)                                                                            \
    {                                                                                              \
        .sql = SQL_##name, .args = (const struct db_arg[]){__VA_ARGS__},                           \
        .n_args = sizeof((const struct db_arg[]){__VA_ARGS__}) / sizeof(struct db_arg)             \
    }
#define CALL0(name)                                                                                \
    {                                                                                              \
        .sql = SQL_##name                                                                          \
    }

#endif
