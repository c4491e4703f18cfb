/* See system.h. */
#include "system.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void allow_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void quit(int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(status);
}

void *must_calloc(size_t n, size_t size)
{
    void *p = calloc(n, size);

    if (!p)
        quit(1, "out of memory");
    return p;
}

void *must_realloc(void *old, size_t size)
{
    void *p = realloc(old, size);

    if (!p)
        quit(1, "out of memory");
    return p;
}

uint64_t must_number(const char *name, const char *text, uint64_t max)
{
    char *end;
    unsigned long long n;

    errno = 0;
    n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno != 0 || n > max)
        quit(2, "%s: %s is no number from 0 to %llu", name, text, (unsigned long long)max);
    return n;
}
