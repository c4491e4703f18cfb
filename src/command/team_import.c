/* aerie import: a team out of a file that `aerie export` wrote. The file is read twice: once to see
 * that it is whole, and once more in one transaction. */
#include "account/password.h"
#include "api/input.h"
#include "base/id.h"
#include "command.h"
#include "manifest.h"
#include "provision.h"
#include "team_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX   6
#define PIECE_BYTES (64U << 10)

struct team_import {
    const char *file, *as, *passphrase;
    struct db *db;
    FILE *in;
    struct buf read; /* of the file; from at on it is not looked at yet */
    size_t at;
    uint64_t n_lines, n_bytes, total_bytes;
    struct crypto_sum sum; /* of the lines before the last one */
    struct progress progress;
    /* what the first line says */
    struct id team;
    int64_t migration;
    bool has_secrets, has_passwords;
    struct team_key key;
    struct bulk_counts counts;
    char no_password[PASSWORD_HASH_BYTES];
    /* the table at hand */
    const struct bulk_table *table;
    struct bulk_columns columns;
    struct bulk_put *put;
};

/* ---- lines ---- */
static struct error complain(const struct team_import *m, const char *words)
{
    static char text[256];

    snprintf(text, sizeof(text), "line %" PRIu64 " of the file: %s", m->n_lines, words);
    return ERROR(ERR_INVALID, 0, text);
}

/* line: without its end, until the next call. *is_end: there is none any more. */
static struct error next_line(struct team_import *m, struct str *line, bool *is_end)
{
    static char piece[PIECE_BYTES];
    size_t looked = m->at;

    *is_end = false;
    for (;;) {
        const char *from = m->read.data + looked;
        const char *end = m->read.len > looked ? memchr(from, '\n', m->read.len - looked) : NULL;
        size_t n;

        if (end) {
            *line = (struct str){m->read.data + m->at, (size_t)(end - m->read.data) - m->at};
            m->at += line->len + 1;
            m->n_lines++;
            m->n_bytes += line->len + 1;
            progress_tell(&m->progress, m->n_bytes);
            return NO_ERROR;
        }
        buf_consume(&m->read, m->at);
        m->at = 0;
        looked = m->read.len;
        n = fread(piece, 1, sizeof(piece), m->in);
        if (n == 0 && ferror(m->in))
            return part_fail("read", m->file, errno);
        if (n == 0 && m->read.len > 0)
            return ERROR(ERR_INVALID, 0, "the file is cut off: its last line has no end");
        if (n == 0) {
            *is_end = true;
            return NO_ERROR;
        }
        buf_append(&m->read, piece, n);
        if (m->read.failed)
            return complain(m, "it is too long, or there is no memory for it");
    }
}

static void rewind_file(struct team_import *m)
{
    rewind(m->in);
    buf_clear(&m->read);
    m->at = 0;
    m->n_lines = 0;
    m->n_bytes = 0;
}

/* ---- the first line and the last ---- */
static struct error take_head(struct team_import *m, struct str line)
{
    struct arena arena = {0};
    struct str salt, mark;
    yyjson_val *root;
    struct error err = NO_ERROR;

    if (is_error(json_read(&arena, line, DEPTH_MAX, &root)) ||
        yyjson_get_int(json_member(root, "aerie_export")) != TEAM_FILE_FORMAT ||
        !id_parse(json_text(json_member(root, "team")), &m->team))
        err = ERROR(ERR_INVALID, 0, "this is not what `aerie export` writes");
    if (is_error(err))
        goto out;
    m->migration = yyjson_get_sint(json_member(root, "migration"));
    m->has_passwords = yyjson_get_bool(json_member(root, "with_passwords"));
    salt = json_text(json_member(root, "salt"));
    mark = json_text(json_member(root, "mark"));
    m->has_secrets = salt.len > 0;
    if (m->migration > db_migrations_known())
        err = ERROR(
            ERR_CONFLICT, 0,
            "the file was written by a newer program: import it with that one, or a newer one");
    else if (m->has_secrets && !m->passphrase)
        err =
            ERROR(ERR_INVALID, 0,
                  "the file has secrets: --passphrase-file must name the passphrase that they were "
                  "exported with");
    else if (m->has_secrets)
        err = team_key_read(&m->key, m->passphrase, salt);
    if (!is_error(err) && m->has_secrets && !team_key_fits(&m->key, &arena, id_str(&m->team), mark))
        err = ERROR(ERR_INVALID, 0, "the passphrase is not the one of the export");
out:
    arena_free(&arena);
    return err;
}

