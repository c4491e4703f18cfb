/* The chat room on each loop: which turns run here, and the logs that late readers may still want.
 */
#include "room.h"

#include "base/clock.h"
#include "chat/budget.h"
#include "chat/hub.h"
#include "chat/metrics.h"
#include "chat/slots.h"
#include "chat/streams.h"
#include "config/config.h"
#include "journal_folder.h"
#include "recover.h"

#include <stdlib.h>

struct chat_room *room_here(void)
{
    return loop_current()->rooms[ROOM_CHAT];
}

struct buf *chat_scratch(void)
{
    struct buf *b = &room_here()->scratch;

    buf_clear(b);
    return b;
}

static void forget(struct chat_room *room, struct turn_log *log)
{
    list_remove(&log->kept);
    room->kept_bytes -= turn_log_size(log);
    hub_remove(log);
    turn_log_unref(log);
}

static void on_sweep(struct timer *t)
{
    struct chat_room *room = container_of(t, struct chat_room, sweep);
    uint64_t now_ms = loop_now_ms(loop_current());

    while (!list_is_empty(&room->kept)) {
        struct turn_log *oldest = container_of(room->kept.next, struct turn_log, kept);

        if (oldest->expires_ms > now_ms && room->kept_bytes <= config()->turn.keep_bytes) {
            timer_start(t, oldest->expires_ms - now_ms, on_sweep);
            return;
        }
        forget(room, oldest);
    }
}

void room_keep(struct turn_log *log)
{
    struct chat_room *room = room_here();

    log->expires_ms = loop_now_ms(loop_current()) + config()->turn.keep_ms;
    list_push(&room->kept, &log->kept);
    room->kept_bytes += turn_log_size(log);
    if (!timer_is_started(&room->sweep) || room->kept_bytes > config()->turn.keep_bytes)
        on_sweep(&room->sweep);
}

/* Twice: the first time the followers have just run, and have marked their connections, which
 * write before the second. */
static void on_first_events(struct flush *f)
{
    struct first_events *firsts = container_of(f, struct first_events, flush);
    uint64_t now_us;

    firsts->is_last_flush = !firsts->is_last_flush;
    if (firsts->is_last_flush) {
        loop_mark_dirty(f, on_first_events);
        return;
    }
    now_us = clock_mono_us();
    while (firsts->n > 0)
        histogram_add(&chat_count()->first_event, now_us - firsts->since_us[--firsts->n]);
}

void room_expect_first_event(uint64_t since_us)
{
    struct first_events *firsts = &room_here()->first_events;

    if (firsts->n == FIRST_EVENTS_MAX || since_us == 0)
        return;
    firsts->since_us[firsts->n++] = since_us;
    loop_mark_dirty(&firsts->flush, on_first_events);
}

void room_check_drained(struct chat_room *room)
{
    void (*on_drained)(struct loop * l) = room->on_drained;

    if (!room->is_draining || !on_drained || !list_is_empty(&room->turns) ||
        !list_is_empty(&room->mirrors) || room->housekeeping.chore.is_running ||
        room->retention.chore.is_running || room->search_feed.chore.is_running ||
        room->checkpoint.chore.is_running || room->budgets.chore.is_running ||
        room->streams.chore.is_running || room->journal.is_writing)
        return;
    chore_stop(&room->streams.chore); /* what its turns leave, others may have */
    journal_stop(&room->journal);     /* nothing is to be written any more */
    room->on_drained = NULL;
    on_drained(loop_current());
}

static struct error open_tables(void)
{
    if (!hub_open())
        return ERROR(ERR_NO_MEMORY, 0, "no memory for the table of turns");
    if (!streams_open()) {
        hub_close();
        return ERROR(ERR_NO_MEMORY, 0, "no memory for the count of turns");
    }
    if (!slots_open()) {
        streams_close();
        hub_close();
        return ERROR(ERR_NO_MEMORY, 0, "no memory for the queues before the agents");
    }
    return NO_ERROR;
}

static void close_tables(void)
{
    slots_close();
    streams_close();
    hub_close();
}

struct error chat_open(struct db *db)
{
    struct error err = recover_replies(db);

    if (is_error(err))
        return err;
    err = open_tables();
    if (!is_error(err)) {
        err = budget_open(db);
        if (is_error(err))
            close_tables();
    }
    if (!is_error(err) && !journal_open()) {
        budget_close(db);
        close_tables();
        err = ERROR(ERR_NO_MEMORY, 0, "no threads for the journal of replies");
    }
    if (is_error(err))
        journal_folder_close();
    return err;
}

void chat_close(struct db *db)
{
    journal_close();
    journal_folder_close();
    budget_close(db);
    close_tables();
}

struct error chat_attach(struct loop *l)
{
    struct chat_room *room = calloc(1, sizeof(*room));

    if (!room)
        return ERROR(ERR_NO_MEMORY, 0, "no memory for the chat room");
    list_init(&room->turns);
    list_init(&room->kept);
    list_init(&room->mirrors);
    journal_init(&room->journal);
    l->rooms[ROOM_CHAT] = room;
    checkpoint_start(&room->checkpoint);
    if (l->index == 0) {
        housekeeping_start(&room->housekeeping);
        retention_start(&room->retention);
        budget_chore_start(&room->budgets);
        if (!db_is_sqlite_here()) {
            search_feed_start(&room->search_feed);
            streams_chore_start(&room->streams);
        }
    }
    return NO_ERROR;
}

static void stop_chores(struct chat_room *room)
{
    chore_stop(&room->checkpoint.chore);
    chore_stop(&room->housekeeping.chore);
    budget_chore_stop(&room->budgets);
    chore_stop(&room->retention.chore);
    chore_stop(&room->search_feed.chore);
}

void chat_drain(struct loop *l, void (*on_drained)(struct loop *l))
{
    struct chat_room *room = l->rooms[ROOM_CHAT];

    room->is_draining = true;
    room->on_drained = on_drained;
    stop_chores(room);
    room_check_drained(room);
}

void chat_abort(struct loop *l)
{
    struct chat_room *room = l->rooms[ROOM_CHAT];
    void (*on_drained)(struct loop * l) = room->on_drained;
    struct list running, *link;

    room->on_drained = NULL; /* one that ends at once is not the last of them */
    list_init(&running);
    list_splice(&running, &room->turns);
    while ((link = list_pop(&running))) {
        list_push(&room->turns, link);
        turn_end_now(link, ERROR(ERR_INTERRUPTED, 0, "The server is shutting down"));
    }
    room->on_drained = on_drained;
    room_check_drained(room);
}

void chat_detach(struct loop *l)
{
    struct chat_room *room = l->rooms[ROOM_CHAT];

    stop_chores(room); /* a start that failed did not drain */
    chore_stop(&room->streams.chore);
    timer_stop(&room->sweep);
    loop_unmark_dirty(&room->first_events.flush);
    while (!list_is_empty(&room->kept))
        forget(room, container_of(room->kept.next, struct turn_log, kept));
    budget_chore_free(&room->budgets);
    journal_deinit(&room->journal);
    buf_deinit(&room->scratch);
    l->rooms[ROOM_CHAT] = NULL;
    free(room);
}
