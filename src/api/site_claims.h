/* Which sites are being registered at this moment, so that one call back to a site is under way at
 * a time, whoever asks and on whichever loop. */
#ifndef AERIE_SRC_API_SITE_CLAIMS_H
#define AERIE_SRC_API_SITE_CLAIMS_H

#include "base/str.h"

enum site_claim {
    SITE_IS_OURS,   /* until site_release() */
    SITE_IS_TAKEN,  /* by another registration of the same site: ask again */
    SITES_ARE_MANY, /* config callback.at_once */
};

/* Any thread. site: copied. */
enum site_claim site_claim(struct str site);
/* By anyone, at this moment? */
bool site_is_claimed(struct str site);
void site_release(struct str site);

#endif
