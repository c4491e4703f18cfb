/* How many times longer than usual a test waits before it fails, and lets the code wait:
 * AERIE_TEST_PATIENCE, or 1. etc/analyse sets it, for under valgrind all is slow. */
#ifndef AERIE_TEST_PATIENCE_H
#define AERIE_TEST_PATIENCE_H

#include <stdlib.h>

static inline unsigned patience(void)
{
    const char *set = getenv("AERIE_TEST_PATIENCE");
    int times = set ? atoi(set) : 1;

    return times > 1 ? (unsigned)times : 1;
}

#endif
