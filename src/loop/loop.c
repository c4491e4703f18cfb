/* A thread's loop: its mailbox and its list of things to flush. The wheel is in timer.c. */
#include "loop/loop.h"

#include "base/log.h"
#include "internal.h"

#include <assert.h>
#include <string.h>

static _Thread_local struct loop *current;

struct loop *loop_current(void)
{
    return current;
}

void loop_assert_current(const struct loop *l)
{
    assert(current == l);
    (void)l;
}

uint64_t loop_now_ms(const struct loop *l)
{
    return uv_now(&l->uv);
}

/* What a run() marks is run too, before the loop may wait. */
static void flush_all(struct loop *l)
{
    struct list *link;

    while ((link = list_pop(&l->dirty))) {
        struct flush *f = container_of(link, struct flush, link);

        f->run(f);
    }
}

/* After timers, before the loop waits. */
static void on_prepare(uv_prepare_t *handle)
{
    flush_all(handle->data);
    lag_note_turn(handle->data);
}

/* After input and letters. */
static void on_check(uv_check_t *handle)
{
    lag_note_woken(handle->data);
    flush_all(handle->data);
}

void loop_mark_dirty(struct flush *f, void (*run)(struct flush *f))
{
    f->run = run;
    if (!list_is_linked(&f->link))
        list_push(&current->dirty, &f->link);
}

void loop_unmark_dirty(struct flush *f)
{
    list_remove(&f->link);
}

static struct mail *take_mail(struct loop *l)
{
    struct mail *first;

    uv_mutex_lock(&l->mail_lock);
    first = l->mail_first;
    l->mail_first = NULL;
    l->mail_last = &l->mail_first;
    uv_mutex_unlock(&l->mail_lock);
    return first;
}

/* Wake-ups may be merged, so the box is emptied; what comes meanwhile wakes again. */
static void on_mail(uv_async_t *handle)
{
    struct mail *m = take_mail(handle->data);

    while (m) {
        struct mail *next = m->next;

        m->run(m);
        m = next;
    }
}

bool loop_post(struct loop *to, struct mail *m)
{
    bool is_open;

    m->next = NULL;
    uv_mutex_lock(&to->mail_lock);
    is_open = !to->mail_closed;
    if (is_open) {
        *to->mail_last = m;
        to->mail_last = &m->next;
        uv_async_send(&to->mail_handle); /* under the lock: the handle cannot be closing */
    }
    uv_mutex_unlock(&to->mail_lock);
    return is_open;
}

struct error loop_init(struct loop *l, unsigned index)
{
    int r;

    memset(l, 0, offsetof(struct loop, read_buffer));
    l->index = index;
    list_init(&l->dirty);
    l->mail_last = &l->mail_first;
    r = uv_loop_init(&l->uv);
    if (r != 0)
        return ERROR(ERR_NO_MEMORY, r, "the event loop could not be made");
    if (uv_mutex_init(&l->mail_lock) != 0) {
        uv_loop_close(&l->uv);
        return ERROR(ERR_NO_MEMORY, 0, "the mailbox's lock could not be made");
    }
    r = uv_async_init(&l->uv, &l->mail_handle, on_mail);
    if (r != 0) {
        uv_mutex_destroy(&l->mail_lock);
        uv_loop_close(&l->uv);
        return ERROR(ERR_NO_MEMORY, r, "the mailbox could not be made");
    }
    l->mail_handle.data = l;
    uv_prepare_init(&l->uv, &l->prepare);
    l->prepare.data = l;
    uv_prepare_start(&l->prepare, on_prepare);
    uv_check_init(&l->uv, &l->check);
    l->check.data = l;
    uv_check_start(&l->check, on_check);
    uv_timer_init(&l->uv, &l->timer_handle);
    l->timer_handle.data = l;
    timer_wheel_init(l);
    lag_open(l);
    l->thread = uv_thread_self();
    current = l;
    return NO_ERROR;
}

void loop_run(struct loop *l)
{
    loop_assert_current(l);
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_close(struct loop *l)
{
    loop_assert_current(l);
    uv_mutex_lock(&l->mail_lock);
    l->mail_closed = true;
    uv_mutex_unlock(&l->mail_lock);
    on_mail(&l->mail_handle);
    flush_all(l);
    uv_close((uv_handle_t *)&l->mail_handle, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_close((uv_handle_t *)&l->timer_handle, NULL);
}

static void report_handle(uv_handle_t *handle, void *state)
{
    (void)state;
    log_error("loop: a %s handle was left open", uv_handle_type_name(handle->type));
}

void loop_deinit(struct loop *l)
{
    if (uv_loop_close(&l->uv) != 0) {
        uv_walk(&l->uv, report_handle, NULL);
        assert(!"a loop ended with open handles");
    }
    uv_mutex_destroy(&l->mail_lock);
    if (current == l)
        current = NULL;
}
