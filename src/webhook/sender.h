/* What the first loop has of this room, and one delivery while it is tried; shared by the files
 * that their steps are in. */
#ifndef AERIE_SRC_WEBHOOK_SENDER_H
#define AERIE_SRC_WEBHOOK_SENDER_H

#include "base/map.h"
#include "cluster/news.h"
#include "loop/wait.h"
#include "outcome.h"
#include "webhook/call.h"
#include "webhook/webhook.h"

/* A webhook, as far as this process has to do with it. */
struct receiver {
    struct map_node node;
    char id[ID_LEN];
    unsigned n_running;
    bool is_failing; /* its last call failed: it gets one at a time */
};

struct sender {
    struct loop *loop;
    struct timer timer;
    /* A pass: what is known is looked after, and what is due is begun. */
    struct flow flow;
    struct arena arena;
    struct db_query load, counts, due, claim, forget;
    struct news_reader news;
    size_t n_webhooks; /* that there are, as last loaded */
    uint64_t counted_ms, forget_at_ms;
    unsigned n_picked;
    bool is_running, looks_again, is_ending, was_failing;
    bool is_stale; /* what is in memory is to be loaded */

    struct map receivers;
    struct list deliveries;           /* that are tried */
    unsigned n_deliveries, n_failing; /* the latter: of them, to receivers that failed last */

    struct timer patience; /* with calls that are under way when the server ends */
    void (*on_detached)(struct loop *l);
};

/* One try of one delivery. */
struct delivery {
    struct list link;
    struct sender *sender;
    struct receiver *receiver;
    struct flow flow;
    struct span *span; /* NULL: it is not told of */
    struct arena arena, settle_arena;
    struct webhook_message message; /* in the arena */
    int64_t n_tries;                /* with this one */
    bool is_active;                 /* the webhook, when this was loaded */
    bool is_to_failing;
    struct fetch fetch;
    struct subflow part; /* the call, then the settling */
    struct error call_err;
    struct db_query settle;
    struct wait pause;
    uint64_t settle_until_ms; /* 0: not tried yet */
    bool is_paused;
    enum outcome_kind kind;
};

/* The columns of SQL_WEBHOOK_LOAD. */
enum load_column {
    LOAD_ID,
    LOAD_TEAM_ID,
    LOAD_WEBHOOK_ID,
    LOAD_EVENT_ID,
    LOAD_TYPE,
    LOAD_PAYLOAD,
    LOAD_TRIES,
    LOAD_CREATED_AT,
    LOAD_IS_ACTIVE,
    LOAD_URL,
    LOAD_SECRET,
    LOAD_PREVIOUS_SECRET,
    LOAD_HAS_TEXT,
    LOAD_TEXT,
};

/* delivery.c: tries a claimed one, a row of SQL_WEBHOOK_LOAD. Without memory it is tried when its
 * lease is over. */
void delivery_start(struct sender *s, const struct db_result *rows, size_t row);

/* sender.c */
/* NULL: no memory. */
struct receiver *sender_receiver(struct sender *s, struct str webhook_id);
/* One has ended and is freed. May free s. */
void sender_ended(struct sender *s);

#endif
