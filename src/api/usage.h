/* GET /api/usage. */
#ifndef AERIE_SRC_API_USAGE_H
#define AERIE_SRC_API_USAGE_H

#include "db/db.h"
#include "http/http.h"

struct usage_report {
    int64_t from_us, to_us; /* the midnights that the first and the last day begin with */
    struct str agent_id;    /* ptr NULL: all of them */
    struct db_query days;
};
extern const struct step usage_report_steps[];
extern const struct route_doc usage_report_doc;

#endif
