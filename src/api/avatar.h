/* Pictures of users and agents. */
#ifndef AERIE_SRC_API_AVATAR_H
#define AERIE_SRC_API_AVATAR_H

#include "base/id.h"
#include "db/db.h"

struct avatar {
    struct id agent_id;
    struct str uri;
    struct db_query query;
};
extern const struct step avatar_me_steps[];
extern const struct step avatar_agent_steps[];

/* The media type, told by the first bytes: PNG, JPEG, GIF or WebP; NULL: none of them. */
const char *avatar_media_type(struct str data);
extern const struct route_doc avatar_me_doc, avatar_agent_doc;

#endif
