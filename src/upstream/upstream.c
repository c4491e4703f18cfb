/* One call to an agent, from the prompt to the last piece of text: what the flow sees as an
 * operation. Its reader fills a reply inside libcurl's callbacks; people hear of it once a turn of
 * the loop. */
#include "upstream/upstream.h"

#include "auth.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "config/config.h"
#include "metrics.h"
#include "post.h"
#include "room.h"
#include "span_sender.h"
#include "trace/span.h"

#include <stdlib.h>
#include <string.h>

#define URL_MAX_BYTES    4096
#define BODY_MAX_BYTES   (8 * 1024 * 1024)
#define RESOLVER_THREADS 4
#define RESOLVER_QUEUE   256
#define SPARE_TEXT_BYTES 4096
/* After [DONE]: how long the body may take to end, so that the connection can be used again. */
#define DONE_WAIT_MS 40

struct upstream_transfer {
    struct list link;
    struct room *room;
    struct upstream_call *call; /* NULL: canceled while it was told something */
    const struct upstream_prompt *prompt;
    const struct provider *provider;
    struct post post;
    struct reply reply;
    struct error start_err; /* of an attempt that never started */
    struct timer whole;     /* the longest a call may take */
    struct timer pause; /* to the next try, the next piece, or the end of a body that should end */
    struct flush flush;
    unsigned n_requests;
    uint32_t tried;  /* keys that failed since the last wait, a bit each */
    signed char key; /* the one in use; -1: they all rest */
    unsigned char n_waits;
    bool is_telling, is_built, is_finishing_body, is_pausing;
    max_align_t reader[]; /* of the provider's reader or builtin */
};

static struct workers *resolver_workers;

static void advance(struct upstream_transfer *t);

static void on_flush(struct flush *f)
{
    advance(container_of(f, struct upstream_transfer, flush));
}

static void on_post_progress(struct post *p)
{
    advance(container_of(p, struct upstream_transfer, post));
}

/* ---- text ---- */

static void borrow_text(struct upstream_transfer *t)
{
    struct room *room = t->room;

    if (!t->reply.text.data && room->n_spare > 0)
        t->reply.text = room->spare[--room->n_spare];
}

static void return_text(struct room *room, struct buf *text)
{
    if (text->data && text->cap <= SPARE_TEXT_BYTES && room->n_spare < SPARE_TEXTS) {
        buf_clear(text);
        room->spare[room->n_spare++] = *text;
        *text = (struct buf){0};
    } else {
        buf_deinit(text);
    }
}

static void on_post_body(struct post *p, struct str bytes)
{
    struct upstream_transfer *t = container_of(p, struct upstream_transfer, post);

    if (t->call && t->call->first_byte_us == 0)
        t->call->first_byte_us = clock_mono_us();
    borrow_text(t);
    if (p->is_encoded)
        reply_fail(&t->reply, ERR_PROVIDER_MALFORMED,
                   "The agent sent compressed data, which it was not asked for.");
    else
        t->provider->reader->feed(t->reader, bytes);
}

/* ---- the end ---- */

static void drop_reader(struct upstream_transfer *t)
{
    if (!t->is_built)
        return;
    if (t->provider->builtin)
        t->provider->builtin->deinit(t->reader);
    else
        t->provider->reader->deinit(t->reader);
    t->is_built = false;
}

static void stop_all(struct upstream_transfer *t)
{
    timer_stop(&t->whole);
    timer_stop(&t->pause);
    loop_unmark_dirty(&t->flush);
    post_end(&t->post);
    drop_reader(t);
    list_remove(&t->link);
}

static void transfer_free(struct upstream_transfer *t)
{
    return_text(t->room, &t->reply.text);
    free(t);
}

static void count_end(const struct upstream_transfer *t, struct error err)
{
    struct provider_numbers *mine = upstream_count(t->provider);

    counter_add(&mine->in_flight, (uint64_t)-1);
    if (is_error(err))
        counter_add(&mine->errors[err.status], 1);
}

static void note_pause(struct upstream_transfer *t, bool is_pausing)
{
    if (t->is_pausing != is_pausing)
        counter_add(&upstream_count(t->provider)->pausing, is_pausing ? 1 : (uint64_t)-1);
    t->is_pausing = is_pausing;
}

