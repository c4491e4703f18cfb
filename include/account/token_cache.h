/* Access tokens whose signature was checked lately: a bounded table for the process. A client that
 * sends its token with every request has it verified once; when it expires, and whether it was
 * revoked, is looked at each time. The token itself is not kept: only its SHA-256. Any thread. */
#ifndef AERIE_ACCOUNT_TOKEN_CACHE_H
#define AERIE_ACCOUNT_TOKEN_CACHE_H

#include "account/token.h"

/* As token_verify(), mostly without its price. Says nothing of revocation. */
bool token_check(struct str token, int64_t now_us, struct caller *out) MUST_CHECK;
size_t token_cache_count(void);

struct error token_cache_open(void) MUST_CHECK; /* main thread, before any other call */
void token_cache_close(void);

#endif
