/* The page that a browser gets at /, compiled in from src/web/home. */
#ifndef AERIE_API_PAGE_H
#define AERIE_API_PAGE_H

#include "http/http.h"

void page_send(struct request *req);
/* One of the page's files: GET /assets/{name}. */
extern const struct step page_asset_steps[];
extern const struct route_doc page_asset_doc;

#endif