static struct error judge_foot(struct team_import *m, yyjson_val *root)
{
    struct crypto_sum sum = m->sum;
    char text[PART_SUM_BYTES];
    yyjson_val *tables = json_member(root, "tables"), *key;
    yyjson_obj_iter members = yyjson_obj_iter_with(tables);
    int64_t told = 0, counted = 0;

    part_sum_text(&sum, text);
    if (!str_eq(json_text(json_member(root, "sha256")), str_from(text)))
        return ERROR(ERR_CONFLICT, 0,
                     "the file is damaged: its lines are not those that its end speaks of");
    while ((key = yyjson_obj_iter_next(&members))) {
        const struct bulk_count *count = bulk_counts_find(&m->counts, json_text(key));
        const int64_t n = yyjson_get_sint(yyjson_obj_iter_get_val(key));

        if ((count ? count->rows : 0) != n)
            return ERROR(ERR_CONFLICT, 0,
                         "the file is damaged: its rows are not as many as its end says");
        told += n;
    }
    for (size_t i = 0; i < m->counts.n; i++)
        counted += m->counts.items[i].rows;
    return told == counted
               ? NO_ERROR
               : ERROR(ERR_CONFLICT, 0, "the file has rows that its end does not speak of");
}

/* ---- once to see that it is whole ---- */
static struct error count_row(struct team_import *m, struct str table)
{
    const struct bulk_table *known = bulk_table_find(table);
    struct bulk_count *last = m->counts.n > 0 ? &m->counts.items[m->counts.n - 1] : NULL;

    if (!known || known->way != TABLE_OF_TEAM)
        return complain(m, "a table that this program does not import");
    if (last && str_eq(str_from(last->table), table)) {
        last->rows++;
        return NO_ERROR;
    }
    if (bulk_counts_find(&m->counts, table))
        return complain(m, "rows of one table are apart");
    last = &m->counts.items[m->counts.n++];
    snprintf(last->table, sizeof(last->table), "%s", known->name);
    last->rows = 1;
    return NO_ERROR;
}

/* Any line but the first; *is_foot: it was the last. */
static struct error look_at_line(struct team_import *m, struct str line, bool *is_foot)
{
    struct arena arena = {0};
    yyjson_val *root;
    struct error err = NO_ERROR;

    if (is_error(json_read(&arena, line, DEPTH_MAX, &root)) || !yyjson_is_obj(root)) {
        err = complain(m, "it is no JSON object");
    } else if (json_member(root, "aerie_export_end")) {
        *is_foot = true;
        err = judge_foot(m, root);
    } else {
        err = count_row(m, json_text(json_member(root, "table")));
    }
    arena_free(&arena);
    return err;
}

static struct error look_through(struct team_import *m)
{
    bool is_end = false, is_foot = false;
    struct str line = STR_NONE;
    struct error err;

    m->progress = (struct progress){.what = "looking", .unit = "bytes", .total = m->total_bytes};
    err = next_line(m, &line, &is_end);
    if (!is_error(err) && is_end)
        err = ERROR(ERR_INVALID, 0, "the file is empty");
    if (!is_error(err))
        err = take_head(m, line);
    while (!is_error(err)) {
        if (!is_foot) {
            crypto_sum_add(&m->sum, line);
            crypto_sum_add(&m->sum, STR("\n"));
        }
        err = next_line(m, &line, &is_end);
        if (is_error(err) || is_end)
            break;
        err = is_foot ? complain(m, "there is something behind the file's end")
                      : look_at_line(m, line, &is_foot);
    }
    progress_end(&m->progress);
    if (!is_error(err) && !is_foot)
        err = ERROR(ERR_INVALID, 0, "the file is cut off: it has no end");
    return err;
}

/* ---- once more, into the database ---- */
/* The columns are those of the file's first row: an older program wrote fewer, which the database
 * fills. */
static struct error begin_table(struct team_import *m, const struct bulk_table *table,
                                yyjson_val *row)
{
    struct bulk_columns has = {0};
    struct error err = bulk_columns(m->db, table->name, &has);
    yyjson_obj_iter members = yyjson_obj_iter_with(row);
    yyjson_val *key;

    m->table = table;
    m->columns.n = 0;
    while (!is_error(err) && (key = yyjson_obj_iter_next(&members))) {
        const size_t at = bulk_column_find(&has, json_text(key));

        if (at == has.n || m->columns.n == BULK_COLUMNS_MAX)
            return complain(m, "it has a column that this program's table has not");
        m->columns.items[m->columns.n++] = has.items[at];
    }
    return is_error(err) ? err : bulk_put_begin(&m->put, m->db, table->name, &m->columns);
}

