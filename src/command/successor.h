/* The process that takes a running server over: started with what the old one leaves it, and heard
 * until it serves or fails. Main thread. */
#ifndef AERIE_COMMAND_SUCCESSOR_H
#define AERIE_COMMAND_SUCCESSOR_H

#include "base/buf.h"

#include <sys/types.h>

/* Without a command's own part: what main() was called with. */
extern char **command_arguments;

enum successor_state {
    SUCCESSOR_NONE,     /* none was started, or it has gone */
    SUCCESSOR_STARTING, /* it opens what a server needs */
    SUCCESSOR_READY     /* it serves, and needs us no more */
};

/* All-zero: none. */
struct successor {
    enum successor_state state;
    pid_t child; /* that we started; it goes on as a child of its own */
    pid_t pid;   /* of the latter; 0: it did not tell yet */
    int fd;      /* where it speaks, while it starts */
    uint64_t until_ms;
    char said[512];
    size_t n_said;
    char reason[256]; /* why there is none */
};

struct http_server;
/* The same program, arguments, environment and working directory; lock_fd: -1 for none. False: the
 * reason tells. */
bool successor_start(struct successor *s, struct http_server *http, int lock_fd,
                     unsigned timeout_s);
/* When fd can be read, and now and then. The state tells what became of it. */
void successor_hear(struct successor *s);
/* Ends one that starts. */
void successor_kill(struct successor *s, const char *why);

#endif
