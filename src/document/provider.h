/* Who makes a team's embeddings. */
#ifndef AERIE_SRC_DOCUMENT_PROVIDER_H
#define AERIE_SRC_DOCUMENT_PROVIDER_H

#include "db/db.h"
#include "upstream/embeddings.h"

/* team: of TEAM_EMBEDDINGS. The configuration's provider, or what the team's settings say under
 * "embeddings": base_url, model, dimensions. The operator's key goes to the operator's provider
 * only; a URL of the team's own gets a key of the team's for whoever that URL belongs to. False: no
 * provider. out: base_url, api_key, model and dimensions, in the arena. */
bool embeddings_provider(struct arena *a, const struct db_result *team,
                         struct embeddings_request *out);

#endif
