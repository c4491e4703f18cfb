/* Asking for embeddings: one exchange, asked again while the provider is overloaded. */
#include "upstream/embeddings.h"

#include "base/buf.h"
#include "base/json.h"
#include "config/config.h"

#include <math.h>

#define FIRST_PAUSE_MS 500
#define MAX_PAUSE_MS   20000
#define MAX_DEPTH      16
#define MAX_DIMENSIONS 16384

static struct embeddings *embeddings_of(struct flow *f)
{
    return f->state;
}

/* ---- asking ---- */

static void write_body(struct buf *out, const struct embeddings_request *rq)
{
    struct json j = {.buf = out};

    json_begin_object(&j);
    json_pair_str(&j, "model", rq->model);
    json_key(&j, "input");
    json_begin_array(&j);
    for (size_t i = 0; i < rq->n_inputs; i++)
        json_str(&j, rq->inputs[i]);
    json_end_array(&j);
    json_pair_str(&j, "encoding_format", STR("float")); /* what every server speaks */
    if (rq->dimensions > 0)
        json_pair_int(&j, "dimensions", (int64_t)rq->dimensions);
    json_end_object(&j);
}

static void ask(struct flow *f)
{
    struct embeddings *e = embeddings_of(f);
    const struct embeddings_request *rq = &e->request;
    struct fetch_request fetch = {.timeout_ms = rq->timeout_ms,
                                  .max_bytes = config()->embeddings.answer_bytes};
    struct buf body = {0};

    if (fetch.timeout_ms == 0)
        fetch.timeout_ms = config()->embeddings.timeout_seconds * 1000;
    write_body(&body, rq);
    fetch.url = arena_printf(e->arena, "%.*s/embeddings", STR_ARG(rq->base_url));
    if (rq->api_key.len > 0)
        fetch.headers[fetch.n_headers++] = (struct fetch_header){
            STR("Authorization"), arena_printf(e->arena, "Bearer %.*s", STR_ARG(rq->api_key))};
    fetch.body = buf_str(&body);
    e->n_tries++;
    if (body.failed || !fetch.url.ptr || (fetch.n_headers > 0 && !fetch.headers[0].value.ptr))
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else
        fetch_start(&e->fetch, f, e->arena, &fetch);
    buf_deinit(&body);
}

/* ---- the answer ---- */

static struct error status_error(const struct embeddings *e)
{
    int status = e->fetch.http_status;

    if (status == 401 || status == 403)
        return ERROR(ERR_PROVIDER_AUTH, status, NULL);
    if (status == 429)
        return ERROR(ERR_PROVIDER_RATE_LIMITED,
                     e->fetch.retry_after_s > 0 ? e->fetch.retry_after_s : 0, NULL);
    return ERROR(ERR_PROVIDER_ERROR, status, NULL);
}

static bool is_overloaded(int http_status)
{
    return http_status == 429 || http_status >= 500;
}

static uint64_t pause_ms(const struct embeddings *e)
{
    uint64_t ms = (uint64_t)FIRST_PAUSE_MS << (e->n_tries - 1);

    if (e->fetch.retry_after_s >= 0)
        ms = (uint64_t)e->fetch.retry_after_s * 1000;
    return ms;
}

static struct error malformed(void)
{
    return ERROR(ERR_PROVIDER_MALFORMED, 0, NULL);
}

struct error embedding_read(struct arena *a, yyjson_val *array, struct embedding *out)
{
    size_t i, n = yyjson_arr_size(array);
    double sum = 0, length;
    yyjson_val *item;

    if (n == 0 || n > MAX_DIMENSIONS)
        return ERROR(ERR_INVALID, 0, NULL);
    *out = (struct embedding){.values = arena_alloc(a, n * sizeof(*out->values)), .n = n};
    if (!out->values)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    yyjson_arr_foreach(array, i, n, item)
    {
        if (!yyjson_is_num(item))
            return ERROR(ERR_INVALID, 0, NULL);
        out->values[i] = (float)yyjson_get_num(item);
        sum += (double)out->values[i] * out->values[i];
    }
    if (!isfinite(sum))
        return ERROR(ERR_INVALID, 0, NULL);
    length = sqrt(sum);
    out->is_zero = length <= 0;
    for (i = 0; i < n && !out->is_zero; i++)
        out->values[i] = (float)(out->values[i] / length);
    return NO_ERROR;
}

