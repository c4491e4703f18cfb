/* The first loop's watch over what is due, and over who wants to be told. A queue as that of mails
 * is: who claims a row moves its time to where another may try, should he not tell how it went. */
#include "sender.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "config/config.h"
#include "metrics.h"
#include "wanted.h"

#include <stdlib.h>
#include <string.h>

#define POLL_MS         500
#define NEWS_MS         20 /* of many that come at once, one load */
#define COUNT_EVERY_MS  2000
#define FORGET_FIRST_MS 5000
#define FORGET_EVERY_MS (3600u * 1000)
#define FORGET_ROWS     500 /* as SQL_WEBHOOK_FORGET says */
#define DUE_ROWS        200 /* as SQL_WEBHOOK_DUE says */
#define STOP_MS         500 /* beyond the longest call */
#define US_PER_S        INT64_C(1000000)
#define US_PER_DAY      (24 * 3600 * US_PER_S)

enum due_column { DUE_ID, DUE_TEAM_ID, DUE_WEBHOOK_ID };

/* ---- who may have one more ---- */

static struct receiver *receiver_of(struct map_node *node)
{
    return container_of(node, struct receiver, node);
}

struct receiver *sender_receiver(struct sender *s, struct str webhook_id)
{
    struct map_node *node = map_find(&s->receivers, webhook_id);
    struct receiver *r;

    if (node)
        return receiver_of(node);
    r = webhook_id.len == ID_LEN ? calloc(1, sizeof(*r)) : NULL;
    if (!r)
        return NULL;
    memcpy(r->id, webhook_id.ptr, ID_LEN);
    map_insert(&s->receivers, &r->node, (struct str){r->id, ID_LEN});
    return r;
}

/* Those that fail take up half of the places at most, however many they are. */
static bool may_have_more(const struct sender *s, const struct receiver *r)
{
    const struct config_webhooks *c = &config()->webhooks;

    if (r->is_failing)
        return r->n_running == 0 && s->n_failing < (c->at_once + 1) / 2;
    return r->n_running < c->at_once_per_team;
}

static unsigned count_of_team(const struct sender *s, struct str team_id)
{
    unsigned n = 0;

    for (struct list *l = s->deliveries.next; l != &s->deliveries; l = l->next)
        n += str_eq(container_of(l, struct delivery, link)->message.team_id, team_id);
    return n;
}

/* Its lease may be over while the database does not take how it went: it is not sent again. */
static bool is_under_way(const struct sender *s, struct str delivery_id)
{
    for (struct list *l = s->deliveries.next; l != &s->deliveries; l = l->next)
        if (str_eq(container_of(l, struct delivery, link)->message.delivery_id, delivery_id))
            return true;
    return false;
}

struct listing {
    const struct sender *sender;
    struct json json;
};

static void list_if_busy(struct map_node *node, void *state)
{
    struct listing *l = state;

    if (!may_have_more(l->sender, receiver_of(node)))
        json_str(&l->json, node->key);
}

static void write_busy_webhooks(struct sender *s, struct buf *out)
{
    struct listing l = {.sender = s, .json = {.buf = out}};

    json_begin_array(&l.json);
    map_each(&s->receivers, list_if_busy, &l);
    json_end_array(&l.json);
}

/* One may stand there more than once. */
static void write_busy_teams(const struct sender *s, struct buf *out)
{
    struct json j = {.buf = out};

    json_begin_array(&j);
    for (struct list *l = s->deliveries.next; l != &s->deliveries; l = l->next) {
        struct str team_id = container_of(l, struct delivery, link)->message.team_id;

        if (count_of_team(s, team_id) >= config()->webhooks.at_once_per_team)
            json_str(&j, team_id);
    }
    json_end_array(&j);
}

static void drop_if_idle(struct map_node *node, void *state)
{
    struct sender *s = state;

    if (receiver_of(node)->n_running > 0)
        return;
    map_remove(&s->receivers, node);
    free(receiver_of(node));
}

/* ---- who wants to be told ---- */

