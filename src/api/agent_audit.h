/* What the audit trail says of an agent that is made or changed. */
#ifndef AERIE_SRC_API_AGENT_AUDIT_H
#define AERIE_SRC_API_AGENT_AUDIT_H

#include "account/audit.h"
#include "agents.h"

struct audit agent_audit_create(const struct request *req, const struct agents *s, int64_t now_us);
/* Of the fields that are given, those that differ from what is there. */
struct audit agent_audit_update(const struct request *req, const struct agents *s,
                                const struct db_result *old, int64_t now_us);

#endif
