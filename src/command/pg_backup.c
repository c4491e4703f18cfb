/* PostgreSQL's own tools. Who they connect as, and the password, is in their environment. */
#include "pg_backup.h"

#include "config/config.h"
#include "db/backup.h"
#include "progress.h"
#include "tool.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static _Thread_local char words[TOOL_SAID_BYTES + 512];

struct error pg_backup_url(struct str *out)
{
    const struct config *c = config();

    *out = c->backup.url.len > 0 ? c->backup.url : c->database.url;
    if (c->backup.url.len > 0 || c->database.prepared_statements)
        return NO_ERROR;
    return ERROR(
        ERR_INVALID, 0,
        "database.prepared_statements is false, so database.url is a pooler's, through which "
        "PostgreSQL's tools must not go: set BACKUP__URL to PostgreSQL's own address");
}

struct growth {
    const char *file; /* NULL: nobody sees how far it is */
    struct progress progress;
    uint64_t n_ticks;
};

static void tick(void *state)
{
    struct growth *g = state;
    struct stat st;

    g->n_ticks++;
    if (!g->file)
        progress_tell(&g->progress, g->n_ticks / 5);
    else if (stat(g->file, &st) == 0)
        progress_tell(&g->progress, (uint64_t)st.st_size);
}

/* What the tools say of their own, and what to do about it. */
static struct error explain(struct error err, const char *program, const char *key)
{
    const char *said = err.detail ? err.detail : "";

    if (err.status == ERR_UNAVAILABLE)
        snprintf(words, sizeof(words),
                 "%s. Install PostgreSQL's client programs (postgresql-client), or say where it is "
                 "with %s",
                 said, key);
    else if (strstr(said, "server version mismatch"))
        snprintf(words, sizeof(words),
                 "%s is older than the PostgreSQL server, and cannot read it. Install the "
                 "postgresql-client of the server's version, or name that one's %s with %s. It "
                 "said:\n%s",
                 program, program, key, said);
    else if (strstr(said, "unsupported version"))
        snprintf(
            words, sizeof(words),
            "the backup was made by a newer %s. Install the postgresql-client of that version, or "
            "name it with %s. It said:\n%s",
            "pg_dump", key, said);
    else
        snprintf(words, sizeof(words), "%s failed: %s", program, said);
    for (size_t len = strlen(words); len > 0 && words[len - 1] == '\n'; len--)
        words[len - 1] = '\0';
    return ERROR(err.status, err.code, words);
}

struct error pg_backup_dump(struct db *db, struct str url, const char *file)
{
    struct arena arena = {0};
    struct growth g = {.file = file, .progress = {.what = "pg_dump", .unit = "bytes"}};
    const char *program = arena_copy(&arena, config()->backup.pg_dump).ptr;
    char snapshot[64], snapshot_option[96];
    const char *argv[] = {
        program,         "--format=custom", "--no-password", "--no-owner", "--no-privileges",
        "--no-comments", snapshot_option,   "--file",        file,         NULL};
    struct tool t = {.argv = argv, .tick = tick, .state = &g};
    const char *name;
    char **env = NULL;
    struct error err = db_tool_environment(&arena, url, &env, &name);

    if (!is_error(err) && !program)
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!is_error(err))
        err = db_snapshot_name(db, snapshot);
    if (!is_error(err)) {
        snprintf(snapshot_option, sizeof(snapshot_option), "--snapshot=%s", snapshot);
        t.env = env;
        err = tool_run(&t);
        progress_end(&g.progress);
        if (is_error(err))
            err = explain(err, "pg_dump", "BACKUP__PG_DUMP");
    }
    arena_free(&arena);
    return err;
}

/* "dbname='…'": a name alone might look like an address. */
static struct str quoted_name(struct arena *a, const char *name)
{
    struct buf out = {0};
    struct str copy;

    buf_append_str(&out, STR("dbname='"));
    for (const char *c = name; *c; c++) {
        if (*c == '\'' || *c == '\\')
            buf_append_char(&out, '\\');
        buf_append_char(&out, *c);
    }
    buf_append_char(&out, '\'');
    copy = out.failed ? STR_NONE : arena_copy(a, buf_str(&out));
    buf_deinit(&out);
    return copy;
}

struct error pg_backup_look(const char *file)
{
    struct arena arena = {0};
    const char *program = arena_copy(&arena, config()->backup.pg_restore).ptr;
    const char *argv[] = {program, "--list", file, NULL};
    struct tool t = {.argv = argv};
    struct error err = program ? tool_run(&t) : ERROR(ERR_NO_MEMORY, 0, NULL);

    if (is_error(err) && program)
        err = explain(err, "pg_restore", "BACKUP__PG_RESTORE");
    arena_free(&arena);
    return err;
}

struct error pg_backup_load(struct str url, const char *file)
{
    struct arena arena = {0};
    struct growth g = {.progress = {.what = "pg_restore", .unit = "seconds"}};
    const char *program = arena_copy(&arena, config()->backup.pg_restore).ptr;
    const char *argv[] = {program,
                          "--no-password",
                          "--no-owner",
                          "--no-privileges",
                          "--exit-on-error",
                          "--single-transaction",
                          "--dbname",
                          NULL,
                          file,
                          NULL};
    struct tool t = {.argv = argv, .tick = tick, .state = &g};
    const char *name = NULL;
    char **env = NULL;
    struct error err = db_tool_environment(&arena, url, &env, &name);

    if (!is_error(err)) {
        argv[7] = quoted_name(&arena, name ? name : "").ptr;
        if (!program || !argv[7])
            err = ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    if (!is_error(err)) {
        t.env = env;
        err = tool_run(&t);
        progress_end(&g.progress);
        if (is_error(err))
            err = explain(err, "pg_restore", "BACKUP__PG_RESTORE");
    }
    arena_free(&arena);
    return err;
}
