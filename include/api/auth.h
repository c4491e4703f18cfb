/* Who may call, and from which page. */
#ifndef AERIE_API_AUTH_H
#define AERIE_API_AUTH_H

#include "account/caller.h"
#include "http/http.h"

/* For http_hooks: settles who calls by the token alone, and refuses whom the route does not take.
 */
struct error api_on_head(struct request *req) MUST_CHECK;
/* For http_hooks: the caller's team and user. */
void api_who(const struct request *req, struct str *team_id, struct str *user_id);
/* For http_hooks: ALLOWED_ORIGINS and the server's own pages, with credentials. Routes of visitors
 * and of API keys take none by themselves, so that preflights, which cannot tell the agent or the
 * key, are granted without; what is then refused is refused by the steps. */
enum cors api_cors(struct request *req, struct str origin);
/* The API key in the head: Authorization: Bearer eck_…, else X-API-Key; ptr NULL: none. Whose it is
 * tells api/key_auth.h. */
struct str api_key_sent(const struct request *req);
/* Does the call come from such a page, by Origin, else by Referer? With neither it is no browser's,
 * which is as good. */
bool api_is_from_our_page(struct request *req);

#endif
