/* API keys: "eck_" and 44 url-safe characters; the database has the first twelve and a hash. Any
 * thread. */
#ifndef AERIE_ACCOUNT_API_KEY_H
#define AERIE_ACCOUNT_API_KEY_H

#include "base/str.h"

#define API_KEY_LEN    48
#define API_KEY_PREFIX 12 /* characters that may be shown, and that a key is found by */

struct api_key {
    char text[API_KEY_LEN + 1]; /* shown once */
    char prefix[API_KEY_PREFIX + 1];
    char sum[32];      /* SHA-256 */
    char hash[64 + 1]; /* the same in hex, as the database has it */
};
void api_key_new(struct api_key *out);
/* False: not of that shape, so nobody's. */
bool api_key_read(struct str text, struct api_key *out);

/* What a key may do: "chat", "documents", "admin:read". */
bool api_key_is_scope(struct str word);
#define API_KEY_SCOPES "chat, documents or admin:read" /* for sentences */

#endif
