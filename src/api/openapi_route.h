/* One route of the table in openapi.json. */
#ifndef AERIE_SRC_API_OPENAPI_ROUTE_H
#define AERIE_SRC_API_OPENAPI_ROUTE_H

#include "http/http.h"
#include "openapi_schema.h"

bool openapi_takes_key(const struct route *r);
bool openapi_takes_access_token(const struct route *r);

/* Each writes one JSON value. */
void openapi_operation(struct json *j, struct schema_set *set, const struct route *r,
                       const char *tag);
/* How a call may end. */
void openapi_answers(struct json *j, struct schema_set *set, const struct route *r);
/* The failures that routes have in common. */
void openapi_shared_answers(struct json *j, struct schema_set *set);

/* A media type, up to its schema; ends with json_end_object(). */
void openapi_begin_content(struct json *j, const char *type);

#endif
