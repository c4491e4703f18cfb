/* What a backup holds, in FILE.json beside it: of which database, at which migration, its digest,
 * and the rows of each table. */
#ifndef AERIE_SRC_COMMAND_MANIFEST_H
#define AERIE_SRC_COMMAND_MANIFEST_H

#include "db/bulk.h"
#include "part.h"

struct manifest {
    bool is_there; /* false: the backup has none */
    bool is_sqlite;
    int64_t migration;
    uint64_t bytes;
    char sum[PART_SUM_BYTES];
    struct bulk_counts counts;
};
#define MANIFEST_SUFFIX ".json"

/* Into a draft that the caller ends. */
struct error manifest_write(const struct manifest *m, struct part *p) MUST_CHECK;
/* file: the backup's. ERR_INVALID: there is one, but it is not one of these. */
struct error manifest_read(struct manifest *m, const char *file) MUST_CHECK;
/* ERR_CONFLICT names the first table whose rows are not those of the manifest. */
struct error manifest_compare(const struct manifest *m,
                              const struct bulk_counts *counts) MUST_CHECK;
/* Prints each table's rows; COMMAND_OK or COMMAND_FAILED. */
int manifest_print_counts(const struct bulk_counts *counts, bool as_json);

#endif
