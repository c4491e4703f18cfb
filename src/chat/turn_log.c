/* A turn's events. See chat/turn_log.h for how they are numbered and why the log is shared. */
#include "chat/turn_log.h"

#include "base/arena.h"
#include "chat/metrics.h"
#include "chat/turn.h"
#include "config/config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS_PER_BYTE 8
#define FIRST_NOTICES    2
#define MAX_NOTICES      16
#define FIRST_MEMORY     256 /* of what is there before the end */
#define FIRST_TEXT       512 /* of a text that grows by doubling */
/* Every turn that began ends with an event, come what may. */
#define NO_MEMORY_EVENT                                                                            \
    "{\"type\":\"error\",\"data\":{\"message\":\"Out of memory\",\"code\":\"internal\"}}"

/* The readers of one loop. Made by its first, freed when the last has gone and no letter is under
 * way. */
struct log_watch {
    struct list link;     /* in the log, under its lock */
    struct turn_log *log; /* counted */
    struct loop *loop;
    struct list readers; /* the loop's thread only */
    struct flush flush;  /* growth on the owner's own loop */
    struct mail mail;    /* growth on another */
    bool is_posted;      /* under the log's lock */
    bool is_running; /* readers are being told: the last one to go leaves the freeing to on_grown()
                      */
};

void turn_log_key(const struct id *chat_id, const struct id *owner_id, char out[2 * ID_LEN])
{
    memcpy(out, chat_id->text, ID_LEN);
    memcpy(out + ID_LEN, owner_id->text, ID_LEN);
}

static bool make_room(struct turn_log *log, unsigned max)
{
    struct notice *more = arena_alloc(log->memory, max * sizeof(*more));

    if (!more)
        return false;
    for (unsigned i = 0; i < log->n_notices; i++)
        more[i] = log->notices[i];
    log->notices = more;
    log->max_notices = max;
    return true;
}

struct turn_log *turn_log_new(const struct id *team_id, const struct id *owner_id,
                              const struct id *chat_id, struct str idempotency_key,
                              struct str body_hash)
{
    struct turn_log *log = calloc(1, sizeof(*log));

    if (!log)
        return NULL;
    log->memory = calloc(1, sizeof(*log->memory));
    if (!log->memory || uv_mutex_init(&log->lock) != 0) {
        free(log->memory);
        free(log);
        return NULL;
    }
    arena_reserve(log->memory, FIRST_MEMORY);
    log->reply_id = id_v7();
    log->team_id = *team_id;
    log->owner_id = *owner_id;
    log->chat_id = *chat_id;
    log->idempotency_key = arena_copy(log->memory, idempotency_key);
    log->body_hash = arena_copy(log->memory, body_hash);
    turn_log_key(chat_id, owner_id, log->key);
    log->owner = loop_current();
    buf_init(&log->text, config()->upstream.reply_bytes);
    list_init(&log->watches);
    atomic_init(&log->refs, 1);
    atomic_init(&log->phase, TURN_LOG_PENDING);
    atomic_init(&log->n_readers, 0);
    if (!log->idempotency_key.ptr || !log->body_hash.ptr || !make_room(log, FIRST_NOTICES)) {
        turn_log_unref(log);
        return NULL;
    }
    return log;
}

struct turn_log *turn_log_ref(struct turn_log *log)
{
    atomic_fetch_add_explicit(&log->refs, 1, memory_order_relaxed);
    return log;
}

void turn_log_unref(struct turn_log *log)
{
    if (atomic_fetch_sub_explicit(&log->refs, 1, memory_order_acq_rel) != 1)
        return;
    assert(list_is_empty(&log->watches));
    counter_add(&chat_count()->log_bytes, (uint64_t)0 - log->text.len);
    buf_deinit(&log->text);
    arena_free(log->memory);
    free(log->memory);
    uv_mutex_destroy(&log->lock);
    free(log);
}

enum turn_log_phase turn_log_phase(const struct turn_log *log)
{
    return (enum turn_log_phase)atomic_load_explicit(&log->phase, memory_order_acquire);
}

static void set_phase(struct turn_log *log, enum turn_log_phase phase)
{
    atomic_store_explicit(&log->phase, (int)phase, memory_order_release);
}

