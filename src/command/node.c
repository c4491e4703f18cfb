/* aerie node: who serves this database. */
#include "command.h"
#include "config/config.h"

#include <string.h>

/* Columns of NODE_LIST. */
enum node_column {
    NODE_ID,
    NODE_NAME,
    NODE_ADDRESS,
    NODE_VERSION,
    NODE_STARTED_AT,
    NODE_IS_DRAINING,
    NODE_SEEN_MS,
    NODE_CLOCK_MS,
};

/* SQLite is told of no sign of life: a server that was killed has its row until the next start. */
static const char *state_of(const struct db_result *r, size_t row)
{
    if (!db_is_null(r, row, NODE_SEEN_MS) &&
        db_get_int(r, row, NODE_SEEN_MS) >= (int64_t)config()->nodes.dead_seconds * 1000)
        return "silent";
    return db_get_bool(r, row, NODE_IS_DRAINING) ? "draining" : "serving";
}

static void write_json(struct json *j, const struct db_result *r, size_t row)
{
    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(r, row, NODE_ID));
    json_pair_str(j, "name", db_get_text(r, row, NODE_NAME));
    json_pair_str_or_null(j, "address", db_get_text(r, row, NODE_ADDRESS));
    json_pair_str(j, "version", db_get_text(r, row, NODE_VERSION));
    json_pair_str(j, "state", str_from(state_of(r, row)));
    json_pair_time(j, "started_at", db_get_int(r, row, NODE_STARTED_AT));
    json_pair_int_or_null(j, "seen_ms", db_get_int(r, row, NODE_SEEN_MS),
                          db_is_null(r, row, NODE_SEEN_MS));
    json_pair_int(j, "clock_ms", db_get_int(r, row, NODE_CLOCK_MS));
    json_end_object(j);
}

static int print_node(const struct db_result *r, size_t row, bool as_json)
{
    struct buf line = {0};
    struct json j = {.buf = &line};

    if (as_json)
        write_json(&j, r, row);
    else
        buf_printf(&line, "%.*s  %-8s  %-20.*s  %-8.*s  %.*s", STR_ARG(db_get_text(r, row, NODE_ID)),
                   state_of(r, row), STR_ARG(db_get_text(r, row, NODE_NAME)),
                   STR_ARG(db_get_text(r, row, NODE_VERSION)),
                   STR_ARG(db_get_text(r, row, NODE_ADDRESS)));
    return command_print(&line);
}

int command_node(int argc, char **argv)
{
    bool as_json = false;
    const struct command_option options[] = {{"--json", NULL, &as_json}};
    struct arena arena = {0};
    struct db_result r;
    struct error err;
    struct db *db;
    int exit;

    if (argc < 2 || strcmp(argv[1], "list") != 0 ||
        !command_read_options(argc, argv, 2, options, sizeof(options) / sizeof(options[0])))
        return command_usage(argv[0]);
    err = command_open_db(&db);
    if (is_error(err))
        return command_fail(err);
    err = db_run(db, &arena, SQL_NODE_LIST, NULL, 0, &r);
    exit = is_error(err) ? command_fail(err) : COMMAND_OK;
    for (size_t row = 0; exit == COMMAND_OK && row < r.n_rows; row++)
        exit = print_node(&r, row, as_json);
    arena_free(&arena);
    db_close(db);
    return exit;
}