static bool take_cell(struct arena *a, yyjson_val *val, struct bulk_cell *out)
{
    *out = (struct bulk_cell){.kind = BULK_TEXT};
    if (yyjson_is_null(val)) {
        out->is_null = true;
    } else if (yyjson_is_str(val)) {
        out->text = json_text(val);
    } else if (yyjson_is_int(val)) {
        out->kind = BULK_INT;
        out->number = yyjson_get_sint(val);
    } else if (yyjson_is_obj(val)) {
        out->kind = BULK_BYTES;
        out->text = crypto_base64url_decode(a, json_text(json_member(val, "base64url")));
        return out->text.ptr != NULL;
    }
    return out->is_null || !(yyjson_is_real(val) || yyjson_is_bool(val) || yyjson_is_arr(val));
}

/* What a cell of the file becomes in this database. */
static struct error settle_cell(struct team_import *m, struct arena *a, struct bulk_cell *cells,
                                size_t i)
{
    const char *name = m->columns.items[i].name;
    const size_t id_at = bulk_column_find(&m->columns, STR("id"));
    struct str text;

    if (strcmp(name, m->table->team_column) == 0 && !str_eq(cells[i].text, id_str(&m->team)))
        return complain(m, "a row of another team");
    if (m->as && strcmp(m->table->name, "teams") == 0 && strcmp(name, "slug") == 0)
        cells[i].text = str_from(m->as);
    if (m->table->leased && str_starts_with(str_from(name), str_from(m->table->leased)))
        cells[i] = (struct bulk_cell){.kind = BULK_INT}; /* servers of another place have it */
    if (m->table->hash_column && strcmp(name, m->table->hash_column) == 0 && cells[i].is_null)
        cells[i] = (struct bulk_cell){.kind = BULK_TEXT, .text = str_from(m->no_password)};
    if (cells[i].is_null || !team_file_is_sealed(m->table, &m->columns, i))
        return NO_ERROR;
    text = m->key.is_there && id_at < m->columns.n
               ? crypto_open(a, m->key.key, cells[id_at].text, cells[i].text)
               : STR_NONE;
    if (!text.ptr)
        return complain(m, "a secret does not open with the passphrase");
    cells[i].text = seal_text(a, m->table->purpose, cells[id_at].text, text);
    return cells[i].text.ptr ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, NULL);
}

static struct error put_row(struct team_import *m, struct arena *a, yyjson_val *row)
{
    struct bulk_cell cells[BULK_COLUMNS_MAX];
    struct error err = NO_ERROR;

    if (yyjson_obj_size(row) != m->columns.n)
        return complain(m, "it has not the columns of the rows before");
    for (size_t i = 0; i < m->columns.n; i++) {
        yyjson_val *val = json_member(row, m->columns.items[i].name);

        if (!val || !take_cell(a, val, &cells[i]))
            return complain(m, "a column is missing, or not what it should be");
    }
    for (size_t i = 0; i < m->columns.n && !is_error(err); i++)
        err = settle_cell(m, a, cells, i);
    return is_error(err) ? err : bulk_put_row(m->put, cells);
}

static struct error end_table(struct team_import *m)
{
    struct bulk_put *put = m->put;

    m->put = NULL;
    return put ? bulk_put_end(put) : NO_ERROR;
}

static struct error put_line(struct team_import *m, struct str line)
{
    struct arena arena = {0};
    yyjson_val *root, *row = NULL;
    const struct bulk_table *table = NULL;
    struct error err = json_read(&arena, line, DEPTH_MAX, &root);

    if (!is_error(err)) {
        row = json_member(root, "row");
        table = bulk_table_find(json_text(json_member(root, "table")));
    }
    if (!is_error(err) && (!yyjson_is_obj(row) || !table))
        err = complain(m, "it is no row");
    if (!is_error(err) && table != m->table) {
        err = end_table(m);
        if (!is_error(err))
            err = begin_table(m, table, row);
    }
    if (!is_error(err))
        err = put_row(m, &arena, row);
    arena_free(&arena);
    return err;
}

/* All lines but the first and the last. */
static struct error put_all(struct team_import *m)
{
    uint64_t n = 0, at = 1;
    bool is_end = false;
    struct str line;
    struct error err;

    for (size_t i = 0; i < m->counts.n; i++)
        n += (uint64_t)m->counts.items[i].rows;
    rewind_file(m);
    m->progress = (struct progress){.what = "importing", .unit = "bytes", .total = m->total_bytes};
    err = next_line(m, &line, &is_end);
    for (; at <= n && !is_error(err); at++) {
        err = next_line(m, &line, &is_end);
        if (!is_error(err))
            err = is_end ? ERROR(ERR_CONFLICT, 0, "the file has changed meanwhile")
                         : put_line(m, line);
    }
    if (!is_error(err))
        err = end_table(m);
    bulk_put_free(m->put);
    m->put = NULL;
    progress_end(&m->progress);
    return err;
}

