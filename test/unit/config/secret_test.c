/* The secret: made once outside production, insisted on in it. */
#include "base/log.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>

static void load(struct config *c, const char *environment, const char *secret)
{
    char first[64], second[256];
    char *variables[] = {first, second, NULL};

    snprintf(first, sizeof(first), "ENVIRONMENT=%s", environment);
    snprintf(second, sizeof(second), "SECRET_KEY=%s", secret);
    assert_false(is_error(config_load(&(struct config_sources){.environ = variables}, c)));
}

static bool settles(const char *environment, const char *secret)
{
    struct error err;
    struct config c;

    load(&c, environment, secret);
    err = config_settle_secret(&c);
    if (is_error(err)) {
        assert_true(str_contains(str_from(err.detail), STR("SECRET_KEY")));
        assert_true(str_contains(str_from(err.detail), STR("openssl rand -hex 32")));
        if (strlen(secret) > 8)
            assert_false(str_contains(str_from(err.detail), str_from(secret)));
    } else {
        assert_str(c.security.secret, secret);
    }
    config_free(&c);
    return !is_error(err);
}

static void a_secret_is_made_once_and_used_again(void **state)
{
    struct config first, second;
    struct stat st;

    (void)state;
    load(&first, "development", "");
    load(&second, "development", "");
    assert_false(is_error(config_settle_secret(&first)));
    assert_int_equal(first.security.secret.len, 64);
    assert_int_equal(stat("data", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat("data/secret", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_false(is_error(config_settle_secret(&second)));
    assert_true(str_eq(first.security.secret, second.security.secret));
    config_free(&first);
    config_free(&second);
}

static void nothing_but_the_secret_is_left_behind(void **state)
{
    struct config c;

    (void)state;
    load(&c, "development", "");
    assert_false(is_error(config_settle_secret(&c)));
    assert_int_equal(unlink("data/secret"), 0);
    assert_int_equal(rmdir("data"), 0);
    config_free(&c);
}

static void a_given_secret_makes_no_file(void **state)
{
    (void)state;
    assert_true(settles("development", "short"));
    assert_int_equal(access("data", F_OK), -1);
}

static void a_damaged_file_is_told_and_kept(void **state)
{
    struct error err;
    struct config c;

    (void)state;
    assert_int_equal(mkdir("data", 0700), 0);
    write_file("data/secret", "abc\n");
    assert_int_equal(chmod("data/secret", 0600), 0);
    load(&c, "development", "");
    err = config_settle_secret(&c);
    assert_int_equal(err.status, ERR_INVALID);
    assert_true(
        str_starts_with(str_from(err.detail), STR("the secret is cut short in data/secret")));
    config_free(&c);
    assert_int_equal(access("data/secret", F_OK), 0);
}

static void production_insists_on_a_strong_secret(void **state)
{
    static const char *const weak[] = {
        "",
        "secret",
        "changeme",
        "0123456789abcdef0123456789abcde", /* 31 bytes */
        "your-super-secret-key-change-in-production",
        "<generate_with_openssl_rand_hex_32>",
        "Your_Secret_Key_Here_0123456789abcdef",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "a-string-secret-at-least-256-bits-long",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "12345678901234567890123456789012345678",
        "abababababababababababababababababab",
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbcccccccccccc",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++) {
        if (settles("production", weak[i]))
            fail_msg("\"%s\" was accepted", weak[i]);
        if (weak[i][0])
            assert_true(settles("development", weak[i]));
    }
    assert_int_equal(access("data", F_OK), -1);
    assert_true(settles("production", "5f0a1c7be2934d86a0f7c1d2e3b4958677a8b9c0d1e2f304"));
    assert_true(settles("production", "Kd83-sPq0_vXz7Lm2NbR4tYw6UcJ9hGf"));
}

static int quiet_log(void **state)
{
    (void)state;
    log_init(LOG_ERROR, STDERR_FILENO);
    return 0;
}

int main(void)
{
#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(a_secret_is_made_once_and_used_again),
        IN_DIRECTORY(nothing_but_the_secret_is_left_behind),
        IN_DIRECTORY(a_given_secret_makes_no_file),
        IN_DIRECTORY(a_damaged_file_is_told_and_kept),
        IN_DIRECTORY(production_insists_on_a_strong_secret),
    };

    return cmocka_run_group_tests(tests, quiet_log, NULL);
}
