/* GET /api/prices: what models cost on this server. */
#ifndef AERIE_SRC_API_PRICES_H
#define AERIE_SRC_API_PRICES_H

#include "loop/flow.h"

extern const struct step prices_list_steps[];
extern const struct route_doc prices_list_doc;

#endif
