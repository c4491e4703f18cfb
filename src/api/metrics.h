/* GET /metrics. */
#ifndef AERIE_SRC_API_METRICS_H
#define AERIE_SRC_API_METRICS_H

#include "http/http.h"

void metrics_note_start(void); /* main thread, before any loop serves */
extern const struct step metrics_steps[];
extern const struct route_doc metrics_doc;

#endif
