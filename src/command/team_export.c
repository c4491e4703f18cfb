/* aerie export: one team into a file, row by row, of one moment. */
#include "base/clock.h"
#include "base/id.h"
#include "command.h"
#include "manifest.h"
#include "provision.h"
#include "team_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct team_export {
    const char *slug, *file, *passphrase;
    bool with_passwords, with_secrets;
    struct db *db;
    struct id team;
    struct part part;
    struct team_key key;
    struct bulk_counts counts;
    int64_t n_left; /* rows and secrets that are not in the file, though they might be */
    int64_t n_shut; /* secrets that do not open */
    /* the table at hand */
    const struct bulk_table *table;
    struct bulk_columns columns;
    size_t id_at; /* columns.n: it has none */
    struct progress progress;
};

/* ---- a row ---- */
static void write_cell(struct json *j, struct arena *a, const struct bulk_cell *cell)
{
    if (cell->is_null) {
        json_null(j);
    } else if (bulk_is_number(cell->kind)) {
        json_int(j, cell->number);
    } else if (cell->kind == BULK_BYTES) {
        json_begin_object(j);
        json_pair_str(j, "base64url", crypto_base64url(a, cell->text));
        json_end_object(j);
    } else {
        json_str(j, cell->text);
    }
}

/* What a cell of the database becomes in the file. */
static struct bulk_cell cell_of(struct team_export *x, struct arena *a,
                                const struct bulk_cell *cells, size_t i)
{
    static const struct bulk_cell none = {.is_null = true};
    const char *name = x->columns.items[i].name;
    struct str text;

    if (x->table->hash_column && strcmp(name, x->table->hash_column) == 0)
        return x->with_passwords ? cells[i] : none;
    /* Whoever writes it goes on in the old place. */
    if (strcmp(x->table->name, "messages") == 0 && strcmp(name, "status") == 0 &&
        str_eq(cells[i].text, STR("streaming")))
        return (struct bulk_cell){.kind = BULK_TEXT, .text = STR("interrupted")};
    if (cells[i].is_null || !team_file_is_sealed(x->table, &x->columns, i))
        return cells[i];
    if (!x->with_secrets) {
        x->n_left++;
        return none;
    }
    text = seal_open(a, x->table->purpose, cells[x->id_at].text, cells[i].text);
    if (!text.ptr) {
        x->n_shut++;
        return none;
    }
    return (struct bulk_cell){.kind = BULK_TEXT,
                              .text = crypto_seal(a, x->key.key, cells[x->id_at].text, text)};
}

static bool is_nothing_without(const struct team_export *x, const struct bulk_cell *cells)
{
    return x->table->is_all_secret &&
           cells[bulk_column_find(&x->columns, str_from(x->table->sealed[0]))].is_null;
}

static struct error write_row(const struct bulk_cell *cells, size_t n, void *state)
{
    struct team_export *x = state;
    struct bulk_cell out[BULK_COLUMNS_MAX];
    struct arena arena = {0};
    struct buf line = {0};
    struct json j = {.buf = &line};
    struct error err = NO_ERROR;

    for (size_t i = 0; i < n; i++)
        out[i] = cell_of(x, &arena, cells, i);
    if (!is_nothing_without(x, out)) {
        json_begin_object(&j);
        json_pair_str(&j, "table", str_from(x->table->name));
        json_key(&j, "row");
        json_begin_object(&j);
        for (size_t i = 0; i < n; i++) {
            json_key(&j, x->columns.items[i].name);
            write_cell(&j, &arena, &out[i]);
        }
        json_end_object(&j);
        json_end_object(&j);
        buf_append_char(&line, '\n');
        err = line.failed || arena.failed ? ERROR(ERR_NO_MEMORY, 0, NULL)
                                          : part_write(&x->part, buf_str(&line));
        progress_tell(&x->progress, (uint64_t)++x->counts.items[x->counts.n - 1].rows);
    }
    buf_deinit(&line);
    arena_free(&arena);
    return err;
}

static struct error write_table(struct team_export *x, const struct bulk_table *table)
{
    struct bulk_count *count = &x->counts.items[x->counts.n++];
    struct error err;

    snprintf(count->table, sizeof(count->table), "%s", table->name);
    x->table = table;
    x->progress = (struct progress){.what = table->name, .unit = "rows written"};
    err = bulk_columns(x->db, table->name, &x->columns);
    x->id_at = bulk_column_find(&x->columns, STR("id"));
    if (!is_error(err))
        err = bulk_read(x->db, table, &x->columns, x->team.text, write_row, x);
    progress_end(&x->progress);
    return err;
}

/* ---- the first line and the last ---- */
static struct error write_head(struct team_export *x)
{
    char salt[TEAM_FILE_SALT_BYTES];
    struct arena arena = {0};
    struct str salt_text = STR_NONE;
    struct buf line = {0};
    struct json j = {.buf = &line};
    struct error err = NO_ERROR;

