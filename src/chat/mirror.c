/* A mirror, from its first reader to the turn's terminal event. See chat/mirror.h. */
#include "chat/mirror.h"

#include "base/log.h"
#include "chat/event.h"
#include "chat/hub.h"
#include "chat/metrics.h"
#include "chat/turn.h"
#include "checkpoint.h"
#include "cluster/cluster.h"
#include "cluster/peer.h"
#include "config/config.h"
#include "loop/wait.h"
#include "mirror_read.h"
#include "room.h"
#include "trace/span.h"
#include "upstream/feed.h"
#include "upstream/fetch.h"

#include <stdio.h>
#include <stdlib.h>

#define TARGET_BYTES 512
/* Before the node, or the row, is asked again. */
#define RETRY_MS 200
/* Of one event: a whole batch, or what a provider told, in the tail. */
#define EVENT_BYTES (2u << 20)
/* How long it is tried, beyond the time after which a silent node is dead: for another node to mark
 * its replies. */
#define PATIENCE_S        3
#define STOP_MS           5000
#define STOP_ANSWER_BYTES 4096

/* The columns of SQL_REPLY_LOOK. */
enum { LOOK_CONTENT, LOOK_STATUS, LOOK_MODEL, LOOK_USAGE, LOOK_METADATA };

struct mirror {
    struct flow flow;
    struct span *span;    /* NULL: it is not told of */
    struct list link;     /* in its room */
    struct turn_log *log; /* counted */
    struct turn_place place;
    struct timer linger; /* until it goes, once nobody reads */

    /* What an attempt has in flight: the node's stream, then, where that broke, a look at the row.
     */
    struct arena arena; /* the attempt's */
    struct subflow attempt, call;
    struct feed feed;
    struct mirror_reading reading;
    struct db_query look;
    struct wait pause;
    uint64_t began_at; /* the log's last number when the attempt began */
    uint64_t began_ms;
    uint64_t until_ms; /* 0: all is well */
    bool was_tried, is_paused, is_over;

    struct db_query store;

    /* Its readers' word to the node: a flow of its own, since it may come at any time. */
    struct flow stop_flow;
    struct arena stop_arena;
    struct fetch stop;
    bool is_stopping, was_stopped, is_deleted, has_ended;
};

static struct mirror *mirror_of(struct flow *f)
{
    return f->state;
}

static uint64_t now_ms(void)
{
    return loop_now_ms(loop_current());
}

static bool is_closed(const struct mirror *m)
{
    return turn_log_phase(m->log) == TURN_LOG_CLOSED;
}

/* ---- whom to ask ---- */

bool turn_place_read(const struct db_result *rows, struct turn_place *out)
{
    struct str address = rows->n_rows > 0 ? db_get_text(rows, 0, 2) : STR("");

    if (address.len == 0 || address.len >= sizeof(out->address) || !db_get_bool(rows, 0, 3) ||
        !id_parse(db_get_text(rows, 0, 0), &out->reply_id) ||
        !id_parse(db_get_text(rows, 0, 1), &out->node_id) ||
        str_eq(id_str(&out->node_id), id_str(cluster_node_id())))
        return false;
    /* Its address may be ours by now, or ours still be its own. */
    if (!cluster_find_socket(&out->node_id, out->address, sizeof(out->address)))
        snprintf(out->address, sizeof(out->address), "%.*s", STR_ARG(address));
    out->created_us = db_get_int(rows, 0, 4);
    return true;
}

static int write_target(char out[TARGET_BYTES], const char *path, const struct turn_place *p)
{
    return snprintf(
        out, TARGET_BYTES, "%s?team_id=%s&owner_id=%s&chat_id=%s&reply_id=%s&node_id=%s", path,
        p->team_id.text, p->owner_id.text, p->chat_id.text, p->reply_id.text, p->node_id.text);
}

static struct fetch_header sign(const char *method, const char *target, char out[PEER_SIGN_BYTES])
{
    peer_sign(str_from(method), str_from(target), out);
    return (struct fetch_header){STR(PEER_HEADER), str_from(out)};
}

/* ---- an attempt ---- */