static struct error read_item(struct embeddings *e, yyjson_val *item)
{
    yyjson_val *index = json_member(item, "index"), *vector = json_member(item, "embedding");
    struct embedding read;
    struct error err;
    size_t at;

    if (!yyjson_is_uint(index) || yyjson_get_uint(index) >= e->request.n_inputs)
        return malformed();
    at = (size_t)yyjson_get_uint(index);
    err = embedding_read(e->arena, vector, &read);
    if (err.status == ERR_NO_MEMORY)
        return err;
    if (is_error(err) || e->vectors[at] || (e->n_dimensions > 0 && e->n_dimensions != read.n) ||
        (e->request.dimensions > 0 && e->request.dimensions != read.n))
        return malformed();
    e->n_dimensions = read.n;
    e->vectors[at] = read.values;
    return NO_ERROR;
}

static struct error read_answer(struct embeddings *e)
{
    yyjson_val *root = NULL, *data, *item;
    struct error err = json_read(e->arena, e->fetch.body, MAX_DEPTH, &root);
    size_t i, n;

    e->n_dimensions = 0;
    e->vectors = arena_alloc(e->arena, e->request.n_inputs * sizeof(*e->vectors));
    if (!e->vectors || err.status == ERR_NO_MEMORY)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    data = is_error(err) ? NULL : json_member(root, "data");
    if (!yyjson_is_arr(data) || yyjson_arr_size(data) != e->request.n_inputs)
        return malformed();
    yyjson_arr_foreach(data, i, n, item)
    {
        err = read_item(e, item);
        if (is_error(err))
            return err;
    }
    e->total_tokens = yyjson_get_sint(json_member(json_member(root, "usage"), "total_tokens"));
    return NO_ERROR;
}

/* Comes back to itself until there is an answer to take. */
static void judge(struct flow *f)
{
    struct embeddings *e = embeddings_of(f);
    struct error err;

    if (e->is_paused) {
        e->is_paused = false;
        flow_repeat(f);
        ask(f);
        return;
    }
    if (is_overloaded(e->fetch.http_status) && e->n_tries < e->request.tries &&
        pause_ms(e) <= MAX_PAUSE_MS) {
        e->is_paused = true;
        flow_repeat(f);
        wait_start(&e->pause, f, pause_ms(e));
        return;
    }
    err = e->fetch.http_status == 200 ? read_answer(e) : status_error(e);
    if (is_error(err))
        flow_fail(f, err);
}

const char *embeddings_failure(struct error err)
{
    switch ((int)err.status) {
    case ERR_INVALID:
        return "The embedding provider's address is not one that may be called";
    case ERR_PROVIDER_UNREACHABLE:
        return "The embedding provider could not be reached";
    case ERR_PROVIDER_TIMEOUT:
        return "The embedding provider did not answer in time";
    case ERR_PROVIDER_AUTH:
        return "The embedding provider refuses the API key";
    case ERR_PROVIDER_RATE_LIMITED:
        return "The embedding provider is asked too often";
    case ERR_PROVIDER_ERROR:
        return "The embedding provider answered with an error";
    case ERR_PROVIDER_MALFORMED:
        return "The embedding provider's answer is not one vector for each text";
    case ERR_INTERRUPTED:
        return "The embedding provider's answer was cut off";
    case ERR_UPSTREAM_LIMIT:
        return "The embedding provider's answer is longer than this server takes";
    default:
        return status_row(err.status)->detail;
    }
}

static const struct step embeddings_steps[] = {
    STEP(ask),
    STEP(judge),
    STEP_END,
};

void embeddings_start(struct embeddings *e, struct flow *f, struct arena *a,
                      const struct embeddings_request *rq)
{
    *e = (struct embeddings){.arena = a, .request = *rq};
    if (e->request.tries == 0)
        e->request.tries = config()->embeddings.tries;
    flow_call(f, &e->flow, embeddings_steps, e);
}
