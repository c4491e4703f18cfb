/* One SQLite connection: its settings, its statements, rows out of it, and what its errors mean. */
#include "db/sqlite.h"

#include "base/clock.h"
#include "config/config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A result past this fails its query; listing routes page far below it. */
#define ROWS_MAX_BYTES (64U << 20)
/* Row buffers stay with the connection up to this size. */
#define ROWS_KEEP_BYTES (256U << 10)
/* SQLite's virtual machine instructions between two looks at the clock. */
#define PROGRESS_STEPS 1000
/* So few operations in such a time are not worth a cache of pages: the system has them, too. */
#define CALM_MS         2000
#define CALM_OPERATIONS 20

static int on_progress(void *state)
{
    struct sqlite_conn *c = state;

    if (c->task && atomic_load(&c->task->is_unwanted))
        return 1;
    if (c->deadline_ms == 0 || clock_mono_ms() < c->deadline_ms)
        return 0;
    c->is_out_of_time = true;
    return 1;
}

bool sqlite_conn_exec(struct sqlite_conn *c, const char *sql)
{
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

bool sqlite_conn_do(struct sqlite_conn *c, enum sqlite_do what)
{
    static const char *const texts[] = {[SQLITE_DO_BEGIN_READ] = "BEGIN",
                                        [SQLITE_DO_BEGIN_WRITE] = "BEGIN IMMEDIATE",
                                        [SQLITE_DO_COMMIT] = "COMMIT",
                                        [SQLITE_DO_ROLLBACK] = "ROLLBACK"};
    sqlite3_stmt **stmt = &c->dos[what];

    if (!*stmt && sqlite3_prepare_v3(c->db, texts[what], -1, SQLITE_PREPARE_PERSISTENT, stmt,
                                     NULL) != SQLITE_OK)
        return false;
    sqlite3_step(*stmt);
    return sqlite3_reset(*stmt) == SQLITE_OK;
}

/* Not only when nothing comes: a few statements come all the time. */
void sqlite_conn_calm(struct sqlite_conn *c, size_t n)
{
    const uint64_t now = clock_mono_ms();
    const bool is_calm = (c->n_recent += n) <= CALM_OPERATIONS;

    if (now < c->calm_since_ms + CALM_MS)
        return;
    if (is_calm && !c->is_shrunk) {
        buf_deinit(&c->cells);
        buf_deinit(&c->texts);
        sqlite3_db_release_memory(c->db);
    }
    c->is_shrunk = is_calm;
    c->calm_since_ms = now;
    c->n_recent = 0;
}

uint64_t sqlite_conn_calm_ms(const struct sqlite_conn *c)
{
    return c->is_shrunk ? 0 : CALM_MS;
}

static struct error open_error(struct sqlite_conn *c, const char *path)
{
    const int code = c->db ? sqlite3_extended_errcode(c->db) : SQLITE_NOMEM;
    const int cause = c->db ? sqlite3_system_errno(c->db) : 0;

    switch (code & 0xff) {
    case SQLITE_NOTADB:
        return db_say(ERR_DB, code, "%s is not a SQLite database", path);
    case SQLITE_READONLY:
        return db_say(ERR_DB, code, "the database file %s cannot be written", path);
    case SQLITE_CANTOPEN:
        return db_say(ERR_DB, code, "cannot open the database file %s: %s", path,
                      cause ? errno_text(cause) : sqlite3_errmsg(c->db));
    default:
        return db_say(sqlite_conn_status(c), code, "cannot use the database file %s: %s", path,
                      c->db ? sqlite3_errmsg(c->db) : "out of memory");
    }
}

static bool has_journal(struct sqlite_conn *c, bool is_copy)
{
    const char *sql = is_copy ? "PRAGMA journal_mode = DELETE" : "PRAGMA journal_mode = WAL";
    sqlite3_stmt *stmt = NULL;
    bool ok;

    if (sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return false;
    ok = sqlite3_step(stmt) == SQLITE_ROW &&
         strcmp((const char *)sqlite3_column_text(stmt, 0), is_copy ? "delete" : "wal") == 0;
    return sqlite3_finalize(stmt) == SQLITE_OK && ok;
}

struct error sqlite_conn_open(struct sqlite_conn *c, const char *path, enum sqlite_role role)
{
    const struct config_database *cfg = &config()->database;
    const bool is_full = !str_eq_nocase(cfg->sqlite_synchronous, STR("NORMAL"));
    struct error err;

    memset(c, 0, sizeof(*c));
    buf_init(&c->cells, ROWS_MAX_BYTES);
    buf_init(&c->texts, ROWS_MAX_BYTES);
    if (sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        goto fail;
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_busy_timeout(c->db, (int)cfg->wait_ms);
    if (!has_journal(c, role == SQLITE_LONE_FILE)) {
        if (sqlite3_errcode(c->db) == SQLITE_OK || sqlite3_errcode(c->db) == SQLITE_DONE) {
            err = db_say(ERR_DB, 0, "%s: its file system does not carry SQLite's WAL", path);
            sqlite_conn_close(c);
            return err;
        }
        goto fail;
    }
    if (!sqlite_conn_exec(c,
                          is_full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL") ||
        !sqlite_conn_exec(c, "PRAGMA foreign_keys = ON") ||
        !sqlite_conn_exec(c, "PRAGMA secure_delete = ON")) /* what was erased is not in the file either */
        goto fail;
    switch (role) {
    case SQLITE_READER:
        if (!sqlite_conn_exec(c, "PRAGMA query_only = ON"))
            goto fail;
        sqlite3_progress_handler(c->db, PROGRESS_STEPS, on_progress, c);
        break;
    case SQLITE_WRITER:
        /* What it rewrites fits into 1 MiB; the rest is in the system's cache. The transaction
         * finds a file that may only be read at start, and not with the first message. */
        if (!sqlite_conn_exec(c, "PRAGMA cache_size = -1024") ||
            !sqlite_conn_do(c, SQLITE_DO_BEGIN_WRITE) || !sqlite_conn_do(c, SQLITE_DO_ROLLBACK))
            goto fail;
        break;
    case SQLITE_BLOCKING:
    case SQLITE_LONE_FILE:
        break;
    }
    return NO_ERROR;
fail:
    err = open_error(c, path);
    sqlite_conn_close(c);
    return err;
}

static void forget_statement(struct sqlite_conn *c, enum sql sql)
{
    for (size_t part = 0; part < SQL_PARTS_MAX; part++) {
        sqlite3_finalize(c->stmts[sql][part]);
        c->stmts[sql][part] = NULL;
    }
}

void sqlite_conn_close(struct sqlite_conn *c)
{
    for (size_t i = 0; i < N_SQL; i++)
        forget_statement(c, (enum sql)i);
    for (size_t i = 0; i < N_SQLITE_DO; i++)
        sqlite3_finalize(c->dos[i]);
    memset(c->dos, 0, sizeof(c->dos));
    sqlite3_close(c->db);
    c->db = NULL;
    buf_deinit(&c->cells);
    buf_deinit(&c->texts);
}

/* ---- errors ---- */
static bool is_no_room(int cause)
{
    return cause == ENOSPC || cause == EDQUOT;
}

/* What failed last on the database's file or its log. sqlite3_system_errno() does not tell: SQLite
 * asks for it after it has undone the transaction. */
static bool has_no_room(sqlite3 *db)
{
    sqlite3_file *log = NULL;
    int cause = 0;

    sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &cause);
    if (is_no_room(cause))
        return true;
    sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log && log->pMethods)
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &cause);
    return is_no_room(cause);
}

enum status sqlite_conn_status(struct sqlite_conn *c)
{
    const int code = c->db ? sqlite3_errcode(c->db) : SQLITE_NOMEM;

    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    case SQLITE_FULL:
        return ERR_DISK_FULL;
    case SQLITE_IOERR:
        return has_no_room(c->db) ? ERR_DISK_FULL : ERR_DB;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_INTERRUPT:
        return ERR_DB_TIMEOUT;
    default:
        return ERR_DB;
    }
}

