/* What the process gives back to the system. Called by the main thread, while the loops run. */
#ifndef AERIE_SRC_COMMAND_MEMORY_H
#define AERIE_SRC_COMMAND_MEMORY_H

#include <stddef.h>

/* Once, when all has started. What only the start needed: the heap's free end, and the pages of the
 * program and its fifty libraries that relocating and initializing them touched (17 MB mapped, 8 of
 * them in use). A page that is used again comes back from the system's cache. */
void memory_release_start(void);

/* From time to time. What a crowd took stays with the allocator when it has gone, until it is told
 * to give it back. most_connections: kept from call to call, 0 at first. */
void memory_trim(size_t connections, size_t *most_connections);

#endif
