/* The process that takes a running server over. */
#include "successor.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/inherit.h"
#include "base/log.h"
#include "http/http.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

char **command_arguments;

/* ---- starting ---- */

/* What it is left, written down, and kept open on its way there. */
struct legacy {
    struct buf words;
    posix_spawn_file_actions_t actions;
    bool failed;
};

/* The same number there: that takes the close-on-exec off, in the child only. */
static void keep_open(struct legacy *l, int fd)
{
    if (posix_spawn_file_actions_adddup2(&l->actions, fd, fd) != 0)
        l->failed = true;
}

static void leave_socket(void *state, int fd, const char *systemd_name)
{
    struct legacy *l = state;

    if (systemd_name)
        buf_printf(&l->words, INHERIT_SYSTEMD, fd, systemd_name);
    else
        buf_printf(&l->words, INHERIT_SOCKET, fd);
    keep_open(l, fd);
}

/* Returns the descriptor, to be closed when the child has its own; -1: none. */
static int leave_ticket_keys(struct legacy *l, struct http_server *http)
{
    int fd = http_leave_ticket_keys(http);

    if (fd >= 0) {
        buf_printf(&l->words, INHERIT_TICKETS, fd);
        keep_open(l, fd);
    }
    return fd;
}

/* Ours, and one more. The array is the caller's to free; its texts are not. */
static char **environment_with(char *variable)
{
    size_t n = 0;
    char **all;

    while (environ[n])
        n++;
    all = calloc(n + 2, sizeof(*all));
    if (!all)
        return NULL;
    memcpy(all, environ, n * sizeof(*all));
    all[n] = variable;
    return all;
}

/* It hears all signals again, as a process does that is started by hand. */
static bool set_signals(posix_spawnattr_t *attributes)
{
    sigset_t none, pipe;

    sigemptyset(&none);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    return posix_spawnattr_setsigmask(attributes, &none) == 0 &&
           posix_spawnattr_setsigdefault(attributes, &pipe) == 0 &&
           posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) ==
               0;
}

static int spawn(struct successor *s, struct legacy *l)
{
    posix_spawnattr_t attributes;
    char **env;
    int error = ENOMEM;

    buf_append_char(&l->words, '\0');
    env = l->words.failed || l->failed ? NULL : environment_with(l->words.data);
    if (!env)
        return error;
    if (posix_spawnattr_init(&attributes) == 0) {
        if (set_signals(&attributes))
            error = posix_spawnp(&s->child, command_arguments[0], &l->actions, &attributes,
                                 command_arguments, env);
        posix_spawnattr_destroy(&attributes);
    }
    free(env);
    return error;
}

static void fail(struct successor *s, const char *why)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->state = SUCCESSOR_NONE;
    snprintf(s->reason, sizeof(s->reason), "%s", why);
}

bool successor_start(struct successor *s, struct http_server *http, int lock_fd, unsigned timeout_s)
{
    struct legacy legacy = {.failed = false};
    int ends[2], ticket_keys = -1, error = ENOMEM;
    char why[128];

    *s = (struct successor){.fd = -1, .until_ms = clock_mono_ms() + timeout_s * 1000ULL};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        fail(s, errno_text(errno));
        return false;
    }
    s->fd = ends[0];
    (void)fcntl(ends[1], F_SETFL, 0); /* its writes may wait for us */
    if (posix_spawn_file_actions_init(&legacy.actions) == 0) {
        buf_printf(&legacy.words, INHERIT_VARIABLE "=" INHERIT_READY, ends[1]);
        keep_open(&legacy, ends[1]);
        if (lock_fd >= 0) {
            buf_printf(&legacy.words, INHERIT_LOCK, lock_fd);
            keep_open(&legacy, lock_fd);
        }
        http_each_socket(http, leave_socket, &legacy);
        ticket_keys = leave_ticket_keys(&legacy, http);
        error = spawn(s, &legacy);
        posix_spawn_file_actions_destroy(&legacy.actions);
    }
    buf_deinit(&legacy.words);
    close(ends[1]);
    if (ticket_keys >= 0)
        close(ticket_keys);
    if (error != 0) {
        snprintf(why, sizeof(why), "%.80s cannot be started: %s", command_arguments[0],
                 errno_text(error));
        fail(s, why);
        return false;
    }
    s->state = SUCCESSOR_STARTING;
    return true;
}

/* ---- hearing ---- */

/* The child that we started has ended, or is ended now. */
static int reap(struct successor *s, bool is_gone)
{
    int status = 0;

    if (!is_gone && waitpid(s->child, &status, WNOHANG) == s->child)
        return status;
    if (!is_gone)
        kill(s->child, SIGKILL);
    while (waitpid(s->child, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

/* It tells by ending where it cannot tell in words. */
static void take_end(struct successor *s)
{
    int status = reap(s, false);
    char why[128];

    if (s->pid != 0)
        snprintf(why, sizeof(why), "it ended before it served; the log has its last words");
    else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        snprintf(why, sizeof(why), "it ended by signal %d", WTERMSIG(status));
    else
        snprintf(why, sizeof(why), "it ended with exit code %d, and said nothing to us",
                 WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    fail(s, why);
}

static void take_line(struct successor *s, const char *line)
{
    int pid;

    if (sscanf(line, "pid %d", &pid) == 1 && pid > 0) {
        s->pid = pid;
    } else if (strncmp(line, "failed ", 7) == 0) {
        (void)reap(s, s->pid != 0);
        fail(s, line + 7);
    } else if (strcmp(line, "ready") == 0 && s->pid != 0) {
        (void)reap(s, true);
        close(s->fd);
        s->fd = -1;
        s->state = SUCCESSOR_READY;
    }
}

static void take_lines(struct successor *s)
{
    char *at = s->said, *end;

    while (s->state == SUCCESSOR_STARTING && (end = memchr(at, '\n', s->n_said))) {
        *end = '\0';
        take_line(s, at);
        s->n_said -= (size_t)(end + 1 - at);
        at = end + 1;
    }
    memmove(s->said, at, s->n_said);
}

void successor_hear(struct successor *s)
{
    ssize_t n;

    while (s->state == SUCCESSOR_STARTING) {
        n = read(s->fd, s->said + s->n_said, sizeof(s->said) - 1 - s->n_said);
        if (n > 0) {
            s->n_said += (size_t)n;
            take_lines(s);
            if (s->n_said == sizeof(s->said) - 1)
                s->n_said = 0; /* no word of ours is so long */
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            break;
        } else {
            take_end(s);
        }
    }
    if (s->state == SUCCESSOR_STARTING && clock_mono_ms() >= s->until_ms)
        successor_kill(s, "it did not serve within server.upgrade_start_seconds");
}

/* While it starts its end of the pipe is open: the number is still its own. */
void successor_kill(struct successor *s, const char *why)
{
    if (s->state != SUCCESSOR_STARTING)
        return;
    if (s->pid != 0)
        kill(s->pid, SIGKILL);
    (void)reap(s, false);
    fail(s, why);
}