static void call_node(struct flow *f)
{
    struct mirror *m = mirror_of(f);
    char target[TARGET_BYTES], signature[PEER_SIGN_BYTES];
    int len = write_target(target, "/peer/turn", &m->place);

    m->began_at = turn_log_last(m->log);
    m->began_ms = now_ms();
    snprintf(target + len, sizeof(target) - (size_t)len, "&from=%llu",
             (unsigned long long)m->began_at);
    mirror_reading_begin(&m->reading);
    m->feed.state = &m->reading;
    m->feed.on_event = mirror_read;
    feed_start(&m->feed, f,
               &(struct feed_request){.address = str_from(m->place.address),
                                      .target = str_from(target),
                                      .header = sign("GET", target, signature),
                                      .silence_ms = config()->nodes.dead_seconds * 1000,
                                      .event_bytes = EVENT_BYTES});
}

static const struct step call_steps[] = {STEP(call_node), STEP_END};

static void read_there(struct flow *f)
{
    flow_try(f, &mirror_of(f)->call, call_steps, mirror_of(f));
}

/* This attempt brought something, or stood for a while: an agent may say nothing for long. */
static bool was_well(const struct mirror *m)
{
    return turn_log_last(m->log) > m->began_at ||
           (m->reading.has_head && now_ms() - m->began_ms > config()->nodes.dead_seconds * 1000);
}

/* The stream has ended without the turn's end. */
static void look_at_row(struct flow *f)
{
    struct mirror *m = mirror_of(f);
    const struct error *err = &m->call.flow.err;

    if (is_closed(m)) {
        flow_finish(f);
        return;
    }
    log_info("mirror: turn %s: the node that runs it was cut off: %s", m->log->reply_id.text,
             m->reading.is_wrong   ? "what it says does not fit"
             : is_error(*err)      ? (err->detail ? err->detail : status_row(err->status)->name)
             : m->reading.has_head ? "its stream ended early"
                                   : "it knows no such turn");
    if (m->until_ms == 0 || was_well(m))
        m->until_ms = now_ms() + (config()->nodes.dead_seconds + PATIENCE_S) * 1000;
    db_query(&m->look, f, &m->arena, SQL_REPLY_LOOK,
             DB_ARGS(db_uuid(id_str(&m->place.team_id)), db_uuid(id_str(&m->place.reply_id))));
}

static void judge_row(struct flow *f)
{
    struct mirror *m = mirror_of(f);
    const struct db_result *row = m->look.result;

    m->is_over = row->n_rows == 0 || !str_eq(db_get_text(row, 0, LOOK_STATUS), STR("streaming"));
}

static const struct step attempt_steps[] = {
    STEP(read_there),  /* ends with the turn, or with the connection */
    STEP(look_at_row), /* without the turn's end: is the reply settled? */
    STEP(judge_row),
    STEP_END,
};

/* Comes back to itself until the log is closed, the row is settled or the time for it is over. */
static void follow_turn(struct flow *f)
{
    struct mirror *m = mirror_of(f);

    if (is_closed(m) || m->is_over)
        return;
    if (m->until_ms > 0 && now_ms() >= m->until_ms) {
        m->look.result = NULL; /* nobody knows how it ends */
        return;
    }
    flow_repeat(f);
    if (m->was_tried && !m->is_paused) {
        m->is_paused = true;
        wait_start(&m->pause, f, RETRY_MS);
        return;
    }
    m->was_tried = true;
    m->is_paused = false;
    m->look.result = NULL;
    arena_free(&m->arena);
    flow_try(f, &m->attempt, attempt_steps, m);
}

/* ---- the end, where the node did not tell it ---- */

static struct str stored_text(const struct mirror *m, unsigned column)
{
    const struct db_result *row = m->look.result;
    struct str text = row && row->n_rows > 0 ? db_get_text(row, 0, column) : STR_NONE;

    return text.ptr ? text : STR("");
}

/* What the journal of a dead node has may be less than what it sent. */
static void store_text(struct flow *f)
{
    struct mirror *m = mirror_of(f);
    struct str own = turn_log_text(m->log), stored = stored_text(m, LOOK_CONTENT);
    struct buf *rows = chat_scratch();
    struct json j = {.buf = rows};

    if (is_error(f->err) || is_closed(m) || own.len <= stored.len)
        return;
    json_begin_array(&j);
    checkpoint_row(&j, &m->place.team_id, &m->place.reply_id, own);
    json_end_array(&j);
    if (!rows->failed)
        db_query(&m->store, f, &m->arena, SQL_REPLIES_CHECKPOINT, DB_ARGS(db_json(buf_str(rows))));
}

