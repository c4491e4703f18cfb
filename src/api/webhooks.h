/* /api/webhooks, their deliveries, and a call of one. */
#ifndef AERIE_SRC_API_WEBHOOKS_H
#define AERIE_SRC_API_WEBHOOKS_H

#include "api/input.h"
#include "db/db.h"
#include "webhook/call.h"

#define NO_WEBHOOK "Webhook not found"

struct webhooks {
    struct input url, events, include_text, is_active;
    struct id id;
    struct str event_list; /* as the column has it; ptr NULL: not given */
    struct webhook_secret secret;
    struct db_query query;
};
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
