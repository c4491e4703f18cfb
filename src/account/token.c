/* Signs and checks tokens. libjwt decodes and compares the signature; what a token must say is
 * checked here again, because libjwt 1.10 accepts expired tokens, other algorithms of the family
 * and claims of any type. */
#include "account/token.h"

#include "base/crypto.h"
#include "config/config.h"
#include "digits.h"

#include <errno.h>
#include <jwt.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#define US_PER_SECOND 1000000
/* Nodes' clocks differ a little: a token may come from one that is ahead. */
#define SKEW_SECONDS 5

static const char issuer[] = "aerie", kind[] = "access";

/* The claims as JSON; every text is ours: letters, digits and dashes. */
static struct str claims_of(struct arena *a, const struct caller *who, int64_t now_s)
{
    return arena_printf(
        a,
        "{\"iss\":\"%s\",\"aud\":\"%s\",\"typ\":\"%s\",\"sub\":\"%s\",\"team\":\"%s\","
        "\"role\":\"%s\",\"jti\":\"%s\",\"fam\":\"%s\",\"iat\":%lld,\"nbf\":%lld,"
        "\"iat_us\":%lld,\"exp\":%lld}",
        issuer, issuer, kind, who->user_id.text, who->team_id.text,
        who->is_admin ? "admin" : "user", who->token_id.text, who->family.text, (long long)now_s,
        (long long)now_s, (long long)who->issued_at_us,
        (long long)(who->expires_at_us / US_PER_SECOND));
}

/* Written here and not by libjwt, whose writer follows a NULL when memory is out. */
struct str token_issue(struct arena *a, struct caller *who, int64_t now_us)
{
    int64_t now_s = now_us / US_PER_SECOND;
    unsigned char sum[SHA256_BYTES];
    struct str claims, head, payload, said, signature;

    who->token_id = id_v7();
    who->issued_at_us = now_us;
    who->expires_at_us = (now_s + (int64_t)config()->security.access_seconds) * US_PER_SECOND;
    claims = claims_of(a, who, now_s);
    head = crypto_base64url(a, STR("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"));
    payload = claims.ptr ? crypto_base64url(a, claims) : STR_NONE;
    if (!head.ptr || !payload.ptr)
        return STR_NONE;
    said = arena_printf(a, "%s.%s", head.ptr, payload.ptr);
    if (!said.ptr)
        return STR_NONE;
    crypto_hmac_sha256(config()->security.secret, said, sum);
    signature = crypto_base64url(a, (struct str){(const char *)sum, sizeof(sum)});
    return signature.ptr ? arena_printf(a, "%s.%s", said.ptr, signature.ptr) : STR_NONE;
}

/* A claim that must be a whole number. */
static bool get_number(yyjson_val *claims, const char *name, int64_t *out)
{
    yyjson_val *value = yyjson_obj_get(claims, name);

    *out = yyjson_get_sint(value);
    return yyjson_is_sint(value) || (yyjson_is_uint(value) && *out >= 0);
}

/* A claim that must be this text. */
static bool is_text(yyjson_val *claims, const char *name, const char *expected)
{
    return yyjson_equals_str(yyjson_obj_get(claims, name), expected);
}

static bool get_id(yyjson_val *claims, const char *name, struct id *out)
{
    yyjson_val *value = yyjson_obj_get(claims, name);

    return yyjson_is_str(value) &&
           id_parse((struct str){yyjson_get_str(value), yyjson_get_len(value)}, out);
}

/* A header that we do not know but must understand (RFC 7515 section 4.1.11). */
static bool has_critical(jwt_t *jwt)
{
    char *text = jwt_get_headers_json(jwt, "crit");
    bool found = text != NULL;

    free(text);
    return found;
}

