/* Where the server of the settings is found from its own machine. */
#ifndef AERIE_CONFIG_HERE_H
#define AERIE_CONFIG_HERE_H

#include "base/buf.h"

/* "http://127.0.0.1:8000" or "https://…": the first address of server.listen that has a port, else
 * server.host and server.port. Any thread. */
void config_url_here(struct buf *out);

#endif