/* Ends the operation, once. Frees t, unless t is telling something right now: then tell() does. */
static void finish(struct upstream_transfer *t, struct error err)
{
    struct upstream_call *call = t->call;

    stop_all(t);
    note_pause(t, false);
    count_end(t, err);
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what has lost its call has left the list
    call->usage = t->reply.usage;
    call->finish = t->reply.finish;
    call->clue = t->reply.clue;
    call->http_status = t->post.http_status;
    call->model = str_from(call->model_text);
    call->transfer = NULL;
    t->call = NULL;
    if (!t->is_telling)
        transfer_free(t);
    op_end(&call->op, err);
}

static void on_cancel(struct op *op)
{
    struct upstream_call *call = container_of(op, struct upstream_call, op);

    finish(call->transfer, ERROR(ERR_CANCELED, 0, NULL));
}

/* Calls the asker, who may cancel the call: then t is gone and this is false. */
static bool tell(struct upstream_transfer *t,
                 void (*listener)(struct upstream_call *call, struct str text), struct str text)
{
    t->is_telling = true;
    listener(t->call, text);
    t->is_telling = false;
    if (t->call)
        return true;
    transfer_free(t);
    return false;
}

static bool tell_text(struct upstream_transfer *t)
{
    if (t->reply.text.len > 0 && !tell(t, t->call->on_text, buf_str(&t->reply.text)))
        return false;
    return_text(t->room, &t->reply.text);
    return true;
}

static void finish_with_text(struct upstream_transfer *t, struct error err)
{
    if (tell_text(t))
        finish(t, err);
}

/* ---- judging an answer ---- */

static struct error judge_status(const struct upstream_transfer *t)
{
    int status = t->post.http_status;

    if (status > 201 && status < 300)
        return ERROR(ERR_EMPTY_REPLY, status, "The agent answered without a reply.");
    switch ((int)auth_status(status)) {
    case OK:
        return NO_ERROR;
    case ERR_PROVIDER_AUTH:
        return ERROR(ERR_PROVIDER_AUTH, status, "The agent refused the token it was shown.");
    case ERR_PROVIDER_RATE_LIMITED:
        return auth_limited(t->post.retry_after_s > 0 ? (uint64_t)t->post.retry_after_s * 1000 : 0);
    default:
        break;
    }
    if (status == 404)
        return ERROR(ERR_PROVIDER_ERROR, status,
                     "The agent's address answered 404: is the workflow active, are the URL and "
                     "the model's name right?");
    if (status == 400)
        return ERROR(ERR_PROVIDER_ERROR, status,
                     "The agent refused the request: are its key, model and config right?");
    if (status >= 300 && status < 400)
        return ERROR(ERR_PROVIDER_ERROR, status,
                     "The agent's address redirects, which is not followed.");
    return ERROR(ERR_PROVIDER_ERROR, status, "The agent reported an error.");
}

/* After the body's end. Takes what the reader still holds. */
static struct error judge_body(struct upstream_transfer *t, struct error err)
{
    struct reply *r = &t->reply;

    borrow_text(t);
    if (r->state != REPLY_DONE)
        t->provider->reader->end(t->reader, !is_error(err));
    if (is_error(r->err)) {
        /* Without framing, a cut looks like an end. */
        if (r->is_cut && !t->post.is_framed)
            return ERROR(ERR_INTERRUPTED, 0, "The agent's answer was cut off.");
        return r->err;
    }
    if (is_error(err) && r->state != REPLY_DONE)
        return err;
    if (r->lacks_end && !t->post.is_framed)
        return ERROR(ERR_INTERRUPTED, 0, "The agent's answer was cut off.");
    if (r->text_bytes == 0 && r->finish == UPSTREAM_LENGTH)
        return ERROR(ERR_EMPTY_REPLY, 0,
                     "The model used up its tokens before it said anything: an admin needs to "
                     "allow it more.");
    if (r->text_bytes == 0)
        return ERROR(ERR_EMPTY_REPLY, 0, "The agent answered without a reply.");
    return NO_ERROR;
}

/* Of an answer that is no reply. */
static struct error judge_refusal(struct upstream_transfer *t)
{
    if (t->provider->hides_auth && t->post.http_status == 400) {
        t->provider->reader->end(t->reader, !is_error(t->post.err));
        if (t->reply.err.status == ERR_PROVIDER_AUTH)
            return t->reply.err;
    }
    return judge_status(t);
}

static struct error judge(struct upstream_transfer *t)
{
    struct error err = t->post.err;

    if (is_error(t->start_err))
        return t->start_err;
    if (t->post.http_status >= 200 && is_error(judge_status(t)))
        return judge_refusal(t);
    if (is_error(err) && t->post.http_status < 200)
        return err;
    return judge_body(t, err);
}

/* ---- whose turn it is, and trying again ---- */

