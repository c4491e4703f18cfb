/* The SQLite driver: one writer thread, reader threads beside it, and one thread for reads that may
 * take long. */
#include "db/sqlite.h"

#include "base/clock.h"
#include "base/inherit.h"
#include "config/config.h"
#include "db/backup.h"
#include "db/bulk_driver.h"
#include "loop/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Operations that a reader runs on one snapshot: as many as should take so long, for the last one's
 * answer is the first one's, and who comes meanwhile waits for them. */
#define READS_MAX 8
#define READS_US  1000
/* Of the mean of what an operation took, the last one's share is one in so many. */
#define MEAN_WEIGHT 8

struct reader {
    uv_thread_t thread;
    struct sqlite_lane *lane;
    struct sqlite_conn conn;
    bool has_thread;
    bool is_slow; /* it serves the lane of what takes long */
};

struct sqlite {
    char *path;
    int lock_fd;
    struct sqlite_conn blocking; /* db_run() and migrations */
    struct sqlite_writer writer;
    struct sqlite_lane reads, slow;
    size_t n_readers; /* the last one serves the slow lane */
    struct reader *readers;
};

/* ---- the file ---- */
static struct error make_directory(const char *path)
{
    char part[PATH_MAX];
    const size_t len = strlen(path);

    if (len >= sizeof(part))
        return db_say(ERR_DB, ENAMETOOLONG, "the database's file name is too long");
    memcpy(part, path, len + 1);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST && access(part, F_OK) != 0)
            return db_say(ERR_DB, errno, "cannot make the directory %s: %s", part,
                          errno_text(errno));
        *slash = '/';
    }
    return NO_ERROR;
}

/* Made here for its mode; SQLite gives the WAL beside it the same. An existing file is not opened:
 * closing it again would drop the locks that SQLite holds on it in this process. */
static struct error make_file(const char *path)
{
    const int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    else if (errno != EEXIST)
        return db_say(ERR_DB, errno, "cannot make the database file %s: %s", path,
                      errno_text(errno));
    else if (access(path, R_OK | W_OK) != 0)
        return db_say(ERR_DB, errno, "the database file %s cannot be written: %s", path,
                      errno_text(errno));
    return NO_ERROR;
}

/* The lock goes with the process, however it ends. */
struct error db_lock_file(const char *path, int *fd)
{
    char name[PATH_MAX];
    struct error err = make_directory(path);

    if (is_error(err))
        return err;
    if ((size_t)snprintf(name, sizeof(name), "%s.lock", path) >= sizeof(name))
        return db_say(ERR_DB, ENAMETOOLONG, "the database's file name is too long");
    *fd = inherit_take_lock(name);
    if (*fd >= 0)
        return NO_ERROR; /* held together with the server that we take over */
    *fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (*fd < 0)
        return db_say(ERR_DB, errno, "cannot open %s: %s", name, errno_text(errno));
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
        return db_say(ERR_CONFLICT, errno, "the database %s is already in use by another server",
                      path);
    return NO_ERROR;
}

/* ---- readers ---- */
static void run_reads(struct sqlite_conn *c, struct db_task *t)
{
    bool ok = true;

    c->task = t;
    c->is_out_of_time = false;
    c->deadline_ms = clock_mono_ms() + config()->database.statement_ms;
    if (sqlite3_get_autocommit(c->db) && !sqlite_conn_do(c, SQLITE_DO_BEGIN_READ))
        sqlite_conn_fail(c, t);
    else
        for (size_t i = 0; i < t->n_calls && ok; i++)
            ok = sqlite_conn_run(c, t, &t->calls[i]);
    c->task = NULL;
    c->deadline_ms = 0;
}

static size_t reads_at_once(uint64_t mean_us)
{
    if (mean_us >= READS_US)
        return 1;
    return mean_us < READS_US / READS_MAX ? READS_MAX : READS_US / (mean_us + 1);
}

/* What is taken together sees one snapshot, which costs a look at the WAL and the pages that were
 * cached before it. It is newer than anything that its operations could have been told of. */
static void reader_main(void *state)
{
    struct reader *r = state;
    struct db_task *tasks[READS_MAX];
    uint64_t mean_us = 0;
    bool is_stopping = false;

    if (r->is_slow)
        workers_give_way();
    while (!is_stopping) {
        const size_t n = sqlite_lane_take(r->lane, tasks, reads_at_once(mean_us),
                                          sqlite_conn_calm_ms(&r->conn), &is_stopping);
        const uint64_t begun_us = clock_mono_us();

        for (size_t i = 0; i < n; i++)
            run_reads(&r->conn, tasks[i]);
        if (!sqlite3_get_autocommit(r->conn.db))
            sqlite_conn_do(&r->conn, SQLITE_DO_ROLLBACK);
        mean_us = (mean_us * (MEAN_WEIGHT - n) + (clock_mono_us() - begun_us)) / MEAN_WEIGHT;
        db_task_hand_back(tasks, n);
        sqlite_conn_calm(&r->conn, n);
    }
}

