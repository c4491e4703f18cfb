/* /api/team. */
#ifndef AERIE_API_TEAM_H
#define AERIE_API_TEAM_H

#include "api/input.h"
#include "db/db.h"

#define TEAM_MOST_DAYS 36500 /* that its chats are kept */

/* The columns of TEAM_GET and its like. */
enum team_column {
    TEAM_ID,
    TEAM_NAME,
    TEAM_SLUG,
    TEAM_SETTINGS,
    TEAM_IS_ACTIVE,
    TEAM_CREATED_AT,
    TEAM_UPDATED_AT,
    TEAM_RETENTION_DAYS,
};

struct team {
    struct input name, slug, settings, is_active, retention_days;
    struct id default_agent; /* of the settings that are given; "" : none */
    struct db_query query, agent, old;
};
extern const struct step team_get_steps[];
extern const struct step team_update_steps[];
extern const struct route_doc team_get_doc, team_update_doc;

#endif
