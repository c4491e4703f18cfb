/* /api/webhooks, their deliveries, and a call of one. */
#ifndef AERIE_SRC_API_WEBHOOKS_H
#define AERIE_SRC_API_WEBHOOKS_H

#include "api/input.h"
#include "base/json.h"
#include "db/db.h"
#include "webhook/call.h"

#define NO_WEBHOOK           "Webhook not found"
#define WEBHOOK_IS_OFF       "The webhook is switched off: switch it on first"
#define DELIVERY_IS_NOT_DEAD "Only a delivery that was given up is sent again"
#define DELIVERY_STATUSES    "pending|delivered|dead"

struct webhooks {
    struct input url, events, include_text, is_active;
    struct id id;
    struct str event_list; /* as the column has it; ptr NULL: not given */
    struct webhook_secret secret;
    struct db_query query;
};

/* The columns of WEBHOOK_LIST. */
enum webhook_column {
    WEBHOOK_ID,
    WEBHOOK_URL,
    WEBHOOK_EVENTS, /* ",chat.created,message.completed," */
    WEBHOOK_INCLUDE_TEXT,
    WEBHOOK_IS_ACTIVE,
    WEBHOOK_CREATED_AT,
    WEBHOOK_UPDATED_AT,
    WEBHOOK_LAST_SUCCESS_AT,
    WEBHOOK_LAST_FAILURE_AT,
    WEBHOOK_LAST_FAILURE,
    WEBHOOK_PENDING,
    WEBHOOK_DEAD,
};
/* A row of it, as JSON. secret: ptr NULL: masked. */
void webhook_write(struct json *j, const struct db_result *r, size_t row, struct str secret);

extern const struct step webhooks_list_steps[], webhooks_create_steps[], webhooks_get_steps[],
    webhooks_update_steps[], webhooks_delete_steps[], webhooks_rotate_steps[];
extern const struct route_doc webhooks_list_doc, webhooks_create_doc, webhooks_get_doc,
    webhooks_update_doc, webhooks_delete_doc, webhooks_rotate_doc;

/* webhook_deliveries.c */
struct webhook_deliveries {
    struct id webhook_id, id;
    struct str status; /* ptr NULL: any */
    int64_t limit, offset;
    struct db_query webhook, query, count;
};

/* The columns of WEBHOOK_DELIVERY_LIST. */
enum delivery_column {
    DELIVERY_ID,
    DELIVERY_EVENT_ID,
    DELIVERY_TYPE,
    DELIVERY_STATUS,
    DELIVERY_TRIES,
    DELIVERY_NEXT_AT,
    DELIVERY_LAST_STATUS,
    DELIVERY_LAST_ERROR,
    DELIVERY_CREATED_AT,
    DELIVERY_DELIVERED_AT,
    DELIVERY_PAYLOAD,
};
/* A row of it, as JSON. */
void delivery_write(struct json *j, const struct db_result *r, size_t row);

extern const struct step webhook_deliveries_list_steps[], webhook_deliveries_replay_steps[],
    webhook_deliveries_replay_all_steps[];
extern const struct route_doc webhook_deliveries_list_doc, webhook_deliveries_replay_doc,
    webhook_deliveries_replay_all_doc;

/* webhook_test.c */
struct webhook_test {
    struct id webhook_id, delivery_id;
    struct webhook_message message;
    struct db_query load;
    struct fetch fetch;
    struct subflow call;
    uint64_t begun_us;
};
extern const struct step webhook_test_steps[];
extern const struct route_doc webhook_test_doc;

#endif
