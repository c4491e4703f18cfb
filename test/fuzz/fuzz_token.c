/* Access tokens. Any text is none; and of those that are signed with our own key, whatever header
 * and claims the input gives them, only those count that say all that they must. The first line is
 * the header, the rest the claims. */
#include "account/token.h"
#include "base/crypto.h"
#include "base/json.h"
#include "config/config.h"
#include "fuzz.h"

#include <string.h>

#define SECRET "a secret of the server, of 32 bytes"
#define NOW_S  INT64_C(1700000000)

static void open_config(void)
{
    static struct config c;

    c.security.secret = STR(SECRET);
    c.security.access_seconds = 900;
    config_set(&c);
}

static bool is_text(yyjson_val *claims, const char *name, const char *text)
{
    return str_eq(json_text(json_member(claims, name)), str_from(text));
}

static bool is_id(yyjson_val *claims, const char *name)
{
    struct id id;

    return id_parse(json_text(json_member(claims, name)), &id);
}

static bool is_time(yyjson_val *claims, const char *name, int64_t least, int64_t most)
{
    yyjson_val *val = json_member(claims, name);

    return yyjson_is_int(val) && !(yyjson_is_uint(val) && yyjson_get_uint(val) > INT64_MAX) &&
           yyjson_get_sint(val) >= least && yyjson_get_sint(val) <= most;
}

/* What limits.md says of tokens, without libjwt, which reads up to a NUL: what stands behind one is signed, and nobody's claim. */
static void check_accepted(struct str header, struct str claims, const struct caller *who)
{
    yyjson_doc *head = yyjson_read(header.ptr, strnlen(header.ptr, header.len), 0);
    yyjson_doc *body = yyjson_read(claims.ptr, strnlen(claims.ptr, claims.len), 0);
    yyjson_val *root = yyjson_doc_get_root(body);

    MUST(head && root);
    MUST(str_eq_nocase(json_text(json_member(yyjson_doc_get_root(head), "alg")), STR("HS256")));
    MUST(!json_member(yyjson_doc_get_root(head), "crit"));
    MUST(is_text(root, "iss", "aerie") && is_text(root, "aud", "aerie") &&
         is_text(root, "typ", "access"));
    MUST(is_id(root, "sub") && is_id(root, "team") && is_id(root, "jti") && is_id(root, "fam"));
    MUST(is_time(root, "exp", NOW_S + 1, INT64_MAX) && is_time(root, "nbf", INT64_MIN, NOW_S + 5) &&
         is_time(root, "iat", 0, NOW_S + 5));
    MUST(is_text(root, "role", who->is_admin ? "admin" : "user"));
    MUST(who->expires_at_us / 1000000 == yyjson_get_sint(json_member(root, "exp")));
    yyjson_doc_free(head);
    yyjson_doc_free(body);
}

static struct str sign(struct arena *a, struct str header, struct str claims)
{
    unsigned char mac[SHA256_BYTES];
    struct str head = crypto_base64url(a, header), body = crypto_base64url(a, claims), text;

    text = arena_printf(a, "%.*s.%.*s", STR_ARG(head), STR_ARG(body));
    crypto_hmac_sha256(STR(SECRET), text, mac);
    return arena_printf(a, "%.*s.%.*s", STR_ARG(text),
                        STR_ARG(crypto_base64url(a, (struct str){(char *)mac, sizeof(mac)})));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str claims = {(const char *)data, size}, header;
    struct opaque_token opaque;
    struct arena arena = {0};
    struct caller who;

    open_config();
    MUST(!token_verify(claims, NOW_S * 1000000, &who));
    if (opaque_token_read(claims, &opaque))
        MUST(str_eq(str_from(opaque.text), claims) && strlen(opaque.hash) == OPAQUE_HASH_LEN);
    header = take_line(&claims);
    if (token_verify(sign(&arena, header, claims), NOW_S * 1000000, &who))
        check_accepted(header, claims, &who);
    arena_free(&arena);
    return 0;
}
