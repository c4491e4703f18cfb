/* The process's log. Any thread. One escaped line a record, never blocking for long: a record that
 * cannot be written at once is dropped and counted. Never give it message text, tokens, keys,
 * e-mail addresses or passwords. */
#ifndef AERIE_BASE_LOG_H
#define AERIE_BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* Before other threads start. Until then records go to stderr at LOG_INFO. */
void log_init(enum log_level level, int fd);
void log_set_level(enum log_level level);
/* Records go to the end of this file, made with mode 0640. First before other threads start; again
 * when the file was moved away, to begin a new one: no record is lost between. Returns errno, and
 * then it goes on as before. */
int log_open_file(const char *path);
bool log_level_from(struct str name, enum log_level *out);
bool log_is_on(enum log_level level);
uint64_t log_dropped(void);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "module: what happened, the facts" */
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) (log_is_on(LOG_DEBUG) ? log_write(LOG_DEBUG, __VA_ARGS__) : (void)0)
#define log_trace(...) (log_is_on(LOG_TRACE) ? log_write(LOG_TRACE, __VA_ARGS__) : (void)0)

#endif
