/* The PostgreSQL driver's parts. A loop has three connections: reads, writes, and what may be slow;
 * and, from the first time that it says that the node lives, one for that. */
#ifndef AERIE_DB_PG_H
#define AERIE_DB_PG_H

#include "db/bulk.h"
#include "db/internal.h"
#include "loop/workers.h"

#include <libpq-fe.h>

/* ---- pg_params.c: the address, with its host names resolved ---- */
#define PG_PARAMS_MAX 64
#define PG_HOSTS_MAX  16
/* One address of one host. */
struct pg_host {
    struct str name, address, port;
    const char *names, *addresses,
        *ports; /* libpq's lists of all hosts, which begin with this one */
};
struct pg_params {
    const char *keywords[PG_PARAMS_MAX + 1], *values[PG_PARAMS_MAX + 1]; /* NULL at the end */
    size_t n;
    struct pg_host hosts[PG_HOSTS_MAX];
    size_t n_hosts; /* 0: the address has its own hostaddr, or no host */
    bool has_names; /* which may lead elsewhere one day */
    struct arena arena;
};
/* Blocks for names; fails when none of them leads anywhere. The words are db_say()'s. */
struct error pg_params_init(struct pg_params *p, struct str url) MUST_CHECK;
void pg_params_deinit(struct pg_params *p);
/* Begins a connection: the hosts are tried in turn, from that one on. */
PGconn *pg_params_dial(const struct pg_params *p, size_t first);
/* The host behind the one that pg is at. */
size_t pg_params_behind(const struct pg_params *p, const PGconn *pg);
struct error pg_open_error(PGconn *pg); /* why a connection could not be made, in words */

/* ---- pg_decode.c ---- */
#define PG_ARGS_MAX       64
#define PG_ARG_TEXT_BYTES 32
/* A task's arguments as libpq wants them: text format, and binary for bytes. */
struct pg_args {
    const char *values[PG_ARGS_MAX];
    int lengths[PG_ARGS_MAX], formats[PG_ARGS_MAX];
    char texts[PG_ARGS_MAX][PG_ARG_TEXT_BYTES];
};
void pg_args_set(struct pg_args *out, const struct db_arg *args, size_t n);
/* Cells of a binary result; the arena takes the result, whatever comes out. */
struct error pg_decode(PGresult *res, struct arena *arena, struct db_result *out) MUST_CHECK;
/* What a cell of that type is, for who moves whole tables. */
enum bulk_kind pg_kind(Oid type);
/* A server's complaint, which has a code, without the values that its text may quote. */
void pg_task_fail(struct db_task *t, const PGresult *res);
/* A deadlock or the like was nobody's fault: it was undone and may be tried once more. */
bool pg_was_undone(struct error err);

/* ---- the driver ---- */
struct pg {
    struct str url;          /* in params' arena */
    struct pg_params params; /* as they were at the start */
    int n_params[N_SQL];     /* what each statement takes */
    PGconn *blocking;        /* db_run() and migrations */
    struct workers *names;   /* look names up for the loops; NULL: no loop will ask */
};

PGconn *pg_blocking(const struct db *db);

#define PG_BATCHES 8 /* Syncs that a connection may have outstanding */
struct pg_batch {
    struct list tasks;
    size_t n_tasks;
    bool has_failed;
};

enum pg_state {
    PG_DOWN,       /* the timer will try again */
    PG_CONNECTING, /* PQconnectPoll() goes on */
    PG_PREPARING,  /* statements are being named */
    PG_READY,
    PG_CLOSED, /* for good */
};

/* ---- pg_watch.c: a connection's socket on the loop ---- */
struct pg_poll; /* the handle on a socket, on the heap: libuv gives it back later */
struct pg_watch {
    struct pg_loop *owner;
    void (*on_ready)(struct pg_watch *w, int status, int events); /* UV_READABLE, UV_WRITABLE */
    struct pg_poll *poll; /* NULL: nothing is watched; another one: the connection is another */
    size_t first_host;    /* the next connection begins with it */
};
/* Begins a connection, and watches it. NULL or CONNECTION_BAD: it failed. */
PGconn *pg_watch_dial(struct pg_watch *w);
enum pg_step { PG_STEP_GOING, PG_STEP_DONE, PG_STEP_FAILED };
/* The socket of a connection that is being made is ready. Done: it is there, and never blocks. */
enum pg_step pg_watch_connect(struct pg_watch *w, PGconn *pg);
/* The host that this connection is at says nothing: the next connection begins behind it. */
void pg_watch_pass_over(struct pg_watch *w, const PGconn *pg);
/* Sends what libpq holds, and watches for what it wants now. False: the connection is of no use. */
bool pg_watch_flush(struct pg_watch *w, PGconn *pg);
void pg_watch_close(struct pg_watch *w);
/* How long to wait before the next try, each time longer. *backoff_ms: 0 at first. */
unsigned pg_pause_ms(unsigned *backoff_ms);