static bool check_claims(yyjson_val *claims, int64_t now_us, struct caller *out)
{
    int64_t now_s = now_us / US_PER_SECOND, exp, nbf, iat, iat_us;

    if (!get_number(claims, "exp", &exp) || !get_number(claims, "nbf", &nbf) ||
        !get_number(claims, "iat", &iat))
        return false;
    if (exp <= now_s || exp > INT64_MAX / US_PER_SECOND || nbf > now_s + SKEW_SECONDS ||
        iat > now_s + SKEW_SECONDS || iat < 0)
        return false;
    if (!is_text(claims, "iss", issuer) || !is_text(claims, "aud", issuer) ||
        !is_text(claims, "typ", kind))
        return false;
    if (!get_id(claims, "sub", &out->user_id) || !get_id(claims, "team", &out->team_id) ||
        !get_id(claims, "jti", &out->token_id) || !get_id(claims, "fam", &out->family))
        return false;

    out->is_admin = is_text(claims, "role", "admin");
    out->expires_at_us = exp * US_PER_SECOND;
    /* iat has whole seconds (and other tools make only those), but a token made in the second of a
     * revocation is old or new by a fraction. */
    out->issued_at_us = iat * US_PER_SECOND;
    if (get_number(claims, "iat_us", &iat_us) && iat_us / US_PER_SECOND == iat)
        out->issued_at_us = iat_us;
    return out->is_admin || is_text(claims, "role", "user");
}

/* libjwt gives 0 for a number that is none, so the claims are read from its JSON. */
static bool check_token(jwt_t *jwt, int64_t now_us, struct caller *out)
{
    char *text;
    yyjson_doc *claims;
    bool ok;

    if (jwt_get_alg(jwt) != JWT_ALG_HS256 || has_critical(jwt))
        return false;
    text = jwt_get_grants_json(jwt, NULL);
    claims = text ? yyjson_read(text, strlen(text), 0) : NULL;
    ok = claims && check_claims(yyjson_doc_get_root(claims), now_us, out);
    yyjson_doc_free(claims);
    free(text);
    return ok;
}

static bool verify_with(const char *token, struct str secret, int64_t now_us, struct caller *out)
{
    jwt_t *jwt = NULL;
    bool ok;

    /* With an empty key libjwt accepts anything. */
    if (secret.len == 0)
        return false;
    if (jwt_decode(&jwt, token, (const unsigned char *)secret.ptr, (int)secret.len))
        return false;
    ok = check_token(jwt, now_us, out);
    jwt_free(jwt);
    return ok;
}

bool token_verify(struct str token, int64_t now_us, struct caller *out)
{
    const struct config_security *security = &config()->security;
    char text[TOKEN_MAX_BYTES + 1];

    if (token.len == 0 || token.len > TOKEN_MAX_BYTES || memchr(token.ptr, 0, token.len))
        return false;
    memcpy(text, token.ptr, token.len);
    text[token.len] = 0;
    *out = (struct caller){0};
    errno = 0; /* libjwt, jansson and OpenSSL leave malloc()'s, and tell it from a bad token by
                  nothing else */
    return verify_with(text, security->secret, now_us, out) ||
           verify_with(text, security->previous_secret, now_us, out);
}

/* ---- refresh tokens ---- */

static void complete(struct opaque_token *t, const unsigned char bytes[32])
{
    digits_base64url(bytes, 32, t->text);
    digits_sha256((struct str){t->text, OPAQUE_TOKEN_LEN}, t->hash);
}

void opaque_token_new(struct opaque_token *out)
{
    unsigned char bytes[32];

    crypto_random(bytes, sizeof(bytes));
    complete(out, bytes);
}

bool opaque_token_read(struct str text, struct opaque_token *out)
{
    if (text.len != OPAQUE_TOKEN_LEN || !digits_are_base64url(text))
        return false;
    memcpy(out->text, text.ptr, text.len);
    out->text[text.len] = 0;
    digits_sha256(text, out->hash);
    return true;
}

void refresh_token_successor(const struct opaque_token *old, struct opaque_token *out)
{
    unsigned char key[32], bytes[SHA256_BYTES];

    crypto_derive(config()->security.secret, "refresh.successor", key);
    crypto_hmac_sha256((struct str){(const char *)key, sizeof(key)},
                       (struct str){old->text, OPAQUE_TOKEN_LEN}, bytes);
    complete(out, bytes);
}
