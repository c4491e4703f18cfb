/* Memory given back: what the start needed, and what a crowd took. */
#include "memory.h"

#include "config/config.h"

#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* How many connections are worth giving memory back. */
#define CROWD 100
/* How much more than after the last trim is, with an eighth of that. */
#define GROWN_BYTES (2U << 20)
/* Calm is less than this part of a core. */
#define CALM_PART 10
#define NS_PER_S  UINT64_C(1000000000)
/* Trims after the last kept reply: the databases' threads give theirs back a little later. */
#define TRIMS_MORE 8

/* Code with relocations in it differs from its file: it must stay. */
static bool is_code_as_in_file(const struct dl_phdr_info *object)
{
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[i];

        if (header->p_type != PT_DYNAMIC)
            continue;
        for (const ElfW(Dyn) *tag = (const void *)(object->dlpi_addr + header->p_vaddr);
             tag->d_tag != DT_NULL; tag++)
            if (tag->d_tag == DT_TEXTREL ||
                (tag->d_tag == DT_FLAGS && (tag->d_un.d_val & DF_TEXTREL)))
                return false;
    }
    return true;
}

/* Segments that were never writable hold what the file holds; other threads may run in them. */
static int release_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size;
    (void)arg;
    if (!is_code_as_in_file(object))
        return 0;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + header->p_vaddr;
        uintptr_t end = (begin + header->p_memsz + page - 1) & ~(page - 1);

        begin &= ~(page - 1);
        if (header->p_type == PT_LOAD && !(header->p_flags & PF_W))
            (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    return 0;
}

void memory_release_start(void)
{
    malloc_trim(0);
    dl_iterate_phdr(release_object, NULL);
}

/* What is resident of no file: the heap above all. 0: not known. */
static size_t resident_bytes(void)
{
    size_t resident, shared;
    char text[128], *rest;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

    if (fd >= 0)
        close(fd);
    text[len > 0 ? len : 0] = '\0';
    (void)strtoul(text, &rest, 10); /* all that is mapped */
    resident = strtoul(rest, &rest, 10);
    shared = strtoul(rest, &rest, 10);
    if (resident < shared)
        return 0;
    return (resident - shared) * (size_t)sysconf(_SC_PAGESIZE);
}

/* Has the process done little since it was last asked? Trimming holds up those who allocate. */
static bool is_calm(unsigned period_s, struct memory_watch *watch)
{
    uint64_t before = watch->cpu_ns;
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    watch->cpu_ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
    return watch->cpu_ns - before < period_s * NS_PER_S / CALM_PART;
}

/* A crowd that has left: of connections, which are told at once, or of anything, which is seen by
 * what it took when the process is calm again. */
static bool has_crowd_left(size_t connections, unsigned period_s, struct memory_watch *watch)
{
    bool calm = is_calm(period_s, watch);
    size_t bytes = resident_bytes();

    if (connections > watch->most_connections)
        watch->most_connections = connections;
    if (bytes < watch->resident_bytes || watch->resident_bytes == 0)
        watch->resident_bytes = bytes;
    if (watch->most_connections >= CROWD && connections <= watch->most_connections / 2) {
        watch->most_connections = connections;
        return true;
    }
    if (!calm || bytes < watch->resident_bytes + watch->resident_bytes / 8 + GROWN_BYTES)
        return false;
    watch->resident_bytes = bytes; /* what stays after all is not looked at again */
    return true;
}

void memory_trim(size_t connections, unsigned period_s, struct memory_watch *watch)
{
    if (has_crowd_left(connections, period_s, watch))
        watch->n_trims_left = config()->turn.keep_ms / (1000 * period_s) + TRIMS_MORE;
    if (watch->n_trims_left > 0) {
        watch->n_trims_left--;
        malloc_trim(0);
    }
}
