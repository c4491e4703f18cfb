/* A small HTTP client for commands: blocking, one call at a time, on the main thread. It follows no
 * redirect and uses no proxy but the environment's (https_proxy, no_proxy). */
#ifndef AERIE_SRC_COMMAND_REMOTE_H
#define AERIE_SRC_COMMAND_REMOTE_H

#include "base/buf.h"
#include "base/error.h"

#include <curl/curl.h>

#define REMOTE_BODY_BYTES  ((size_t)4 * 1024 * 1024)
#define REMOTE_TOKEN_BYTES 2100
#define REMOTE_WORD_BYTES  128

/* A server, and who we are to it. */
struct remote {
    struct buf base;                /* "https://chat.example", without a slash at its end */
    char token[REMOTE_TOKEN_BYTES]; /* access token or API key; "" : none */
    const char *ca_file;            /* NULL: the system's */
    CURL *easy;                     /* keeps its connection from call to call */
};

struct remote_call {
    /* what to do */
    const char *method, *path; /* path may be a whole URL */
    struct str body;           /* ptr NULL: none */
    const char *content_type;  /* NULL: application/json */
    const char *accept;        /* NULL: application/json */
    const char *const *headers; /* lines, ended by NULL; or NULL */
    long timeout_ms;            /* of the whole; 0: none */
    long silence_s;             /* the longest; 0: any */
    bool is_http_1, takes_gzip, has_no_token, wants_certificate;
    /* May be NULL. state is the caller's. */
    bool (*on_bytes)(struct remote_call *call, struct str bytes); /* of a 200; false: enough */
    bool (*on_wait)(struct remote_call *call); /* about once a second, and after a signal; false:
                                                  give up */
    void *state;

    /* how it went */
    CURLcode code;
    char reason[CURL_ERROR_SIZE]; /* libcurl's words, when code is not CURLE_OK */
    long status;                  /* 0: no answer */
    struct buf body_read;         /* what on_bytes did not get */
    char type[REMOTE_WORD_BYTES], encoding[REMOTE_WORD_BYTES], location[REMOTE_WORD_BYTES * 2],
        date[REMOTE_WORD_BYTES], retry_after[REMOTE_WORD_BYTES], server[REMOTE_WORD_BYTES];
    char peer[64];              /* the address that was reached */
    long n_connects;            /* new ones that the call took */
    int64_t certificate_end_us; /* with wants_certificate; 0: there is none */
};

/* url: http or https and a host. ERR_INVALID with a sentence. */
struct error remote_open(struct remote *c, struct str url, struct str ca_file) MUST_CHECK;
void remote_close(struct remote *c); /* forgets the token */
void remote_run(struct remote *c, struct remote_call *call);
void remote_call_deinit(struct remote_call *call);
/* One line for people: what the answer, or its absence, means. Foreign text in it is harmless. */
void remote_explain(const struct remote *c, const struct remote_call *call, struct buf *out);

#endif
