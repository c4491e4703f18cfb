/* Allocations of our code and of libcurl, counted, and made to fail. Programs that use it are
 * linked with -Wl,--wrap for malloc, calloc and realloc. One thread's: the loop's. */
#ifndef AERIE_TEST_UPSTREAM_ALLOCS_H
#define AERIE_TEST_UPSTREAM_ALLOCS_H

#include <stdbool.h>

/* Before upstream_open(), once a program. */
void allocs_take_over_curl(void);
/* While watching, allocations of the calling thread are counted, and the fail_at-th fails. */
void allocs_watch(bool is_watching);
void allocs_reset(unsigned long fail_at); /* 0: none fails */
unsigned long allocs_count(void);
bool allocs_failed(void);

#endif