static struct str keep(struct turn_log *log, struct str text)
{
    return text.len > 0 ? arena_copy(log->memory, text) : STR("");
}

static enum status outcome_of(struct str status, struct str code)
{
    if (str_eq(status, STR("complete")))
        return OK;
    if (str_eq(status, STR("stopped")))
        return ERR_STOPPED;
    return str_eq(status, STR("error")) ? status_named(code) : ERR_INTERRUPTED;
}

static void keep_facts(struct mirror *m, struct str status)
{
    struct turn_log *log = m->log;
    struct str metadata = stored_text(m, LOOK_METADATA);
    struct stored_failure why = event_stored_failure(&m->arena, metadata);

    log->reply_outcome = outcome_of(status, why.code);
    log->outcome = ERROR(log->reply_outcome, 0, NULL);
    if (is_error(log->outcome) && log->reply_outcome != ERR_STOPPED)
        log->outcome.detail = keep(log, why.detail).ptr;
    log->is_stopped = log->reply_outcome == ERR_STOPPED;
    log->is_saved = true;
    log->model = keep(log, stored_text(m, LOOK_MODEL));
    log->usage = keep(log, stored_text(m, LOOK_USAGE));
    log->metadata = keep(log, metadata);
}

/* Where nothing is known of the turn, it has not begun for those who wait for it. */
static void close_without(struct mirror *m)
{
    m->log->outcome = ERROR(ERR_BUSY, 1, NULL);
    turn_log_close(m->log, STR(""));
}

static void close_as_stored(struct mirror *m)
{
    struct turn_log *log = m->log;
    struct str stored = stored_text(m, LOOK_CONTENT), status = stored_text(m, LOOK_STATUS);
    struct str own = turn_log_text(log);
    struct buf *end;

    if (status.len == 0 && turn_log_phase(log) == TURN_LOG_PENDING) {
        close_without(m);
        return;
    }
    if (stored.len > own.len && str_starts_with(stored, own))
        (void)!turn_log_append(log, str_skip(stored, own.len));
    keep_facts(m, status);
    if (turn_log_phase(log) == TURN_LOG_PENDING)
        turn_log_open(log);
    end = chat_scratch();
    event_write_stored_end(end, &m->arena, id_str(&log->reply_id), status,
                           stored_text(m, LOOK_METADATA));
    turn_log_close(log, end->failed ? STR("") : buf_str(end));
}

static void close_log(struct flow *f)
{
    struct mirror *m = mirror_of(f);

    if (!is_closed(m) && !is_error(f->err))
        close_as_stored(m);
}

static const struct step mirror_steps[] = {
    STEP(follow_turn),
    STEP_ALWAYS(store_text),
    STEP_ALWAYS(close_log),
    STEP_END,
};

/* ---- life ---- */

/* That nobody reads it any more, or that its node went, is no failure of its. */
static void end_span(struct mirror *m)
{
    span_end(m->span, &(struct span_record){.kind = SPAN_INTERNAL, .name = STR("mirror")});
}

static void check_end(struct mirror *m)
{
    struct chat_room *room = room_here();
    struct turn_log *log = m->log;

    if (!m->has_ended || m->is_stopping)
        return;
    log->mirror = NULL;
    timer_stop(&m->linger);
    list_remove(&m->link);
    counter_add(&chat_count()->mirrors, (uint64_t)-1);
    mirror_reading_deinit(&m->reading);
    end_span(m);
    arena_free(&m->arena);
    arena_free(&m->stop_arena);
    free(m);
    if (turn_log_phase(log) == TURN_LOG_CLOSED && log->is_begun) {
        room_keep(log);
    } else {
        hub_remove(log);
        turn_log_unref(log);
    }
    room_check_drained(room);
}

static void on_end(struct flow *f)
{
    struct mirror *m = mirror_of(f);

    m->has_ended = true;
    check_end(m);
}

static void on_lonely(struct timer *t);

static void wait_for_readers(struct mirror *m)
{
    timer_start(&m->linger, config()->nodes.mirror_linger_ms, on_lonely);
}

