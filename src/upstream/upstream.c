/* One call to an agent, from the prompt to the last piece of text: what the flow sees as an
 * operation. Its reader fills a reply inside libcurl's callbacks; people hear of it once a turn of
 * the loop. */
#include "upstream/upstream.h"

#include "base/crypto.h"
#include "base/log.h"
#include "config/config.h"
#include "post.h"
#include "provider.h"
#include "room.h"

#include <stdlib.h>
#include <string.h>

#define URL_MAX_BYTES     4096
#define BODY_MAX_BYTES    (8 * 1024 * 1024)
#define RESOLVER_THREADS  4
#define RESOLVER_QUEUE    256
#define SPARE_TEXT_BYTES  4096
#define RETRY_BASE_MS     500
#define RETRY_AFTER_MAX_S 10
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
    unsigned n_retries;
    bool is_telling, is_built, is_finishing_body;
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

/* Ends the operation, once. Frees t, unless t is telling something right now: then tell() does. */
static void finish(struct upstream_transfer *t, struct error err)
{
    struct upstream_call *call = t->call;

    stop_all(t);
    call->usage = t->reply.usage;
    call->finish = t->reply.finish;
    memcpy(call->model_text, t->reply.model, sizeof(call->model_text));
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
    if (status == 401 || status == 403)
        return ERROR(ERR_PROVIDER_AUTH, status, "The agent refused the token it was shown.");
    if (status == 429)
        return ERROR(ERR_PROVIDER_RATE_LIMITED,
                     t->post.retry_after_s > 0 ? t->post.retry_after_s : 0,
                     "The agent is asked too often. Please try again later.");
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
    if (status < 200 || status >= 300)
        return ERROR(ERR_PROVIDER_ERROR, status, "The agent reported an error.");
    return NO_ERROR;
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

/* ---- trying again ---- */

static bool is_worth_retrying(const struct upstream_transfer *t, struct error err)
{
    if (t->n_retries >= t->provider->max_retries || t->reply.text_bytes > 0)
        return false;
    switch ((int)err.status) {
    case ERR_PROVIDER_UNREACHABLE:
        return true;
    case ERR_PROVIDER_RATE_LIMITED:
        return err.code <= RETRY_AFTER_MAX_S;
    case ERR_PROVIDER_ERROR:
        return err.code >= 500 && err.code < 600;
    default:
        return false;
    }
}

/* Exponential backoff with full jitter, or as long as the provider said. */
static uint64_t retry_wait_ms(const struct upstream_transfer *t)
{
    uint64_t limit = (uint64_t)RETRY_BASE_MS << t->n_retries;
    uint32_t random;

    if (t->post.retry_after_s > 0 && t->post.retry_after_s <= RETRY_AFTER_MAX_S)
        return (uint64_t)t->post.retry_after_s * 1000;
    crypto_random(&random, sizeof(random));
    return random % (limit + 1);
}

static void start_attempt(struct upstream_transfer *t);

static void on_retry(struct timer *timer)
{
    start_attempt(container_of(timer, struct upstream_transfer, pause));
}

static void retry(struct upstream_transfer *t)
{
    uint64_t wait_ms = retry_wait_ms(t);
    char text[96];
    int len;

    post_end(&t->post);
    drop_reader(t);
    t->n_retries++;
    log_info("upstream: %s failed, try %u in %u ms", t->provider->name, t->n_retries + 1,
             (unsigned)wait_ms);
    timer_start(&t->pause, wait_ms, on_retry);
    if (!t->call->on_status)
        return;
    if (wait_ms < 1000)
        len = snprintf(text, sizeof(text), "The model provider is busy. Trying again...");
    else
        len = snprintf(text, sizeof(text), "The model provider is busy. Trying again in %u s...",
                       (unsigned)((wait_ms + 999) / 1000));
    tell(t, t->call->on_status, (struct str){text, (size_t)len});
}

/* ---- the steps of a call ---- */

static void conclude(struct upstream_transfer *t)
{
    struct error err = judge(t);

    if (is_worth_retrying(t, err))
        retry(t);
    else
        finish_with_text(t, err);
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

/* The key the way the provider wants it, and what else each of its requests says. bearer: memory
 * for a header's value. Returns how many. */
static size_t write_headers(const struct provider *p, struct str key, struct buf *bearer,
                            struct fetch_header headers[static PROVIDER_HEADERS_MAX + 1])
{
    size_t n = 0;

    for (size_t i = 0; i < PROVIDER_HEADERS_MAX && p->headers[i].name; i++)
        headers[n++] =
            (struct fetch_header){str_from(p->headers[i].name), str_from(p->headers[i].value)};
    if (key.len == 0)
        return n;
    if (p->key_header) {
        headers[n++] = (struct fetch_header){str_from(p->key_header), key};
    } else {
        buf_reserve(bearer, sizeof("Bearer ") + key.len); /* once: growing would leave a copy */
        buf_append_str(bearer, STR("Bearer "));
        buf_append_str(bearer, key);
        headers[n++] = (struct fetch_header){STR("Authorization"), buf_str(bearer)};
    }
    return n;
}

static void wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_deinit(b);
}

static struct error send_request(struct upstream_transfer *t)
{
    const struct upstream_prompt *prompt = t->prompt;
    struct str base = prompt->url.len > 0 ? prompt->url : str_from(t->provider->base_url);
    struct buf url = {.max_bytes = URL_MAX_BYTES}, body = {.max_bytes = BODY_MAX_BYTES};
    struct buf bearer = {0};
    struct fetch_header headers[PROVIDER_HEADERS_MAX + 1];
    struct post_request rq = {.body = &body,
                              .headers = headers,
                              .wants_all = t->provider->hides_auth,
                              .max_idle_s = t->provider->max_idle_s};
    struct error err;

    if (base.len == 0)
        return ERROR(ERR_PROVIDER_UNREACHABLE, 0,
                     "The agent has no URL: an admin needs to set it.");
    if (t->provider->needs_token && prompt->token.len == 0)
        return ERROR(ERR_PROVIDER_AUTH, 0, "The agent has no key: an admin needs to set one.");
    if (str_has_control(prompt->token))
        return ERROR(ERR_PROVIDER_AUTH, 0, "The agent's token holds control characters.");
    err = t->provider->write_request(prompt, base, &url, &body);
    rq.url = buf_str(&url);
    rq.n_headers = write_headers(t->provider, prompt->token, &bearer, headers);
    if (!is_error(err) && (url.failed || body.failed || bearer.failed))
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!is_error(err))
        err = post_start(t->room->client, &t->post, &rq);
    if (err.status == ERR_INVALID)
        err = ERROR(ERR_PROVIDER_UNREACHABLE, 0, "The agent's URL is not valid.");
    wipe(&bearer);
    buf_deinit(&url);
    buf_deinit(&body);
    return err;
}

