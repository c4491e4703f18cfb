/* What the process gives back to the system. Called by the main thread, while the loops run. */
#ifndef AERIE_SRC_COMMAND_MEMORY_H
#define AERIE_SRC_COMMAND_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Once, when all has started. What only the start needed: the heap's free end, and the pages of the
 * program and its fifty libraries that relocating and initializing them touched (17 MB mapped, 8 of
 * them in use). A page that is used again comes back from the system's cache. */
void memory_release_start(void);

/* Kept from call to call, all-zero at first. */
struct memory_watch {
    size_t most_connections;
    size_t resident_bytes; /* the least since the last time it was found grown */
    uint64_t cpu_ns;
    uint64_t n_trims_left;
};

/* Each period. What a crowd took, or many calls one after the other, stays with the allocator when
 * they have gone, until it is told to give it back: then, and for as long as the logs of their
 * turns are kept. */
void memory_trim(size_t connections, unsigned period_s, struct memory_watch *watch);

#endif
