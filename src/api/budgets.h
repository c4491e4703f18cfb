/* /api/budgets: what the team, its users, keys and agents may use. */
#ifndef AERIE_SRC_API_BUDGETS_H
#define AERIE_SRC_API_BUDGETS_H

#include "api/input.h"
#include "base/json.h"
#include "chat/budget.h"
#include "db/db.h"

struct budgets {
    struct db_query query;
    struct input scope, subject_id, period, requests, tokens, money_micros;
    struct id id;
    int64_t now_us;
};

/* The columns of BUDGET_LIST. */
enum budget_column {
    BUDGET_ID,
    BUDGET_SCOPE,
    BUDGET_SUBJECT_ID,
    BUDGET_PERIOD,
    BUDGET_LIMITS,
    BUDGET_CREATED_AT = BUDGET_LIMITS + N_BUDGET_UNITS,
    BUDGET_UPDATED_AT,
    BUDGET_SUBJECT_NAME,
    BUDGET_SPENT,
    BUDGET_LEASED = BUDGET_SPENT + N_BUDGET_UNITS,
    BUDGET_WARNED_AT = BUDGET_LEASED + N_BUDGET_UNITS,
    BUDGET_SPENT_AT,
};
/* A row of it, as JSON. */
void budget_write(struct json *j, const struct db_result *r, size_t row, int64_t now_us);

extern const struct step budgets_list_steps[], budgets_put_steps[], budgets_delete_steps[];
extern const struct route_doc budgets_list_doc, budgets_put_doc, budgets_delete_doc;

#endif
