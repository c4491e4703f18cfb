/* Memory that lives and dies together: a request's, a turn's. Never freed in parts. One thread. */
#ifndef AERIE_BASE_ARENA_H
#define AERIE_BASE_ARENA_H

#include "base/str.h"

struct arena_chunk;
struct arena_cleanup;

/* All-zero is a valid empty arena. Chunks start at 512 bytes, unless reserved, and double up to 64 KiB. Sanitizer builds make one
 * malloc per allocation so that overruns are seen. */
struct arena {
    struct arena_chunk *chunks;
    struct arena_cleanup *cleanups;
    size_t used_bytes;
    size_t max_bytes; /* 0: no bound */
    bool failed;      /* memory was out once: what was made without it may be wrong */
};

void arena_free(struct arena *a); /* runs the deferred functions, newest first; all-zero again */
/* Of an empty arena, whose use is known: makes the first chunk hold this much. When memory is out,
 * the first allocation finds so. */
void arena_reserve(struct arena *a, size_t bytes);
/* Aligned for any type, zeroed. NULL when memory or the bound is used up. */
void *arena_alloc(struct arena *a, size_t size);
/* A copy with a NUL behind it that len does not count; ptr NULL when out of memory. */
struct str arena_copy(struct arena *a, struct str s);
struct str arena_lower(struct arena *a, struct str s); /* the same, its ASCII letters in lower case */
struct str arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Runs fn(ptr) when the arena is freed. False (and fn(ptr) has run) when out of memory. */
bool arena_defer(struct arena *a, void (*fn)(void *ptr), void *ptr);

/* What they all take, for GET /metrics. */
struct buf;
void arena_metrics(struct buf *out);

#endif