/* Frees the watch when nobody reads and nothing points at it. On its loop. */
static void watch_settle(struct log_watch *w)
{
    struct turn_log *log = w->log;
    bool is_free;

    if (w->is_running || !list_is_empty(&w->readers))
        return;
    uv_mutex_lock(&log->lock);
    is_free = !w->is_posted;
    if (is_free)
        list_remove(&w->link);
    uv_mutex_unlock(&log->lock);
    if (!is_free)
        return; /* on_watch_mail() comes and settles */
    loop_unmark_dirty(&w->flush);
    free(w);
    turn_log_unref(log);
}

static void on_grown(struct log_watch *w)
{
    struct list told, *link;

    w->is_running = true;
    list_init(&told);
    list_splice(&told, &w->readers);
    while ((link = list_pop(&told))) {
        struct log_reader *r = container_of(link, struct log_reader, link);

        list_push(&w->readers, link);
        r->on_grow(r);
    }
    w->is_running = false;
    watch_settle(w);
}

static void on_watch_flush(struct flush *f)
{
    on_grown(container_of(f, struct log_watch, flush));
}

static void on_watch_mail(struct mail *m)
{
    struct log_watch *w = container_of(m, struct log_watch, mail);

    uv_mutex_lock(&w->log->lock);
    w->is_posted = false;
    uv_mutex_unlock(&w->log->lock);
    on_grown(w);
}

/* Under the lock, on the owner's loop. */
static void tell_readers(struct turn_log *log)
{
    for (struct list *it = log->watches.next; it != &log->watches; it = it->next) {
        struct log_watch *w = container_of(it, struct log_watch, link);

        if (w->loop == log->owner) {
            loop_mark_dirty(&w->flush, on_watch_flush);
        } else if (!w->is_posted) {
            w->mail.run = on_watch_mail;
            w->is_posted = loop_post(w->loop, &w->mail);
        }
    }
}

void turn_log_open(struct turn_log *log)
{
    loop_assert_current(log->owner);
    log->is_begun = true;
    uv_mutex_lock(&log->lock);
    set_phase(log, TURN_LOG_OPEN);
    tell_readers(log);
    uv_mutex_unlock(&log->lock);
}

uint64_t turn_log_number(size_t offset, unsigned notice)
{
    return (uint64_t)offset * NUMBERS_PER_BYTE + notice;
}

size_t turn_log_offset(uint64_t n)
{
    return n / NUMBERS_PER_BYTE;
}

/* A crowd's texts grow at the same time: with doubling, a quarter of their memory would be empty.
 */
static bool make_room_for_text(struct buf *text, size_t len)
{
    if (text->cap < FIRST_TEXT)
        return buf_reserve(text, len);
    return buf_reserve_spare(text, len, text->len / 4);
}

bool turn_log_append(struct turn_log *log, struct str text)
{
    bool is_added;

    loop_assert_current(log->owner);
    uv_mutex_lock(&log->lock);
    is_added = make_room_for_text(&log->text, text.len);
    if (is_added) {
        buf_append_str(&log->text, text);
        counter_add(&chat_count()->log_bytes, text.len);
        log->last_n = turn_log_number(log->text.len, 0);
        tell_readers(log);
    }
    uv_mutex_unlock(&log->lock);
    return is_added;
}

/* Under the lock. */
static void add_notice(struct turn_log *log, struct str json)
{
    log->last_n++;
    log->notices[log->n_notices++] = (struct notice){.n = log->last_n, .json = json};
}

/* The last place, and the last of the seven numbers, are the terminal event's. */
static bool has_room(struct turn_log *log)
{
    if (log->last_n % NUMBERS_PER_BYTE + 2 >= NUMBERS_PER_BYTE)
        return false;
    return log->n_notices + 1 < log->max_notices ||
           (log->max_notices < MAX_NOTICES && make_room(log, 2 * log->max_notices));
}

void turn_log_notice(struct turn_log *log, struct str json)
{
    loop_assert_current(log->owner);
    uv_mutex_lock(&log->lock);
    if (has_room(log))
        json = arena_copy(log->memory, json);
    else
        json = STR_NONE;
    if (json.ptr) {
        add_notice(log, json);
        tell_readers(log);
    }
    uv_mutex_unlock(&log->lock);
}

