/* Who makes a team's embeddings. */
#ifndef AERIE_SRC_DOCUMENT_PROVIDER_H
#define AERIE_SRC_DOCUMENT_PROVIDER_H

#include "upstream/embeddings.h"

/* The configuration's provider, or what settings (the team's, JSON) say under "embeddings":
 * base_url, model, dimensions. The operator's key goes to the operator's provider only. False: no
 * provider. out: base_url, api_key, model and dimensions, in the arena. */
bool embeddings_provider(struct arena *a, struct str settings, struct embeddings_request *out);

#endif
