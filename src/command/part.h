/* A file that appears whole or not at all: until its end it is FILE.part, and then on the disk for
 * good. Never takes another file's place. */
#ifndef AERIE_SRC_COMMAND_PART_H
#define AERIE_SRC_COMMAND_PART_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/error.h"
#include "progress.h"

#include <limits.h>

struct part {
    char path[PATH_MAX], draft[PATH_MAX];
    int fd;
    struct buf out; /* not written yet */
    struct crypto_sum sum;
    uint64_t bytes;
};
/* Makes an empty draft, mode 0600, for part_write() or for whoever writes it by its name. The words
 * of errors here live until the thread's next one. One that was left behind is taken over;
 * ERR_CONFLICT: another process writes it. p is to be dropped whatever comes. */
struct error part_begin(struct part *p, const char *path) MUST_CHECK;
struct error part_write(struct part *p, struct str bytes) MUST_CHECK;
struct error part_finish(struct part *p) MUST_CHECK;
void part_drop(struct part *p); /* what is not finished goes; nothing to do for one with draft "" */

#define PART_SUM_BYTES 65
/* The SHA-256 of a file, in hex, and its size. copy: -1, or where its bytes go as well. */
struct error part_sum_file(const char *path, int copy, char sum[PART_SUM_BYTES],
                           uint64_t *bytes) MUST_CHECK;
void part_sum_text(struct crypto_sum *s, char sum[PART_SUM_BYTES]); /* ends s */
struct error part_sync_folder(const char *path) MUST_CHECK; /* what stands in path's folder */
struct error part_fail(const char *what, const char *path,
                       int code); /* "cannot write FILE: no room" */

#endif