static uint64_t now_ms(const struct upstream_transfer *t)
{
    return loop_now_ms(client_loop(t->room->client));
}

/* Tells the table of keys how the try ended. False: another one would end alike. */
static bool note_failure(struct upstream_transfer *t, struct error err)
{
    struct key_ring ring = auth_ring(t->prompt);
    enum key_fault fault;

    if (t->key < 0)
        return true; /* they all rest */
    if (is_error(t->start_err))
        return false;
    if (!auth_fault(err, &fault))
        return false;
    keys_note(&ring, t->key, fault, t->post.retry_after_s, now_ms(t));
    t->tried |= UINT32_C(1) << t->key;
    return true;
}

/* Exponential backoff with full jitter. */
static uint64_t backoff_ms(unsigned n_waits)
{
    const struct config_upstream *limits = &config()->upstream;
    uint64_t most = limits->backoff_ms << n_waits;
    uint32_t random;

    if (most > limits->backoff_max_ms)
        most = limits->backoff_max_ms;
    crypto_random(&random, sizeof(random));
    return random % (most + 1);
}

/* After a wait: a random one, on top of what the provider or all its keys ask for. False: that is
 * too long, or there were enough; *err tells how long it is. */
static bool plan_wait(struct upstream_transfer *t, struct error *err, uint64_t *wait_ms)
{
    const struct config_upstream *limits = &config()->upstream;
    struct key_ring ring = auth_ring(t->prompt);
    uint64_t rest_ms = keys_rest_ms(&ring, now_ms(t)), told_ms = rest_ms;

    if (rest_ms > 0)
        *err = auth_limited(rest_ms); /* whatever the last key said: one will be let in again */
    else if (err->status == ERR_PROVIDER_AUTH)
        return false;
    else if (t->post.retry_after_s > 0)
        told_ms = (uint64_t)t->post.retry_after_s * 1000;
    if (t->n_waits >= limits->retries || told_ms > limits->backoff_max_ms)
        return false;
    *wait_ms = told_ms + backoff_ms(t->n_waits);
    return true;
}

static void start_attempt(struct upstream_transfer *t);

/* Providers that must not be asked twice have no pool, but the one key. */
static void choose_key(struct upstream_transfer *t)
{
    struct key_ring ring = auth_ring(t->prompt);

    t->key = 0;
    if (t->provider->may_repeat)
        t->key = (signed char)keys_choose(&ring, t->tried, now_ms(t));
}

static void on_retry(struct timer *timer)
{
    struct upstream_transfer *t = container_of(timer, struct upstream_transfer, pause);

    note_pause(t, false);
    choose_key(t);
    start_attempt(t);
}

static bool tell_status(struct upstream_transfer *t, const char *text)
{
    return !t->call->on_status || tell(t, t->call->on_status, str_from(text));
}

static void ask_with_another_key(struct upstream_transfer *t, struct error why)
{
    timer_stop(&t->pause); /* of the body that should have ended */
    post_end(&t->post);
    drop_reader(t);
    log_debug("upstream: %s: %s (%d), trying another key", t->provider->name,
              status_row(why.status)->name, why.code);
    if (tell_status(t, "The model provider is busy. Trying another key..."))
        start_attempt(t);
}

static void ask_later(struct upstream_transfer *t, struct error why, uint64_t wait_ms)
{
    char text[96];

    post_end(&t->post);
    drop_reader(t);
    t->n_waits++;
    t->tried = 0;
    log_debug("upstream: %s: %s (%d), trying again in %u ms", t->provider->name,
              status_row(why.status)->name, why.code, (unsigned)wait_ms);
    timer_start(&t->pause, wait_ms, on_retry);
    note_pause(t, true);
    if (wait_ms < 1000)
        snprintf(text, sizeof(text), "The model provider is busy. Trying again...");
    else
        snprintf(text, sizeof(text), "The model provider is busy. Trying again in %u s...",
                 (unsigned)((wait_ms + 500) / 1000));
    (void)!tell_status(t, text); /* may free t */
}

/* ---- the steps of a call ---- */

static void conclude(struct upstream_transfer *t)
{
    struct error err = judge(t);
    uint64_t wait_ms;

    if (!is_error(err) || !t->provider->may_repeat || t->reply.text_bytes > 0 ||
        !note_failure(t, err)) {
        finish_with_text(t, err);
        return;
    }
    choose_key(t);
    if (t->key >= 0)
        ask_with_another_key(t, err);
    else if (plan_wait(t, &err, &wait_ms))
        ask_later(t, err, wait_ms);
    else
        finish(t, err);
}

