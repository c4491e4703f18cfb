/* Files in data_dir by which a server is found. A process is told by its number and the time of its
 * start: numbers are used again. */
#include "pid_file.h"

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PID_FILE  "aerie.pid"
#define WORD_FILE "aerie.upgrade"
/* Of /proc/PID/stat, counted from behind the name. */
#define START_FIELD 20

static bool make_path(char out[PATH_MAX], const char *name)
{
    struct str dir = config()->data_dir;

    return (size_t)snprintf(out, PATH_MAX, "%.*s/%s", STR_ARG(dir), name) < PATH_MAX;
}

static bool read_text(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, size - 1) : -1;

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    out[n] = '\0';
    return true;
}

/* Nobody sees half of it. */
static void write_text(const char *name, const char *text)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    int fd = -1;
    bool ok = make_path(path, name) &&
              (size_t)snprintf(fresh, sizeof(fresh), "%s.%d", path, (int)getpid()) < sizeof(fresh);

    if (ok)
        fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (ok && fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
        rename(fresh, path) == 0) {
        close(fd);
        return;
    }
    log_warn("serve: %s cannot be written in data_dir: %s", name, errno_text(errno));
    if (fd >= 0) {
        close(fd);
        unlink(fresh);
    }
}

/* In the kernel's ticks since it started; 0: there is no such process, or nobody has buried it. */
static unsigned long long start_of(pid_t pid)
{
    unsigned long long start = 0;
    char path[64], text[1024];
    char *at;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (pid <= 0 || !read_text(path, text, sizeof(text)))
        return 0;
    at = strrchr(text, ')');
    if (at && strncmp(at, ") Z", 3) == 0)
        return 0;
    for (unsigned field = 0; at && field < START_FIELD; field++)
        at = strchr(at + 1, ' ');
    return at && sscanf(at, "%llu", &start) == 1 ? start : 0;
}

pid_t pid_file_read(void)
{
    unsigned long long start;
    char path[PATH_MAX], text[64];
    int pid;

    if (!make_path(path, PID_FILE) || !read_text(path, text, sizeof(text)) ||
        sscanf(text, "%d %llu", &pid, &start) != 2 || start_of(pid) != start)
        return 0;
    return pid;
}

void pid_file_write(bool takes_over)
{
    pid_t there = pid_file_read();
    char text[64];

    if (there != 0 && there != getpid() && !takes_over) {
        log_info("serve: %s stays with the server %d; this one, %d, is upgraded by SIGUSR2",
                 PID_FILE, (int)there, (int)getpid());
        return;
    }
    snprintf(text, sizeof(text), "%d %llu\n", (int)getpid(), start_of(getpid()));
    write_text(PID_FILE, text);
}

void pid_file_remove(void)
{
    char path[PATH_MAX];

    if (pid_file_read() == getpid() && make_path(path, PID_FILE))
        unlink(path);
}

void upgrade_word_write(const struct upgrade_word *w)
{
    char text[sizeof(w->reason) + 128];

    snprintf(text, sizeof(text), "%u %d %d %d %zu %s\n", w->number, (int)w->old_pid,
             (int)w->new_pid, (int)w->state, w->n_streams, w->reason);
    write_text(WORD_FILE, text);
}

bool upgrade_word_read(struct upgrade_word *w)
{
    char path[PATH_MAX], text[sizeof(w->reason) + 128];
    int old_pid, new_pid, state, at = 0;

    memset(w, 0, sizeof(*w));
    if (!make_path(path, WORD_FILE) || !read_text(path, text, sizeof(text)) ||
        sscanf(text, "%u %d %d %d %zu %n", &w->number, &old_pid, &new_pid, &state, &w->n_streams,
               &at) != 5 ||
        state < UPGRADE_STARTING || state > UPGRADE_DONE)
        return false;
    w->old_pid = old_pid;
    w->new_pid = new_pid;
    w->state = (enum upgrade_state)state;
    text[strcspn(text, "\n")] = '\0';
    snprintf(w->reason, sizeof(w->reason), "%s", at > 0 ? text + at : "");
    return true;
}