static struct error start_threads(struct sqlite *s)
{
    struct error err;

    s->readers = calloc(config()->database.sqlite_readers + 1, sizeof(*s->readers));
    if (!s->readers)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    err = sqlite_conn_open(&s->writer.conn, s->path, SQLITE_WRITER);
    for (size_t i = 0; i <= config()->database.sqlite_readers && !is_error(err); i++) {
        struct reader *r = &s->readers[i];

        r->is_slow = i == config()->database.sqlite_readers;
        r->lane = r->is_slow ? &s->slow : &s->reads;
        err = sqlite_conn_open(&r->conn, s->path, SQLITE_READER);
        if (is_error(err))
            break;
        s->n_readers++;
        r->has_thread = uv_thread_create(&r->thread, reader_main, r) == 0;
        if (!r->has_thread)
            err = db_say(ERR_NO_MEMORY, 0, "cannot start a thread for the database");
    }
    if (!is_error(err) && !sqlite_writer_start(&s->writer))
        err = db_say(ERR_NO_MEMORY, 0, "cannot start a thread for the database");
    return err;
}

/* ---- the driver ---- */
static void sqlite_close(struct db *db)
{
    struct sqlite *s = db->state;

    sqlite_lane_stop(&s->reads);
    sqlite_lane_stop(&s->slow);
    sqlite_lane_stop(&s->writer.lane);
    for (size_t i = 0; i < s->n_readers; i++) {
        if (s->readers[i].has_thread)
            uv_thread_join(&s->readers[i].thread);
        sqlite_conn_close(&s->readers[i].conn);
    }
    if (s->writer.has_thread)
        uv_thread_join(&s->writer.thread);
    sqlite_conn_close(&s->writer.conn);
    sqlite_conn_close(&s->blocking);
    sqlite_lane_deinit(&s->reads);
    sqlite_lane_deinit(&s->slow);
    sqlite_lane_deinit(&s->writer.lane);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->readers);
    free(s->path);
    free(s);
    db->state = NULL;
}

static struct error sqlite_open(struct db *db, struct str path)
{
    struct sqlite *s = calloc(1, sizeof(*s));
    struct error err = NO_ERROR;
    bool has_lanes;

    /* Nobody asks how much memory SQLite uses, and counting takes a lock in each of its mallocs. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (path.len == 0 || path.ptr[0] == ':') {
        free(s);
        return ERROR(ERR_INVALID, 0, "database.url must name a file, as in sqlite:///data/chat.db");
    }
    if (!s)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    db->state = s;
    s->lock_fd = -1;
    has_lanes = sqlite_lane_init(&s->reads, config()->database.sqlite_readers);
    has_lanes = sqlite_lane_init(&s->slow, 1) && has_lanes;
    has_lanes = sqlite_lane_init(&s->writer.lane, 1) && has_lanes;
    s->path = strndup(path.ptr, path.len);
    if (!s->path || !has_lanes)
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!is_error(err))
        err = make_directory(s->path);
    if (!is_error(err) && (db->as == DB_OPEN_SERVER || db->as == DB_OPEN_ALONE))
        err = db_lock_file(s->path, &s->lock_fd);
    if (!is_error(err))
        err = make_file(s->path);
    if (!is_error(err))
        err = sqlite_conn_open(&s->blocking, s->path,
                               db->as == DB_OPEN_COPY ? SQLITE_LONE_FILE : SQLITE_BLOCKING);
    if (!is_error(err) && db->as == DB_OPEN_SERVER)
        err = start_threads(s);
    if (is_error(err))
        sqlite_close(db);
    return err;
}

/* What a turn of the loop asks for goes to the threads together, so that its writes share a commit.
 */
struct sqlite_loop {
    struct sqlite *sqlite;
    struct list reads, slow, writes;
    struct flush flush;
};

static void on_flush(struct flush *flush)
{
    struct sqlite_loop *sl = container_of(flush, struct sqlite_loop, flush);
    struct list refused, *link;

    list_init(&refused);
    sqlite_lane_push(&sl->sqlite->writer.lane, &sl->writes, &refused);
    sqlite_lane_push(&sl->sqlite->reads, &sl->reads, &refused);
    sqlite_lane_push(&sl->sqlite->slow, &sl->slow, &refused);
    while ((link = list_pop(&refused))) /* the last one may take sl with it */
        db_task_refuse(db_task_of(link));
}

static struct error sqlite_attach(struct db_loop *dl)
{
    struct sqlite_loop *sl = calloc(1, sizeof(*sl));

