/* /api/providers. */
#ifndef AERIE_API_PROVIDERS_H
#define AERIE_API_PROVIDERS_H

#include "db/db.h"
#include "http/http.h"
#include "upstream/models.h"

struct provider_list {
    struct db_query keys;
};
extern const struct step providers_list_steps[];

struct provider_models {
    const struct provider *provider;
    struct id agent_id;
    bool has_agent;
    struct db_query query;
    struct upstream_prompt prompt;
    struct models models;
};
extern const struct step providers_models_steps[];
extern const struct route_doc providers_list_doc, providers_models_doc;

#endif
