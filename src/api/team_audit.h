/* What the audit trail says of a team that is changed. */
#ifndef AERIE_SRC_API_TEAM_AUDIT_H
#define AERIE_SRC_API_TEAM_AUDIT_H

#include "account/audit.h"
#include "http/http.h"
#include "team.h"

/* Of the fields and settings that are given, those that differ from the team as it is. old: no row
 * when it is gone. */
struct audit team_audit(struct request *req, const struct team *s, const struct db_result *old,
                        int64_t now_us);

#endif
