/* What describes the API: GET /openapi.json, and the pages that show it. */
#ifndef AERIE_SRC_API_DOCS_H
#define AERIE_SRC_API_DOCS_H

#include "http/http.h"

extern const struct step docs_openapi_steps[], docs_swagger_steps[], docs_redoc_steps[];
extern const struct route_doc docs_openapi_doc, docs_page_doc;

#endif
