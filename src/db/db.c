/* The interface: copies arguments into tasks, hands them to the driver, and brings the answers back
 * to flows. */
#include "db/db.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "db/internal.h"
#include "trace/span.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER_S 1

/* ---- arguments ---- */
struct db_arg db_text(struct str s)
{
    return (struct db_arg){.type = s.ptr ? DB_TEXT : DB_NULL, .text = s};
}

struct db_arg db_uuid(struct str s)
{
    return (struct db_arg){.type = s.ptr && s.len > 0 ? DB_UUID : DB_NULL, .text = s};
}

struct db_arg db_json(struct str s)
{
    return (struct db_arg){.type = s.ptr ? DB_JSON : DB_NULL, .text = s};
}

struct db_arg db_bytes(struct str s)
{
    return (struct db_arg){.type = s.ptr ? DB_BYTES : DB_NULL, .text = s};
}

struct db_arg db_int(int64_t n)
{
    return (struct db_arg){.type = DB_INT, .number = n};
}

struct db_arg db_bool(bool b)
{
    return (struct db_arg){.type = DB_BOOL, .number = b};
}

struct db_arg db_time(int64_t wall_us)
{
    return (struct db_arg){.type = wall_us == INT64_MIN ? DB_NULL : DB_TIME, .number = wall_us};
}

struct db_arg db_null(void)
{
    return (struct db_arg){.type = DB_NULL};
}

/* ---- results ---- */
static const struct db_result no_result;

const struct db_result *db_result_at(const struct db_query *q, size_t i)
{
    return i < q->n_results ? &q->result[i] : &no_result;
}

static const struct db_cell *cell(const struct db_result *r, size_t row, size_t column)
{
    assert(row < r->n_rows && column < r->n_columns);
    return &r->cells[row * r->n_columns + column];
}

struct str db_get_text(const struct db_result *r, size_t row, size_t column)
{
    return cell(r, row, column)->text;
}

int64_t db_get_int(const struct db_result *r, size_t row, size_t column)
{
    return cell(r, row, column)->number;
}

bool db_get_bool(const struct db_result *r, size_t row, size_t column)
{
    return cell(r, row, column)->number != 0;
}

bool db_is_null(const struct db_result *r, size_t row, size_t column)
{
    return cell(r, row, column)->is_null;
}

/* ---- errors ---- */
int db_sqlstate(const char *sqlstate)
{
    int packed = 0;

    for (int i = 0; i < 5; i++) {
        const char c = sqlstate ? sqlstate[i] : 0;

        if (c >= '0' && c <= '9')
            packed = packed * 36 + (c - '0');
        else if (c >= 'A' && c <= 'Z')
            packed = packed * 36 + (c - 'A' + 10);
        else
            return 0;
    }
    return packed;
}

struct error db_say(enum status status, int code, const char *format, ...)
{
    static _Thread_local char words[512];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    return ERROR(status, code, words);
}

void db_task_fail(struct db_task *t, enum status status, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(t->detail, sizeof(t->detail), format, args);
    va_end(args);
    t->error = ERROR(status, code, t->detail);
}

/* ---- tasks ---- */
static bool has_text(const struct db_arg *arg)
{
    return arg->type == DB_TEXT || arg->type == DB_UUID || arg->type == DB_JSON ||
           arg->type == DB_BYTES;
}

static bool names_team(const struct db_task_call *call)
{
    const char *no_team = sql_table[call->sql].no_team;

    return (!no_team || no_team[0] == '$') && call->n_args > 0 && has_text(&call->args[0]);
}

/* The first statement's that names one; the others are about the same. */
static struct str team_of(const struct db_task *t)
{
    for (size_t i = 0; i < t->n_calls; i++) {
        if (names_team(&t->calls[i]))
            return t->calls[i].args[0].text;
    }
    return STR_NONE;
}

/* A batch that only reads may run beside the writer. */
static enum sql_use use_of(const struct db_call *calls, size_t n_calls)
{
    enum sql_use use = sql_table[calls[0].sql].use;

    for (size_t i = 1; i < n_calls; i++) {
        const enum sql_use other = sql_table[calls[i].sql].use;

        if (sql_writes(other) || (other == SQL_SLOW && use == SQL_READ))
            use = other;
    }
    return use;
}

struct db_task *db_task_new(const struct db_call *calls, size_t n_calls, struct error *why)
{
    size_t size = sizeof(struct db_task) + n_calls * sizeof(struct db_task_call);
    struct db_task *t;
    struct db_arg *arg;
    char *text;

