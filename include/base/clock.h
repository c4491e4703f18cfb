/* Time. Monotonic for anything that waits, wall for what people and databases see. */
#ifndef AERIE_BASE_CLOCK_H
#define AERIE_BASE_CLOCK_H

#include "base/str.h"

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
int64_t clock_wall_us(void); /* microseconds since 1970, UTC */
/* Tests only: both clocks then answer what the test says. NULL: the real ones again. */
struct clock_source {
    uint64_t mono_ms;
    int64_t wall_us;
};
void clock_set_source(const struct clock_source *source);

/* RFC 3339 in UTC, microseconds left out when they are 0: "2026-11-20T19:35:02.123456Z". */
#define CLOCK_TEXT_BYTES 32
struct str clock_format(int64_t wall_us, char out[CLOCK_TEXT_BYTES]);

#endif