    if (!sl)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    sl->sqlite = dl->db->state;
    list_init(&sl->reads);
    list_init(&sl->slow);
    list_init(&sl->writes);
    dl->state = sl;
    return NO_ERROR;
}

static void sqlite_detach(struct db_loop *dl)
{
    struct sqlite_loop *sl = dl->state;

    loop_unmark_dirty(&sl->flush);
    free(sl);
    dl->state = NULL;
    db_loop_closed(dl);
}

static bool sqlite_is_ready(struct db_loop *dl)
{
    (void)dl;
    return true;
}

static int lock_of(const struct db *db)
{
    const struct sqlite *s = db->state;

    return s->lock_fd;
}

static void sqlite_submit(struct db_task *t)
{
    struct sqlite_loop *sl = t->owner->state;

    switch (t->use) {
    case SQL_READ:
        list_push(&sl->reads, &t->item.link);
        break;
    case SQL_SLOW:
        list_push(&sl->slow, &t->item.link);
        break;
    case SQL_WRITE:
    case SQL_NODE:
        list_push(&sl->writes, &t->item.link);
        break;
    }
    loop_mark_dirty(&sl->flush, on_flush);
}

/* It stays in its queue until a thread comes to it and sends it home. */
static bool sqlite_take_back(struct db_task *t)
{
    int expected = TASK_WAITING;

    return atomic_compare_exchange_strong(&t->state, &expected, TASK_DROPPED);
}

static struct error sqlite_collect(struct db_task_call *call, struct arena *arena,
                                   struct db_result *out)
{
    struct sqlite_rows *rows = call->rows;

    *out = rows->result;
    call->rows = NULL;
    if (arena_defer(arena, free, rows))
        return NO_ERROR;
    memset(out, 0, sizeof(*out));
    return ERROR(ERR_NO_MEMORY, 0, NULL);
}

static void sqlite_discard(struct db_task_call *call)
{
    free(call->rows);
    call->rows = NULL;
}

static struct error sqlite_run(struct db *db, struct db_task *t)
{
    struct sqlite *s = db->state;
    struct sqlite_conn *c = &s->blocking;
    const bool is_batch = t->n_calls > 1;
    bool ok = !is_batch || sqlite_conn_do(c, SQLITE_DO_BEGIN_WRITE);

    if (!ok)
        sqlite_conn_fail(c, t);
    for (size_t i = 0; ok && i < t->n_calls; i++)
        ok = sqlite_conn_run(c, t, &t->calls[i]);
    if (ok && is_batch && !(ok = sqlite_conn_do(c, SQLITE_DO_COMMIT)))
        sqlite_conn_fail(c, t);
    if (ok)
        return NO_ERROR;
    if (!sqlite3_get_autocommit(c->db))
        sqlite_conn_do(c, SQLITE_DO_ROLLBACK);
    return db_say(t->error.status, t->error.code, "%s", t->error.detail ? t->error.detail : "");
}

static struct error sqlite_script(struct db *db, const char *sql)
{
    struct sqlite *s = db->state;

    if (sqlite_conn_exec(&s->blocking, sql))
        return NO_ERROR;
    return db_say(sqlite_conn_status(&s->blocking), sqlite3_extended_errcode(s->blocking.db), "%s",
                  sqlite3_errmsg(s->blocking.db));
}

static struct error sqlite_number(struct db *db, const char *sql, int64_t *out)
{
    struct sqlite *s = db->state;
    sqlite3_stmt *stmt = NULL;
    bool ok;

    *out = 0;
    ok = sqlite3_prepare_v2(s->blocking.db, sql, -1, &stmt, NULL) == SQLITE_OK &&
         sqlite3_step(stmt) == SQLITE_ROW;
    if (ok)
        *out = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return ok ? NO_ERROR : sqlite_script(db, sql);
}

struct sqlite_conn *sqlite_blocking(const struct db *db)
{
    struct sqlite *s = db->state;

    return &s->blocking;
}

const struct db_driver sqlite_driver = {
    .name = "sqlite",
    .bulk = &sqlite_bulk,
    /* A table that is made anew is dropped meanwhile: what refers to it stays. */
    .begin_migration = "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE",
    .after_migration = "PRAGMA foreign_keys = ON",
    .count_dangling = "SELECT count(*) FROM pragma_foreign_key_check",
    .is_sqlite = true,
    .open = sqlite_open,
    .close = sqlite_close,
    .attach = sqlite_attach,
    .detach = sqlite_detach,
    .is_ready = sqlite_is_ready,
    .lock = lock_of,
    .submit = sqlite_submit,
    .take_back = sqlite_take_back,
    .collect = sqlite_collect,
    .discard = sqlite_discard,
    .run = sqlite_run,
    .script = sqlite_script,
    .number = sqlite_number,
};