    for (size_t i = 0; i < n_calls; i++) {
        size += calls[i].n_args * sizeof(struct db_arg);
        for (size_t k = 0; k < calls[i].n_args; k++) {
            const struct db_arg *in = &calls[i].args[k];

            if (!has_text(in))
                continue;
            if (in->type != DB_BYTES && in->text.len > 0 && memchr(in->text.ptr, 0, in->text.len)) {
                *why = ERROR(ERR_BAD_REQUEST, 0, "text holds U+0000");
                return NULL;
            }
            size += in->text.len + 1;
        }
    }
    t = malloc(size); /* not cleared: most of it is text */
    if (!t) {
        *why = ERROR(ERR_NO_MEMORY, 0, NULL);
        return NULL;
    }
    *t = (struct db_task){.n_calls = n_calls, .use = use_of(calls, n_calls)};
    arg = (struct db_arg *)&t->calls[n_calls];
    text = (char *)arg;
    for (size_t i = 0; i < n_calls; i++)
        text += calls[i].n_args * sizeof(struct db_arg);
    for (size_t i = 0; i < n_calls; i++) {
        t->calls[i] =
            (struct db_task_call){.sql = calls[i].sql, .args = arg, .n_args = calls[i].n_args};
        for (size_t k = 0; k < calls[i].n_args; k++, arg++) {
            *arg = calls[i].args[k];
            if (!has_text(arg))
                continue;
            if (arg->text.len > 0)
                memcpy(text, arg->text.ptr, arg->text.len);
            arg->text.ptr = text;
            text[arg->text.len] = '\0';
            text += arg->text.len + 1;
        }
    }
    t->team = team_of(t);
    return t;
}

void db_task_forget_outcome(struct db_task *t, const struct db_driver *driver)
{
    t->error = NO_ERROR;
    for (size_t i = 0; i < t->n_calls; i++) {
        if (t->calls[i].rows)
            driver->discard(&t->calls[i]);
    }
}

void db_task_free(struct db_task *t, const struct db *db)
{
    db_task_forget_outcome(t, db->driver);
    free(t);
}

static void close_when_empty(struct db_loop *dl)
{
    if (!dl->is_leaving || dl->is_closing || dl->n_tasks > 0)
        return;
    dl->is_closing = true;
    dl->db->driver->detach(dl);
}

static struct error collect(struct db_task *t)
{
    struct error err = t->error;

    for (size_t i = 0; i < t->n_calls && !is_error(err); i++) {
        if (t->calls[i].rows)
            err = t->owner->db->driver->collect(&t->calls[i], t->arena, &t->results[i]);
        else
            err = ERROR(ERR_DB, DB_CODE_UNKNOWN, "the driver brought no answer");
    }
    /* The words are in the task, which goes now. */
    if (is_error(err) && err.detail == t->detail)
        err.detail = arena_copy(t->arena, str_from(t->detail)).ptr;
    return err;
}

void db_task_end(struct db_task *t)
{
    struct db_loop *dl = t->owner;
    struct db_query *q = t->query;
    struct error err = ERROR(t->was_given_up ? ERR_DB_TIMEOUT : ERR_CANCELED, 0, NULL);

    timer_stop(&t->timer);
    if (q) {
        err = collect(t);
        q->task = NULL;
        db_count_error(err);
    }
    db_count_ended(t);
    if (t->span)
        db_end_span(t, err);
    db_task_free(t, dl->db);
    dl->n_tasks--;
    if (q)
        op_end(&q->op, err);
    close_when_empty(dl);
}

static void on_mail(struct mail *m)
{
    struct db_loop *dl = container_of(m, struct db_loop, mail);
    struct list done;
    struct list *link;

    list_init(&done);
    uv_mutex_lock(&dl->done_lock);
    list_splice(&done, &dl->done);
    dl->is_posted = false;
    uv_mutex_unlock(&dl->done_lock);
    while ((link = list_pop(&done)))
        db_task_end(db_task_of(link));
}

/* The first task's, and those of the same loop behind it. */
static void hand_back_to_one(struct db_task **tasks, size_t n)
{
    struct db_loop *dl = tasks[0]->owner;

    /* The letter is posted under the lock: the loop cannot go before loop_post() has returned, for
     * to take the task it needs the lock. */
    uv_mutex_lock(&dl->done_lock);
    for (size_t i = 0; i < n; i++) {
        if (!tasks[i] || tasks[i]->owner != dl)
            continue;
        list_push(&dl->done, &tasks[i]->item.link);
        tasks[i] = NULL;
    }
    if (!dl->is_posted) {
        dl->is_posted = true;
        loop_post(dl->loop, &dl->mail);
    }
    uv_mutex_unlock(&dl->done_lock);
}

void db_task_hand_back(struct db_task **tasks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (tasks[i])
            hand_back_to_one(&tasks[i], n - i);
    }
}

/* ---- queries ---- */
static struct db_loop *current(void)
{
    struct loop *l = loop_current();

    return l ? l->rooms[ROOM_DB] : NULL;
}

