/* One beat a second: the row; and beside it, whatever has not been seen for too long. See pulse.h. */
#include "pulse.h"

#include "base/clock.h"
#include "base/log.h"
#include "cluster/cluster.h"
#include "cluster/metrics.h"
#include "config/config.h"
#include "desk.h"

#include <stdatomic.h>

#define BEAT_MS    1000
#define ORPHANS_MS 60000
/* A pause between two beats after which we wait for the others' beats before we judge them: the database, or this machine, may
 * have stood still for all of us. */
#define PAUSE_MS 2000

static struct pulse *pulse_of(struct flow *f)
{
    return f->state;
}

static uint64_t dead_ms(void)
{
    return config()->nodes.dead_seconds * 1000;
}

void pulse_args(struct db_arg args[PULSE_ARGS], bool is_draining)
{
    struct str address = cluster_peer_address();

    args[0] = db_uuid(id_str(cluster_node_id()));
    args[1] = db_text(cluster_node_name());
    args[2] = db_text(address.len > 0 ? address : STR_NONE);
    args[3] = db_text(STR(AERIE_VERSION));
    args[4] = db_time(clock_wall_us());
    args[5] = db_bool(is_draining);
    args[6] = db_time(cluster_started_us());
    args[7] = db_int((int64_t)config()->nodes.dead_seconds);
}

/* What the last beat saw, for other threads. */
static atomic_uint n_nodes;
static atomic_uint_least64_t seen_ms;

struct cluster_sight cluster_sight(void)
{
    return (struct cluster_sight){.n_nodes = atomic_load(&n_nodes),
                                  .seen_ms = atomic_load(&seen_ms)};
}

void pulse_note_nodes(unsigned n)
{
    atomic_store(&n_nodes, n);
}

/* ---- one beat ---- */

static void beat(struct flow *f)
{
    struct pulse *p = pulse_of(f);
    struct db_arg args[PULSE_ARGS];

    pulse_args(args, p->is_draining);
    db_query(&p->beat, f, &p->arena, SQL_NODE_BEAT, args, PULSE_ARGS);
}

/* Columns of NODE_BEAT. */
enum { BEAT_WAS_GONE, BEAT_OTHERS, BEAT_SILENT };

static bool has_silent(const struct pulse *p)
{
    return p->beat.result->n_rows > 0 && db_get_int(p->beat.result, 0, BEAT_SILENT) > 0;
}

static void note_beat(struct flow *f)
{
    struct pulse *p = pulse_of(f);
    uint64_t now_ms = loop_now_ms(loop_current());

    if (p->steady_ms == 0 || now_ms - p->beaten_ms > PAUSE_MS)
        p->steady_ms = now_ms;
    p->beaten_ms = now_ms;
    if (p->beat.result->n_rows == 0) /* SQLite, and somebody has removed the row */
        return;
    pulse_note_nodes((unsigned)db_get_int(p->beat.result, 0, BEAT_OTHERS) + 1);
    if (p->is_regular)
        atomic_store(&seen_ms, clock_mono_ms());
    if (db_get_bool(p->beat.result, 0, BEAT_WAS_GONE))
        log_warn("cluster: this node's row was gone, and is there again");
}

/* After a pause the others may be late as we were: they get the time that makes a node dead. */
static bool may_judge(const struct pulse *p)
{
    return p->is_regular && p->beaten_ms - p->steady_ms >= dead_ms();
}

static void send_echo(struct flow *f)
{
    struct pulse *p = pulse_of(f);

    if (desk_wants_echo())
        db_query(&p->echo, f, &p->arena, SQL_NEWS_ECHO, DB_ARGS(db_uuid(id_str(cluster_node_id()))));
}

/* Also now and then: whose node died while its row was not there. */
static bool is_sweep_due(const struct pulse *p)
{
    return !p->sweep.is_running && may_judge(p) &&
           (has_silent(p) || p->sweep.is_owed || p->beaten_ms - p->sweep.begun_ms >= ORPHANS_MS);
}

static void start_sweep(struct pulse *p);

static void judge(struct flow *f)
{
    if (is_sweep_due(pulse_of(f)))
        start_sweep(pulse_of(f));
}

static const struct step steps[] = {
    STEP(beat),
    STEP(note_beat),
    STEP(judge),
    STEP(send_echo),
    STEP_END,
};

static void on_due(struct timer *t);

static void stop_at_rest(struct pulse *p)
{
    if (p->on_stopped && !p->is_running && !p->sweep.is_running)
        p->on_stopped(p); /* may free p */
}