void turn_log_close(struct turn_log *log, struct str json)
{
    loop_assert_current(log->owner);
    uv_mutex_lock(&log->lock);
    if (log->is_begun) {
        if (json.len > 0)
            json = arena_copy(log->memory, json);
        add_notice(log, json.len > 0 ? json : STR(NO_MEMORY_EVENT));
    }
    set_phase(log, TURN_LOG_CLOSED);
    tell_readers(log);
    uv_mutex_unlock(&log->lock);
}

struct str turn_log_text(const struct turn_log *log)
{
    loop_assert_current(log->owner);
    return buf_str(&log->text);
}

size_t turn_log_size(const struct turn_log *log)
{
    return sizeof(*log) + sizeof(*log->memory) + log->memory->used_bytes + log->text.cap;
}

struct str turn_log_status(const struct turn_log *log)
{
    switch (log->reply_outcome) {
    case OK:
        return STR("complete");
    case ERR_STOPPED:
        return STR("stopped");
    case ERR_INTERRUPTED:
        return STR("interrupted");
    default:
        return STR("error");
    }
}

void turn_log_lock(struct turn_log *log)
{
    uv_mutex_lock(&log->lock);
}

void turn_log_unlock(struct turn_log *log)
{
    uv_mutex_unlock(&log->lock);
}

bool turn_log_next(struct turn_log *log, uint64_t n, size_t max_text, struct log_event *event)
{
    size_t offset = turn_log_offset(n);
    size_t text_end = log->text.len;

    for (unsigned i = 0; i < log->n_notices; i++) {
        const struct notice *notice = &log->notices[i];

        if (notice->n <= n)
            continue;
        if (turn_log_offset(notice->n) == offset) {
            *event = (struct log_event){.n = notice->n, .notice = notice->json};
            return true;
        }
        text_end = turn_log_offset(notice->n); /* the text before it comes first */
        break;
    }
    if (offset >= text_end)
        return false;
    event->notice = STR_NONE;
    event->text = utf8_prefix((struct str){log->text.data + offset, text_end - offset}, max_text);
    event->n = turn_log_number(offset + event->text.len, 0);
    return true;
}

bool turn_log_has(struct turn_log *log, uint64_t n)
{
    size_t offset = turn_log_offset(n);
    bool has;

    uv_mutex_lock(&log->lock);
    has = n <= log->last_n && offset <= log->text.len &&
          (offset == log->text.len || ((unsigned char)log->text.data[offset] & 0xC0) != 0x80);
    uv_mutex_unlock(&log->lock);
    return has;
}

uint64_t turn_log_last(struct turn_log *log)
{
    uint64_t n;

    uv_mutex_lock(&log->lock);
    n = log->last_n;
    uv_mutex_unlock(&log->lock);
    return n;
}

static struct log_watch *watch_of_this_loop(struct turn_log *log)
{
    for (struct list *it = log->watches.next; it != &log->watches; it = it->next) {
        struct log_watch *w = container_of(it, struct log_watch, link);

        if (w->loop == loop_current())
            return w;
    }
    return NULL;
}

bool turn_log_attach(struct turn_log *log, struct log_reader *r,
                     void (*on_grow)(struct log_reader *r))
{
    struct log_watch *w;

    uv_mutex_lock(&log->lock);
    w = watch_of_this_loop(log);
    if (!w) {
        w = calloc(1, sizeof(*w));
        if (w) {
            w->log = turn_log_ref(log);
            w->loop = loop_current();
            list_init(&w->readers);
            list_push(&log->watches, &w->link);
        }
    }
    uv_mutex_unlock(&log->lock);
    if (!w)
        return false;
    r->watch = w;
    r->on_grow = on_grow;
    list_push(&w->readers, &r->link);
    atomic_fetch_add(&log->n_readers, 1);
    counter_add(&chat_count()->readers, 1);
    turn_readers_changed(log);
    return true;
}

void turn_log_detach(struct turn_log *log, struct log_reader *r)
{
    struct log_watch *w = r->watch;

    if (!w)
        return;
    r->watch = NULL;
    list_remove(&r->link);
    atomic_fetch_sub(&log->n_readers, 1);
    counter_add(&chat_count()->readers, (uint64_t)-1);
    turn_readers_changed(log);
    watch_settle(w);
}