static void load_wanted(struct flow *f)
{
    struct sender *s = f->state;

    s->load.result = NULL;
    if (s->is_stale)
        db_query(&s->load, f, &s->arena, SQL_WEBHOOKS_WANTED, NULL, 0);
    s->is_stale = false; /* a change from now on is loaded again */
}

static void take_wanted(struct flow *f)
{
    struct sender *s = f->state;

    if (!s->load.result)
        return;
    if (!wanted_load(s->load.result)) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    s->n_webhooks = s->load.result->n_rows;
    map_each(&s->receivers, drop_if_idle, s); /* some may be gone */
}

static bool has_webhooks(const struct sender *s)
{
    return s->n_webhooks > 0;
}

/* ---- what waits ---- */

static void count_waiting(struct flow *f)
{
    struct sender *s = f->state;
    uint64_t now_ms = loop_now_ms(s->loop);

    s->counts.result = NULL;
    if (!has_webhooks(s))
        webhook_note_pending(0, 0);
    if (!has_webhooks(s) || now_ms - s->counted_ms < COUNT_EVERY_MS)
        return;
    s->counted_ms = now_ms;
    db_query(&s->counts, f, &s->arena, SQL_WEBHOOK_COUNTS, NULL, 0);
}

static void take_counts(struct flow *f)
{
    struct sender *s = f->state;
    const struct db_result *r = s->counts.result;

    if (!r)
        return;
    wanted_set_full(r, config()->webhooks.pending_per_team);
    webhook_note_pending(r->n_rows > 0 ? (uint64_t)db_get_int(r, 0, 2) : 0,
                         r->n_rows > 0 ? db_get_int(r, 0, 3) : 0);
}

static void look_for_due(struct flow *f)
{
    struct sender *s = f->state;
    struct buf webhooks = {0}, teams = {0};

    s->due.result = NULL;
    if (!has_webhooks(s) || s->n_deliveries >= config()->webhooks.at_once)
        return;
    write_busy_webhooks(s, &webhooks);
    write_busy_teams(s, &teams);
    if (webhooks.failed || teams.failed)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else
        db_query(&s->due, f, &s->arena, SQL_WEBHOOK_DUE,
                 DB_ARGS(db_time(clock_wall_us()), db_json(buf_str(&webhooks)),
                         db_json(buf_str(&teams))));
    buf_deinit(&webhooks);
    buf_deinit(&teams);
}

/* The rows before it that were picked count as running already. */
static bool may_pick(struct sender *s, const bool *is_picked, size_t row)
{
    const struct db_result *r = s->due.result;
    struct str team_id = db_get_text(r, row, DUE_TEAM_ID);
    struct str webhook_id = db_get_text(r, row, DUE_WEBHOOK_ID);
    struct receiver *known = sender_receiver(s, webhook_id);
    uint64_t n_team = count_of_team(s, team_id), n_webhook = 0, n_failing = s->n_failing;
    uint64_t at_once = config()->webhooks.at_once, per_team = config()->webhooks.at_once_per_team;

    if (!known || is_under_way(s, db_get_text(r, row, DUE_ID)))
        return false;
    for (size_t i = 0; i < row; i++) {
        struct map_node *other;

        if (!is_picked[i])
            continue;
        other = map_find(&s->receivers, db_get_text(r, i, DUE_WEBHOOK_ID));
        n_team += str_eq(db_get_text(r, i, DUE_TEAM_ID), team_id);
        n_webhook += other == &known->node;
        n_failing += other && receiver_of(other)->is_failing;
    }
    if (n_team >= per_team)
        return false;
    n_webhook += known->n_running;
    return known->is_failing ? n_webhook == 0 && n_failing < (at_once + 1) / 2
                             : n_webhook < per_team;
}

