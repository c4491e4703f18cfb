/* The API's description, made from the route table. */
#ifndef AERIE_API_OPENAPI_H
#define AERIE_API_OPENAPI_H

#include "base/buf.h"

/* OpenAPI 3.1, compact JSON; the same for the same build and configuration. server: where the API
 * is ("/": where the document came from). Memory or not is for out to tell. Any thread. */
void openapi_write(struct buf *out, struct str server);

#endif
