/* Access tokens: what is accepted, and each thing that is not. Refresh tokens: their successors. */
#include "account/api_key.h"
#include "account/token.h"
#include "base/crypto.h"
#include "config/config.h"

#include "../cmocka_all.h"

#include <jwt.h>
#include <stdio.h>
#include <string.h>

#define SECRET   "0123456789abcdef0123456789abcdef-secret"
#define PREVIOUS "fedcba9876543210fedcba9876543210-secret"
#define NOW_S    1700000000
#define NOW_US   (NOW_S * (int64_t)1000000)

#define ID_1 "11111111-1111-4111-8111-111111111111"
#define ID_2 "22222222-2222-4222-8222-222222222222"

static struct config settings;

/* libjwt 1.10 verifies nothing when it gets no key: it must never be asked so. */
static unsigned n_decoded, n_decoded_without_key;
int __real_jwt_decode(jwt_t **jwt, const char *token, const unsigned char *key, int key_len);
int __wrap_jwt_decode(jwt_t **jwt, const char *token, const unsigned char *key, int key_len);
int __wrap_jwt_decode(jwt_t **jwt, const char *token, const unsigned char *key, int key_len)
{
    n_decoded++;
    n_decoded_without_key += !key || key_len <= 0;
    return __real_jwt_decode(jwt, token, key, key_len);
}

static int set_up(void **state)
{
    (void)state;
    settings.security = (struct config_security){
        .secret = STR(SECRET), .access_seconds = 1800, .previous_secret = STR("")};
    config_set(&settings);
    return 0;
}

/* Signs by hand, so that a token may say anything. */
static struct str sign(struct arena *a, const char *header, const char *payload, const char *secret)
{
    unsigned char sum[SHA256_BYTES];
    struct str head = crypto_base64url(a, str_from(header));
    struct str body = crypto_base64url(a, str_from(payload));
    struct str text = arena_printf(a, "%.*s.%.*s", STR_ARG(head), STR_ARG(body));
    struct str mac;

    crypto_hmac_sha256(str_from(secret), text, sum);
    mac = crypto_base64url(a, (struct str){(const char *)sum, sizeof(sum)});
    return arena_printf(a, "%.*s.%.*s", STR_ARG(text), STR_ARG(mac));
}

static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
static const char good[] =
    "{\"iss\":\"aerie\",\"aud\":\"aerie\",\"typ\":\"access\",\"sub\":\"" ID_1 "\",\"team\":\"" ID_2
    "\",\"role\":\"user\",\"jti\":\"" ID_1 "\",\"fam\":\"" ID_2
    "\",\"iat\":1700000000,\"nbf\":1700000000,\"exp\":1700001800}";

static bool accepts(const char *head, const char *payload, const char *secret)
{
    struct arena a = {0};
    struct caller who;
    bool ok = token_verify(sign(&a, head, payload, secret), NOW_US, &who);

    arena_free(&a);
    return ok;
}

/* good with one part replaced by another */
static bool accepts_with(const char *part, const char *other)
{
    char payload[1024];
    const char *at = strstr(good, part);

    assert_non_null(at);
    snprintf(payload, sizeof(payload), "%.*s%s%s", (int)(at - good), good, other,
             at + strlen(part));
    return accepts(header, payload, SECRET);
}

static void an_issued_token_says_who_it_was_issued_for(void **state)
{
    struct arena a = {0};
    struct caller who = {.is_admin = true}, got;
    struct str token;

    (void)state;
    who.user_id = id_v7();
    who.team_id = id_v4();
    who.family = id_v7();
    token = token_issue(&a, &who, NOW_US + 250000);
    assert_non_null(token.ptr);
    assert_true(token_verify(token, NOW_US + 250000, &got));
    assert_string_equal(got.user_id.text, who.user_id.text);
    assert_string_equal(got.team_id.text, who.team_id.text);
    assert_string_equal(got.family.text, who.family.text);
    assert_string_equal(got.token_id.text, who.token_id.text);
    assert_true(got.is_admin);
    assert_int_equal(got.issued_at_us, NOW_US + 250000);
    assert_int_equal(got.expires_at_us, NOW_US + 1800 * (int64_t)1000000);
    arena_free(&a);
}

static void a_token_of_another_tool_with_the_same_secret_is_accepted(void **state)
{
    (void)state;
    assert_true(accepts(header, good, SECRET));
}

static void another_key_is_refused_and_the_previous_one_is_not(void **state)
{
    (void)state;
    assert_false(accepts(header, good, PREVIOUS));
    assert_false(accepts(header, good, ""));
    settings.security.previous_secret = STR(PREVIOUS);
    assert_true(accepts(header, good, PREVIOUS));
    assert_true(accepts(header, good, SECRET));
    assert_false(accepts(header, good, ""));
}

