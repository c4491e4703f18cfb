/* The process's log: one line, one write. */
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A line is never longer than what a pipe takes whole once poll() calls it writable. */
enum { LINE_BYTES = PIPE_BUF, TEXT_BYTES = 2048 };

static _Atomic enum log_level least_level = LOG_INFO;
static int log_fd = STDERR_FILENO;
static bool is_socket, is_file;
static bool is_cut; /* the last record is there in part, without its end; under the lock */
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint_fast64_t n_dropped;

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};
static const char *const level_marks[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};

void log_init(enum log_level level, int fd)
{
    struct stat st;

    log_set_level(level);
    log_fd = fd;
    is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    is_file = false;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&least_level, level, memory_order_relaxed);
}

int log_open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    int code = 0;

    if (fd < 0)
        return errno;
    if (!is_file) {
        log_init(atomic_load_explicit(&least_level, memory_order_relaxed), fd);
        is_file = true;
        return 0;
    }
    /* In the place of the old one: whoever writes at this moment writes to either. */
    if (dup3(fd, log_fd, O_CLOEXEC) < 0)
        code = errno;
    close(fd);
    return code;
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

/* A line under way; what does not fit any more is left out. */
struct line {
    char bytes[LINE_BYTES];
    size_t len;
};

static void put(struct line *l, const char *bytes, size_t len)
{
    if (len <= sizeof(l->bytes) - 1 - l->len) { /* one byte is the newline's */
        memcpy(l->bytes + l->len, bytes, len);
        l->len += len;
    }
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* What secrets begin with. The callers keep them out of the log; this is for the one who forgot. */
static const struct {
    struct str prefix;
    size_t least_len; /* of the rest, so that plain words pass */
} secret_shapes[] = {
    {{"eck_", 4}, 8},  /* our API keys */
    {{"eyJ", 3}, 8},   /* JSON Web Tokens */
    {{"sk-", 3}, 16},  /* OpenAI, OpenRouter, Anthropic */
    {{"gsk_", 4}, 16}, /* Groq */
    {{"AIza", 4}, 16}, /* Google */
};

/* Number of bytes at the beginning of s that are a secret, or 0. */
static size_t secret_len(struct str s)
{
    for (size_t i = 0; i < sizeof(secret_shapes) / sizeof(secret_shapes[0]); i++) {
        size_t at = secret_shapes[i].prefix.len;

        if (!str_starts_with(s, secret_shapes[i].prefix))
            continue;
        while (at < s.len && (is_word(s.ptr[at]) || s.ptr[at] == '.'))
            at++;
        if (at - secret_shapes[i].prefix.len >= secret_shapes[i].least_len)
            return at;
    }
    return 0;
}

/* Number of bytes at the beginning of s that are an e-mail address, '@' plain or as in a URL, or
 * 0. */
static size_t email_len(struct str s)
{
    size_t local = 0, at, domain;

    while (local < s.len && (is_word(s.ptr[local]) || s.ptr[local] == '.' || s.ptr[local] == '+'))
        local++;
    at = local;
    if (at < s.len && s.ptr[at] == '@')
        at++;
    else if (str_starts_with(str_skip(s, at), STR("%40")))
        at += 3;
    else
        return 0;
    for (domain = at; at < s.len && (is_word(s.ptr[at]) || s.ptr[at] == '.'); at++)
        ;
    return local > 0 && at > domain ? at : 0;
}

static void put_redacted(struct line *l)
{
    put(l, "[redacted]", 10);
}

/* The word behind i, with the spaces before it. */
static size_t skip_word(struct str s, size_t i)
{
    while (i < s.len && s.ptr[i] == ' ')
        i++;
    while (i < s.len && (unsigned char)s.ptr[i] > ' ' && s.ptr[i] != '"' && s.ptr[i] != '\'')
        i++;
    return i;
}

/* "Bearer xxx": the word is kept, once: who configured "Bearer xxx" as a token has it twice.
 * Returns the bytes taken, or 0. */
static size_t put_bearer(struct line *l, struct str s)
{
    const struct str word = STR("Bearer ");
    size_t at = word.len;

    if (!str_starts_with_nocase(s, word) || str_trim(str_skip(s, at)).len == 0)
        return 0;
    do
        at = skip_word(s, at);
    while (at < s.len && s.ptr[at] == ' ' &&
           str_eq_nocase((struct str){s.ptr + at + 1 - word.len, word.len}, word));
    put(l, s.ptr, word.len);
    put_redacted(l);
    return at;
}

/* One byte or character, escaped when a terminal or a line-reading program could take it amiss. */
static size_t put_char(struct line *l, struct str s, bool is_utf8)
{
    unsigned char c = (unsigned char)s.ptr[0];
    unsigned char second = s.len > 1 ? (unsigned char)s.ptr[1] : 0;
    char escaped[8];
    size_t used = 1;

    if (c == '\n')
        put(l, "\\n", 2);
    else if (c == '\r')
        put(l, "\\r", 2);
    else if (c == '\t')
        put(l, "\\t", 2);
    else if (c == '\\')
        put(l, "\\\\", 2);
    else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !is_utf8))
        put(l, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\x%02x", c));
    else if (c == 0xc2 && second < 0xa0) { /* U+0080 to U+009F: controls, too */
        put(l, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", second));
        used = 2;
    } else
        put(l, s.ptr, 1);
    return used;
}

static void put_text(struct line *l, struct str text)
{
    bool is_utf8 = utf8_is_valid(text), starts_word = true;
    size_t used;

    while (text.len > 0) {
        used = starts_word ? put_bearer(l, text) : 0;
        if (used == 0 && starts_word &&
            ((used = secret_len(text)) > 0 || (used = email_len(text)) > 0))
            put_redacted(l);
        if (used == 0)
            used = put_char(l, text, is_utf8);
        starts_word = !is_word(text.ptr[used - 1]);
        text = str_skip(text, used);
    }
}

/* A full disk may take half a record: the next one does not begin in its line. */
static void end_cut_line(void)
{
    if (is_cut && write(log_fd, "\n", 1) == 1)
        is_cut = false;
}

/* True when the whole line was taken. The lock keeps two threads from both trusting one poll(). */
static bool write_line(const struct line *l)
{
    struct pollfd ready = {.fd = log_fd, .events = POLLOUT};
    ssize_t n = -1;

    pthread_mutex_lock(&write_lock);
    if (is_socket)
        n = send(log_fd, l->bytes, l->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT)) {
        end_cut_line();
        if (!is_cut)
            n = write(log_fd, l->bytes, l->len);
        if (n > 0 && n < (ssize_t)l->len)
            is_cut = true;
    }
    pthread_mutex_unlock(&write_lock);
    return n == (ssize_t)l->len;
}

void log_write(enum log_level level, const char *format, ...)
{
    int saved_errno = errno, len;
    char text[TEXT_BYTES], time[CLOCK_TEXT_BYTES];
    struct str shown, at;
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
    at = clock_format(now_us - now_us % 1000000, time);
    line.len = 0;
    put(&line, at.ptr, at.len - 1); /* without the Z: milliseconds come first */
    line.len += (size_t)snprintf(line.bytes + line.len, 32, ".%03dZ %s ",
                                 (int)(now_us / 1000 % 1000), level_marks[level]);
    put_text(&line, shown);
    if (shown.len < (size_t)len)
        put(&line, "...", 3);
    line.bytes[line.len++] = '\n';
    if (!write_line(&line))
        atomic_fetch_add_explicit(&n_dropped, 1, memory_order_relaxed);
    errno = saved_errno;
}
