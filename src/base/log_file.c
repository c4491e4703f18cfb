/* Lines wait in memory for a thread of their own, so that no loop ever waits for a disk. Two
 * buffers: one is filled while the other is written. */
#include "log_file.h"

#include "base/buf.h"
#include "base/error.h"
#include "log_time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_S    60 /* how often the idle thread looks at the clock, for it may be put forward */
#define PASS_S    5  /* who waits for a disk waits no longer */
#define DAY_CHARS 8
#define SUFFIX    "_LOG.log"

/* Lines of one day, then perhaps of another: midnight was between. */
struct batch {
    struct buf lines;
    size_t split; /* where the other day begins; SIZE_MAX: nowhere */
    int day, other_day;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    /* under the lock */
    struct batch front;
    uint64_t n_asked, n_served; /* passes */
    bool is_waiting, must_reopen, is_stopping;
    unsigned keep_days;
    int reopen_code;
    /* before and after the thread, and its own */
    struct batch back;
    pthread_t thread;
    char *path;
    bool is_daily, is_failing;
    bool is_cut; /* the last line is there in part, without its end */
    int fd, day;
    size_t buffer_bytes;
    uint64_t n_told; /* of what was dropped, told in the log; and as it was one pass before */
    uint64_t n_seen;
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER, .fd = -1};

/* ---- the files ---- */

/* The name of a day's file is nothing else: eight digits that are a date, and the suffix. */
static bool day_of_name(const char *name, int *day)
{
    *day = 0;
    for (int i = 0; i < DAY_CHARS; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        *day = *day * 10 + (name[i] - '0');
    }
    return strcmp(name + DAY_CHARS, SUFFIX) == 0;
}