static void an_empty_key_verifies_nothing(void **state)
{
    (void)state;
    n_decoded = n_decoded_without_key = 0;
    settings.security.secret = STR("");
    assert_false(accepts(header, good, ""));
    assert_false(accepts(header, good, SECRET));
    assert_int_equal(n_decoded, 0);
    settings.security.previous_secret = STR(PREVIOUS);
    assert_true(accepts(header, good, PREVIOUS));
    assert_false(accepts(header, good, ""));
    assert_int_equal(n_decoded, 2);
    assert_int_equal(n_decoded_without_key, 0);
}

static void other_algorithms_are_refused(void **state)
{
    struct arena a = {0};
    struct caller who;
    struct str body = crypto_base64url(&a, str_from(good));
    struct str none = crypto_base64url(&a, STR("{\"alg\":\"none\"}"));
    struct str token = arena_printf(&a, "%.*s.%.*s.", STR_ARG(none), STR_ARG(body));

    (void)state;
    assert_false(token_verify(token, NOW_US, &who));
    assert_false(accepts("{\"alg\":\"none\"}", good, SECRET));
    assert_false(accepts("{\"alg\":\"HS384\"}", good, SECRET));
    assert_false(accepts("{\"alg\":\"RS256\"}", good, SECRET));
    assert_false(accepts("{\"typ\":\"JWT\"}", good, SECRET));
    assert_false(accepts("{\"alg\":\"HS256\",\"crit\":[\"b64\"]}", good, SECRET));
    assert_false(accepts("{\"alg\":\"HS256\",\"crit\":\"b64\"}", good, SECRET));
    assert_false(accepts("{\"alg\":\"HS256\",\"crit\":true}", good, SECRET));
    arena_free(&a);
}

static void a_real_hs384_token_is_refused(void **state)
{
    /* {"alg":"HS384"} over good with SECRET, made with openssl dgst -sha384 */
    struct arena a = {0};
    struct caller who;
    struct str head = crypto_base64url(&a, STR("{\"alg\":\"HS384\"}"));
    struct str body = crypto_base64url(&a, str_from(good));
    struct str token =
        arena_printf(&a, "%.*s.%.*s.%s", STR_ARG(head), STR_ARG(body),
                     "5VPdJCHSwp8KIRulpTyeihNIEHLzwfQt2hHd6nt6-13gEQ8_md_2wi7cLfndM7S3");

    (void)state;
    assert_false(token_verify(token, NOW_US, &who));
    arena_free(&a);
}

static void every_claim_must_be_there_and_of_its_type(void **state)
{
    (void)state;
    assert_false(accepts_with("\"iss\":\"aerie\",", ""));
    assert_false(accepts_with("\"iss\":\"aerie\"", "\"iss\":\"other\""));
    assert_false(accepts_with("\"aud\":\"aerie\",", ""));
    assert_false(accepts_with("\"aud\":\"aerie\"", "\"aud\":[\"aerie\"]"));
    assert_false(accepts_with("\"typ\":\"access\",", ""));
    assert_false(accepts_with("\"typ\":\"access\"", "\"typ\":\"refresh\""));
    assert_false(accepts_with("\"sub\":\"" ID_1 "\",", ""));
    assert_false(accepts_with("\"sub\":\"" ID_1 "\"", "\"sub\":\"root\""));
    assert_false(accepts_with("\"sub\":\"" ID_1 "\"", "\"sub\":7"));
    assert_false(accepts_with("\"team\":\"" ID_2 "\",", ""));
    assert_false(accepts_with("\"jti\":\"" ID_1 "\",", ""));
    assert_false(accepts_with("\"fam\":\"" ID_2 "\",", ""));
    assert_false(accepts_with("\"role\":\"user\",", ""));
    assert_false(accepts_with("\"role\":\"user\"", "\"role\":\"root\""));
    assert_true(accepts_with("\"role\":\"user\"", "\"role\":\"admin\""));
}

static void times_must_be_numbers_that_hold_now(void **state)
{
    (void)state;
    assert_false(accepts_with(",\"exp\":1700001800", ""));
    assert_false(accepts_with("\"exp\":1700001800", "\"exp\":\"1700001800\""));
    assert_false(accepts_with("\"exp\":1700001800", "\"exp\":1700001800.5"));
    assert_false(accepts_with("\"exp\":1700001800", "\"exp\":1700000000"));
    assert_false(accepts_with("\"exp\":1700001800", "\"exp\":-1"));
    assert_false(accepts_with("\"exp\":1700001800", "\"exp\":9223372036854775807"));
    assert_false(accepts_with("\"nbf\":1700000000,", ""));
    assert_false(accepts_with("\"nbf\":1700000000", "\"nbf\":\"now\""));
    assert_false(accepts_with("\"nbf\":1700000000", "\"nbf\":1700000006"));
    assert_true(accepts_with("\"nbf\":1700000000", "\"nbf\":1700000005"));
    assert_false(accepts_with("\"iat\":1700000000,", ""));
    assert_false(accepts_with("\"iat\":1700000000", "\"iat\":null"));
    assert_false(accepts_with("\"iat\":1700000000", "\"iat\":1700000006"));
}

