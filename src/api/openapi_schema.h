/* Types, members and bodies as JSON Schema 2020-12, OpenAPI 3.1's dialect. */
#ifndef AERIE_SRC_API_OPENAPI_SCHEMA_H
#define AERIE_SRC_API_OPENAPI_SCHEMA_H

#include "base/json.h"
#include "doc.h"

/* The schemas that were named so far, each written once under components. */
struct schema_set {
    const struct schema *items[256];
    size_t n;
    bool is_full;
};
/* A schema's members name others, which are then in the set, too. */
void schema_set_add(struct schema_set *set, const struct schema *schema);

/* Each writes one JSON value. */
void openapi_reference(struct json *j, struct schema_set *set, const struct schema *schema,
                       bool is_list);
void openapi_member(struct json *j, struct schema_set *set, const struct member *m);
void openapi_schema(struct json *j, struct schema_set *set, const struct schema *schema);
/* A body that a table of fields reads. as_form: by the names that forms use. */
void openapi_fields(struct json *j, const struct route_doc *doc, bool as_form);

#endif
