/* From a chat to the mirror of its turn. */
#include "elsewhere.h"

#include "chat/follow.h"
#include "chat/mirror.h"
#include "cluster/cluster.h"

struct elsewhere {
    struct subflow sub;
    struct request *req;
    struct turn_place place;   /* of whose turn; and when it is found, where */
    const struct id *reply_id; /* NULL: whichever */
    struct turn_log **log;
    struct db_query where, chat;
    struct follow ready;
};

static bool is_pending_mirror(const struct turn_log *log)
{
    return log && log->is_mirror && turn_log_phase(log) == TURN_LOG_PENDING;
}

/* A turn that has ended is followed from its log as long as that is kept; another node may have
 * deleted the chat meanwhile. */
static void ask_where(struct flow *f)
{
    struct elsewhere *e = f->state;
    const struct db_arg chat[] = {db_uuid(id_str(&e->place.team_id)),
                                  db_uuid(id_str(&e->place.owner_id)),
                                  db_uuid(id_str(&e->place.chat_id))};

    if (is_pending_mirror(*e->log))
        return;
    db_query(&e->where, f, &e->req->arena, SQL_TURN_WHERE, chat, 3);
    if (*e->log && !e->reply_id)
        db_query(&e->chat, f, &e->req->arena, SQL_CHAT_IS_THERE, chat, 3);
}

static void unref_log(void *log)
{
    turn_log_unref(log);
}

static void join_mirror(struct flow *f)
{
    struct elsewhere *e = f->state;
    struct turn_log *log;
    bool is_wanted;

    if (e->chat.result && e->chat.result->n_rows == 0)
        *e->log = NULL;
    if (!e->where.result || !turn_place_read(e->where.result, &e->place))
        return;
    is_wanted = !e->reply_id || str_eq(id_str(e->reply_id), id_str(&e->place.reply_id));
    /* Its end came here before the row's did. */
    if (!is_wanted || (*e->log && str_eq(id_str(&(*e->log)->reply_id), id_str(&e->place.reply_id))))
        return;
    log = mirror_join(&e->place, f->span);
    if (log && arena_defer(&e->req->arena, unref_log, log))
        *e->log = log;
    else
        flow_fail(f, ERROR(ERR_BUSY, 1, NULL)); /* it ends, or has no memory */
}

static void await_mirror(struct flow *f)
{
    struct elsewhere *e = f->state;

    if (is_pending_mirror(*e->log))
        follow_begin(&e->ready, f, *e->log);
}

static const struct step steps[] = {
    STEP(ask_where),
    STEP(join_mirror),
    STEP(await_mirror),
    STEP_END,
};

void elsewhere_find(struct flow *f, const struct id *team_id, const struct id *owner_id,
                    const struct id *chat_id, const struct id *reply_id, struct turn_log **log)
{
    bool is_here = *log && turn_log_phase(*log) != TURN_LOG_CLOSED && !is_pending_mirror(*log);
    struct elsewhere *e;

    if (is_here || (cluster_is_alone() && !is_pending_mirror(*log)))
        return;
    e = arena_alloc(&request_of(f)->arena, sizeof(*e));
    if (!e) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    e->req = request_of(f);
    e->place.team_id = *team_id;
    e->place.owner_id = *owner_id;
    e->place.chat_id = *chat_id;
    e->reply_id = reply_id;
    e->log = log;
    flow_call(f, &e->sub, steps, e);
}

bool elsewhere_is_lost(struct flow *f, const struct turn_log *log)
{
    bool is_lost = log && log->is_mirror && turn_log_phase(log) == TURN_LOG_CLOSED &&
                   !log->is_begun && is_error(log->outcome);

    if (is_lost)
        flow_fail(f, log->outcome);
    return is_lost;
}
