/* How far a long command is: on a terminal one line that is drawn again, elsewhere a line now and
 * then. On stderr. */
#ifndef AERIE_SRC_COMMAND_PROGRESS_H
#define AERIE_SRC_COMMAND_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* All-zero but for what and unit is the start of one. */
struct progress {
    const char *what; /* "messages: copied" */
    const char *unit; /* "rows" */
    uint64_t total;   /* 0: nobody knows */
    uint64_t told_ms;
    bool is_drawn;
};
void progress_tell(struct progress *p, uint64_t done);
/* Takes the line away again. */
void progress_end(struct progress *p);

#endif
