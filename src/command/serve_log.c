/* The server's log, by log.* of the configuration. */
#include "serve_log.h"

#include "base/arena.h"
#include "base/log.h"
#include "config/config.h"

#include <errno.h>

struct str serve_log_path(void)
{
    const struct config_log *c = &config()->log;

    if (c->directory.len > 0)
        return c->directory;
    return c->file.len > 0 ? c->file : STR_NONE;
}

static enum log_format format_of(const struct config_log *c)
{
    if (str_eq(c->format, STR("json")))
        return LOG_JSON;
    if (str_eq(c->format, STR("seed")) || (str_eq(c->format, STR("auto")) && c->directory.len > 0))
        return LOG_DASHES;
    return LOG_PLAIN;
}

void serve_log_settle(void)
{
    const struct config_log *c = &config()->log;
    enum log_level level = LOG_INFO;

    if (log_level_from(c->level, &level))
        log_set_level(level);
    log_set_access(
        str_eq(c->access, STR("on")) ||
        (str_eq(c->access, STR("auto")) && (serve_log_path().ptr || format_of(c) == LOG_JSON)));
}

struct error serve_log_open(void)
{
    const struct config_log *c = &config()->log;
    struct arena arena = {0};
    struct log_files files = {
        .path = arena_copy(&arena, serve_log_path()).ptr,
        .is_daily = c->directory.len > 0,
        .keep_days = (unsigned)c->retention_days,
        .buffer_bytes = (size_t)c->buffer_bytes,
    };
    struct error err = NO_ERROR;
    int code = 0;

    if (c->directory.len > 0 && c->file.len > 0)
        err = ERROR(ERR_INVALID, 0, "set log.file or log.directory, not both");
    else if (serve_log_path().ptr)
        code = files.path ? log_open(&files) : ENOMEM;
    if (code != 0) {
        log_error("serve: the log cannot be opened: %s", errno_text(code));
        err =
            ERROR(ERR_INVALID, code,
                  files.is_daily ? "log.directory cannot be opened" : "log.file cannot be opened");
    }
    arena_free(&arena);
    if (is_error(err))
        return err;
    log_set_format(format_of(c));
    serve_log_settle();
    return NO_ERROR;
}

void serve_log_reopen(void)
{
    int code = log_reopen((unsigned)config()->log.retention_days);

    if (code != 0)
        log_error("serve: the log cannot be opened again: %s", errno_text(code));
}
