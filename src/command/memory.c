/* Memory given back: what the start needed, and what a crowd took. */
#include "memory.h"

#include "config/config.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* How many connections are worth giving memory back. */
#define CROWD 100
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

void memory_trim(size_t connections, unsigned period_s, struct memory_crowd *crowd)
{
    if (connections > crowd->most_connections) {
        crowd->most_connections = connections;
    } else if (crowd->most_connections >= CROWD && connections <= crowd->most_connections / 2) {
        crowd->most_connections = connections;
        crowd->n_trims_left = config()->turn.keep_ms / (1000 * period_s) + TRIMS_MORE;
    }
    if (crowd->n_trims_left > 0) {
        crowd->n_trims_left--;
        malloc_trim(0);
    }
}
