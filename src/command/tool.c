/* Another program, run to its end: it reads nothing, and what it says on stderr is kept. */
#include "tool.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS 200

static _Thread_local char words[TOOL_SAID_BYTES + 256];

/* The process's environment, without what t's names stand for, and t's. NULL: no memory. */
static char **environment(const struct tool *t)
{
    size_t n = 0, n_more = 0, kept = 0;
    char **all;

    while (environ[n])
        n++;
    while (t->env && t->env[n_more])
        n_more++;
    all = calloc(n + n_more + 1, sizeof(*all));
    for (size_t i = 0; all && i < n; i++) {
        bool is_replaced = false;

        for (size_t k = 0; k < n_more && !is_replaced; k++)
            is_replaced = strncmp(environ[i], t->env[k],
                                  (size_t)(strchr(t->env[k], '=') - t->env[k]) + 1) == 0;
        if (!is_replaced)
            all[kept++] = environ[i];
    }
    for (size_t k = 0; all && k < n_more; k++)
        all[kept++] = t->env[k];
    return all;
}

static int spawn(const struct tool *t, int out, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    char **env = environment(t);
    int code = env ? posix_spawn_file_actions_init(&files) : ENOMEM;

    if (code == 0) {
        if (posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0) != 0 ||
            posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) !=
                0 ||
            posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO) != 0)
            code = ENOMEM;
        else
            /* NOLINTNEXTLINE(performance-no-int-to-ptr): posix_spawn() leaves the words alone */
            code =
                posix_spawnp(pid, t->argv[0], &files, NULL, (char *const *)(uintptr_t)t->argv, env);
        posix_spawn_file_actions_destroy(&files);
    }
    free(env);
    return code;
}

/* Until the program has closed its stderr. */
static void listen_to(struct tool *t, int in)
{
    char piece[512];
    size_t len = 0;
    ssize_t n = 1;

    while (n != 0) {
        struct pollfd p = {.fd = in, .events = POLLIN};

        if (poll(&p, 1, TICK_MS) <= 0) {
            if (t->tick)
                t->tick(t->state);
            continue;
        }
        n = read(in, piece, sizeof(piece));
        if (n <= 0)
            continue;
        if (len + (size_t)n > TOOL_SAID_BYTES) {
            const size_t drop = len + (size_t)n - TOOL_SAID_BYTES;

            memmove(t->said, t->said + drop, len - drop);
            len -= drop;
        }
        memcpy(t->said + len, piece, (size_t)n);
        len += (size_t)n;
    }
    t->said[len] = '\0';
}

struct error tool_run(struct tool *t)
{
    int pipe_fds[2], code, status = 0;
    pid_t pid;

    t->said[0] = '\0';
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        snprintf(words, sizeof(words), "cannot run %s: %s", t->argv[0], errno_text(errno));
        return ERROR(ERR_UNAVAILABLE, errno, words);
    }
    code = spawn(t, pipe_fds[1], &pid);
    close(pipe_fds[1]);
    if (code != 0) {
        close(pipe_fds[0]);
        snprintf(words, sizeof(words), "cannot run %s: %s", t->argv[0], errno_text(code));
        return ERROR(ERR_UNAVAILABLE, code, words);
    }
    listen_to(t, pipe_fds[0]);
    close(pipe_fds[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NO_ERROR;
    if (WIFSIGNALED(status))
        snprintf(words, sizeof(words), "%s was ended by signal %d", t->argv[0], WTERMSIG(status));
    else
        snprintf(words, sizeof(words), "%s", t->said[0] ? t->said : t->argv[0]);
    return ERROR(ERR_INTERNAL, status, words);
}
