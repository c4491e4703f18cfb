/* The folder of this process's journals: DATA_DIR/replies/<n>, the first that no other server
 * holds. The lock goes with the process, however it ends; the file that is locked says which node
 * holds it, or held it last. */
#ifndef AERIE_CHAT_JOURNAL_FOLDER_H
#define AERIE_CHAT_JOURNAL_FOLDER_H

#include "base/error.h"
#include "cluster/cluster.h"

#include <stddef.h>

/* A file's name: "<loop>-<segment>.journal", so that by name they are in order. */
#define JOURNAL_NAME_BYTES 32
void journal_name(char out[JOURNAL_NAME_BYTES], unsigned loop, unsigned segment);

/* Main thread, after cluster_open(). Holds a folder, and shows recover() that and every other that
 * nobody holds: what is in there was left by a server that is gone. An error of recover() ends it.
 * roll: the nodes that the folders name. The detail lives until the thread's next call. */
struct error journal_folder_open(struct error (*recover)(int folder_fd, void *state), void *state,
                                 struct cluster_roll *roll) MUST_CHECK;
void journal_folder_close(void);
int journal_folder(void); /* its descriptor; -1: none is held. Any thread */

#endif
