/* What a backup holds, beside it. */
#include "manifest.h"

#include "base/clock.h"
#include "command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES (64U << 10)
#define DEPTH_MAX  3

struct error manifest_write(const struct manifest *m, struct part *p)
{
    struct buf text = {0};
    struct json j = {.buf = &text};
    struct error err;

    json_begin_object(&j);
    json_pair_int(&j, "aerie_backup", 1);
    json_pair_str(&j, "version", STR(AERIE_VERSION));
    json_pair_time(&j, "made_at", clock_wall_us());
    json_pair_str(&j, "database", m->is_sqlite ? STR("sqlite") : STR("postgresql"));
    json_pair_int(&j, "migration", m->migration);
    json_pair_int(&j, "bytes", (int64_t)m->bytes);
    json_pair_str(&j, "sha256", str_from(m->sum));
    json_key(&j, "tables");
    json_begin_object(&j);
    for (size_t i = 0; i < m->counts.n; i++)
        json_pair_int(&j, m->counts.items[i].table, m->counts.items[i].rows);
    json_end_object(&j);
    json_end_object(&j);
    buf_append_char(&text, '\n');
    err = text.failed ? ERROR(ERR_NO_MEMORY, 0, NULL) : part_write(p, buf_str(&text));
    buf_deinit(&text);
    return err;
}

static bool take_counts(struct bulk_counts *out, yyjson_val *tables)
{
    yyjson_obj_iter members;
    yyjson_val *key;

    if (!yyjson_is_obj(tables) || yyjson_obj_size(tables) > BULK_TABLES_MAX)
        return false;
    members = yyjson_obj_iter_with(tables);
    while ((key = yyjson_obj_iter_next(&members))) {
        struct bulk_count *count = &out->items[out->n++];
        const struct str name = json_text(key);

        if (name.len >= sizeof(count->table) || !yyjson_is_int(yyjson_obj_iter_get_val(key)))
            return false;
        snprintf(count->table, sizeof(count->table), "%.*s", STR_ARG(name));
        count->rows = yyjson_get_sint(yyjson_obj_iter_get_val(key));
    }
    return true;
}

static bool take(struct manifest *m, struct arena *a, struct str text)
{
    struct str database, sum;
    yyjson_val *root;

    if (is_error(json_read(a, text, DEPTH_MAX, &root)) ||
        yyjson_get_int(json_member(root, "aerie_backup")) != 1)
        return false;
    database = json_text(json_member(root, "database"));
    sum = json_text(json_member(root, "sha256"));
    m->is_sqlite = str_eq(database, STR("sqlite"));
    m->migration = yyjson_get_sint(json_member(root, "migration"));
    m->bytes = yyjson_get_uint(json_member(root, "bytes"));
    snprintf(m->sum, sizeof(m->sum), "%.*s", STR_ARG(sum));
    return take_counts(&m->counts, json_member(root, "tables"));
}

struct error manifest_read(struct manifest *m, const char *file)
{
    static char text[FILE_BYTES], words[PATH_MAX + 64];
    char path[PATH_MAX];
    struct arena arena = {0};
    FILE *in = NULL;
    size_t n;

    memset(m, 0, sizeof(*m));
    if ((size_t)snprintf(path, sizeof(path), "%s" MANIFEST_SUFFIX, file) < sizeof(path))
        in = fopen(path, "re");
    if (!in && errno == ENOENT)
        return NO_ERROR;
    if (!in)
        return part_fail("read", path, errno);
    n = fread(text, 1, sizeof(text), in);
    fclose(in);
    m->is_there = take(m, &arena, (struct str){text, n});
    arena_free(&arena);
    if (m->is_there)
        return NO_ERROR;
    snprintf(words, sizeof(words), "%s is not what `aerie backup` writes", path);
    return ERROR(ERR_INVALID, 0, words);
}

struct error manifest_compare(const struct manifest *m, const struct bulk_counts *counts)
{
    static char words[160];
    const struct bulk_counts *had = &m->counts;

    for (size_t i = 0; i < had->n; i++) {
        const struct bulk_count *now = bulk_counts_find(counts, str_from(had->items[i].table));

        if (now && now->rows == had->items[i].rows)
            continue;
        snprintf(words, sizeof(words),
                 "%s has %" PRId64 " rows, and the backup was made of %" PRId64,
                 had->items[i].table, now ? now->rows : 0, had->items[i].rows);
        return ERROR(ERR_CONFLICT, 0, words);
    }
    return NO_ERROR;
}

int manifest_print_counts(const struct bulk_counts *counts, bool as_json)
{
    int exit = COMMAND_OK;

    for (size_t i = 0; i < counts->n && exit == COMMAND_OK; i++) {
        const struct bulk_count *c = &counts->items[i];
        struct buf line = {0};
        struct json j = {.buf = &line};

        if (as_json) {
            json_begin_object(&j);
            json_pair_str(&j, "table", str_from(c->table));
            json_pair_int(&j, "rows", c->rows);
            json_end_object(&j);
        } else {
            buf_printf(&line, "%-18s %10" PRId64, c->table, c->rows);
        }
        exit = command_print(&line);
    }
    return exit;
}
