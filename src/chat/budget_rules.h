/* What budgets there are, of all teams, in memory: read at start, and again when they changed. Any
 * thread. */
#ifndef AERIE_SRC_CHAT_BUDGET_RULES_H
#define AERIE_SRC_CHAT_BUDGET_RULES_H

#include "chat/budget.h"

struct budget_rule {
    enum budget_scope scope;
    enum budget_period period;
    struct id subject_id;
    struct budget_amount limit; /* BUDGET_NO_LIMIT where there is none */
};

/* A team, a user, a key and an agent, by the day and by the month. */
#define BUDGET_RULES_APPLY 8
/* Those that count for who; out has room for BUDGET_RULES_APPLY. */
size_t budget_rules_find(const struct budget_who *who, struct budget_rule *out);
bool budget_rules_are_there(void);
/* rows of SQL_BUDGET_ALL, all of them, in their order. False: no memory, nothing changed. */
bool budget_rules_replace(const struct db_result *rows) MUST_CHECK;
#define BUDGET_RULES_MOST 100000 /* of all teams; more are not in force */

bool budget_rules_open(void) MUST_CHECK; /* false: no memory */
void budget_rules_close(void);

#endif
