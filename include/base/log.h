/* The process's log. Any thread. One escaped line a record, never blocking for long: a record that
 * finds no room is dropped and counted. Never give it message text, tokens, keys, e-mail addresses
 * or passwords. */
#ifndef AERIE_BASE_LOG_H
#define AERIE_BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };
enum log_format {
    LOG_PLAIN, /* 2026-01-31T12:00:00.123Z INFO what happened */
    LOG_JSON,  /* one object */
    LOG_DASHES /* 2026-01-31 12:00:00 - aerie - INFO - what happened, in the machine's time zone */
};

/* Before other threads start. Until then records go to stderr at LOG_INFO, plain. A record that
 * cannot be written to fd at once is dropped. */
void log_init(enum log_level level, int fd);
void log_set_level(enum log_level level);
void log_set_format(enum log_format format); /* before other threads start */
bool log_level_from(struct str name, enum log_level *out);
bool log_is_on(enum log_level level);
uint64_t log_dropped(void);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- files ---- */
struct log_files {
    const char *path;    /* the file, or the directory of files YYYYMMDD_LOG.log, a day each */
    bool is_daily;       /* the latter. The day is that of the machine's time zone */
    unsigned keep_days;  /* files of older days are deleted */
    size_t buffer_bytes; /* what may wait for a slow disk; past it records are dropped */
};
/* Records go to the end of files from now on, made with mode 0640, written by a thread of their
 * own. Before other threads log. Returns errno, and then all is as it was. path: copied. */
int log_open(const struct log_files *files);
/* The file is opened again, for it was moved away, and keep_days counts from now on; no record is
 * lost between. Returns errno, and then it goes on as before. */
int log_reopen(unsigned keep_days);
/* Returns when all records until now are on their way to the disk, or dropped; nothing to do
 * without files. */
void log_flush(void);
/* The same, and the thread ends: records go where log_init() said. */
void log_close(void);

/* ---- requests ---- */
/* One request that has ended. ptr NULL and NULL: not known. */
struct log_access {
    const char *method;
    struct str path; /* without the query */
    int status;
    uint64_t bytes; /* of the answer's body */
    unsigned ms;
    struct str request_id, trace_id, address, team_id, user_id;
    const char *ended; /* how a stream did */
};
/* Is there a line for each request? At LOG_INFO when it was switched on, else at LOG_DEBUG. Any
 * time. */
void log_set_access(bool is_on);
bool log_access_is_on(void);
/* Its logger is aerie.access. */
void log_access(const struct log_access *a);

/* "module: what happened, the facts" */
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) (log_is_on(LOG_DEBUG) ? log_write(LOG_DEBUG, __VA_ARGS__) : (void)0)
#define log_trace(...) (log_is_on(LOG_TRACE) ? log_write(LOG_TRACE, __VA_ARGS__) : (void)0)

#endif
