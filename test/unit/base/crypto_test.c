/* Digests, sealing, encodings and identifiers. */
#include "base/clock.h"
#include "base/crypto.h"
#include "base/id.h"
#include "unit.h"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

static struct str view(const unsigned char *p, size_t len)
{
    return (struct str){(const char *)p, len};
}

static void sha256_and_hmac_give_the_published_values(void **state)
{
    unsigned char out[SHA256_BYTES];
    struct arena a = {0};
    char key[131];

    (void)state;
    crypto_sha256(STR("abc"), out);
    assert_str(crypto_hex(&a, view(out, 32)),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256(STR_NONE, out);
    assert_str(crypto_hex(&a, view(out, 32)),
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    crypto_sha1(STR("abc"), out);
    assert_str(crypto_hex(&a, view(out, SHA1_BYTES)), "a9993e364706816aba3e25717850c26c9cd0d89d");
    /* RFC 4231, cases 2 and 6 */
    crypto_hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), out);
    assert_str(crypto_hex(&a, view(out, 32)),
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    crypto_hmac_sha256((struct str){key, sizeof(key)},
                       STR("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    assert_str(crypto_hex(&a, view(out, 32)),
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    arena_free(&a);
}

static void derived_keys_are_hkdf(void **state)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string("digest", "SHA256", 0),
        OSSL_PARAM_construct_octet_string("key", "a secret", 8),
        OSSL_PARAM_construct_octet_string("info", "tokens", 6),
        OSSL_PARAM_construct_end(),
    };
    unsigned char theirs[32], ours[32], other[32];

    (void)state;
    assert_int_equal(EVP_KDF_derive(ctx, theirs, sizeof(theirs), params), 1);
    crypto_derive(STR("a secret"), "tokens", ours);
    assert_memory_equal(ours, theirs, sizeof(ours));
    crypto_derive(STR("a secret"), "seals", other);
    assert_memory_not_equal(ours, other, sizeof(ours));
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

static void a_seal_opens_only_with_its_key_and_its_row(void **state)
{
    unsigned char key[32], other[32];
    struct str sealed, again, damaged;
    struct arena a = {0};

    (void)state;
    crypto_random(key, sizeof(key));
    crypto_random(other, sizeof(other));
    sealed = crypto_seal(&a, key, STR("agent 1"), STR("hunter2"));
    assert_true(str_starts_with(sealed, STR("v1:")));
    assert_str(crypto_open(&a, key, STR("agent 1"), sealed), "hunter2");
    assert_null(crypto_open(&a, key, STR("agent 2"), sealed).ptr);
    assert_null(crypto_open(&a, other, STR("agent 1"), sealed).ptr);
    again = crypto_seal(&a, key, STR("agent 1"), STR("hunter2"));
    assert_false(str_eq(sealed, again));
    for (size_t i = 0; i < sealed.len; i++) {
        damaged = arena_copy(&a, sealed);
        ((char *)(uintptr_t)damaged.ptr)[i] ^= 1;
        assert_null(crypto_open(&a, key, STR("agent 1"), damaged).ptr);
    }
    for (size_t len = 0; len < sealed.len; len++)
        assert_null(crypto_open(&a, key, STR("agent 1"), (struct str){sealed.ptr, len}).ptr);
    sealed = crypto_seal(&a, key, STR_NONE, STR(""));
    assert_non_null(crypto_open(&a, key, STR_NONE, sealed).ptr);
    assert_str(crypto_open(&a, key, STR_NONE, sealed), "");
    arena_free(&a);
}

static void base64_gives_the_published_values(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}};
    struct arena a = {0};
    unsigned char raw[64];
    struct str text;

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        assert_str(crypto_base64(&a, str_from(pairs[i][0])), pairs[i][1]);
    assert_str(crypto_base64(&a, STR("\xfb\xff")), "+/8=");
    assert_str(crypto_base64url(&a, STR("\xfb\xff")), "-_8");
    for (size_t len = 0; len <= sizeof(raw); len++) {
        crypto_random(raw, len);
        text = crypto_base64url(&a, view(raw, len));
        assert_true(str_eq(crypto_base64url_decode(&a, text), view(raw, len)));
    }
    assert_null(crypto_base64url_decode(&a, STR("Zg==")).ptr);
    assert_null(crypto_base64url_decode(&a, STR("Z")).ptr);
    assert_null(crypto_base64url_decode(&a, STR("Zh")).ptr); /* its last four bits are not zero */
    assert_null(crypto_base64url_decode(&a, STR("Zm+v")).ptr);
    arena_free(&a);
}

static void comparing_needs_equal_lengths(void **state)
{
    (void)state;
    assert_true(crypto_equal(STR("abc"), STR("abc")));
    assert_false(crypto_equal(STR("abc"), STR("abd")));
    assert_false(crypto_equal(STR("abc"), STR("abcd")));
    assert_true(crypto_equal(STR_NONE, STR("")));
}

static void ids_of_version_7_rise_even_when_the_clock_goes_back(void **state)
{
    struct clock_source now = {.wall_us = INT64_C(1795203302123000)};
    struct id last = {""}, id, parsed;

    (void)state;
    clock_set_source(&now);
    for (int i = 0; i < 20000; i++) {
        if (i == 10000)
            now.wall_us -= INT64_C(3600000000);
        id = id_v7();
        assert_true(strcmp(last.text, id.text) < 0);
        assert_int_equal(id.text[14], '7');
        assert_non_null(strchr("89ab", id.text[19]));
        assert_true(id_parse(id_str(&id), &parsed));
        last = id;
    }
    clock_set_source(NULL);
}

static void ids_of_version_4_are_random(void **state)
{
    struct id a = id_v4(), b = id_v4();

    (void)state;
    assert_int_equal(a.text[14], '4');
    assert_non_null(strchr("89ab", a.text[19]));
    assert_string_not_equal(a.text, b.text);
}

static void only_uuids_are_read_as_ids(void **state)
{
    static const char *const bad[] = {"",
                                      "0198c0de-0000-7000-8000-00000000000",
                                      "0198c0de-0000-7000-8000-0000000000000",
                                      "0198c0de00000-7000-8000-000000000000",
                                      "0198c0dg-0000-7000-8000-000000000000",
                                      "0198c0de-0000-7000-8000-00000000000-"};
    struct id id = {""};

    (void)state;
    assert_true(id_parse(STR("0198C0DE-ABCD-7000-8000-000000000000"), &id));
    assert_string_equal(id.text, "0198c0de-abcd-7000-8000-000000000000");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(id_parse(str_from(bad[i]), &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_and_hmac_give_the_published_values),
        cmocka_unit_test(derived_keys_are_hkdf),
        cmocka_unit_test(a_seal_opens_only_with_its_key_and_its_row),
        cmocka_unit_test(base64_gives_the_published_values),
        cmocka_unit_test(comparing_needs_equal_lengths),
        cmocka_unit_test(ids_of_version_7_rise_even_when_the_clock_goes_back),
        cmocka_unit_test(ids_of_version_4_are_random),
        cmocka_unit_test(only_uuids_are_read_as_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
