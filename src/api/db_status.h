/* GET /db-status. */
#ifndef AERIE_SRC_API_DB_STATUS_H
#define AERIE_SRC_API_DB_STATUS_H

#include "db/db.h"

struct db_status {
    struct db_query counts, migration;
};
extern const struct step db_status_steps[];
extern const struct route_doc db_status_doc;

#endif