/* Reads only: the flow goes on at once, and the rows are thrown away when they come. */
static void on_cancel(struct op *op)
{
    struct db_query *q = container_of(op, struct db_query, op);
    struct db_task *t = q->task;

    q->task = NULL;
    t->query = NULL;
    atomic_store(&t->is_unwanted, true);
    t->owner->db->driver->take_back(t);
    op_end(&q->op, ERROR(ERR_CANCELED, 0, NULL));
}

static void on_waited(struct timer *timer)
{
    struct db_task *t = container_of(timer, struct db_task, timer);
    struct db_query *q = t->query;
    struct db_loop *dl = t->owner;

    if (!q)
        return;
    t->query = NULL;
    t->was_given_up = true;
    if (!dl->db->driver->take_back(t)) {
        t->query = q;
        t->was_given_up = false;
        return;
    }
    q->task = NULL;
    db_count_error(ERROR(ERR_DB_TIMEOUT, 0, NULL));
    if (dl->db->driver->is_ready(dl))
        op_end(&q->op, ERROR(ERR_BUSY, 1, "the database is too busy"));
    else
        op_end(&q->op, ERROR(ERR_DB_TIMEOUT, 0, "the database cannot be reached"));
}

bool db_task_queue(struct fair *q, struct db_task *t)
{
    return fair_push(q, &t->item, t->team, config()->database.queue_per_team);
}

void db_task_refuse(struct db_task *t)
{
    t->error = ERROR(ERR_RATE_LIMITED, RETRY_AFTER_S,
                     "Too many requests of this team wait for the database; wait a moment");
    db_task_end(t);
}

void db_task_wait(struct db_task *t)
{
    atomic_store(&t->state, TASK_WAITING);
    timer_start(&t->timer, config()->database.wait_ms, on_waited);
}

void db_batch(struct db_query *q, struct flow *f, struct arena *arena, const struct db_call *calls,
              size_t n_calls)
{
    struct db_loop *dl = current();
    struct error why = NO_ERROR;
    struct db_result *results;
    struct db_task *t = NULL;

    assert(n_calls > 0 && n_calls <= DB_BATCH_MAX);
    q->result = &no_result;
    q->n_results = 0;
    q->task = NULL;
    op_begin(&q->op, f, NULL);
    if (!dl || dl->is_closing) {
        op_end(&q->op, ERROR(ERR_UNAVAILABLE, 0, "the database is closed"));
        return;
    }
    if (dl->n_tasks >= config()->database.queue) {
        db_count_error(ERROR(ERR_BUSY, 1, NULL));
        op_end(&q->op, ERROR(ERR_BUSY, 1, "too many database operations wait"));
        return;
    }
    results = arena_alloc(arena, n_calls * sizeof(*results));
    if (results)
        t = db_task_new(calls, n_calls, &why);
    else
        why = ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!t) {
        op_end(&q->op, why);
        return;
    }
    t->owner = dl;
    t->query = q;
    t->results = results;
    t->arena = arena;
    q->result = results;
    q->n_results = n_calls;
    q->task = t;
    t->span = f->span ? span_begin_recorded(f->span) : NULL;
    if (!sql_writes(t->use))
        q->op.cancel = on_cancel;
    dl->n_tasks++;
    db_count_begun(t);
    db_task_wait(t);
    dl->db->driver->submit(t);
}

void db_query(struct db_query *q, struct flow *f, struct arena *arena, enum sql sql,
              const struct db_arg *args, size_t n_args)
{
    const struct db_call call = {.sql = sql, .args = args, .n_args = n_args};

    db_batch(q, f, arena, &call, 1);
}

/* ---- what it tells ---- */
bool db_listen(struct db_ear *ear, const char *channel)
{
    struct db_loop *dl = current();
    const struct db_driver *driver = dl->db->driver;
    struct error err;

    if (!driver->open_ear || !config()->database.prepared_statements)
        return false;
    err = driver->open_ear(dl, ear, channel);
    if (is_error(err))
        log_warn("db: the database's word is not heard: %s", status_row(err.status)->name);
    return !is_error(err);
}

void db_listen_end(void)
{
    struct db_loop *dl = current();

    if (dl && dl->state && dl->db->driver->close_ear)
        dl->db->driver->close_ear(dl);
}

/* ---- blocking ---- */
struct error db_run_batch(struct db *db, struct arena *arena, const struct db_call *calls,
                          size_t n_calls, struct db_result *out)
{
    struct error err = NO_ERROR;
    struct db_task *t = db_task_new(calls, n_calls, &err);

    memset(out, 0, n_calls * sizeof(*out));
    if (!t)
        return err;
    uv_mutex_lock(&db->run_lock);
    err = db->driver->run(db, t);
    uv_mutex_unlock(&db->run_lock);
    for (size_t i = 0; !is_error(err) && i < n_calls; i++)
        err = db->driver->collect(&t->calls[i], arena, &out[i]);
    db_task_free(t, db);
    return err;
}

