/* What went wrong, once: a status to act on, the library's number, and words for people. */
#ifndef AERIE_BASE_ERROR_H
#define AERIE_BASE_ERROR_H

#include "base/str.h"

enum status {
    OK = 0,
    /* the asker */
    ERR_BAD_REQUEST,    /* 400: malformed, or a conflict that the contract answers with 400 */
    ERR_UNAUTHORIZED,   /* 401 */
    ERR_FORBIDDEN,      /* 403 */
    ERR_NOT_FOUND,      /* 404 */
    ERR_METHOD,         /* 405 */
    ERR_CLIENT_TIMEOUT, /* 408 */
    ERR_CONFLICT,       /* 409 */
    ERR_TOO_LARGE,      /* 413 */
    ERR_URI_TOO_LONG,   /* 414 */
    ERR_MEDIA_TYPE,     /* 415 */
    ERR_INVALID,        /* 422; fields are told with request_field_error() */
    ERR_RATE_LIMITED,   /* 429; code: seconds to wait */
    ERR_BUDGET_SPENT,   /* 429: a reply was cut because its budget is spent; code: seconds to wait */
    ERR_HEAD_TOO_LARGE, /* 431 */
    /* us */
    ERR_INTERNAL,    /* 500 */
    ERR_NO_MEMORY,   /* 503 */
    ERR_BUSY,        /* 503: a bounded queue is full; code: seconds to wait */
    ERR_UNAVAILABLE, /* 503: a part is missing or not configured; detail goes to the client */
    ERR_DB,          /* 503: the database failed; code: SQLSTATE or SQLite's code */
    ERR_DB_TIMEOUT,  /* 503 */
    ERR_NOT_SAVED,   /* 503: the reply could not be stored */
    ERR_DISK_FULL,   /* 507 */
    /* those we ask; public names are api.md's error codes */
    ERR_PROVIDER_UNREACHABLE,  /* 502 */
    ERR_PROVIDER_TIMEOUT,      /* 504 */
    ERR_PROVIDER_AUTH,         /* 502 */
    ERR_PROVIDER_RATE_LIMITED, /* 503; code: seconds to wait, or 0 */
    ERR_PROVIDER_ERROR,        /* 502 */
    ERR_PROVIDER_MALFORMED,    /* 502 */
    ERR_EMPTY_REPLY,           /* 502 */
    ERR_INTERRUPTED,           /* 502: the answer was cut */
    ERR_UPSTREAM_LIMIT,        /* 502: a line, event or reply was too long */
    /* no failures: why an operation or a flow ended early */
    ERR_CANCELED,
    ERR_GONE,    /* the client left */
    ERR_STOPPED, /* someone asked to stop */
    N_STATUSES,
};

struct error {
    enum status status;
    int code;
    const char *detail; /* static, or as long-lived as the flow; for people, never parsed */
};

#define NO_ERROR                    ((struct error){OK, 0, NULL})
#define ERROR(status, code, detail) ((struct error){(status), (code), (detail)})
#define MUST_CHECK                  __attribute__((warn_unused_result))

static inline bool is_error(struct error e)
{
    return e.status != OK;
}

/* One row a status. */
struct status_row {
    int http_status;
    const char *name;   /* public: "provider_timeout" */
    const char *detail; /* the sentence when an error brings none */
    int log_level;      /* enum log_level */
};
const struct status_row *status_row(enum status status);
/* The sentence for clients: our own words, and those written for them; a library's or a provider's
 * stay in. As long-lived as err's. */
const char *error_public_detail(const struct error *err);
/* The system's words for an errno, static: for logs and commands. */
const char *errno_text(int number);

#endif
