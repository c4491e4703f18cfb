/* The process's log: one line, one write. */
#include "base/log.h"

#include "log_file.h"
#include "log_line.h"
#include "log_time.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_BYTES    2048
#define ACCESS_LOGGER STR("aerie.access")
#define LOGGER        STR("aerie")

static _Atomic enum log_level least_level = LOG_INFO;
static atomic_bool is_access_on;
static enum log_format line_format;
static int log_fd = STDERR_FILENO;
static bool is_socket;
static atomic_bool is_file;
static bool is_cut; /* the last record is there in part, without its end; under the lock */
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint_fast64_t n_dropped;

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};
static const char *const level_marks[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
static const char *const level_words[] = {"ERROR", "WARNING", "INFO", "DEBUG", "TRACE"};

void log_init(enum log_level level, int fd)
{
    struct stat st;

    log_set_level(level);
    log_fd = fd;
    is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&least_level, level, memory_order_relaxed);
}

void log_set_format(enum log_format format)
{
    line_format = format;
}

bool log_level_from(struct str name, enum log_level *out)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (str_eq_nocase(name, str_from(level_names[i]))) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_is_on(enum log_level level)
{
    return level <= atomic_load_explicit(&least_level, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&n_dropped, memory_order_relaxed);
}

void log_count_dropped(uint64_t n)
{
    atomic_fetch_add_explicit(&n_dropped, n, memory_order_relaxed);
}

/* ---- files ---- */

int log_open(const struct log_files *files)
{
    int code = log_file_open(files);

    if (code == 0)
        atomic_store(&is_file, true);
    return code;
}

int log_reopen(unsigned keep_days)
{
    return atomic_load(&is_file) ? log_file_reopen(keep_days) : 0;
}

void log_flush(void)
{
    if (atomic_load(&is_file))
        log_file_flush();
}

void log_close(void)
{
    if (atomic_exchange(&is_file, false))
        log_file_close();
}

/* ---- at once ---- */

/* A full disk may take half a record: the next one does not begin in its line. */
static void end_cut_line(void)
{
    if (is_cut && write(log_fd, "\n", 1) == 1)
        is_cut = false;
}

/* True when the whole line was taken. The lock keeps two threads from both trusting one poll(). */
static bool write_at_once(struct str line)
{
    struct pollfd ready = {.fd = log_fd, .events = POLLOUT};
    ssize_t n = -1;

    pthread_mutex_lock(&write_lock);
    if (is_socket)
        n = send(log_fd, line.ptr, line.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT)) {
        end_cut_line();
        if (!is_cut)
            n = write(log_fd, line.ptr, line.len);
        if (n > 0 && n < (ssize_t)line.len)
            is_cut = true;
    }
    pthread_mutex_unlock(&write_lock);
    return n == (ssize_t)line.len;
}

/* ---- lines ---- */

static void put_str(struct line *l, struct str s)
{
    line_put(l, s.ptr, s.len);
}

/* In UTC, with milliseconds. */
static void put_time(struct line *l, int64_t now_us)
{
    char time[CLOCK_TEXT_BYTES], rest[16];
    struct str at = clock_format(now_us - now_us % 1000000, time);

    line_put(l, at.ptr, at.len - 1); /* without the Z: milliseconds come first */
    line_put(l, rest, (size_t)snprintf(rest, sizeof(rest), ".%03dZ", (int)(now_us / 1000 % 1000)));
}

/* What stands before the record's text. */
static void begin_line(struct line *l, int64_t now_us, enum log_level level, struct str logger)
{
    char time[CLOCK_TEXT_BYTES];
    struct str at;

    l->len = 0;
    switch (line_format) {
    case LOG_PLAIN:
        put_time(l, now_us);
        put_str(l, STR(" "));
        put_str(l, str_from(level_marks[level]));
        put_str(l, STR(" "));
        break;
    case LOG_JSON:
        put_str(l, STR("{\"time\":\""));
        put_time(l, now_us);
        put_str(l, STR("\",\"level\":\""));
        put_str(l, str_from(level_names[level]));
        put_str(l, STR("\",\"logger\":\""));
        put_str(l, logger);
        put_str(l, STR("\""));
        break;
    case LOG_DASHES:
        at = log_local_time(now_us, time);
        line_put(l, at.ptr, str_find(at, 'T'));
        put_str(l, STR(" "));
        put_str(l, str_skip(at, str_find(at, 'T') + 1));
        put_str(l, STR(" - "));
        put_str(l, logger);
        put_str(l, STR(" - "));
        put_str(l, str_from(level_words[level]));
        put_str(l, STR(" - "));
        break;
    }
}