static struct error compare(struct team_import *m)
{
    static char words[160];

    for (size_t i = 0; i < m->counts.n; i++) {
        const struct bulk_count *count = &m->counts.items[i];
        const char *team_column = bulk_table_find(str_from(count->table))->team_column;
        int64_t n = 0;
        struct error err = bulk_count(m->db, count->table, team_column, m->team.text, &n);

        if (is_error(err))
            return err;
        if (n == count->rows)
            continue;
        snprintf(words, sizeof(words),
                 "%s: %" PRId64 " rows of %" PRId64 " are there: nothing was imported",
                 count->table, n, count->rows);
        return ERROR(ERR_INTERNAL, 0, words);
    }
    return NO_ERROR;
}

static struct error check_is_new(struct team_import *m)
{
    int64_t n = 0;
    struct error err = bulk_count(m->db, "teams", "id", m->team.text, &n);

    if (!is_error(err) && n > 0)
        return ERROR(
            ERR_CONFLICT, 0,
            "this team is here already: an import neither adds to a team nor replaces one. Import "
            "it into another database");
    if (!is_error(err) && m->as)
        err = bulk_count(m->db, "teams", "slug", m->as, &n);
    if (!is_error(err) && n > 0)
        err = ERROR(ERR_CONFLICT, 0, "there is a team of this slug: choose another with --as");
    return err;
}

/* What the database says when something of it is there is of its tables; what to do is not. */
static struct error explain(struct error err)
{
    static char words[512];

    if (err.status != ERR_CONFLICT || !err.detail || !err.code)
        return err;
    if (strstr(err.detail, "slug"))
        return ERROR(ERR_CONFLICT, 0,
                     "there is a team of this slug: give it another with --as SLUG");
    snprintf(words, sizeof(words),
             "something of the team is in this database already, or refers to what is not in the "
             "file: import "
             "it into another database (%s)",
             err.detail);
    return ERROR(ERR_CONFLICT, 0, words);
}

static struct error import(struct team_import *m)
{
    char unknown[GENERATED_PASSWORD_BYTES];
    struct error err;

    provision_generate_password(unknown);
    if (!password_hash_blocking(str_from(unknown), m->no_password))
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    explicit_bzero(unknown, sizeof(unknown));
    err = bulk_begin(m->db, BULK_WRITES);
    if (is_error(err))
        return err;
    err = check_is_new(m);
    if (!is_error(err))
        err = put_all(m);
    if (!is_error(err))
        err = compare(m);
    if (!is_error(err))
        err = bulk_commit(m->db);
    return is_error(err) ? explain(err) : err;
}

static struct error open_file(struct team_import *m)
{
    struct stat st;

    buf_init(&m->read, TEAM_FILE_LINE_BYTES);
    m->in = fopen(m->file, "re");
    if (!m->in)
        return part_fail("read", m->file, errno);
    m->total_bytes = fstat(fileno(m->in), &st) == 0 ? (uint64_t)st.st_size : 0;
    return NO_ERROR;
}

int command_import(int argc, char **argv)
{
    static struct team_import m;
    bool as_json = false;
    const struct command_option options[] = {{NULL, &m.file, NULL},
                                             {"--as", &m.as, NULL},
                                             {"--passphrase-file", &m.passphrase, NULL},
                                             {"--json", NULL, &as_json}};
    struct error err;

    if (!command_read_options(argc, argv, 1, options, 4) || !command_require("the file", m.file))
        return command_usage(argv[0]);
    if (m.as && !input_is_slug(str_from(m.as)))
        return command_fail(
            ERROR(ERR_INVALID, 0, "--as must be small letters, digits and single hyphens"));
    err = open_file(&m);
    if (!is_error(err))
        err = look_through(&m);
    if (!is_error(err))
        err = command_open_db(&m.db);
    if (!is_error(err))
        err = import(&m);
    if (is_error(err))
        (void)command_fail(err);
    else if (!m.has_passwords)
        fputs("aerie: the file has no passwords: `aerie user password` sets new ones, or people "
              "ask for a "
              "mail\n",
              stderr);
    db_close(m.db);
    if (m.in)
        fclose(m.in);
    buf_deinit(&m.read);
    explicit_bzero(&m.key, sizeof(m.key));
    return is_error(err) ? COMMAND_FAILED : manifest_print_counts(&m.counts, as_json);
}
