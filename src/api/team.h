/* /api/team. */
#ifndef AERIE_API_TEAM_H
#define AERIE_API_TEAM_H

#include "api/input.h"
#include "db/db.h"

struct team {
    struct input name, slug, settings, is_active, retention_days;
    struct id default_agent; /* of the settings that are given; "" : none */
    struct db_query query, agent, old;
};
extern const struct step team_get_steps[];
extern const struct step team_update_steps[];
extern const struct route_doc team_get_doc, team_update_doc;

#endif
