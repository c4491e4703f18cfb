/* What handlers share for answering. */
#ifndef AERIE_API_ANSWER_H
#define AERIE_API_ANSWER_H

#include "account/audit.h"
#include "account/caller.h"
#include "api/input.h"
#include "base/json.h"
#include "db/db.h"
#include "http/http.h"

/* Sends what was written and frees it; the flow fails when the buffer had. */
void answer_json(struct request *req, int status, struct buf *out);
/* The caller's team and user as a statement's first arguments. */
struct db_arg team_arg(const struct request *req);
struct db_arg user_arg(const struct request *req);
/* A row of the audit trail: this caller does that to it now. action: static; now_us: as the change
 * has it. */
struct audit audit_of(const struct request *req, const char *action, const struct id *subject,
                      int64_t now_us);
/* The X-Total-Count of a list. */
void answer_set_total(struct request *req, int64_t total);

#endif
