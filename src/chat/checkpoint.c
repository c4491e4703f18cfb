/* The partial reply of a running turn, written now and then. Short replies never pay: the timer
 * starts with the first text and ends with the turn. */
#include "checkpoint.h"

#include "base/log.h"
#include "config/config.h"

#include <stdlib.h>

struct checkpoint_write {
    struct checkpoint *checkpoint;
    struct flow flow;
    struct arena arena;
    struct db_query query;
};

static void write_partial(struct flow *f)
{
    struct checkpoint_write *w = f->state;
    struct checkpoint *c = w->checkpoint;
    struct str text = turn_log_text(c->log);

    c->written_bytes = text.len;
    db_query(&w->query, f, &w->arena, SQL_REPLY_CHECKPOINT,
             DB_ARGS(db_uuid(id_str(&c->log->team_id)), db_uuid(id_str(&c->log->reply_id)),
                     db_text(text)));
}

static const struct step steps[] = {STEP(write_partial), STEP_END};

static void on_due(struct timer *t);

static void wait_for_next(struct checkpoint *c)
{
    timer_start(&c->timer, config()->turn.checkpoint_ms, on_due);
}

static void on_written(struct flow *f)
{
    struct checkpoint_write *w = f->state;
    struct checkpoint *c = w->checkpoint;

    if (is_error(f->err)) {
        log_warn("turn %s: a checkpoint was not written: %s", c->log->turn_id.text,
                 status_row(f->err.status)->name);
        c->written_bytes = 0;
    }
    arena_free(&w->arena);
    free(w);
    c->write = NULL;
    if (op_is_running(&c->awaited))
        op_end(&c->awaited, NO_ERROR);
    else if (!c->is_ending && c->written_bytes < c->log->text.len)
        wait_for_next(c);
}

static void write_now(struct checkpoint *c)
{
    struct checkpoint_write *w = calloc(1, sizeof(*w));

    if (!w) {
        wait_for_next(c);
        return;
    }
    timer_stop(&c->timer);
    w->checkpoint = c;
    c->write = w;
    flow_start(&w->flow, steps, w, on_written);
}

static void on_due(struct timer *t)
{
    write_now(container_of(t, struct checkpoint, timer));
}

void checkpoint_start(struct checkpoint *c, struct turn_log *log)
{
    c->log = log;
}

void checkpoint_poke(struct checkpoint *c)
{
    if (c->write || c->is_ending)
        return;
    if (c->log->text.len - c->written_bytes >= config()->turn.checkpoint_bytes)
        write_now(c);
    else if (!timer_is_started(&c->timer))
        wait_for_next(c);
}

void checkpoint_finish(struct checkpoint *c, struct flow *f)
{
    c->is_ending = true;
    timer_stop(&c->timer);
    if (c->write)
        op_begin(&c->awaited, f, NULL);
}