static void a_token_with_any_byte_changed_is_refused(void **state)
{
    struct arena a = {0};
    struct caller who = {.user_id = id_v7(), .team_id = id_v4(), .family = id_v7()}, got;
    struct str token = token_issue(&a, &who, NOW_US);
    char text[TOKEN_MAX_BYTES];

    (void)state;
    assert_true(token.len < sizeof(text));
    /* the last character has bits that mean nothing */
    for (size_t i = 0; i + 1 < token.len; i++) {
        memcpy(text, token.ptr, token.len);
        text[i] = text[i] == 'A' ? 'B' : 'A';
        assert_false(token_verify((struct str){text, token.len}, NOW_US, &got));
    }
    for (size_t len = 0; len < token.len; len++)
        assert_false(token_verify((struct str){token.ptr, len}, NOW_US, &got));
    memset(text, 'a', sizeof(text));
    assert_false(token_verify((struct str){text, sizeof(text)}, NOW_US, &got));
    arena_free(&a);
}

static void a_successor_is_the_same_each_time_and_nobody_elses(void **state)
{
    struct opaque_token first, second, a, b, c, again;

    (void)state;
    opaque_token_new(&first);
    opaque_token_new(&second);
    assert_string_not_equal(first.text, second.text);
    assert_int_equal(strlen(first.text), OPAQUE_TOKEN_LEN);
    assert_int_equal(strlen(first.hash), OPAQUE_HASH_LEN);
    refresh_token_successor(&first, &a);
    refresh_token_successor(&first, &b);
    refresh_token_successor(&second, &c);
    assert_string_equal(a.text, b.text);
    assert_string_equal(a.hash, b.hash);
    assert_string_not_equal(a.text, c.text);
    assert_string_not_equal(a.text, first.text);
    assert_true(opaque_token_read(str_from(a.text), &again));
    assert_string_equal(again.hash, a.hash);
    settings.security.secret = STR(PREVIOUS);
    refresh_token_successor(&first, &b);
    assert_string_not_equal(a.text, b.text);
}

static void what_has_not_the_shape_of_a_refresh_token_is_refused(void **state)
{
    struct opaque_token t;

    (void)state;
    assert_false(opaque_token_read(STR(""), &t));
    assert_false(opaque_token_read(STR("short"), &t));
    assert_false(opaque_token_read(STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), &t));
    assert_false(opaque_token_read(STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa+"), &t));
    assert_true(opaque_token_read(STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_"), &t));
}

static void an_api_key_is_found_by_its_prefix_and_read_back(void **state)
{
    struct api_key key, other, again;

    (void)state;
    api_key_new(&key);
    api_key_new(&other);
    assert_int_equal(strlen(key.text), API_KEY_LEN);
    assert_memory_equal(key.text, "eck_", 4);
    assert_memory_equal(key.prefix, key.text, API_KEY_PREFIX);
    assert_string_not_equal(key.prefix, other.prefix);
    assert_true(api_key_read(str_from(key.text), &again));
    assert_string_equal(again.hash, key.hash);
    assert_false(api_key_read(STR("eck_short"), &again));
    key.text[0] = 'E';
    assert_false(api_key_read(str_from(key.text), &again));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_issued_token_says_who_it_was_issued_for, set_up),
        cmocka_unit_test_setup(a_token_of_another_tool_with_the_same_secret_is_accepted, set_up),
        cmocka_unit_test_setup(another_key_is_refused_and_the_previous_one_is_not, set_up),
        cmocka_unit_test_setup(an_empty_key_verifies_nothing, set_up),
        cmocka_unit_test_setup(other_algorithms_are_refused, set_up),
        cmocka_unit_test_setup(a_real_hs384_token_is_refused, set_up),
        cmocka_unit_test_setup(every_claim_must_be_there_and_of_its_type, set_up),
        cmocka_unit_test_setup(times_must_be_numbers_that_hold_now, set_up),
        cmocka_unit_test_setup(a_token_with_any_byte_changed_is_refused, set_up),
        cmocka_unit_test_setup(a_successor_is_the_same_each_time_and_nobody_elses, set_up),
        cmocka_unit_test_setup(what_has_not_the_shape_of_a_refresh_token_is_refused, set_up),
        cmocka_unit_test_setup(an_api_key_is_found_by_its_prefix_and_read_back, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