struct pg_conn {
    struct pg_loop *owner;
    enum sql_use use;
    enum pg_state state;
    PGconn *pg;
    struct pg_watch watch;
    struct timer
        timer; /* DOWN: the next try; CONNECTING, PREPARING: giving up; READY: the answer is late */
    struct flush flush; /* sends what this turn of the loop has gathered */
    unsigned backoff_ms;
    bool was_down; /* said so in the log */

    bool is_prepared[N_SQL];
    bool is_setting;     /* the answer to the settings comes next, before those */
    size_t prepare_next; /* whose answer comes next, while PG_PREPARING */

    struct fair waiting;                 /* not sent; may be taken back */
    struct list alone;                   /* sent once in a batch that failed: again, one by one */
    struct pg_batch batches[PG_BATCHES]; /* sent, oldest first */
    size_t first_batch, n_batches;
    struct list *at_task; /* whose answer comes next, in the oldest batch */
    size_t at_call;
    bool has_result; /* of at_call */
};

/* ---- pg_names.c: the hosts' names, looked up again ---- */
struct pg_lookup {
    struct work work;
    struct pg *pg;
    struct pg_params *found; /* by this loop's last look-up; NULL: pg->params count */
    struct pg_params *next;  /* the thread's, while it runs */
    uint64_t begun_ms;
    bool is_running;
};

struct pg_loop {
    struct db_loop *dl;
    struct pg *pg;
    struct pg_conn conns[SQL_NODE + 1]; /* by enum sql_use */
    struct pg_ear *ear;                 /* NULL: nobody wants to be told anything */
    struct pg_lookup lookup;
    size_t n_polls; /* handles that libuv has not given back, and a look-up that runs */
    struct timer leave;
    bool is_leaving;
};

/* Where this loop's next connection goes. */
const struct pg_params *pg_names_now(const struct pg_loop *pl);
/* A connection could not be made: the names may lead elsewhere by now. At most once a second. */
void pg_names_look(struct pg_loop *pl);
/* Nothing runs any more. */
void pg_names_deinit(struct pg_loop *pl);

/* ---- pg_conn.c: the life of a connection ---- */
void pg_conn_start(struct pg_conn *c, struct pg_loop *owner, enum sql_use use);
void pg_conn_close(struct pg_conn *c);
enum pg_lost {
    PG_LOST_CONNECTION,
    PG_LOST_LATE,
    PG_LOST_ROLE, /* the server takes no writes any more: another one does */
};
/* Drops the connection, settles what was in flight, and tries again later. */
void pg_conn_lost(struct pg_conn *c, enum pg_lost why);
/* All statements are named. */
void pg_conn_ready(struct pg_conn *c);
void pg_conn_watch(struct pg_conn *c); /* polls for what libpq wants now */
void pg_conn_set_state(struct pg_conn *c, enum pg_state state);
/* Ends the loop's handle once libuv has given back the sockets' handles: pg.c. */
void pg_loop_leave(struct pg_loop *pl);
/* The server has become another's standby: all connections of the loop are made anew. */
void pg_loop_move(struct pg_loop *pl);

/* ---- pg_ear.c: what the database tells ---- */
struct error pg_ear_open(struct db_loop *dl, struct db_ear *ear, const char *channel) MUST_CHECK;
void pg_ear_close(struct pg_loop *pl); /* none is there: fine */
void pg_ear_move(struct pg_loop *pl);  /* the same; listens anew */

/* ---- pg_pipeline.c: what goes over it ---- */
/* False: the connection is of no use. */
bool pg_pipeline_prepare(struct pg_conn *c);
void pg_pipeline_submit(struct pg_conn *c, struct db_task *t);
/* Takes what libpq has parsed. May end operations. */
void pg_pipeline_receive(struct pg_conn *c);
/* The connection is gone: ends or keeps what was in flight. */
void pg_pipeline_settle(struct pg_conn *c, enum pg_lost why);
void pg_pipeline_send(struct pg_conn *c);

#endif
