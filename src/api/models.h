/* GET /v1/models and /v1/models/{id}; their state is struct v1. */
#ifndef AERIE_SRC_API_MODELS_H
#define AERIE_SRC_API_MODELS_H

#include "v1.h"

extern const struct step models_list_steps[];
extern const struct step models_get_steps[];
extern const struct route_doc models_list_doc, models_get_doc;

#endif