/* There is room for the end: LINE_TAIL_BYTES. */
static void end_line(struct line *l, int64_t now_us)
{
    struct str whole;
    bool is_taken;

    if (line_format == LOG_JSON)
        l->bytes[l->len++] = '}';
    l->bytes[l->len++] = '\n';
    whole = (struct str){l->bytes, l->len};
    is_taken = atomic_load_explicit(&is_file, memory_order_relaxed)
                   ? log_file_put(whole, log_local_day(now_us))
                   : write_at_once(whole);
    if (!is_taken)
        log_count_dropped(1);
}

void log_write(enum log_level level, const char *format, ...)
{
    int saved_errno = errno, len;
    bool is_json = line_format == LOG_JSON;
    char text[TEXT_BYTES];
    struct str shown;
    struct line line;
    int64_t now_us;
    va_list args;

    if (!log_is_on(level))
        return;
    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0)
        len = 0;
    shown = (struct str){text, (size_t)len};
    if (shown.len >= sizeof(text))
        shown = utf8_prefix((struct str){text, sizeof(text) - 1}, sizeof(text) - 4);

    now_us = clock_wall_us();
    begin_line(&line, now_us, level, LOGGER);
    if (is_json)
        put_str(&line, STR(",\"message\":\""));
    line_put_text(&line, shown, is_json);
    if (shown.len < (size_t)len)
        put_str(&line, STR("..."));
    if (is_json)
        line.bytes[line.len++] = '"'; /* of the tail */
    end_line(&line, now_us);
    errno = saved_errno;
}

/* ---- requests ---- */

void log_set_access(bool is_on)
{
    atomic_store_explicit(&is_access_on, is_on, memory_order_relaxed);
}

static enum log_level access_level(void)
{
    return atomic_load_explicit(&is_access_on, memory_order_relaxed) ? LOG_INFO : LOG_DEBUG;
}

bool log_access_is_on(void)
{
    return log_is_on(access_level());
}

/* A text of a request: name=text, or a member of the object. */
static void put_pair(struct line *l, const char *name, struct str text)
{
    bool is_json = line_format == LOG_JSON;

    if (text.len == 0)
        return;
    put_str(l, is_json ? STR(",\"") : STR(" "));
    put_str(l, str_from(name));
    put_str(l, is_json ? STR("\":\"") : STR("="));
    line_put_text(l, text, is_json);
    if (is_json)
        put_str(l, STR("\""));
}

static void put_json_numbers(struct line *l, const struct log_access *a)
{
    char text[96];

    line_put(l, text,
             (size_t)snprintf(text, sizeof(text),
                              ",\"status\":%d,\"bytes\":%llu,\"duration_ms\":%u", a->status,
                              (unsigned long long)a->bytes, a->ms));
}

static void put_words(struct line *l, const struct log_access *a)
{
    char text[96];

    if (line_format == LOG_PLAIN)
        put_str(l, STR("access: "));
    put_str(l, str_from(a->method));
    put_str(l, STR(" "));
    line_put_text(l, a->path, false);
    line_put(l, text,
             (size_t)snprintf(text, sizeof(text), " %d %llu bytes %u ms", a->status,
                              (unsigned long long)a->bytes, a->ms));
}

void log_access(const struct log_access *a)
{
    int64_t now_us = clock_wall_us();
    int saved_errno = errno;
    struct line line;

    if (!log_access_is_on())
        return;
    begin_line(&line, now_us, access_level(), ACCESS_LOGGER);
    if (line_format == LOG_JSON) {
        put_pair(&line, "method", str_from(a->method));
        put_pair(&line, "path", a->path);
        put_json_numbers(&line, a);
    } else {
        put_words(&line, a);
    }
    put_pair(&line, line_format == LOG_JSON ? "request_id" : "request", a->request_id);
    put_pair(&line, line_format == LOG_JSON ? "trace_id" : "trace", a->trace_id);
    put_pair(&line, "address", a->address);
    put_pair(&line, line_format == LOG_JSON ? "team_id" : "team", a->team_id);
    put_pair(&line, line_format == LOG_JSON ? "user_id" : "user", a->user_id);
    put_pair(&line, "ended", str_from(a->ended));
    end_line(&line, now_us);
    errno = saved_errno;
}
