/* Which team's webhooks ask for what, in memory. Any thread. */
#ifndef AERIE_SRC_WEBHOOK_WANTED_H
#define AERIE_SRC_WEBHOOK_WANTED_H

#include "webhook/webhook.h"

struct error wanted_open(void) MUST_CHECK;
void wanted_close(void);
/* All there is now: rows of SQL_WEBHOOKS_WANTED. False: no memory, nothing has changed. */
bool wanted_load(const struct db_result *rows) MUST_CHECK;
/* Whose queue is full: rows of SQL_WEBHOOK_COUNTS, those with most first. */
void wanted_set_full(const struct db_result *rows, uint64_t most);

#endif
