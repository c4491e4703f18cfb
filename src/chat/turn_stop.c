/* What ends a turn from outside: its owner's word, or that nobody reads any more. Both come by
 * letter to the loop that runs it. */
#include "chat/hub.h"
#include "chat/mirror.h"
#include "turn_state.h"

#define AT_ONCE 32 /* turns that are told to end */

const char turn_stopped_by_owner[] = "stopped by its owner";
const char turn_chat_deleted[] = "The chat was deleted";

static void on_grace_over(struct timer *timer)
{
    struct turn *t = container_of(timer, struct turn, grace);

    if (atomic_load(&t->log->n_readers) == 0)
        flow_fail(&t->flow, ERROR(ERR_STOPPED, 0, "nobody came back"));
}

/* Nobody reads any more. May end the turn. */
void turn_apply_policy(struct turn *t)
{
    switch (t->policy.on_disconnect) {
    case ON_DISCONNECT_CONTINUE:
        return;
    case ON_DISCONNECT_GRACE:
        timer_start(&t->grace, t->policy.grace_ms, on_grace_over);
        return;
    case ON_DISCONNECT_ABORT:
        flow_fail(&t->flow, ERROR(ERR_STOPPED, 0, "the reader left"));
        return;
    }
}

/* It need not be asked any more. The message was not stored yet: now it is, with a reply that was
 * stopped. */
static void leave_queue(struct turn *t, const char *stop)
{
    bool is_abandoned =
        t->policy.on_disconnect == ON_DISCONNECT_ABORT && atomic_load(&t->log->n_readers) == 0;

    if (stop || is_abandoned)
        slot_leave(&t->load->slot);
}

static void obey(struct turn_log *log, const char *stop)
{
    struct turn *t = log->turn;

    if (log->is_mirror)
        mirror_obey(log, stop);
    if (!t || turn_log_phase(log) == TURN_LOG_CLOSED)
        return;
    if (t->load && slot_is_waiting(&t->load->slot))
        leave_queue(t, stop);
    else if (stop)
        flow_fail(&t->flow, ERROR(ERR_STOPPED, 0, stop));
    else if (log->is_begun && atomic_load(&log->n_readers) == 0)
        turn_apply_policy(t);
}

static void on_letter(struct mail *m)
{
    struct turn_log *log = container_of(m, struct turn_log, letter);
    const char *stop;

    turn_log_lock(log);
    log->is_letter_posted = false;
    stop = log->stop;
    turn_log_unlock(log);
    obey(log, stop);
    turn_log_unref(log);
}

/* A word to the loop that runs the turn: it is to stop, or, with NULL, to look whether anyone still
 * reads. By letter even on that loop: whoever asks may be inside one of the turn's callbacks. */
static void send_letter(struct turn_log *log, const char *stop)
{
    bool is_posted = false;

    if (turn_log_phase(log) == TURN_LOG_CLOSED)
        return;
    turn_log_ref(log); /* the letter's */
    turn_log_lock(log);
    if (!log->stop)
        log->stop = stop;
    if (!log->is_letter_posted) {
        log->letter.run = on_letter;
        is_posted = log->is_letter_posted = loop_post(log->owner, &log->letter);
    }
    turn_log_unlock(log);
    if (!is_posted)
        turn_log_unref(log);
}

void turn_stop(struct turn_log *log, const char *why)
{
    send_letter(log, why);
}

void turn_end_all_of(const struct id *owner_id)
{
    struct turn_log *logs[AT_ONCE];
    size_t n;

    do {
        n = hub_remove_owner(owner_id, logs, AT_ONCE);
        for (size_t i = 0; i < n; i++) {
            turn_stop(logs[i], turn_chat_deleted);
            turn_log_unref(logs[i]);
        }
    } while (n == AT_ONCE);
}

void turn_readers_changed(struct turn_log *log)
{
    if (atomic_load(&log->n_readers) == 0)
        send_letter(log, NULL);
}
