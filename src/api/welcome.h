/* GET /api/welcome. */
#ifndef AERIE_SRC_API_WELCOME_H
#define AERIE_SRC_API_WELCOME_H

#include "db/db.h"

struct welcome {
    struct db_query query;
};
extern const struct step welcome_steps[];
extern const struct route_doc welcome_doc;

#endif