/* Who found the log in the hub holds it, though he may not read yet. */
static bool is_held(const struct turn_log *log, unsigned others)
{
    return atomic_load(&log->refs) > others;
}

static void on_lonely(struct timer *t)
{
    struct mirror *m = container_of(t, struct mirror, linger);

    if (atomic_load(&m->log->n_readers) > 0 || m->has_ended)
        return;
    if (is_held(m->log, 2)) { /* the hub and we */
        wait_for_readers(m);
        return;
    }
    hub_remove(m->log); /* from now on nobody finds it */
    if (is_held(m->log, 1))
        wait_for_readers(m);
    else
        flow_fail(&m->flow, ERROR(ERR_GONE, 0, "nobody reads the mirror"));
}

static struct mirror *mirror_new(const struct turn_place *place, struct turn_log *log)
{
    struct mirror *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->place = *place;
    m->log = m->reading.log = turn_log_ref(log);
    log->mirror = m;
    list_push(&room_here()->mirrors, &m->link);
    counter_add(&chat_count()->mirrors, 1);
    return m;
}

static struct turn_log *log_new(const struct turn_place *p)
{
    struct turn_log *log = turn_log_new(&p->team_id, &p->owner_id, &p->chat_id, STR(""), STR(""));

    if (!log)
        return NULL;
    log->is_mirror = true;
    log->reply_id = p->reply_id;
    log->created_us = p->created_us;
    return log;
}

/* A mirror of another turn than this: its end is under way. */
static void give_way(struct turn_log *other)
{
    hub_remove(other);
    turn_log_unref(other);
}

struct turn_log *mirror_join(const struct turn_place *place, const struct span *parent)
{
    struct turn_log *log, *there;
    struct mirror *m;

    if (room_here()->is_draining) /* it would outlive the room */
        return NULL;
    log = log_new(place);
    if (!log)
        return NULL;
    while ((there = hub_claim(log))) {
        if (str_eq(id_str(&there->reply_id), id_str(&place->reply_id))) {
            turn_log_unref(log);
            return there;
        }
        give_way(there);
    }
    m = mirror_new(place, log);
    if (!m) { /* who found it meanwhile does not wait */
        log->outcome = ERROR(ERR_NO_MEMORY, 0, NULL);
        turn_log_close(log, STR(""));
        hub_remove(log);
        turn_log_unref(log);
        return NULL;
    }
    wait_for_readers(m);
    m->span = span_begin(parent);
    flow_start_traced(&m->flow, m->span, mirror_steps, m, on_end);
    return log;
}

/* ---- its readers' word ---- */

static void tell_stop(struct flow *f)
{
    struct mirror *m = mirror_of(f);
    char target[TARGET_BYTES], signature[PEER_SIGN_BYTES];
    int len = write_target(target, "/peer/stop", &m->place);

    if (m->is_deleted)
        snprintf(target + len, sizeof(target) - (size_t)len, "&deleted=true");
    fetch_start(&m->stop, f, &m->stop_arena,
                &(struct fetch_request){.url = str_from(target),
                                        .peer = str_from(m->place.address),
                                        .body = STR(""),
                                        .headers = {sign("POST", target, signature)},
                                        .n_headers = 1,
                                        .timeout_ms = STOP_MS,
                                        .max_bytes = STOP_ANSWER_BYTES});
}

static const struct step stop_steps[] = {STEP(tell_stop), STEP_END};

static void on_stop_told(struct flow *f)
{
    struct mirror *m = mirror_of(f);

    if (is_error(f->err))
        log_warn("mirror: turn %s: its node could not be told to stop: %s", m->log->reply_id.text,
                 status_row(f->err.status)->name);
    m->was_stopped = !is_error(f->err);
    m->is_stopping = false;
    arena_free(&m->stop_arena);
    check_end(m);
}

void mirror_obey(struct turn_log *log, const char *stop)
{
    struct mirror *m = log->mirror;

    if (!m || is_closed(m))
        return;
    if (atomic_load(&log->n_readers) == 0)
        wait_for_readers(m);
    if (!stop || m->is_stopping || m->was_stopped)
        return;
    m->is_stopping = true;
    m->is_deleted = stop == turn_chat_deleted;
    flow_start_traced(&m->stop_flow, m->span, stop_steps, m, on_stop_told);
}
