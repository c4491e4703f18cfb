/* Asking for a list of models: OpenAI and Anthropic name them data[].id, Gemini models[].name. */
#include "upstream/models.h"

#include "auth.h"
#include "base/json.h"
#include "room.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX_BYTES (4 * 1024 * 1024)
#define JSON_MAX_DEPTH   32
#define MODELS_MAX       2000
#define ID_MAX_BYTES     200
#define GEMINI_PREFIX    STR("models/")

bool provider_has_models(const struct provider *p)
{
    return p->models_path != NULL;
}

/* ---- reading ---- */

/* Gemini lists models that only embed, too. */
static bool can_chat(yyjson_val *model)
{
    yyjson_val *methods = json_member(model, "supportedGenerationMethods"), *method;
    size_t i, n;

    if (!yyjson_is_arr(methods))
        return true;
    yyjson_arr_foreach(methods, i, n, method)
    {
        if (yyjson_equals_str(method, "generateContent"))
            return true;
    }
    return false;
}

static struct str id_of(yyjson_val *model)
{
    struct str id = json_text(json_member(model, "id"));

    if (!id.ptr)
        id = json_text(json_member(model, "name"));
    return str_starts_with(id, GEMINI_PREFIX) ? str_skip(id, GEMINI_PREFIX.len) : id;
}

static int compare_ids(const void *left, const void *right)
{
    const struct str *a = left, *b = right;
    int order = memcmp(a->ptr, b->ptr, a->len < b->len ? a->len : b->len);

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static struct error read_models(struct models *m)
{
    yyjson_val *root = NULL, *list, *model;
    struct error err = json_read(m->arena, m->fetch.body, JSON_MAX_DEPTH, &root);
    size_t i, n;

    if (is_error(err))
        return err.status == ERR_NO_MEMORY
                   ? err
                   : ERROR(ERR_PROVIDER_MALFORMED, 0, "The provider's list of models is no JSON.");
    list = json_member(root, "data");
    if (!list)
        list = json_member(root, "models");
    if (!yyjson_is_arr(list))
        return ERROR(ERR_PROVIDER_MALFORMED, 0, "The provider answered without a list of models.");
    m->ids = arena_alloc(m->arena, (yyjson_arr_size(list) + 1) * sizeof(*m->ids));
    if (!m->ids)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    yyjson_arr_foreach(list, i, n, model)
    {
        struct str id = id_of(model);

        if (id.len > 0 && id.len <= ID_MAX_BYTES && !str_has_control(id) && can_chat(model))
            m->ids[m->n_ids++] = id;
    }
    qsort(m->ids, m->n_ids, sizeof(*m->ids), compare_ids);
    if (m->n_ids > MODELS_MAX)
        m->n_ids = MODELS_MAX;
    return NO_ERROR;
}

static struct error judge(const struct provider *p, const struct fetch *answer)
{
    int status = answer->http_status;
    bool hides_auth = p->hides_auth && status == 400;

    switch ((int)(hides_auth ? ERR_PROVIDER_AUTH : auth_status(status))) {
    case OK:
        return NO_ERROR;
    case ERR_PROVIDER_AUTH:
        return ERROR(ERR_PROVIDER_AUTH, status, "The provider refused the key.");
    case ERR_PROVIDER_RATE_LIMITED:
        return auth_limited(answer->retry_after_s > 0 ? (uint64_t)answer->retry_after_s * 1000 : 0);
    default:
        return ERROR(ERR_PROVIDER_ERROR, status, "The provider did not answer with its models.");
    }
}

/* ---- asking ---- */

static uint64_t now_ms(void)
{
    return loop_now_ms(loop_current());
}

/* Agents may have the chat's own URL as theirs. */
static struct str list_url(struct models *m)
{
    static const struct str chat = {"/chat/completions", sizeof("/chat/completions") - 1};
    struct str base = str_trim(auth_base_url(m->prompt));

    while (str_ends_with(base, STR("/")))
        base.len--;
    if (str_ends_with(base, chat))
        base.len -= chat.len;
    return arena_printf(m->arena, "%.*s%s", STR_ARG(base), m->prompt->provider->models_path);
}

static struct error send_request(struct models *m, struct flow *f)
{
    struct fetch_request rq = {.url = list_url(m),
                               .timeout_ms = config()->upstream.first_byte_seconds * 1000,
                               .max_bytes = ANSWER_MAX_BYTES};
    struct key_ring ring = auth_ring(m->prompt);
    struct auth_headers headers = {0};
    struct error err = auth_write(&headers, m->prompt->provider, &ring, m->key);

    _Static_assert(sizeof(headers.list) <= sizeof(rq.headers), "a provider's headers fit");
    if (!is_error(err) && !rq.url.ptr)
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!is_error(err)) {
        memcpy(rq.headers, headers.list, sizeof(headers.list));
        rq.n_headers = (unsigned)headers.n;
        m->fetch = (struct fetch){0};
        fetch_start(&m->fetch, f, m->arena, &rq);
    }
    auth_wipe(&headers);
    return err;
}

/* The answer, when there is one. False: it may be better with another key. */
static bool take_answer(struct models *m, struct error *err)
{
    struct key_ring ring = auth_ring(m->prompt);
    enum key_fault fault;

    *err = judge(m->prompt->provider, &m->fetch);
    if (!is_error(*err)) {
        *err = read_models(m);
        return true;
    }
    if (!auth_fault(*err, &fault))
        return true;
    keys_note(&ring, m->key, fault, m->fetch.retry_after_s, now_ms());
    m->tried |= UINT32_C(1) << m->key;
    return false;
}

/* Again and again, once for each key. */
static void ask(struct flow *f)
{
    struct models *m = f->state;
    struct key_ring ring = auth_ring(m->prompt);
    struct error err = NO_ERROR;
    bool is_settled = m->was_asked ? take_answer(m, &err) : false;
    uint64_t rest_ms;

    if (!is_settled) {
        m->key = keys_choose(&ring, m->tried, now_ms());
        if (m->key >= 0) {
            m->was_asked = true;
            err = send_request(m, f);
            flow_repeat(f);
        } else {
            rest_ms = keys_rest_ms(&ring, now_ms());
            if (rest_ms > 0 || !is_error(err)) /* 0: another loop's news, just now */
                err = auth_limited(rest_ms);
        }
    }
    if (is_error(err))
        flow_fail(f, err);
}

static void check(struct flow *f)
{
    struct models *m = f->state;
    struct error err = auth_check(m->prompt);

    if (!is_error(err) && is_error(egress_check_url(auth_base_url(m->prompt))))
        err = ERROR(ERR_PROVIDER_UNREACHABLE, 0, "The provider's URL may not be called.");
    if (is_error(err))
        flow_fail(f, err);
}

static const struct step steps[] = {STEP(check), STEP(ask), STEP_END};

void models_load(struct models *m, struct flow *f, struct arena *a,
                 const struct upstream_prompt *prompt)
{
    *m = (struct models){.arena = a, .prompt = prompt};
    flow_call(f, &m->call, steps, m);
}
