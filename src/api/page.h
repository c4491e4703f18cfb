/* Pages for browsers and their files, compiled in from src/web. */
#ifndef AERIE_API_PAGE_H
#define AERIE_API_PAGE_H

#include "http/http.h"

/* The page at /. */
void page_send(struct request *req);
/* What links in mails lead to. */
extern const struct step page_account_steps[];
extern const struct route_doc page_account_doc;
/* The admins' console: GET /console. */
extern const struct step page_console_steps[];
extern const struct route_doc page_console_doc;
/* What other sites embed: GET /widget.js, and the same as a module, GET /widget.mjs. */
extern const struct step page_widget_steps[];
extern const struct route_doc page_widget_doc;
/* One of those that npm has a part in; when it is not compiled in, one that says so. policy: its
 * Content-Security-Policy. */
void page_send_built(struct request *req, const char *name, struct str policy);
/* Has the client what etag names? Answers 304 then. Sets the headers that make it ask each time. */
bool page_is_known(struct request *req, struct str etag);
/* One of the pages' files: GET /assets/{name}. */
extern const struct step page_asset_steps[];
extern const struct route_doc page_asset_doc;

#endif
