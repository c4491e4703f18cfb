/* Signs and checks tokens. libjwt decodes and compares the signature; what a token must say is
 * checked here again, because libjwt 1.10 accepts expired tokens, other algorithms of the family
 * and claims of any type. */
#include "account/token.h"

#include "base/crypto.h"
#include "config/config.h"
#include "digits.h"

#include <jwt.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#define US_PER_SECOND 1000000
/* Nodes' clocks differ a little: a token may come from one that is ahead. */
#define SKEW_SECONDS 5

static const char issuer[] = "aerie", kind[] = "access";

static bool add_claims(jwt_t *jwt, const struct caller *who, int64_t now_s)
{
    /* ten grants; libjwt answers 0 or errno */
    return !jwt_add_grant(jwt, "iss", issuer) && !jwt_add_grant(jwt, "aud", issuer) &&
           !jwt_add_grant(jwt, "typ", kind) && !jwt_add_grant(jwt, "sub", who->user_id.text) &&
           !jwt_add_grant(jwt, "team", who->team_id.text) &&
           !jwt_add_grant(jwt, "role", who->is_admin ? "admin" : "user") &&
           !jwt_add_grant(jwt, "jti", who->token_id.text) &&
           !jwt_add_grant(jwt, "fam", who->family.text) &&
           !jwt_add_grant_int(jwt, "iat", (long)now_s) &&
           !jwt_add_grant_int(jwt, "nbf", (long)now_s) &&
           !jwt_add_grant_int(jwt, "iat_us", (long)who->issued_at_us) &&
           !jwt_add_grant_int(jwt, "exp", (long)(who->expires_at_us / US_PER_SECOND));
}

struct str token_issue(struct arena *a, struct caller *who, int64_t now_us)
{
    struct str secret = config()->security.secret, out = STR_NONE;
    int64_t now_s = now_us / US_PER_SECOND;
    jwt_t *jwt = NULL;
    char *text;

    who->token_id = id_v7();
    who->issued_at_us = now_us;
    who->expires_at_us = (now_s + (int64_t)config()->security.access_seconds) * US_PER_SECOND;
    if (jwt_new(&jwt))
        return STR_NONE;
    if (add_claims(jwt, who, now_s) &&
        !jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)secret.ptr, (int)secret.len)) {
        text = jwt_encode_str(jwt);
        if (text)
            out = arena_copy(a, str_from(text));
        free(text);
    }
    jwt_free(jwt);
    return out;
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