static void on_beaten(struct flow *f)
{
    struct pulse *p = pulse_of(f);
    bool is_failing = is_error(f->err);

    p->is_running = false;
    arena_free(&p->arena);
    if (is_failing) {
        p->steady_ms = 0;
        counter_add(&cluster_count()->failed_beats, 1);
    }
    if (is_failing && !p->was_failing && !p->on_stopped)
        log_warn("cluster: this node's row could not be written: %s; trying again",
                 status_row(f->err.status)->name);
    p->was_failing = is_failing;
    stop_at_rest(p); /* may free p */
}

static void start_beat(struct pulse *p)
{
    p->is_running = true;
    p->beat = p->echo = (struct db_query){0};
    flow_start(&p->flow, steps, p, on_beaten);
}

static void on_due(struct timer *t)
{
    struct pulse *p = container_of(t, struct pulse, timer);

    if (p->is_regular || !cluster_is_alone())
        timer_start(t, BEAT_MS, on_due);
    if (!p->is_running)
        start_beat(p);
}

/* ---- a sweep: what is without a node's row is nobody's; so the row goes first, and whoever looks finds the rest ---- */

static void bury(struct flow *f)
{
    struct sweep *s = f->state;

    db_query(
        &s->nodes, f, &s->arena, SQL_NODES_SWEEP,
        DB_ARGS(db_uuid(id_str(cluster_node_id())), db_int((int64_t)config()->nodes.dead_seconds)));
}

static void mark_replies(struct flow *f)
{
    struct sweep *s = f->state;

    if (s->replies.result) {
        s->n_marked += s->replies.result->n_changed;
        if (s->replies.result->n_changed < REPLIES_PORTION)
            return;
    } else {
        s->n_buried = s->nodes.result->n_changed;
    }
    db_query(&s->replies, f, &s->arena, SQL_REPLIES_INTERRUPTED,
             DB_ARGS(db_time(clock_wall_us()), db_int(REPLIES_PORTION)));
    flow_repeat(f);
}

static void mark_documents(struct flow *f)
{
    struct sweep *s = f->state;

    db_query(&s->documents, f, &s->arena, SQL_DOCUMENTS_INTERRUPTED, NULL, 0);
}

static void look_for_rest(struct flow *f)
{
    struct sweep *s = f->state;

    db_query(&s->rest, f, &s->arena, SQL_REPLIES_OF_NOBODY, NULL, 0);
}

static const struct step sweep_steps[] = {
    STEP(bury),
    STEP(mark_replies),
    STEP(mark_documents),
    STEP(look_for_rest),
    STEP_END,
};

static void tell_sweep(const struct sweep *s)
{
    counter_add(&cluster_count()->buried, (uint64_t)s->n_buried);
    counter_add(&cluster_count()->marked, (uint64_t)s->n_marked);
    if (s->n_buried > 0)
        log_warn("cluster: %lld nodes were not seen for %llu s and are taken for dead; %lld of "
                 "their replies are marked interrupted",
                 (long long)s->n_buried, (unsigned long long)config()->nodes.dead_seconds,
                 (long long)s->n_marked);
    else if (s->n_marked > 0)
        log_warn("cluster: %lld replies that no node writes are marked interrupted",
                 (long long)s->n_marked);
}

static void on_swept(struct flow *f)
{
    struct sweep *s = f->state;

    s->is_running = false;
    s->is_owed = is_error(f->err) || db_get_bool(s->rest.result, 0, 0);
    tell_sweep(s);
    arena_free(&s->arena);
    stop_at_rest(container_of(s, struct pulse, sweep)); /* may free s */
}

static void start_sweep(struct pulse *p)
{
    p->sweep = (struct sweep){.begun_ms = p->beaten_ms, .is_running = true};
    flow_start(&p->sweep.flow, sweep_steps, &p->sweep, on_swept);
}

/* ---- its life ---- */

void pulse_start(struct pulse *p, bool is_regular)
{
    p->is_regular = is_regular;
    p->sweep.begun_ms = loop_now_ms(loop_current());
    if (is_regular || !cluster_is_alone())
        timer_start(&p->timer, 0, on_due);
}

void pulse_drain(struct pulse *p)
{
    if (p->is_draining || p->on_stopped)
        return;
    p->is_draining = true;
    timer_start(&p->timer, 0, on_due);
}

void pulse_stop(struct pulse *p, void (*on_stopped)(struct pulse *p))
{
    const bool is_beating = p->is_running, is_sweeping = p->sweep.is_running;

    timer_stop(&p->timer);
    p->on_stopped = on_stopped;
    if (is_beating)
        flow_fail(&p->flow, ERROR(ERR_CANCELED, 0, NULL)); /* may free p, unless it sweeps */
    if (is_sweeping)
        flow_fail(&p->sweep.flow, ERROR(ERR_CANCELED, 0, NULL));
    if (!is_beating && !is_sweeping)
        on_stopped(p); /* may free p */
}
