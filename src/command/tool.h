/* Another program, run to its end. */
#ifndef AERIE_SRC_COMMAND_TOOL_H
#define AERIE_SRC_COMMAND_TOOL_H

#include "base/error.h"

/* The end of what it said on stderr. */
#define TOOL_SAID_BYTES 2048
struct tool {
    const char *const *argv;   /* NULL at its end; the first is looked up in PATH */
    char *const *env;          /* "NAME=value" that win over the process's; NULL at its end */
    void (*tick)(void *state); /* some times a second; NULL: nobody waits */
    void *state;
    char said[TOOL_SAID_BYTES + 1];
};
/* ERR_UNAVAILABLE: it could not be run. ERR_INTERNAL: it failed, and the words are its own. */
struct error tool_run(struct tool *t) MUST_CHECK;

#endif