/* Of two servers, one gets it. Who claims sends: a server that ends claims nothing more. */
static void claim_due(struct flow *f)
{
    struct sender *s = f->state;
    const struct db_result *r = s->due.result;
    const struct config_webhooks *c = &config()->webhooks;
    int64_t now_us = clock_wall_us();
    int64_t lease_us = (int64_t)(2 * c->timeout_seconds + 2) * US_PER_S;
    bool is_picked[DUE_ROWS] = {false};
    struct buf ids = {0};
    struct json j = {.buf = &ids};

    s->n_picked = 0;
    if (!r || r->n_rows == 0 || s->on_detached)
        return;
    json_begin_array(&j);
    for (size_t row = 0;
         row < r->n_rows && row < DUE_ROWS && s->n_deliveries + s->n_picked < c->at_once; row++) {
        is_picked[row] = may_pick(s, is_picked, row);
        if (!is_picked[row])
            continue;
        s->n_picked++;
        json_str(&j, db_get_text(r, row, DUE_ID));
    }
    json_end_array(&j);
    s->looks_again |= s->n_picked > 0 && (s->n_picked < r->n_rows || r->n_rows == DUE_ROWS);

    const struct db_arg claim[] = {db_json(buf_str(&ids)), db_time(now_us),
                                   db_time(now_us + lease_us)};
    const struct db_arg load[] = {db_json(buf_str(&ids)), db_time(now_us)};
    const struct db_call calls[] = {{SQL_WEBHOOK_CLAIM, claim, 3}, {SQL_WEBHOOK_LOAD, load, 2}};

    if (ids.failed)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else if (s->n_picked > 0)
        db_batch(&s->claim, f, &s->arena, calls, 2);
    buf_deinit(&ids);
}

static bool was_claimed(const struct db_result *claimed, struct str id)
{
    for (size_t row = 0; row < claimed->n_rows; row++)
        if (str_eq(db_get_text(claimed, row, 0), id))
            return true;
    return false;
}

static void begin_claimed(struct flow *f)
{
    struct sender *s = f->state;
    const struct db_result *claimed, *loaded;

    if (s->n_picked == 0)
        return;
    claimed = db_result_at(&s->claim, 0);
    loaded = db_result_at(&s->claim, 1);
    for (size_t row = 0; row < loaded->n_rows; row++)
        if (was_claimed(claimed, db_get_text(loaded, row, LOAD_ID)))
            delivery_start(s, loaded, row);
}

static void forget_old(struct flow *f)
{
    struct sender *s = f->state;
    const struct config_webhooks *c = &config()->webhooks;
    uint64_t now_ms = loop_now_ms(s->loop);
    int64_t now_us = clock_wall_us();

    s->forget.result = NULL;
    if (!has_webhooks(s) || now_ms < s->forget_at_ms || s->on_detached)
        return;
    s->forget_at_ms = now_ms + FORGET_EVERY_MS;
    db_query(&s->forget, f, &s->arena, SQL_WEBHOOK_FORGET,
             DB_ARGS(db_time(now_us - (int64_t)c->keep_days * US_PER_DAY),
                     db_time(now_us - (int64_t)c->keep_dead_days * US_PER_DAY)));
}

static void forget_more(struct flow *f)
{
    struct sender *s = f->state;

    if (s->forget.result && s->forget.result->n_changed >= FORGET_ROWS)
        s->forget_at_ms = loop_now_ms(s->loop);
}

/* Who has nothing to send writes nothing. */
static const struct step steps[] = {
    STEP(load_wanted),  STEP(take_wanted), STEP(count_waiting), STEP(take_counts),
    STEP(look_for_due), STEP(claim_due),   STEP(begin_claimed), STEP(forget_old),
    STEP(forget_more),  STEP_END,
};

/* ---- the watch ---- */

static void free_sender(struct sender *s)
{
    void (*on_detached)(struct loop * l) = s->on_detached;
    struct loop *l = s->loop;

    timer_stop(&s->timer);
    timer_stop(&s->patience);
    map_each(&s->receivers, drop_if_idle, s);
    map_deinit(&s->receivers);
    arena_free(&s->arena);
    l->rooms[ROOM_WEBHOOK] = NULL;
    free(s);
    on_detached(l);
}

static bool is_over(const struct sender *s)
{
    return s->on_detached && !s->is_running && !s->is_ending && s->n_deliveries == 0;
}

static void on_due(struct timer *t);

