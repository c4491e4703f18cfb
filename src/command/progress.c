/* How far a long command is. */
#include "progress.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define DRAW_MS 100
#define SAY_MS  5000

void progress_tell(struct progress *p, uint64_t done)
{
    const bool is_terminal = isatty(STDERR_FILENO);
    const uint64_t now_ms = clock_mono_ms();

    if (p->told_ms == 0)
        p->told_ms = now_ms; /* what is done at once needs no words */
    if (now_ms - p->told_ms < (is_terminal ? DRAW_MS : SAY_MS))
        return;
    p->told_ms = now_ms;
    p->is_drawn = p->is_drawn || is_terminal;
    fprintf(stderr, "%s%s: %" PRIu64, is_terminal ? "\r\033[K" : "aerie: ", p->what, done);
    if (p->total > 0)
        fprintf(stderr, " of %" PRIu64, p->total);
    fprintf(stderr, " %s%s", p->unit, is_terminal ? "" : "\n");
    fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->is_drawn)
        fputs("\r\033[K", stderr);
    p->is_drawn = false;
}
