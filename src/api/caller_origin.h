/* From which page a call comes. */
#ifndef AERIE_SRC_API_CALLER_ORIGIN_H
#define AERIE_SRC_API_CALLER_ORIGIN_H

#include "http/http.h"

/* The page's origin by Origin, else by Referer, in one normal form ("https://shop.example:443") in
 * the request's arena; "null" where the page has none that counts. ptr NULL: neither header, so no
 * browser. */
struct str caller_origin(struct request *req);
/* Is it in a JSON array such as an agent's allowed_origins? "*" there is everyone's. */
bool caller_origin_is_in(struct request *req, struct str origin, struct str list);

#endif
