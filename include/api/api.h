/* The HTTP API as a whole: what the server plugs into http. */
#ifndef AERIE_API_API_H
#define AERIE_API_API_H

#include "http/http.h"

/* Main thread, before any loop serves: makes what all loops answer alike (openapi.json). */
struct error api_open(void) MUST_CHECK;
void api_close(void); /* after all loops have left */
const struct http_hooks *api_hooks(void);

#endif