static void delete_old(int today, unsigned keep_days)
{
    DIR *dir = opendir(out.path);
    struct dirent *entry;
    struct stat st;
    int day, age;

    if (!dir)
        return;
    while ((entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): this dir is ours alone */
        if (day_of_name(entry->d_name, &day) && log_day_age(day, today, &age) &&
            age > (int)keep_days &&
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
}

/* The file of this day, or the one file, in the place of what is open. Returns errno, and then what
 * is open stays. */
static int open_file(int day)
{
    size_t size = strlen(out.path) + 32;
    char *name = malloc(size);
    int fd, code;

    if (!name)
        return ENOMEM;
    if (out.is_daily)
        snprintf(name, size, "%s/%0*d" SUFFIX, out.path, DAY_CHARS, day);
    else
        snprintf(name, size, "%s", out.path);
    fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    code = fd < 0 ? errno : 0;
    free(name);
    if (fd < 0)
        return code;
    if (out.fd >= 0)
        close(out.fd);
    out.fd = fd;
    out.day = day;
    out.is_cut = false;
    return 0;
}

/* A directory that somebody deleted is made again. */
static int open_day(int day)
{
    int code = open_file(day);

    if (code == ENOENT && out.is_daily && mkdir(out.path, 0750) == 0)
        code = open_file(day);
    return code;
}

static void turn_to(int day, unsigned keep_days)
{
    int code;

    if (!out.is_daily || day == out.day || day == 0)
        return;
    code = open_day(day);
    if (code == 0)
        delete_old(day, keep_days);
    else if (!out.is_failing)
        log_error("log: the file of a new day cannot be opened, the old one goes on: %s",
                  errno_text(code));
    out.is_failing = code != 0;
}

/* ---- the thread ---- */

static uint64_t count_lines(const char *text, size_t len)
{
    uint64_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += text[i] == '\n';
    return n;
}

/* Returns how many lines are not there, or not whole. */
static uint64_t write_lines(const char *text, size_t len)
{
    char last = '\n';

    while (len > 0) {
        ssize_t n;

        if (out.is_cut && write(out.fd, "\n", 1) != 1) /* the next one does not begin in it */
            break;
        out.is_cut = false;
        n = write(out.fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        last = text[n - 1];
        text += n;
        len -= (size_t)n;
    }
    out.is_cut = out.is_cut || (len > 0 && last != '\n');
    return count_lines(text, len);
}

static uint64_t write_batch(const struct batch *b, unsigned keep_days)
{
    size_t first = b->split < b->lines.len ? b->split : b->lines.len;
    uint64_t n_lost = 0;

    if (b->lines.len == 0) {
        turn_to(log_local_day(clock_wall_us()), keep_days);
        return 0;
    }
    turn_to(b->day, keep_days);
    n_lost += write_lines(b->lines.data, first);
    if (first < b->lines.len) {
        turn_to(b->other_day, keep_days);
        n_lost += write_lines(b->lines.data + first, b->lines.len - first);
    }
    return n_lost;
}

/* What was dropped is told in the log itself, once it is over: something was written, and nothing
 * dropped meanwhile. */
static void tell_dropped(bool is_written)
{
    uint64_t n = log_dropped();

    if (is_written && n > out.n_told && n == out.n_seen) {
        log_warn("log: %llu records were dropped: the disk was full, or too slow",
                 (unsigned long long)(n - out.n_told));
        out.n_told = n;
    }
    out.n_seen = n;
}

static void wait_for_work(void)
{
    struct timespec until;
    unsigned wait_s = log_seconds_to_midnight(clock_wall_us());

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_s < LOOK_S ? wait_s : LOOK_S;
    out.is_waiting = true;
    while (out.front.lines.len == 0 && out.n_asked == out.n_served && !out.is_stopping)
        if (pthread_cond_timedwait(&out.work, &out.lock, &until) == ETIMEDOUT)
            break;
    out.is_waiting = false;
}

static void swap_batches(void)
{
    struct batch filled = out.front;

    out.front = out.back;
    buf_clear(&out.front.lines);
    out.front.split = SIZE_MAX;
    out.back = filled;
}

static void *write_all(void *unused)
{
    bool is_last = false;

    (void)unused;
    pthread_mutex_lock(&out.lock);
    while (!is_last) {
        uint64_t pass, n_lost;
        unsigned keep_days;
        bool reopens;
        int code = 0;

        wait_for_work();
        swap_batches();
        pass = out.n_asked;
        keep_days = out.keep_days;
        reopens = out.must_reopen;
        is_last = out.is_stopping && out.back.lines.len == 0;
        out.must_reopen = false;
        pthread_mutex_unlock(&out.lock);
        n_lost = write_batch(&out.back, keep_days);
        if (reopens && (code = open_day(out.day)) == 0 && out.is_daily)
            delete_old(out.day, keep_days);
        log_count_dropped(n_lost);
        tell_dropped(n_lost == 0 && out.back.lines.len > 0);
        pthread_mutex_lock(&out.lock);
        out.n_served = pass;
        if (reopens)
            out.reopen_code = code;
        pthread_cond_broadcast(&out.done);
    }
    pthread_mutex_unlock(&out.lock);
    return NULL;
}

/* ---- from outside ---- */

static bool start_thread(void)
{
    pthread_condattr_t attributes;
    sigset_t all, before;
    int code;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&out.work, &attributes);
    pthread_condattr_destroy(&attributes);
    sigfillset(&all); /* they are for others */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = pthread_create(&out.thread, NULL, write_all, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code == 0;
}

static void forget_all(void)
{
    if (out.fd >= 0)
        close(out.fd);
    free(out.path);
    buf_deinit(&out.front.lines);
    buf_deinit(&out.back.lines);
    out.fd = -1;
    out.path = NULL;
    out.is_cut = out.is_failing = out.is_stopping = false;
}

int log_file_open(const struct log_files *files)
{
    int code, day = log_local_day(clock_wall_us());

    out.path = strdup(files->path);
    out.is_daily = files->is_daily;
    out.keep_days = files->keep_days;
    out.buffer_bytes = files->buffer_bytes;
    out.front.split = out.back.split = SIZE_MAX;
    out.n_told = out.n_seen = log_dropped();
    code = out.path ? open_day(day) : ENOMEM;
    if (code == 0 && out.is_daily)
        delete_old(day, out.keep_days);
    if (code == 0 && !start_thread())
        code = EAGAIN;
    if (code != 0)
        forget_all();
    return code;
}

/* Waits for a pass that begins from now on. */
static void wait_for_pass(void)
{
    uint64_t pass = ++out.n_asked;
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PASS_S;
    pthread_cond_signal(&out.work);
    while (out.n_served < pass)
        if (pthread_cond_timedwait(&out.done, &out.lock, &until) == ETIMEDOUT)
            break;
}

int log_file_reopen(unsigned keep_days)
{
    int code;

    pthread_mutex_lock(&out.lock);
    out.keep_days = keep_days;
    out.must_reopen = true;
    out.reopen_code = ETIMEDOUT;
    wait_for_pass();
    code = out.reopen_code;
    pthread_mutex_unlock(&out.lock);
    return code;
}

void log_file_flush(void)
{
    pthread_mutex_lock(&out.lock);
    wait_for_pass();
    pthread_mutex_unlock(&out.lock);
}

void log_file_close(void)
{
    pthread_mutex_lock(&out.lock);
    out.is_stopping = true;
    pthread_cond_signal(&out.work);
    pthread_mutex_unlock(&out.lock);
    pthread_join(out.thread, NULL);
    pthread_cond_destroy(&out.work);
    forget_all();
}

bool log_file_put(struct str line, int day)
{
    struct batch *b = &out.front;
    bool fits;

    pthread_mutex_lock(&out.lock);
    fits = b->lines.len + line.len <= out.buffer_bytes && buf_reserve(&b->lines, line.len);
    if (fits && b->lines.len == 0) {
        b->day = b->other_day = day;
    } else if (fits && day != b->other_day && b->split == SIZE_MAX) {
        b->split = b->lines.len;
        b->other_day = day;
    }
    if (fits)
        buf_append_str(&b->lines, line);
    if (fits && out.is_waiting)
        pthread_cond_signal(&out.work);
    pthread_mutex_unlock(&out.lock);
    return fits;
}
