/* What both bench programs ask of the system. Each is one thread; nothing here is locked. */
#ifndef AERIE_BENCH_SYSTEM_H
#define AERIE_BENCH_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

uint64_t now_ns(void); /* monotonic */
/* As many descriptors as the system lets a process have. */
void allow_descriptors(void);
/* Prints the words and ends the program with status. */
_Noreturn void quit(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Memory, or the program ends. */
void *must_calloc(size_t n, size_t size);
void *must_realloc(void *old, size_t size);
/* The decimal number in text, which must be all of it and at most max; or the program ends with 2.
 */
uint64_t must_number(const char *name, const char *text, uint64_t max);

#endif
