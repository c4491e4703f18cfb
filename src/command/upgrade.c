/* aerie upgrade: asks the running server to start its successor, and tells what becomes of it. */
#include "base/clock.h"
#include "base/error.h"
#include "command.h"
#include "config/config.h"
#include "pid_file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* How often it looks. */
#define LOOK_MS 100
/* A server that hears no signal for so long is not ours, or hangs. */
#define ANSWER_MS 10000
/* How often it says that it still waits. */
#define SAY_MS 10000

static int fail(const char *why)
{
    fprintf(stderr, "aerie: %s\n", why);
    return COMMAND_FAILED;
}

/* Is this the answer to our signal? The word before it may be another process's. */
static bool is_answer(const struct upgrade_word *w, const struct upgrade_word *before, pid_t pid)
{
    return w->old_pid == pid && (before->old_pid != pid || w->number != before->number);
}

static int say_outcome(const struct upgrade_word *w)
{
    if (w->state == UPGRADE_FAILED) {
        fprintf(stderr, "aerie: the new server did not come up: %s; %d goes on as before\n",
                w->reason, (int)w->old_pid);
        return COMMAND_FAILED;
    }
    printf("%d serves; %d takes no more clients and lets %zu streams end, for at most %llu s\n",
           (int)w->new_pid, (int)w->old_pid, w->n_streams,
           (unsigned long long)config()->server.upgrade_drain_seconds);
    return COMMAND_OK;
}

static int wait_for_outcome(pid_t pid, const struct upgrade_word *before)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    uint64_t began_ms = clock_mono_ms(), said_ms = began_ms, now_ms;
    bool is_heard = false;
    struct upgrade_word w;

    for (;;) {
        if (upgrade_word_read(&w) && is_answer(&w, before, pid)) {
            is_heard = true;
            if (w.state != UPGRADE_STARTING)
                return say_outcome(&w);
        }
        now_ms = clock_mono_ms();
        if (kill(pid, 0) != 0)
            return fail("the server ended before a new one had taken over; see its log");
        if (!is_heard && now_ms - began_ms >= ANSWER_MS)
            return fail("the server does not answer SIGUSR2; see its log");
        if (now_ms - said_ms >= SAY_MS) {
            said_ms = now_ms;
            fprintf(stderr, "aerie: the new server starts; %llu s so far\n",
                    (unsigned long long)(now_ms - began_ms) / 1000);
        }
        nanosleep(&pause, NULL);
    }
}

int command_upgrade(int argc, char **argv)
{
    struct upgrade_word before;
    pid_t pid;

    if (!command_read_options(argc, argv, 1, NULL, 0))
        return command_usage(argv[0]);
    pid = pid_file_read();
    if (pid == 0) {
        fputs("aerie: no server runs on this data_dir: there is no aerie.pid of a living one\n",
              stderr);
        return COMMAND_NO_SERVER;
    }
    if (upgrade_word_read(&before) && before.old_pid == pid && before.state == UPGRADE_STARTING)
        return fail("an upgrade is under way already");
    if (kill(pid, SIGUSR2) != 0) {
        fprintf(stderr, "aerie: the server %d takes no signal from here: %s\n", (int)pid,
                errno_text(errno));
        return COMMAND_FAILED;
    }
    fprintf(stderr, "aerie: %d starts a new server\n", (int)pid);
    return wait_for_outcome(pid, &before);
}