static void start_attempt(struct upstream_transfer *t)
{
    t->post = (struct post){.on_body = on_post_body, .on_progress = on_post_progress};
    t->reply.state = REPLY_OPEN;
    t->reply.err = NO_ERROR;
    t->reply.is_cut = t->reply.lacks_end = false;
    t->reply.finish = UPSTREAM_STOPPED;
    t->reply.usage = (struct upstream_usage){0};
    t->reply.model[0] = '\0';
    t->is_finishing_body = false;
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
    call->model = STR_NONE;
    op_begin(&call->op, f, on_cancel);
    if (!t) {
        op_end(&call->op, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    t->room = room;
    t->call = call;
    t->prompt = prompt;
    t->provider = provider;
    t->reply.max_text_bytes = config()->upstream.reply_bytes;
    t->reply.max_event_bytes = config()->upstream.event_bytes;
    call->transfer = t;
    list_push(&room->calls, &t->link);
    timer_start(&t->whole, config()->upstream.total_seconds * 1000, on_whole_deadline);
    if (provider->builtin)
        start_builtin(t);
    else
        start_attempt(t);
}

struct error upstream_open(void)
{
    struct error err;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ERROR(ERR_INTERNAL, 0, "libcurl cannot be started");
    err = egress_open();
    if (!is_error(err)) {
        resolver_workers = workers_new("resolver", RESOLVER_THREADS, RESOLVER_QUEUE);
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
    egress_close();
    curl_global_cleanup();
}

struct error upstream_attach(struct loop *l)
{
    struct room *room = calloc(1, sizeof(*room));

    if (!room)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    list_init(&room->calls);
    list_init(&room->fetches);
    room->client = client_new(l, resolver_workers);
    if (!room->client) {
        free(room);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
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

void upstream_detach(struct loop *l, void (*on_detached)(struct loop *l))
{
    struct room *room = l->rooms[ROOM_UPSTREAM];

    loop_assert_current(l);
    room->on_detached = on_detached;
    while (!list_is_empty(&room->calls))
        finish(container_of(room->calls.next, struct upstream_transfer, link),
               ERROR(ERR_CANCELED, 0, NULL));
    fetch_end_all(room);
    client_close(room->client, on_client_closed);
}
