/* What describes the API: GET /openapi.json. */
#ifndef AERIE_SRC_API_DOCS_H
#define AERIE_SRC_API_DOCS_H

#include "http/http.h"

extern const struct step docs_openapi_steps[];
extern const struct route_doc docs_openapi_doc;

#endif
