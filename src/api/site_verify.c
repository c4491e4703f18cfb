/* Calls a site back: what fails or is away is asked again, what answers has decided. */
#include "site_verify.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "config/config.h"

#define SECOND_MS    1000
#define ANSWER_BYTES 65536
#define MAX_DEPTH    16
#define PRETTY_PATH  "/wp-json/eaglechat-plugin/v1/verify"
#define PLAIN_PATH   "/?rest_route=/eaglechat-plugin/v1/verify" /* without permalinks */
#define NOT_VERIFIED "Failed to verify callback token with WordPress site"

static void call_site(struct flow *f)
{
    struct site_verification *v = f->state;
    struct buf body = {0};
    struct json j = {.buf = &body};
    struct fetch_request rq = {
        .url = arena_printf(v->arena, "%.*s%s", STR_ARG(v->url),
                            v->is_plain ? PLAIN_PATH : PRETTY_PATH),
        .timeout_ms = config()->callback.timeout_seconds * SECOND_MS,
        .max_bytes = ANSWER_BYTES,
    };

    json_begin_object(&j);
    json_pair_str(&j, "callback_token", v->token);
    json_end_object(&j);
    rq.body = buf_str(&body);
    if (body.failed || !rq.url.ptr)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else
        fetch_start(&v->fetch, f, v->arena, &rq);
    buf_deinit(&body);
}

static const struct step call_steps[] = {STEP(call_site), STEP_END};

enum verdict { CONFIRMED, REJECTED, ASK_AGAIN, ASK_PLAIN, OUR_FAULT };

static enum verdict judge_failure(enum status status)
{
    switch (status) {
    case ERR_BUSY:
    case ERR_NO_MEMORY:
    case ERR_CANCELED:
        return OUR_FAULT;
    case ERR_UPSTREAM_LIMIT:
        return REJECTED;
    default:
        return ASK_AGAIN;
    }
}

static enum verdict judge(struct site_verification *v)
{
    int status = v->fetch.http_status;
    yyjson_val *root = NULL;

    if (is_error(v->attempt.flow.err))
        return judge_failure(v->attempt.flow.err.status);
    if (status == 404 && !v->is_plain)
        return ASK_PLAIN;
    if (status >= 500)
        return ASK_AGAIN;
    if (status != 200 || is_error(json_read(v->arena, v->fetch.body, MAX_DEPTH, &root)))
        return REJECTED;
    return yyjson_is_true(json_member(root, "success")) ? CONFIRMED : REJECTED;
}

static void call_again(struct flow *f)
{
    struct site_verification *v = f->state;

    v->is_calling = true;
    v->attempt = (struct subflow){0};
    v->fetch = (struct fetch){0};
    flow_try(f, &v->attempt, call_steps, v);
    flow_repeat(f);
}

static void refuse(struct flow *f)
{
    const struct site_verification *v = f->state;

    log_info("api: the site %.*s did not confirm its registration (%s, status %d)", STR_ARG(v->url),
             status_row(v->attempt.flow.err.status)->name, v->fetch.http_status);
    flow_fail(f, ERROR(ERR_BAD_REQUEST, 0, NOT_VERIFIED));
}

static void ask_site(struct flow *f)
{
    struct site_verification *v = f->state;

    if (!v->is_calling) {
        call_again(f);
        return;
    }
    v->is_calling = false;
    switch (judge(v)) {
    case CONFIRMED:
        break;
    case REJECTED:
        refuse(f);
        break;
    case ASK_AGAIN:
        if (++v->n_attempts >= config()->callback.retry_attempts) {
            refuse(f);
            break;
        }
        wait_start(&v->wait, f, config()->callback.retry_delay_seconds * SECOND_MS);
        flow_repeat(f);
        break;
    case ASK_PLAIN:
        v->is_plain = true;
        call_again(f);
        break;
    case OUR_FAULT:
        flow_fail(f, v->attempt.flow.err);
        break;
    }
}

static const struct step verify_steps[] = {STEP(ask_site), STEP_END};

void site_verify(struct site_verification *v, struct flow *f, struct arena *a)
{
    v->arena = a;
    flow_call(f, &v->sub, verify_steps, v);
}
