/* One try of one delivery: the call, and what became of it. */
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "config/config.h"
#include "metrics.h"
#include "outcome.h"
#include "sender.h"
#include "trace/span.h"

#include <stdlib.h>

#define SETTLE_RETRY_MS 500
#define SETTLE_MS       (3600u * 1000)
#define NOTED_EVERY_US  INT64_C(10000000)
#define SWITCHED_OFF    "The webhook was switched off."

/* ---- the call ---- */

static void call_receiver(struct flow *f)
{
    struct delivery *d = f->state;
    struct fetch_request request;
    struct error err = webhook_call_make(&d->arena, &d->message, &request);

    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    counter_add(&webhook_count()->tries, 1);
    fetch_start(&d->fetch, f, &d->arena, &request);
}

static const struct step call_steps[] = {STEP(call_receiver), STEP_END};

static void call(struct flow *f)
{
    struct delivery *d = f->state;

    if (d->is_active)
        flow_try(f, &d->part, call_steps, d);
    else
        d->part.flow.err = ERROR(ERR_UNAVAILABLE, 0, SWITCHED_OFF);
}

/* ---- what became of it ---- */

/* Once it fails, and once it is well again: not each of a thousand deliveries. */
static void note_health(struct delivery *d, bool is_taken)
{
    struct receiver *r = d->receiver;

    if (!is_taken)
        counter_add(&webhook_count()->failures, 1);
    if (r->is_failing == !is_taken)
        return;
    r->is_failing = !is_taken;
    if (is_taken)
        log_info("webhook: %.*s is taken again", STR_ARG(d->message.webhook_id));
    else
        log_warn("webhook: a delivery of %.*s failed: %s (status %d)",
                 STR_ARG(d->message.webhook_id),
                 webhook_call_words(d->call_err, d->fetch.http_status), d->fetch.http_status);
}

static void note_outcome(struct flow *f)
{
    struct delivery *d = f->state;

    d->call_err = is_error(d->part.flow.err) || !is_error(f->err) ? d->part.flow.err : f->err;
    if (d->call_err.status != ERR_CANCELED || webhook_was_taken(d->fetch.http_status))
        note_health(d, webhook_was_taken(d->fetch.http_status));
    d->receiver->n_running--;
    d->sender->n_failing -= d->is_to_failing;
    d->receiver = NULL;
}

static struct db_arg status_arg(int http_status)
{
    return http_status > 0 ? db_int(http_status) : db_null();
}

static void write_outcome(struct flow *f)
{
    struct delivery *d = f->state;
    int status = d->fetch.http_status;
    int64_t now_us = clock_wall_us();
    uint32_t random = 0;
    struct str words = str_from(webhook_call_words(d->call_err, status));
    struct outcome o;
    struct db_arg team = db_uuid(d->message.team_id), id = db_uuid(d->message.delivery_id),
                  webhook = db_uuid(d->message.webhook_id), tries = db_int(d->n_tries),
                  now = db_time(now_us), noted = db_time(now_us - NOTED_EVERY_US);

    crypto_random(&random, sizeof(random));
    o = outcome_of(&config()->webhooks, d->call_err, status, d->fetch.retry_after_s, d->n_tries,
                   random);

    const struct db_arg delivered[] = {team, id, now, status_arg(status)};
    const struct db_arg later[] = {
        team, id, tries, db_time(now_us + o.wait_us), status_arg(status), db_text(words)};
    const struct db_arg dead[] = {team, id, tries, status_arg(status), db_text(words)};
    const struct db_arg success[] = {team, webhook, now, noted};
    const struct db_arg failure[] = {team, webhook, now, noted, db_text(words)};
    const struct db_arg gone[] = {team, webhook, now, db_text(words), db_text(d->message.url)};
    const struct db_arg rest[] = {team, webhook, db_text(STR(SWITCHED_OFF))};
    struct db_call calls[3];
    size_t n = 0;

    switch (o.kind) {
    case OUTCOME_DELIVERED:
        calls[n++] = (struct db_call){SQL_WEBHOOK_DELIVERED, delivered, 4};
        calls[n++] = (struct db_call){SQL_WEBHOOK_NOTE_SUCCESS, success, 4};
        break;
    case OUTCOME_LATER:
        calls[n++] = (struct db_call){SQL_WEBHOOK_LATER, later, 6};
        calls[n++] = (struct db_call){SQL_WEBHOOK_NOTE_FAILURE, failure, 5};
        break;
    case OUTCOME_DEAD:
        calls[n++] = (struct db_call){SQL_WEBHOOK_DEAD, dead, 5};
        calls[n++] = (struct db_call){SQL_WEBHOOK_NOTE_FAILURE, failure, 5};
        break;
    case OUTCOME_GONE:
        calls[n++] = (struct db_call){SQL_WEBHOOK_DEAD, dead, 5};
        calls[n++] = (struct db_call){SQL_WEBHOOK_GONE, gone, 5};
        calls[n++] = (struct db_call){SQL_WEBHOOK_END_PENDING, rest, 3};
        break;
    }
    arena_free(&d->settle_arena);
    db_batch(&d->settle, f, &d->settle_arena, calls, n);
    log_debug("webhook: delivery %.*s, try %lld: %s (status %d)", STR_ARG(d->message.delivery_id),
              (long long)d->n_tries, words.len > 0 ? words.ptr : "taken", status);
    d->kind = o.kind;
}

