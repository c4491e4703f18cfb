/* What an agent's widget shows: its config.widget, checked when it is saved and told to pages. */
#ifndef AERIE_SRC_API_WIDGET_CONFIG_H
#define AERIE_SRC_API_WIDGET_CONFIG_H

#include "base/json.h"
#include "visit.h"

/* Adds the field errors it finds to the request. widget: NULL when there is none. */
void widget_config_check(struct request *req, yyjson_val *widget);

struct widget_config {
    struct visit visit;
};
extern const struct step widget_config_steps[];
extern const struct route_doc widget_config_doc;

#endif
