/* The HTTP API as a whole: what the server plugs into http. */
#ifndef AERIE_API_API_H
#define AERIE_API_API_H

#include "http/http.h"

const struct http_hooks *api_hooks(void);

#endif