void sqlite_conn_fail(struct sqlite_conn *c, struct db_task *t)
{
    const enum status status = sqlite_conn_status(c);

    if (status == ERR_BUSY)
        t->error = ERROR(ERR_BUSY, 1, "another process writes to the database");
    else if (status == ERR_DB_TIMEOUT && !c->is_out_of_time)
        t->error = ERROR(ERR_CANCELED, 0, NULL);
    else if (status == ERR_DB_TIMEOUT)
        t->error = ERROR(ERR_DB_TIMEOUT, 0, "the statement ran too long");
    else
        db_task_fail(t, status, sqlite3_extended_errcode(c->db), "%s", sqlite3_errmsg(c->db));
}

/* ---- statements ---- */
static bool prepare_statement(struct sqlite_conn *c, enum sql sql)
{
    const char *text = sql_text(sql, true);

    if (c->stmts[sql][0])
        return true;
    for (size_t part = 0; *text; part++) {
        assert(part < SQL_PARTS_MAX);
        if (sqlite3_prepare_v3(c->db, text, -1, SQLITE_PREPARE_PERSISTENT, &c->stmts[sql][part],
                               &text) != SQLITE_OK)
            return false;
    }
    return true;
}

/* Texts stay where they are: the task outlives the run. */
static int bind_arg(sqlite3_stmt *stmt, int index, const struct db_arg *arg)
{
    switch (arg->type) {
    case DB_NULL:
        return sqlite3_bind_null(stmt, index);
    case DB_INT:
    case DB_BOOL:
    case DB_TIME:
        return sqlite3_bind_int64(stmt, index, arg->number);
    case DB_TEXT:
    case DB_UUID:
    case DB_JSON:
        return sqlite3_bind_text64(stmt, index, arg->text.ptr, arg->text.len, SQLITE_STATIC,
                                   SQLITE_UTF8);
    case DB_BYTES:
        return sqlite3_bind_blob64(stmt, index, arg->text.ptr, arg->text.len, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

/* SQLite numbers "$2" by its first place in the text, so the name tells which argument is meant. */
static bool bind_args(struct sqlite_conn *c, struct db_task *t, const struct db_task_call *call,
                      sqlite3_stmt *stmt)
{
    const int n_params = sqlite3_bind_parameter_count(stmt);

    for (int i = 1; i <= n_params; i++) {
        const char *name = sqlite3_bind_parameter_name(stmt, i);
        const long n = name ? strtol(name + 1, NULL, 10) : 0;

        if (n < 1 || (size_t)n > call->n_args) {
            db_task_fail(t, ERR_DB, SQLITE_RANGE, "%s: argument %ld is missing",
                         sql_table[call->sql].name, n);
            return false;
        }
        if (bind_arg(stmt, i, &call->args[n - 1]) != SQLITE_OK) {
            sqlite_conn_fail(c, t);
            return false;
        }
    }
    return true;
}

/* ---- rows ---- */
/* Until the block is made, a text's pointer holds its offset in c->texts. */
static void add_row(struct sqlite_conn *c, sqlite3_stmt *stmt, int n_columns)
{
    for (int i = 0; i < n_columns; i++) {
        struct db_cell cell = {0};

        switch (sqlite3_column_type(stmt, i)) {
        case SQLITE_NULL:
            cell.is_null = true;
            break;
        case SQLITE_INTEGER:
        case SQLITE_FLOAT:
            cell.number = sqlite3_column_int64(stmt, i);
            break;
        default: {
            const void *text = sqlite3_column_text(stmt, i); /* a BLOB's bytes as they are */

            cell.text.len = (size_t)sqlite3_column_bytes(stmt, i);
            if (!text)
                c->texts.failed = true;
            cell.text.ptr = (const char *)(uintptr_t)(c->texts.len + 1);
            buf_append(&c->texts, text ? text : "", text ? cell.text.len : 0);
            buf_append_char(&c->texts, '\0');
            break;
        }
        }
        buf_append(&c->cells, &cell, sizeof(cell));
    }
}

static struct sqlite_rows *rows_new(struct sqlite_conn *c, size_t n_columns)
{
    const size_t n_cells = c->cells.len / sizeof(struct db_cell);
    struct sqlite_rows *rows = malloc(sizeof(*rows) + c->cells.len + c->texts.len);
    char *texts;

    if (!rows)
        return NULL;
    rows->result = (struct db_result){0};
    texts = (char *)&rows->cells[n_cells];
    if (n_cells > 0)
        memcpy(rows->cells, c->cells.data, c->cells.len);
    if (c->texts.len > 0)
        memcpy(texts, c->texts.data, c->texts.len);
    for (size_t i = 0; i < n_cells; i++) {
        struct str *text = &rows->cells[i].text;

        if (text->ptr)
            text->ptr = texts + ((uintptr_t)text->ptr - 1);
    }
    rows->result.cells = rows->cells;
    rows->result.n_columns = n_columns;
    rows->result.n_rows = n_columns > 0 ? n_cells / n_columns : 0;
    return rows;
}

static void clear_rows(struct buf *b)
{
    if (b->cap > ROWS_KEEP_BYTES)
        buf_deinit(b);
    else
        buf_clear(b);
}

static bool keep_rows(struct sqlite_conn *c, struct db_task *t, struct db_task_call *call,
                      sqlite3_stmt *stmt)
{
    struct sqlite_rows *rows = rows_new(c, (size_t)sqlite3_column_count(stmt));

    if (!rows) {
        t->error = ERROR(ERR_NO_MEMORY, 0, NULL);
        return false;
    }
    if (!sqlite3_stmt_readonly(stmt))
        rows->result.n_changed = sqlite3_changes64(c->db);
    call->rows = rows;
    return true;
}

static bool step_all(struct sqlite_conn *c, struct db_task *t, sqlite3_stmt *stmt)
{
    const int n_columns = sqlite3_column_count(stmt);
    int rc;

    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        add_row(c, stmt, n_columns);
        if (c->cells.failed || c->texts.failed) {
            t->error = ERROR(ERR_NO_MEMORY, 0, "the database's answer is too large");
            return false;
        }
    }
    if (rc != SQLITE_DONE)
        sqlite_conn_fail(c, t);
    return rc == SQLITE_DONE;
}

static bool run_part(struct sqlite_conn *c, struct db_task *t, struct db_task_call *call,
                     size_t part)
{
    sqlite3_stmt *stmt = c->stmts[call->sql][part];
    bool is_last = part + 1 == SQL_PARTS_MAX || !c->stmts[call->sql][part + 1];
    bool ok = bind_args(c, t, call, stmt) && step_all(c, t, stmt) &&
              (!is_last || keep_rows(c, t, call, stmt));

    clear_rows(&c->cells);
    clear_rows(&c->texts);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return ok;
}

bool sqlite_conn_run(struct sqlite_conn *c, struct db_task *t, struct db_task_call *call)
{
    bool ok = prepare_statement(c, call->sql);

    if (!ok) {
        sqlite_conn_fail(c, t);
        forget_statement(c, call->sql);
    }
    for (size_t part = 0; ok && part < SQL_PARTS_MAX && c->stmts[call->sql][part]; part++)
        ok = run_part(c, t, call, part);
    return ok;
}