static const struct step settle_steps[] = {STEP(write_outcome), STEP_END};

/* Comes back to itself until it is stored: what a receiver has taken must not be sent again because
 * the database was away for a moment. */
static void settle(struct flow *f)
{
    struct delivery *d = f->state;
    uint64_t now_ms = loop_now_ms(loop_current());
    bool was_tried = d->settle_until_ms != 0;

    if (was_tried && !d->is_paused && !is_error(d->part.flow.err)) {
        if (d->kind != OUTCOME_LATER)
            counter_add(&webhook_count()->outcomes[d->kind == OUTCOME_DELIVERED ? DELIVERY_DELIVERED
                                                                                : DELIVERY_DEAD],
                        1);
        return;
    }
    if (!was_tried)
        d->settle_until_ms = now_ms + SETTLE_MS;
    else if (now_ms >= d->settle_until_ms || d->sender->on_detached) {
        log_warn("webhook: what became of delivery %.*s could not be stored: it may come twice",
                 STR_ARG(d->message.delivery_id));
        return;
    }
    flow_repeat(f);
    d->is_paused = was_tried && !d->is_paused;
    if (d->is_paused)
        wait_start(&d->pause, f, SETTLE_RETRY_MS);
    else
        flow_try(f, &d->part, settle_steps, d);
}

static const struct step steps[] = {
    STEP(call),
    STEP_ALWAYS(note_outcome),
    STEP_ALWAYS(settle), /* delivered, due again later, or dead */
    STEP_END,
};

/* ---- its life ---- */

/* A trace of its own: the fact that it tells may be days old. */
static void end_span(struct delivery *d)
{
    bool was_taken = webhook_was_taken(d->fetch.http_status);
    const struct span_fact facts[] = {
        {"aerie.webhook.event", d->message.type, 0},
        {"aerie.webhook.try", STR_NONE, d->n_tries},
    };

    span_end(d->span, &(struct span_record){.kind = SPAN_INTERNAL,
                                            .name = STR("webhook delivery"),
                                            .facts = facts,
                                            .n_facts = sizeof(facts) / sizeof(facts[0]),
                                            .has_failed = !was_taken});
}

static void on_end(struct flow *f)
{
    struct delivery *d = f->state;
    struct sender *s = d->sender;

    list_remove(&d->link);
    s->n_deliveries--;
    if (d->span)
        end_span(d);
    arena_free(&d->settle_arena);
    arena_free(&d->arena);
    free(d);
    sender_ended(s);
}

/* Fails when a copy did. */
static bool copy_message(struct delivery *d, const struct db_result *rows, size_t row)
{
    static const struct {
        enum load_column column;
        size_t offset;
    } texts[] = {
#define TEXT(column, member) {column, offsetof(struct webhook_message, member)}
        TEXT(LOAD_ID, delivery_id),
        TEXT(LOAD_TEAM_ID, team_id),
        TEXT(LOAD_WEBHOOK_ID, webhook_id),
        TEXT(LOAD_EVENT_ID, event_id),
        TEXT(LOAD_TYPE, type),
        TEXT(LOAD_PAYLOAD, data),
        TEXT(LOAD_URL, url),
        TEXT(LOAD_SECRET, secret),
        TEXT(LOAD_PREVIOUS_SECRET, previous_secret),
        TEXT(LOAD_TEXT, text),
#undef TEXT
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct str *to = (struct str *)((char *)&d->message + texts[i].offset);

        if (!db_is_null(rows, row, texts[i].column))
            *to = arena_copy(&d->arena, db_get_text(rows, row, texts[i].column));
    }
    d->message.created_us = db_get_int(rows, row, LOAD_CREATED_AT);
    d->message.has_text = db_get_bool(rows, row, LOAD_HAS_TEXT);
    d->n_tries = db_get_int(rows, row, LOAD_TRIES);
    d->is_active = db_get_bool(rows, row, LOAD_IS_ACTIVE);
    return !d->arena.failed;
}

void delivery_start(struct sender *s, const struct db_result *rows, size_t row)
{
    struct delivery *d = calloc(1, sizeof(*d));
    struct receiver *r = d ? sender_receiver(s, db_get_text(rows, row, LOAD_WEBHOOK_ID)) : NULL;

    if (!r || !copy_message(d, rows, row)) {
        log_warn("webhook: no memory for a delivery; it is tried later");
        if (d)
            arena_free(&d->arena);
        free(d);
        return;
    }
    d->sender = s;
    d->receiver = r;
    d->is_to_failing = r->is_failing;
    r->n_running++;
    s->n_failing += d->is_to_failing;
    s->n_deliveries++;
    list_push(&s->deliveries, &d->link);
    d->span = span_enter(NULL, STR(""));
    flow_start_traced(&d->flow, d->span, steps, d, on_end);
}
