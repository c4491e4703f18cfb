/* Pictures of users and agents. */
#ifndef AERIE_SRC_API_AVATAR_H
#define AERIE_SRC_API_AVATAR_H

#include "base/str.h"

/* The media type, told by the first bytes: PNG, JPEG, GIF or WebP; NULL: none of them. */
const char *avatar_media_type(struct str data);

#endif
