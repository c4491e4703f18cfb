/* One thread's world: a libuv loop with its timer wheel, its mailbox and its list of things to
 * flush. An object lives and dies on one loop; only loop_post() may be called from another thread.
 */
#ifndef AERIE_LOOP_LOOP_H
#define AERIE_LOOP_LOOP_H

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"

#include <uv.h>

/* Rooms above keep their state of each loop here, so that no one needs a global. */
enum loop_room {
    ROOM_TRACE,
    ROOM_DB,
    ROOM_HTTP,
    ROOM_UPSTREAM,
    ROOM_ACCOUNT,
    ROOM_CHAT,
    ROOM_WEBHOOK,
    N_LOOP_ROOMS
};

/* ---- timers: a wheel with a tick of 8 ms; never early, at most two ticks late ---- */
struct timer {
    struct list link;
    uint64_t due_ms;
    void (*run)(struct timer *t);
};

#define WHEEL_LEVELS 4
#define WHEEL_SLOTS  256
struct timer_wheel {
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    uint64_t tick; /* the last one run */
    size_t count;
};

/* ---- letters from other threads ---- */
struct mail {
    struct mail *next;
    void (*run)(struct mail *m); /* on the receiving loop; may free m */
};

/* ---- output gathered during a turn of the loop, written once at its end ---- */
struct flush {
    struct list link;
    void (*run)(struct flush *f);
};

struct loop {
    uv_loop_t uv;
    unsigned index;
    void *rooms[N_LOOP_ROOMS];

    struct timer_wheel timers;
    uv_timer_t timer_handle;
    uint64_t timer_armed_ms; /* when timer_handle fires; 0: not armed */

    uv_async_t mail_handle;
    uv_mutex_t mail_lock;
    struct mail *mail_first, **mail_last;
    bool mail_closed;

    struct list dirty;
    uv_prepare_t prepare;
    uv_check_t check;
    uint64_t woken_ms; /* when it last stopped waiting; 0: that is counted */

    uv_thread_t thread;
    /* One read buffer for all sockets: valid inside a read callback only. */
    char read_buffer[64 * 1024];
};

struct error loop_init(struct loop *l, unsigned index) MUST_CHECK;
/* Runs on the calling thread until loop_stop(). */
void loop_run(struct loop *l);
/* Closes the loop's own handles; loop_run() returns when the rooms have closed theirs. Loop's
 * thread. */
void loop_close(struct loop *l);
/* After loop_run() returned, and no other thread may post any more. Any thread. */
void loop_deinit(struct loop *l);
/* How late each loop is, for GET /metrics. */
void loop_metrics(struct buf *out);
struct loop *loop_current(void); /* NULL on a thread without one */
void loop_assert_current(const struct loop *l);
uint64_t loop_now_ms(const struct loop *l); /* monotonic, of this turn of the loop */

/* Starts or moves t. Zero-filled is "not started". On the loop that is current. */
void timer_start(struct timer *t, uint64_t delay_ms, void (*run)(struct timer *t));
void timer_stop(struct timer *t);
static inline bool timer_is_started(const struct timer *t)
{
    return list_is_linked(&t->link);
}

/* Any thread. Letters arrive in order of posting from one thread. False once the loop has closed: m
 * stays the caller's. */
bool loop_post(struct loop *to, struct mail *m);

/* f->run is called once at the end of this turn of the loop; marking twice is marking once. */
void loop_mark_dirty(struct flush *f, void (*run)(struct flush *f));
void loop_unmark_dirty(struct flush *f);

#endif
