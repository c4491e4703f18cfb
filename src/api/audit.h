/* GET /api/audit. */
#ifndef AERIE_SRC_API_AUDIT_H
#define AERIE_SRC_API_AUDIT_H

#include "db/db.h"
#include "http/http.h"

struct audit_list {
    int64_t from_us, to_us, limit, offset;
    struct str actor, actor_id, subject_kind, subject_id; /* ptr NULL: any */
    struct db_query rows, count;
};
extern const struct step audit_list_steps[];
extern const struct route_doc audit_list_doc;

#endif
