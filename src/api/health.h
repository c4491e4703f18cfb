/* GET /, /health, /health/ready. */
#ifndef AERIE_API_HEALTH_H
#define AERIE_API_HEALTH_H

#include "db/db.h"
#include "http/http.h"

struct health {
    struct db_query ping;
};
extern const struct step home_steps[];
extern const struct step health_steps[];
extern const struct step health_ready_steps[];
extern const struct route_doc home_doc, health_doc, health_ready_doc;

#endif
