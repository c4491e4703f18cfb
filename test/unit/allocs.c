/* Allocations, counted and made to fail. */
#include "allocs.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static _Thread_local bool is_watched;
static unsigned long count, failing, n_failed;

static bool fails(void)
{
    if (!is_watched || ++count != failing)
        return false;
    n_failed++;
    return true;
}

/* test/tools/units.mjs adds them up. */
__attribute__((destructor)) static void tell(void)
{
    if (n_failed > 0)
        printf("%lu calls were made to fail, one in each run\n", n_failed);
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

static char *watched_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);

    return copy ? memcpy(copy, text, size) : NULL;
}

void allocs_take_over_curl(void)
{
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, __wrap_malloc, free, __wrap_realloc,
                             watched_strdup, __wrap_calloc) != CURLE_OK)
        abort();
}

void allocs_watch(bool is_watching)
{
    is_watched = is_watching;
}

void allocs_reset(unsigned long fail_at)
{
    count = 0;
    failing = fail_at;
}

unsigned long allocs_count(void)
{
    return count;
}

bool allocs_failed(void)
{
    return failing > 0 && count >= failing;
}