    if (x->with_secrets) {
        crypto_random(salt, sizeof(salt));
        salt_text = crypto_base64url(&arena, (struct str){salt, sizeof(salt)});
        err = salt_text.ptr ? team_key_read(&x->key, x->passphrase, salt_text)
                            : ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    json_begin_object(&j);
    json_pair_int(&j, "aerie_export", TEAM_FILE_FORMAT);
    json_pair_str(&j, "version", STR(AERIE_VERSION));
    json_pair_int(&j, "migration", db_migrations_known());
    json_pair_str(&j, "database", str_from(db_name(x->db)));
    json_pair_time(&j, "exported_at", clock_wall_us());
    json_pair_str(&j, "team", id_str(&x->team));
    json_pair_str(&j, "slug", str_from(x->slug));
    json_pair_bool(&j, "with_passwords", x->with_passwords);
    if (x->with_secrets && !is_error(err)) {
        json_pair_str(&j, "salt", salt_text);
        json_pair_str(&j, "mark", team_key_mark(&x->key, &arena, id_str(&x->team)));
    }
    json_end_object(&j);
    buf_append_char(&line, '\n');
    if (!is_error(err))
        err = line.failed || arena.failed ? ERROR(ERR_NO_MEMORY, 0, NULL)
                                          : part_write(&x->part, buf_str(&line));
    buf_deinit(&line);
    arena_free(&arena);
    return err;
}

static struct error write_foot(struct team_export *x)
{
    struct crypto_sum sum = x->part.sum;
    char text[PART_SUM_BYTES];
    struct buf line = {0};
    struct json j = {.buf = &line};
    struct error err;

    part_sum_text(&sum, text);
    json_begin_object(&j);
    json_pair_int(&j, "aerie_export_end", TEAM_FILE_FORMAT);
    json_pair_str(&j, "sha256", str_from(text));
    json_key(&j, "tables");
    json_begin_object(&j);
    for (size_t i = 0; i < x->counts.n; i++)
        json_pair_int(&j, x->counts.items[i].table, x->counts.items[i].rows);
    json_end_object(&j);
    json_end_object(&j);
    buf_append_char(&line, '\n');
    err = line.failed ? ERROR(ERR_NO_MEMORY, 0, NULL) : part_write(&x->part, buf_str(&line));
    buf_deinit(&line);
    return err;
}

/* ---- the whole ---- */
static struct error write_all(struct team_export *x)
{
    struct error err = bulk_begin(x->db, BULK_READS);
    size_t n;
    const struct bulk_table *tables = bulk_tables(&n);

    if (!is_error(err))
        err = write_head(x);
    for (size_t i = 0; i < n && !is_error(err); i++)
        if (tables[i].way == TABLE_OF_TEAM)
            err = write_table(x, &tables[i]);
    if (!is_error(err))
        err = write_foot(x);
    if (!is_error(err))
        err = part_finish(&x->part);
    if (!is_error(err))
        bulk_rollback(x->db);
    return err;
}

static void say_what_is_missing(const struct team_export *x)
{
    if (!x->with_passwords)
        fputs(
            "aerie: passwords are not in it (--with-passwords): people will have to set new ones\n",
            stderr);
    if (x->n_left > 0)
        fprintf(stderr,
                "aerie: %" PRId64 " secrets are not in it (--with-secrets): tokens of agents, keys "
                                  "of providers, and webhooks "
                "with theirs\n",
                x->n_left);
    if (x->n_shut > 0)
        fprintf(stderr,
                "aerie: %" PRId64 " secrets do not open with this server's secret, and are not in "
                                  "it: were they sealed with "
                "another one?\n",
                x->n_shut);
}

int command_export(int argc, char **argv)
{
    struct team_export x = {.part.fd = -1};
    bool as_json = false;
    const struct command_option options[] = {{NULL, &x.file, NULL},
                                             {"--team", &x.slug, NULL},
                                             {"--with-passwords", NULL, &x.with_passwords},
                                             {"--with-secrets", NULL, &x.with_secrets},
                                             {"--passphrase-file", &x.passphrase, NULL},
                                             {"--json", NULL, &as_json}};
    struct error err;

    if (!command_read_options(argc, argv, 1, options, 6) || !command_require("the file", x.file) ||
        !command_require("--team", x.slug) ||
        (x.with_secrets && !command_require("--passphrase-file", x.passphrase)))
        return command_usage(argv[0]);
    err = command_open_db(&x.db);
    if (!is_error(err))
        err = bulk_know_all(x.db);
    if (!is_error(err))
        err = provision_find_team(x.db, str_from(x.slug), &x.team);
    if (!is_error(err))
        err = part_begin(&x.part, x.file);
    if (!is_error(err))
        err = write_all(&x);
    if (is_error(err))
        (void)command_fail(err);
    else
        say_what_is_missing(&x);
    part_drop(&x.part);
    db_close(x.db);
    explicit_bzero(&x.key, sizeof(x.key));
    return is_error(err) ? COMMAND_FAILED : manifest_print_counts(&x.counts, as_json);
}
