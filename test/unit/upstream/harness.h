/* For the tests of upstream: a server that says what it is told, a loop that makes one call, and
 * the recorded conversations. */
#ifndef AERIE_TEST_UPSTREAM_HARNESS_H
#define AERIE_TEST_UPSTREAM_HARNESS_H

#include "config/config.h"
#include "upstream/fetch.h"
#include "upstream/upstream.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

enum finish {
    FINISH_CLOSE, /* the server closes */
    FINISH_RESET, /* with RST */
    FINISH_HANG,  /* it waits until the client closes */
    FINISH_NEXT,  /* it reads another request on this connection */
};

struct answer {
    struct str bytes;
    size_t piece_bytes; /* of one write; 0: all at once */
    enum finish finish;
};

/* Answers the n-th request with the n-th answer, and further ones with the last. */
struct server {
    int fd;
    unsigned port;
    pthread_t thread;
    const struct answer *answers;
    size_t n_answers;
    atomic_uint n_connections, n_requests, n_closed_by_client;
    char request[256 * 1024]; /* the last one, a string */
};
void server_start(struct server *s, const struct answer *answers, size_t n);
void server_stop(struct server *s);

/* What came of one call. */
struct outcome {
    struct error err;
    struct buf text, status;
    unsigned n_ends, n_pieces, n_turns;
    unsigned n_rest_turns; /* of the loop, while it rested */
    struct upstream_usage usage;
    char model[128];
    int http_status, retry_after_s; /* of a fetch, whose body is in text */
    uint64_t took_ms;
};

/* A config with short limits, loopback allowed. Set by harness_open(), and may be changed before a
 * call. */
extern struct config test_config;
void harness_open(void);
void harness_close(void);
/* One test between the two. */
int harness_set_up(void **state);
int harness_tear_down(void **state);
#define UPSTREAM_TEST(fn) cmocka_unit_test_setup_teardown(fn, harness_set_up, harness_tear_down)

struct ask {
    const char *provider, *url, *token, *model, *config, *content;
    const struct str *tokens; /* in place of token */
    size_t n_tokens;
    const struct fetch_request *fetch; /* this, and no call */
    unsigned cancel_at_turn;           /* fail the flow at the n-th turn of the loop; 0: never */
    unsigned cancel_at_piece;          /* from on_text */
    unsigned n_calls;                  /* one after the other on the same loop; 0: one */
    unsigned rest_ms;                  /* the loop goes on for so long after the last */
    void (*watch)(bool is_ours); /* false while the harness itself runs; NULL: nobody watches */
    unsigned turn_us; /* each turn of the loop waits so long, and finds what has gathered */
};
void ask(const struct ask *what, struct outcome *out);
void outcome_free(struct outcome *out);

/* The bytes that the server sent in a capture of test/fake/captures. */
void capture_read(const char *name, struct buf *out);
/* The body of a whole HTTP/1.1 answer, without chunks. False: it was cut. */
bool http_body(struct str answer, int *status, struct buf *body);

struct capture {
    const char *name;
    enum status status;
    const char *text;
};
extern const struct capture captures[];
extern const size_t n_captures;

#endif