/* The reply is complete, or has failed, and the body's end did not come. */
static void on_body_should_end(struct timer *timer)
{
    struct upstream_transfer *t = container_of(timer, struct upstream_transfer, pause);

    finish_with_text(t, judge_body(t, NO_ERROR));
}

/* Looks at what has happened during this turn of the loop. */
static void advance(struct upstream_transfer *t)
{
    enum reply_state state = t->reply.state;

    if (t->post.is_done || is_error(t->start_err)) {
        conclude(t);
        return;
    }
    if (!tell_text(t))
        return;
    if (state == REPLY_FAILED) {
        conclude(t);
    } else if (state != REPLY_OPEN && !t->is_finishing_body) {
        t->is_finishing_body = true;
        timer_start(&t->pause,
                    state == REPLY_DONE ? DONE_WAIT_MS : config()->upstream.error_wait_ms,
                    on_body_should_end);
    }
}

static void on_whole_deadline(struct timer *timer)
{
    struct upstream_transfer *t = container_of(timer, struct upstream_transfer, whole);

    finish_with_text(t, ERROR(ERR_PROVIDER_TIMEOUT, 0, "The agent took too long to answer."));
}

static struct error send_request(struct upstream_transfer *t)
{
    const struct upstream_prompt *prompt = t->prompt;
    struct str base = auth_base_url(prompt);
    struct buf url = {.max_bytes = URL_MAX_BYTES}, body = {.max_bytes = BODY_MAX_BYTES};
    struct post_request rq = {.body = &body,
                              .wants_all = t->provider->hides_auth,
                              .max_idle_s = t->provider->max_idle_s,
                              .parent = t->call->op.flow->span,
                              .n_before = t->n_requests++};
    struct key_ring ring = auth_ring(prompt);
    struct auth_headers headers = {0};
    struct error err;

    if (base.len == 0)
        return ERROR(ERR_PROVIDER_UNREACHABLE, 0,
                     "The agent has no URL: an admin needs to set it.");
    err = auth_check(prompt);
    if (!is_error(err) && t->key < 0)
        err = auth_limited(keys_rest_ms(&ring, now_ms(t)));
    if (!is_error(err))
        err = auth_write(&headers, t->provider, &ring, t->key);
    if (!is_error(err))
        err = t->provider->write_request(prompt, base, &url, &body);
    rq.url = buf_str(&url);
    rq.headers = headers.list;
    rq.n_headers = headers.n;
    if (!is_error(err) && (url.failed || body.failed))
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!is_error(err))
        err = post_start(t->room->client, &t->post, &rq);
    if (err.status == ERR_INVALID)
        err = ERROR(ERR_PROVIDER_UNREACHABLE, 0, "The agent's URL is not valid.");
    auth_wipe(&headers);
    buf_deinit(&url);
    buf_deinit(&body);
    return err;
}

static void start_attempt(struct upstream_transfer *t)
{
    t->post = (struct post){
        .on_body = on_post_body, .on_progress = on_post_progress, .retry_after_s = -1};
    t->reply.state = REPLY_OPEN;
    t->reply.err = NO_ERROR;
    t->reply.is_cut = t->reply.lacks_end = false;
    t->reply.finish = UPSTREAM_STOPPED;
    t->reply.clue = CLUE_NONE;
    t->reply.usage = (struct upstream_usage){0};
    t->reply.model[0] = '\0';
    t->is_finishing_body = false;
    counter_add(&upstream_count(t->provider)->requests, 1);
    memset(t->reader, 0, t->provider->reader->state_bytes);
    t->provider->reader->init(t->reader, &t->reply);
    t->is_built = true;
    t->start_err = send_request(t);
    if (is_error(t->start_err))
        loop_mark_dirty(&t->flush, on_flush); /* nobody hears of it inside upstream_start() */
}

/* ---- built-in agents ---- */

static void builtin_flush(struct flush *f);

static void on_builtin_timer(struct timer *timer)
{
    builtin_flush(&container_of(timer, struct upstream_transfer, pause)->flush);
}

