/* The table of statuses. */
#include "base/error.h"

#include "base/log.h"

#include <assert.h>
#include <string.h>

static const struct status_row rows[N_STATUSES] = {
    [OK] = {200, "ok", "OK", LOG_DEBUG},

    [ERR_BAD_REQUEST] = {400, "bad_request", "The request is malformed", LOG_DEBUG},
    [ERR_UNAUTHORIZED] = {401, "unauthorized", "Not authenticated", LOG_DEBUG},
    [ERR_FORBIDDEN] = {403, "forbidden", "Not enough permissions", LOG_DEBUG},
    [ERR_NOT_FOUND] = {404, "not_found", "Not found", LOG_DEBUG},
    [ERR_METHOD] = {405, "method_not_allowed", "Method not allowed", LOG_DEBUG},
    [ERR_CLIENT_TIMEOUT] = {408, "request_timeout", "The request took too long", LOG_DEBUG},
    [ERR_CONFLICT] = {409, "conflict", "The request conflicts with the present state", LOG_DEBUG},
    [ERR_TOO_LARGE] = {413, "too_large", "The body is too large", LOG_DEBUG},
    [ERR_URI_TOO_LONG] = {414, "uri_too_long", "The request line is too long", LOG_DEBUG},
    [ERR_MEDIA_TYPE] = {415, "unsupported_media_type", "This kind of body is not understood",
                        LOG_DEBUG},
    [ERR_INVALID] = {422, "invalid", "A field is missing or wrong", LOG_DEBUG},
    [ERR_RATE_LIMITED] = {429, "rate_limited", "Too many requests, try again later", LOG_DEBUG},
    [ERR_BUDGET_SPENT] = {429, "budget_spent", "The budget is spent", LOG_DEBUG},
    [ERR_HEAD_TOO_LARGE] = {431, "head_too_large", "The request headers are too large", LOG_DEBUG},

    [ERR_INTERNAL] = {500, "internal", "Something went wrong on our side", LOG_ERROR},
    [ERR_NO_MEMORY] = {503, "unavailable", "The server is short of memory, try again later",
                       LOG_ERROR},
    [ERR_BUSY] = {503, "busy", "The server is busy, try again later", LOG_WARN},
    [ERR_UNAVAILABLE] = {503, "unavailable", "This is not available at the moment", LOG_WARN},
    [ERR_DB] = {503, "unavailable", "The database is not available, try again later", LOG_ERROR},
    [ERR_DB_TIMEOUT] = {503, "unavailable", "The database took too long, try again later",
                        LOG_WARN},
    [ERR_NOT_SAVED] = {503, "not_saved", "The reply could not be saved", LOG_ERROR},
    [ERR_DISK_FULL] = {507, "disk_full", "The server has no room left to store this", LOG_ERROR},

    [ERR_PROVIDER_UNREACHABLE] = {502, "provider_unreachable", "The agent could not be reached",
                                  LOG_WARN},
    [ERR_PROVIDER_TIMEOUT] = {504, "provider_timeout", "The agent did not answer in time",
                              LOG_WARN},
    [ERR_PROVIDER_AUTH] = {502, "provider_auth", "The agent refused our credentials", LOG_WARN},
    [ERR_PROVIDER_RATE_LIMITED] = {503, "provider_rate_limited",
                                   "The agent is asked too often, try again later", LOG_WARN},
    [ERR_PROVIDER_ERROR] = {502, "provider_error", "The agent answered with an error", LOG_WARN},
    [ERR_PROVIDER_MALFORMED] = {502, "provider_malformed",
                                "The agent's answer could not be understood", LOG_WARN},
    [ERR_EMPTY_REPLY] = {502, "empty_reply", "The agent answered with nothing", LOG_WARN},
    [ERR_INTERRUPTED] = {502, "interrupted", "The agent's answer was cut short", LOG_WARN},
    [ERR_UPSTREAM_LIMIT] = {502, "upstream_limit", "The agent's answer was too long", LOG_WARN},

    [ERR_CANCELED] = {503, "canceled", "The request was canceled", LOG_DEBUG},
    [ERR_GONE] = {499, "gone", "The client closed the connection", LOG_DEBUG},
    [ERR_STOPPED] = {409, "stopped", "The reply was stopped", LOG_DEBUG},
};

const struct status_row *status_row(enum status status)
{
    assert(status < N_STATUSES && rows[status].name);
    return &rows[status];
}

const char *error_public_detail(const struct error *err)
{
    if (err->detail && (err->status < ERR_INTERNAL || err->status == ERR_UNAVAILABLE))
        return err->detail;
    return status_row(err->status)->detail;
}

const char *errno_text(int number)
{
    const char *text = strerrordesc_np(number); /* strerror() may write to what threads share */

    return text ? text : "an unknown error";
}