/* Until something may be due; where there are no webhooks, until the news of one. */
static void rest(struct sender *s)
{
    if (s->was_failing)
        timer_start(&s->timer, POLL_MS, on_due);
    else if (s->is_stale)
        timer_start(&s->timer, NEWS_MS, on_due);
    else if (s->looks_again)
        timer_start(&s->timer, 0, on_due);
    else if (has_webhooks(s))
        timer_start(&s->timer, POLL_MS, on_due);
}

static void on_pass_end(struct flow *f)
{
    struct sender *s = f->state;

    s->is_running = false;
    s->is_stale |= is_error(f->err);
    if (is_error(f->err) && !s->was_failing && f->err.status != ERR_CANCELED)
        log_warn("webhook: what is to be told cannot be read, trying again: %s",
                 status_row(f->err.status)->name);
    s->was_failing = is_error(f->err);
    arena_free(&s->arena);
    if (is_over(s))
        free_sender(s);
    else if (!s->on_detached)
        rest(s);
}

static void on_due(struct timer *t)
{
    struct sender *s = container_of(t, struct sender, timer);

    s->is_running = true;
    s->looks_again = false;
    s->n_picked = 0;
    flow_start(&s->flow, steps, s, on_pass_end);
}

static void on_news(struct news_reader *r, enum news news, const struct id *team_id)
{
    struct sender *s = container_of(r, struct sender, news);

    (void)team_id;
    if (news != NEWS_WEBHOOKS)
        return;
    s->is_stale = true;
    if (!s->is_running && !s->was_failing)
        timer_start(&s->timer, NEWS_MS, on_due);
}

/* There is a place now. */
void sender_ended(struct sender *s)
{
    s->looks_again = true;
    if (is_over(s))
        free_sender(s);
    else if (!s->on_detached && !s->is_running)
        timer_start(&s->timer, 0, on_due);
}

static void on_patience_over(struct timer *t)
{
    struct sender *s = container_of(t, struct sender, patience);
    struct list running, *link;

    list_init(&running);
    list_splice(&running, &s->deliveries);
    s->is_ending = true; /* one that ends here must not free s under this loop */
    if (s->is_running)
        flow_fail(&s->flow, ERROR(ERR_CANCELED, 0, NULL));
    while ((link = list_pop(&running))) {
        list_push(&s->deliveries, link);
        flow_fail(&container_of(link, struct delivery, link)->flow, ERROR(ERR_CANCELED, 0, NULL));
    }
    s->is_ending = false;
    if (is_over(s))
        free_sender(s);
}

struct error webhook_attach(struct loop *l)
{
    struct sender *s;

    if (l->index != 0)
        return NO_ERROR;
    s = calloc(1, sizeof(*s));
    if (!s || !map_init(&s->receivers, 16)) {
        free(s);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    s->loop = l;
    s->is_stale = true; /* since webhook_open() it may have changed */
    s->forget_at_ms = loop_now_ms(l) + FORGET_FIRST_MS;
    list_init(&s->deliveries);
    l->rooms[ROOM_WEBHOOK] = s;
    timer_start(&s->timer, POLL_MS, on_due);
    news_read(&s->news, on_news);
    return NO_ERROR;
}

void webhook_detach(struct loop *l, void (*on_detached)(struct loop *l))
{
    struct sender *s = l->rooms[ROOM_WEBHOOK];

    if (!s) {
        on_detached(l);
        return;
    }
    timer_stop(&s->timer);
    news_leave(&s->news);
    s->on_detached = on_detached;
    if (is_over(s))
        free_sender(s);
    else
        timer_start(&s->patience, config()->webhooks.timeout_seconds * 1000 + STOP_MS,
                    on_patience_over);
}

/* ---- the process ---- */

struct error webhook_open(struct db *db)
{
    struct arena arena = {0};
    struct db_result rows;
    struct error err = wanted_open();

    if (is_error(err))
        return err;
    err = db_run(db, &arena, SQL_WEBHOOKS_WANTED, NULL, 0, &rows);
    if (!is_error(err) && !wanted_load(&rows))
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    arena_free(&arena);
    if (is_error(err))
        wanted_close();
    return err;
}

void webhook_close(void)
{
    wanted_close();
}
