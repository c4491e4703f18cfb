/* Memory that lives and dies together: chunks that grow, and a list of what to run at the end. */
#include "base/arena.h"

#include "base/metrics.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_FIRST_BYTES = 512, /* of a chunk, its head included */
    ARENA_MOST_BYTES = 64 * 1024,
};

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of data */
    size_t used;
    alignas(max_align_t) char data[];
};

struct arena_cleanup {
    struct arena_cleanup *next; /* the one before this in time */
    void (*fn)(void *ptr);
    void *ptr;
};

/* What all chunks take, the heads too. */
static struct arena_numbers {
    _Alignas(64) struct counter bytes;
} numbers[METRICS_THREADS];

static void count(size_t added, size_t taken)
{
    counter_add(&numbers[metrics_thread()].bytes, added - taken);
}

void arena_metrics(struct buf *out)
{
    static const struct metric rows[] = {
        {"aerie_arena_bytes", NULL, METRIC_GAUGE, METRIC_COUNT,
         offsetof(struct arena_numbers, bytes), "Memory of requests and turns that are under way."},
    };

    metrics_write(out, rows, 1, numbers, sizeof(numbers[0]), metrics_threads(), NULL);
}

void arena_free(struct arena *a)
{
    struct arena_cleanup *cleanup;
    struct arena_chunk *chunk;

    while ((cleanup = a->cleanups)) {
        a->cleanups = cleanup->next;
        cleanup->fn(cleanup->ptr);
    }
    while ((chunk = a->chunks)) {
        a->chunks = chunk->next;
        count(0, sizeof(*chunk) + chunk->size);
        free(chunk);
    }
    *a = (struct arena){0};
}

#ifdef AERIE_SANITIZED

/* A chunk an allocation: AddressSanitizer then sees where each of them ends. */
static void *take(struct arena *a, size_t size, size_t exact_size)
{
    struct arena_chunk *chunk = malloc(sizeof(*chunk) + exact_size);

    (void)size;
    if (!chunk)
        return NULL;
    count(sizeof(*chunk) + exact_size, 0);
    *chunk = (struct arena_chunk){.next = a->chunks, .size = exact_size, .used = exact_size};
    a->chunks = chunk;
    return chunk->data;
}

void arena_reserve(struct arena *a, size_t bytes)
{
    (void)a;
    (void)bytes;
}

#else

static struct arena_chunk *chunk_new(size_t total)
{
    struct arena_chunk *chunk = malloc(total);

    if (!chunk)
        return NULL;
    count(total, 0);
    *chunk = (struct arena_chunk){.size = total - sizeof(*chunk)};
    return chunk;
}

void arena_reserve(struct arena *a, size_t bytes)
{
    a->chunks = chunk_new(sizeof(struct arena_chunk) + bytes);
}

static void *take(struct arena *a, size_t size, size_t exact_size)
{
    struct arena_chunk *head = a->chunks, *chunk;
    size_t total = ARENA_FIRST_BYTES;

    (void)exact_size;
    if (head && size <= head->size - head->used) {
        head->used += size;
        return head->data + head->used - size;
    }
    if (head) {
        total = 2 * (sizeof(*head) + head->size);
        if (total > ARENA_MOST_BYTES)
            total = ARENA_MOST_BYTES;
    }
    if (total - sizeof(*chunk) < size)
        total = sizeof(*chunk) + size;
    chunk = chunk_new(total);
    if (!chunk)
        return NULL;
    chunk->used = size;
    /* A chunk that is full from the start goes behind the head, whose rest stays in use. */
    if (head && chunk->size == size) {
        chunk->next = head->next;
        head->next = chunk;
    } else {
        chunk->next = head;
        a->chunks = chunk;
    }
    return chunk->data;
}

#endif

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t step = alignof(max_align_t);
    size_t rounded;
    void *ptr;

    if (size > SIZE_MAX / 2)
        return NULL;
    rounded = size ? (size + step - 1) / step * step : step;
    if (a->max_bytes && (a->used_bytes > a->max_bytes || rounded > a->max_bytes - a->used_bytes))
        return NULL;
    ptr = take(a, rounded, size);
    if (!ptr) {
        a->failed = true;
        return NULL;
    }
    a->used_bytes += rounded;
    return memset(ptr, 0, size);
}

struct str arena_copy(struct arena *a, struct str s)
{
    char *copy = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;

    if (!copy)
        return STR_NONE;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return (struct str){copy, s.len};
}

struct str arena_lower(struct arena *a, struct str s)
{
    struct str copy = arena_copy(a, s);
    char *p = (char *)copy.ptr;

    for (size_t i = 0; p && i < copy.len; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] - 'A' + 'a');
    return copy;
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    char *text = NULL;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    if (len >= 0)
        text = arena_alloc(a, (size_t)len + 1);
    if (text)
        (void)vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    va_end(args);
    return text ? (struct str){text, (size_t)len} : STR_NONE;
}

bool arena_defer(struct arena *a, void (*fn)(void *ptr), void *ptr)
{
    struct arena_cleanup *cleanup = arena_alloc(a, sizeof(*cleanup));

    if (!cleanup) {
        fn(ptr);
        return false;
    }
    *cleanup = (struct arena_cleanup){a->cleanups, fn, ptr};
    a->cleanups = cleanup;
    return true;
}
