/* Stores the partial replies of this loop's running turns. See checkpoint.h. */
#include "checkpoint.h"

#include "base/log.h"
#include "config/config.h"
#include "room.h"
#include "turn_state.h"

/* A statement's worth, and the pause before the next: other writes come in between. */
#define BATCH_REPLIES 100
#define BATCH_BYTES   (256u << 10)
#define SOON_MS       20

void checkpoint_row(struct json *j, const struct id *team_id, const struct id *reply_id,
                    struct str text)
{
    json_begin_object(j);
    json_pair_str(j, "id", id_str(reply_id));
    json_pair_str(j, "team_id", id_str(team_id));
    json_pair_str(j, "content", text);
    json_end_object(j);
}

/* Each turn that was looked at goes to the end of the list, so that the next look begins with those
 * that were not. */
static void gather(struct checkpoint *c, struct buf *out)
{
    struct list *turns = &room_here()->turns;
    struct json j = {.buf = out};

    json_begin_array(&j);
    for (unsigned n = 0; c->n_left > 0 && n < BATCH_REPLIES && out->len < BATCH_BYTES;
         c->n_left--) {
        struct list *link = list_pop(turns);
        struct turn *t;

        if (!link)
            break;
        list_push(turns, link);
        t = container_of(link, struct turn, link);
        if (!t->has_unstored)
            continue;
        t->has_unstored = false;
        checkpoint_row(&j, &t->log->team_id, &t->log->reply_id, turn_log_text(t->log));
        n++;
    }
    json_end_array(&j);
}

static void store(struct flow *f)
{
    struct checkpoint *c = container_of(f->state, struct checkpoint, chore);
    struct buf *rows = chat_scratch();

    if (c->n_left == 0)
        c->n_left = room_here()->n_turns;
    gather(c, rows);
    if (rows->failed)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else if (rows->len > strlen("[]"))
        db_query(&c->write, f, &c->chore.arena, SQL_REPLIES_CHECKPOINT,
                 DB_ARGS(db_json(buf_str(rows))));
}

static const struct step steps[] = {STEP(store), STEP_END};

static uint64_t on_pass(struct chore *c)
{
    if (is_error(c->flow.err))
        log_warn("chat: partial replies were not stored: %s", status_row(c->flow.err.status)->name);
    return container_of(c, struct checkpoint, chore)->n_left > 0 ? SOON_MS : 0;
}

void checkpoint_start(struct checkpoint *c)
{
    chore_start(&c->chore, steps, on_pass, config()->turn.store_ms, config()->turn.store_ms);
}