struct error db_run(struct db *db, struct arena *arena, enum sql sql, const struct db_arg *args,
                    size_t n_args, struct db_result *out)
{
    const struct db_call call = {.sql = sql, .args = args, .n_args = n_args};

    return db_run_batch(db, arena, &call, 1, out);
}

/* ---- the whole ---- */
/* place: the driver's, as db_url_parse() gives it. */
static struct error open_with(struct db **out, enum db_open_as as, const struct db_driver *driver,
                              struct str place)
{
    struct db *db = calloc(1, sizeof(*db));
    struct error err;

    *out = NULL;
    if (!db || !place.ptr) {
        free(db);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    db->driver = driver;
    db->as = as;
    list_init(&db->loops);
    uv_mutex_init(&db->lock);
    uv_mutex_init(&db->run_lock);
    err = driver->open(db, place);
    if (is_error(err)) {
        uv_mutex_destroy(&db->run_lock);
        uv_mutex_destroy(&db->lock);
        free(db);
        return err;
    }
    *out = db;
    return NO_ERROR;
}

struct error db_open_url(struct db **out, enum db_open_as as, struct str url)
{
    struct arena arena = {0};
    struct str place = STR_NONE;
    struct error err =
        ERROR(ERR_INVALID, 0, "database.url must begin with sqlite:/// or postgresql://");

    *out = NULL;
    switch (db_url_parse(&arena, url, config()->data_dir, &place)) {
    case DB_URL_SQLITE:
        err = open_with(out, as, &sqlite_driver, place);
        break;
    case DB_URL_PG:
        err = open_with(out, as, &pg_driver, place);
        break;
    case DB_URL_OTHER:
        break;
    }
    arena_free(&arena);
    return err;
}

struct error db_open(struct db **out, enum db_open_as as)
{
    return db_open_url(out, as, config()->database.url);
}

struct error db_open_copy(struct db **out, const char *path)
{
    return open_with(out, DB_OPEN_COPY, &sqlite_driver, str_from(path));
}

void db_close(struct db *db)
{
    struct list *link;

    if (!db)
        return;
    db->driver->close(db);
    while ((link = list_pop(&db->loops))) {
        struct db_loop *dl = container_of(link, struct db_loop, link);

        uv_mutex_destroy(&dl->done_lock);
        free(dl);
    }
    uv_mutex_destroy(&db->run_lock);
    uv_mutex_destroy(&db->lock);
    free(db);
}

struct error db_attach(struct db *db, struct loop *l)
{
    struct db_loop *dl;
    struct error err;

    loop_assert_current(l);
    assert(db->as == DB_OPEN_SERVER);
    dl = calloc(1, sizeof(*dl));
    if (!dl)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    dl->db = db;
    dl->loop = l;
    dl->mail.run = on_mail;
    list_init(&dl->done);
    uv_mutex_init(&dl->done_lock);
    err = db->driver->attach(dl);
    if (is_error(err)) {
        uv_mutex_destroy(&dl->done_lock);
        free(dl);
        return err;
    }
    uv_mutex_lock(&db->lock);
    list_push(&db->loops, &dl->link);
    uv_mutex_unlock(&db->lock);
    l->rooms[ROOM_DB] = dl;
    return NO_ERROR;
}

void db_detach(struct loop *l, void (*on_detached)(struct loop *l))
{
    struct db_loop *dl = l->rooms[ROOM_DB];

    loop_assert_current(l);
    if (!dl) {
        on_detached(l);
        return;
    }
    dl->on_detached = on_detached;
    dl->is_leaving = true;
    close_when_empty(dl);
}

void db_loop_closed(struct db_loop *dl)
{
    dl->loop->rooms[ROOM_DB] = NULL;
    dl->on_detached(dl->loop);
}

struct str db_configured_file(struct arena *a)
{
    struct str path = STR_NONE;

    return db_url_parse(a, config()->database.url, config()->data_dir, &path) == DB_URL_SQLITE
               ? path
               : STR_NONE;
}

bool db_is_sqlite(const struct db *db)
{
    return db->driver->is_sqlite;
}

bool db_is_ready(void)
{
    struct db_loop *dl = current();

    return dl && !dl->is_closing && dl->db->driver->is_ready(dl);
}

int db_lock(const struct db *db)
{
    return db->driver->lock ? db->driver->lock(db) : -1;
}

const char *db_name(const struct db *db)
{
    return db->driver->name;
}

const char *db_name_here(void)
{
    return db_name(current()->db);
}

bool db_is_sqlite_here(void)
{
    return db_is_sqlite(current()->db);
}