static void builtin_flush(struct flush *f)
{
    struct upstream_transfer *t = container_of(f, struct upstream_transfer, flush);
    int wait_ms = -1;

    if (t->call->first_byte_us == 0)
        t->call->first_byte_us = clock_mono_us();
    borrow_text(t);
    if (!is_error(t->start_err))
        do
            wait_ms = t->provider->builtin->next(t->reader);
        while (wait_ms == 0 && reply_takes_more(&t->reply));
    if (wait_ms > 0 && reply_takes_more(&t->reply)) {
        timer_start(&t->pause, (uint64_t)wait_ms, on_builtin_timer);
        tell_text(t);
        return;
    }
    if (is_error(t->start_err))
        finish(t, t->start_err);
    else if (t->reply.text_bytes == 0 && !is_error(t->reply.err))
        finish(t, ERROR(ERR_EMPTY_REPLY, 0, "The agent answered without a reply."));
    else
        finish_with_text(t, t->reply.err);
}

static void start_builtin(struct upstream_transfer *t)
{
    t->is_built = true;
    t->start_err = t->provider->builtin->init(t->reader, t->prompt, &t->reply);
    loop_mark_dirty(&t->flush, builtin_flush);
}

/* ---- the room's front ---- */

void upstream_start(struct upstream_call *call, struct flow *f,
                    const struct upstream_prompt *prompt)
{
    struct room *room = room_current();
    const struct provider *provider = prompt->provider;
    size_t state_bytes =
        provider->builtin ? provider->builtin->state_bytes : provider->reader->state_bytes;
    struct upstream_transfer *t = calloc(1, sizeof(*t) + state_bytes);

    call->usage = (struct upstream_usage){0};
    call->finish = UPSTREAM_STOPPED;
    call->clue = CLUE_NONE;
    call->http_status = 0;
    call->model = STR_NONE;
    call->model_text[0] = '\0';
    call->first_byte_us = 0;
    op_begin(&call->op, f, on_cancel);
    if (!t) {
        op_end(&call->op, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    t->room = room;
    t->call = call;
    t->prompt = prompt;
    t->provider = provider;
    t->reply.model = call->model_text;
    t->reply.max_text_bytes = config()->upstream.reply_bytes;
    t->reply.max_event_bytes = config()->upstream.event_bytes;
    call->transfer = t;
    list_push(&room->calls, &t->link);
    counter_add(&upstream_count(provider)->calls, 1);
    counter_add(&upstream_count(provider)->in_flight, 1);
    timer_start(&t->whole, config()->upstream.total_seconds * 1000, on_whole_deadline);
    if (provider->builtin) {
        start_builtin(t);
        return;
    }
    choose_key(t);
    start_attempt(t);
}

struct error upstream_open(void)
{
    struct error err;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ERROR(ERR_INTERNAL, 0, "libcurl cannot be started");
    err = egress_open();
    if (!is_error(err) && !keys_open())
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!is_error(err)) {
        resolver_workers = workers_new("resolver", WORK_WAITS, RESOLVER_THREADS, RESOLVER_QUEUE);
        if (!resolver_workers)
            err = ERROR(ERR_NO_MEMORY, 0, "the resolver's threads could not be started");
    }
    if (is_error(err))
        upstream_close();
    return err;
}

void upstream_close(void)
{
    workers_free(resolver_workers);
    resolver_workers = NULL;
    keys_close();
    curl_global_cleanup();
}

struct error upstream_attach(struct loop *l)
{
    struct room *room = calloc(1, sizeof(*room));

    if (!room)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    list_init(&room->calls);
    list_init(&room->fetches);
    list_init(&room->feeds);
    room->client = client_new(l, resolver_workers);
    if (!room->client) {
        free(room);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    room->spans = span_queue_of(l) ? span_sender_new(l) : NULL;
    l->rooms[ROOM_UPSTREAM] = room;
    return NO_ERROR;
}

static void on_client_closed(struct loop *l)
{
    struct room *room = l->rooms[ROOM_UPSTREAM];
    void (*on_detached)(struct loop *) = room->on_detached;

    while (room->n_spare > 0)
        buf_deinit(&room->spare[--room->n_spare]);
    free(room);
    l->rooms[ROOM_UPSTREAM] = NULL;
    on_detached(l);
}

static void on_spans_sent(struct loop *l)
{
    struct room *room = l->rooms[ROOM_UPSTREAM];

    fetch_end_all(room);
    client_close(room->client, on_client_closed);
}

void upstream_detach(struct loop *l, void (*on_detached)(struct loop *l))
{
    struct room *room = l->rooms[ROOM_UPSTREAM];

    loop_assert_current(l);
    room->on_detached = on_detached;
    while (!list_is_empty(&room->calls))
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed has left the list
        finish(container_of(room->calls.next, struct upstream_transfer, link),
               ERROR(ERR_CANCELED, 0, NULL));
    feed_end_all(room);
    span_sender_end(room->spans, l, on_spans_sent); /* last: may free room */
}
