/* Writes and signs what a receiver is sent. */
#include "webhook/call.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "config/config.h"
#include "config/seal.h"

#include <string.h>

#define SECRET_BYTES 32
#define US_PER_S     1000000
#define SECOND_MS    1000

/* Behind "<time>.", which is signed along with it. */
static void write_body(struct buf *out, const struct webhook_message *m)
{
    struct json j = {.buf = out};

    json_begin_object(&j);
    json_pair_str(&j, "id", m->event_id);
    json_pair_str(&j, "type", m->type);
    json_pair_time(&j, "created_at", m->created_us);
    json_pair_str(&j, "team_id", m->team_id);
    if (!m->has_text) {
        json_pair_raw(&j, "data", m->data);
    } else { /* the object goes on */
        json_pair_raw(&j, "data", (struct str){m->data.ptr, m->data.len - 1});
        buf_append_str(out, m->data.len > 2 ? STR(",\"text\":") : STR("\"text\":"));
        j.needs_comma = false;
        json_str_or_null(&j, m->text);
        buf_append_char(out, '}');
    }
    json_end_object(&j);
}

/* False: the seal does not open, or no memory. */
static bool add_sum(struct buf *out, struct arena *a, struct str webhook_id, struct str sealed,
                    struct str bytes)
{
    struct str secret = seal_open(a, SEAL_WEBHOOK, webhook_id, sealed);
    unsigned char sum[SHA256_BYTES];

    if (!secret.ptr)
        return false;
    crypto_hmac_sha256(secret, bytes, sum);
    explicit_bzero((char *)(uintptr_t)secret.ptr, secret.len);
    buf_append_str(out, STR(",v1="));
    buf_append_str(out, crypto_hex(a, (struct str){(const char *)sum, sizeof(sum)}));
    return true;
}

struct error webhook_call_make(struct arena *a, const struct webhook_message *m,
                               struct fetch_request *out)
{
    struct buf bytes = {0}, signature = {0};
    struct str whole = STR_NONE, sums = STR_NONE;
    bool is_signed = false;
    size_t before;

    buf_printf(&bytes, "%lld.", (long long)(clock_wall_us() / US_PER_S));
    before = bytes.len;
    buf_printf(&signature, "t=%.*s", (int)(before - 1), before > 0 ? bytes.data : "");
    write_body(&bytes, m);
    if (!bytes.failed)
        whole = arena_copy(a, buf_str(&bytes));
    if (whole.ptr) {
        is_signed = add_sum(&signature, a, m->webhook_id, m->secret, whole);
        if (is_signed && m->previous_secret.ptr)
            (void)add_sum(&signature, a, m->webhook_id, m->previous_secret, whole);
    }
    if (is_signed && !signature.failed)
        sums = arena_copy(a, buf_str(&signature));
    buf_deinit(&bytes);
    buf_deinit(&signature);
    if (whole.ptr && !is_signed && !a->failed)
        return ERROR(ERR_UNAVAILABLE, 0, "The webhook's secret cannot be read: give it a new one.");
    if (!sums.ptr)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    *out =
        (struct fetch_request){.url = arena_copy(a, m->url),
                               .body = str_skip(whole, before),
                               .headers = {{STR("X-Aerie-Signature"), sums},
                                           {STR("X-Aerie-Delivery"), arena_copy(a, m->delivery_id)},
                                           {STR("X-Aerie-Event"), arena_copy(a, m->type)}},
                               .n_headers = 3,
                               .timeout_ms = config()->webhooks.timeout_seconds * SECOND_MS,
                               .max_bytes = config()->webhooks.answer_bytes};
    return a->failed ? ERROR(ERR_NO_MEMORY, 0, NULL) : NO_ERROR;
}

struct webhook_secret webhook_secret_new(struct arena *a, struct str webhook_id)
{
    unsigned char bytes[SECRET_BYTES];
    struct webhook_secret secret;
    struct str digits;

    crypto_random(bytes, sizeof(bytes));
    digits = crypto_base64url(a, (struct str){(const char *)bytes, sizeof(bytes)});
    explicit_bzero(bytes, sizeof(bytes));
    secret.text = digits.ptr ? arena_printf(a, "whsec_%.*s", STR_ARG(digits)) : STR_NONE;
    secret.sealed =
        secret.text.ptr ? seal_text(a, SEAL_WEBHOOK, webhook_id, secret.text) : STR_NONE;
    return secret;
}

const char *webhook_call_words(struct error err, int http_status)
{
    if (webhook_was_taken(http_status))
        return "";
    if (http_status == 410)
        return "The receiver wants no more of these (410).";
    if (http_status >= 300 && http_status < 400)
        return "The receiver sends its callers elsewhere; redirects are not followed.";
    if (http_status == 401 || http_status == 403)
        return "The receiver does not let this call in.";
    if (http_status == 429)
        return "The receiver is called too often.";
    if (http_status > 0)
        return "The receiver answered with an error.";
    if (err.status == ERR_CANCELED)
        return "This server ended before the receiver had answered.";
    return err.detail ? err.detail : status_row(err.status)->detail;
}
