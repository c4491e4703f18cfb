/* Checks what X-EagleChat-Signature says. */
#include "signature.h"

#include "account/rate.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"

#define WINDOW_S  300
#define SECOND_MS 1000
#define MAX_DEPTH 64
#define SCHEME    STR("hmac-sha256=")
#define MISSING                                                                                    \
    "This agent takes signed calls only: X-EagleChat-Signature and X-EagleChat-Timestamp are "     \
    "missing"
#define NO_TIME  "X-EagleChat-Timestamp must be the time of the call in seconds since 1970"
#define LATE     "X-EagleChat-Timestamp is more than 300 seconds away from the server's clock"
#define WRONG    "X-EagleChat-Signature does not match the timestamp and the body"
#define REPLAYED "This signed call was made before: sign each call anew"

static struct error refuse(const char *sentence)
{
    return ERROR(ERR_UNAUTHORIZED, 0, sentence);
}

static struct error is_required(struct request *req, struct str agent_config, bool *out)
{
    yyjson_val *root = NULL;
    struct error err = json_read(&req->arena, agent_config, MAX_DEPTH, &root);

    *out = yyjson_is_true(json_member(root, "require_signature"));
    return err;
}

static struct error check_time(struct str timestamp)
{
    int64_t at_s, away_s;

    if (!str_to_i64(timestamp, &at_s) || at_s < 0)
        return refuse(NO_TIME);
    away_s = clock_wall_us() / 1000000 - at_s;
    return away_s > WINDOW_S || away_s < -WINDOW_S ? refuse(LATE) : NO_ERROR;
}

/* The hex text of what the signature must be; ptr NULL: no memory. */
static struct str sign(struct arena *a, struct str api_key, struct str timestamp, struct str body)
{
    unsigned char mac[SHA256_BYTES];
    struct str text = arena_printf(a, "%.*s\n%.*s", STR_ARG(timestamp), STR_ARG(body));

    if (!text.ptr)
        return STR_NONE;
    crypto_hmac_sha256(api_key, text, mac);
    return crypto_hex(a, (struct str){(char *)mac, sizeof(mac)});
}

/* expected: set where it is right. */
static struct error check(struct request *req, struct str api_key, struct str signature,
                          struct str *expected)
{
    struct str timestamp = request_header(req, "x-eaglechat-timestamp");
    struct error err = check_time(timestamp);

    if (is_error(err))
        return err;
    *expected = sign(&req->arena, api_key, timestamp, req->body);
    if (!expected->ptr)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!str_starts_with(signature, SCHEME) ||
        !crypto_equal(str_skip(signature, SCHEME.len), *expected))
        return refuse(WRONG);
    return NO_ERROR;
}

/* Only what is right is remembered, until its time has passed on any clock within the window. */
static bool is_first(struct flow *f, struct request *req, struct str signature)
{
    const struct rate rate = {RATE_SIGNATURE, signature, 1, 2 * (WINDOW_S + 1) * SECOND_MS};

    if (!rate_ready(f, &req->arena, &rate))
        return false;
    if (rate_take(&rate) > 0) {
        flow_fail(f, refuse(REPLAYED));
        return false;
    }
    return true;
}

bool signature_check(struct flow *f, struct request *req, struct str api_key,
                     struct str agent_config)
{
    struct str signature = request_header(req, "x-eaglechat-signature"), expected = STR_NONE;
    bool required = false;
    struct error err;

    if (signature.ptr)
        err = check(req, api_key, signature, &expected);
    else
        err = is_required(req, agent_config, &required);
    if (!is_error(err) && required)
        err = refuse(MISSING);
    if (is_error(err)) {
        flow_fail(f, err);
        return false;
    }
    return !expected.ptr || is_first(f, req, expected);
}
