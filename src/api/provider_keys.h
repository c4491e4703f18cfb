/* /api/team/provider-keys. */
#ifndef AERIE_API_PROVIDER_KEYS_H
#define AERIE_API_PROVIDER_KEYS_H

#include "api/input.h"
#include "db/db.h"

struct provider_keys {
    struct input provider, key, name;
    struct id id;
    struct str hint;
    int64_t now_us;
    struct db_query query;
};
extern const struct step provider_keys_create_steps[];
extern const struct step provider_keys_delete_steps[];
extern const struct step provider_keys_list_steps[];
extern const struct route_doc provider_keys_create_doc, provider_keys_delete_doc,
    provider_keys_list_doc;

#endif
