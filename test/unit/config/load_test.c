/* The sources: what each understands, who wins, and what the operator is told. */
#include "base/log.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>

static char *no_environment[] = {NULL};

/* Loads with the given file contents (NULL: no file) and one environment variable or none. */
static struct error load(const char *json, const char *dotenv, const char *variable,
                         struct config *c)
{
    char *environment[] = {(char *)(uintptr_t)variable, NULL};

    unlink("config.json");
    unlink(".env");
    if (json)
        write_file("config.json", json);
    if (dotenv)
        write_file(".env", dotenv);
    return config_load(&(struct config_sources){.environ = environment}, c);
}

static void expect_error(const char *json, const char *dotenv, const char *variable,
                         const char *detail)
{
    struct config c;
    struct error err = load(json, dotenv, variable, &c);

    assert_int_equal(err.status, ERR_INVALID);
    assert_str(str_from(err.detail), detail);
    config_free(&c);
}

static void expect_url(const char *given, const char *normal)
{
    char variable[256];
    struct config c;

    snprintf(variable, sizeof(variable), "DATABASE_URL=%s", given);
    assert_false(is_error(load(NULL, NULL, variable, &c)));
    assert_str(c.database.url, normal);
    config_free(&c);
}

static void a_value_may_stand_in_a_file_of_its_own(void **state)
{
    static const char secret[] = "a secret that is long enough for production";
    struct config c;

    (void)state;
    write_file("secret.txt", " a secret that is long enough for production\n");
    assert_false(is_error(load(NULL, NULL, "SECRET_KEY_FILE=secret.txt", &c)));
    assert_str(c.security.secret, secret);
    config_free(&c);
    assert_false(is_error(load(NULL, "SECRET_KEY_FILE=secret.txt\n", "X=", &c)));
    assert_str(c.security.secret, secret);
    config_free(&c);
    assert_false(
        is_error(load(NULL, "SECRET_KEY=other\n", "SECURITY__SECRET_FILE=secret.txt", &c)));
    assert_str(c.security.secret, secret);
    config_free(&c);
    assert_false(is_error(load(NULL, NULL, "SECRET_KEY_FILE=", &c)));
    assert_str(c.security.secret, "");
    config_free(&c);
    assert_false(is_error(load(NULL, NULL, "LOG__FILE=secret.txt", &c)));
    assert_str(c.log.file, "secret.txt");
    config_free(&c);
    expect_error(NULL, NULL, "SECRET_KEY_FILE=missing.txt",
                 "missing.txt: cannot be opened: No such file or directory");
    write_file("port.txt", "eighty\n");
    expect_error(NULL, NULL, "SERVER__PORT_FILE=port.txt",
                 "environment: SERVER__PORT_FILE: \"eighty\" is not accepted, expected a whole "
                 "number from 0 to 65535");
    expect_error(NULL, "SERVER__PROT_FILE=port.txt\n", "X=",
                 ".env:1: unknown key SERVER__PROT_FILE; docs/configuration.md and `aerie config` "
                 "list the keys");
    unlink("secret.txt");
    unlink("port.txt");
}

static void mail_servers_are_told_with_their_port(void **state)
{
    static const char *const pairs[][2] = {
        {"smtp://mail.test", "smtp://mail.test:587"},
        {"SMTPS://Mail.test/", "smtps://mail.test:465"},
        {"smtp://localhost:25", "smtp://localhost:25"},
        {"smtps://mail.test:443", "smtps://mail.test:443"},
        {"smtp://[::1]", "smtp://[::1]:587"},
        {"smtp://10.0.0.5:80", "smtp://10.0.0.5:80"},
    };
    static const char *const wrong[] = {
        "mail.test",          "http://mail.test",       "smtp://",   "smtp://u:p@mail.test",
        "smtp://mail.test:0", "smtp://mail.test:70000", "smtp://a b"};
    char variable[256];
    struct config c;

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        snprintf(variable, sizeof(variable), "EMAIL__URL=%s\nEMAIL__FROM=a@b.test\n", pairs[i][0]);
        assert_false(is_error(load(NULL, variable, NULL, &c)));
        assert_str(c.email.url, pairs[i][1]);
        assert_int_equal(c.email.user.len, 0);
        config_free(&c);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(variable, sizeof(variable), "EMAIL__URL=\"%s\"\nEMAIL__FROM=a@b.test\n", wrong[i]);
        if (!is_error(load(NULL, variable, NULL, &c)))
            fail_msg("%s was accepted", wrong[i]);
        config_free(&c);
    }
    expect_error(NULL, NULL, "EMAIL__URL=smtp://mail.test",
                 "email.url is set, and email.from is not: set the address that mails come from");
    expect_error(
        NULL, NULL, "EMAIL__FROM=a@b.test>",
        "environment: EMAIL__FROM: \"a@b.test>\" is not accepted, expected an e-mail address");
}

static void a_files_permissions_are_three_octal_digits(void **state)
{
    static const char *const right[] = {"0660", "660", "0777", "000"};
    static const char *const wrong[] = {"", "0", "66", "6660", "06600", "1660", "0680", "rw-"};
    char variable[64];
    struct config c;

    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        snprintf(variable, sizeof(variable), "SERVER__UNIX_MODE=%s", right[i]);
        assert_false(is_error(load(NULL, NULL, variable, &c)));
        assert_str(c.server.unix_mode, right[i]);
        config_free(&c);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(variable, sizeof(variable), "SERVER__UNIX_MODE=%s", wrong[i]);
        if (!is_error(load(NULL, NULL, variable, &c)))
            fail_msg("%s was accepted", wrong[i]);
        config_free(&c);
    }
}

static void an_empty_place_gives_the_defaults(void **state)
{
    struct config c;

    (void)state;
    assert_false(is_error(config_load(&(struct config_sources){.environ = no_environment}, &c)));
    assert_str(c.server.host, "127.0.0.1");
    assert_int_equal(c.server.port, 8000);
    assert_str(c.environment, "development");
    assert_str(c.database.url, "");
    assert_true(c.database.prepared_statements);
    assert_int_equal(c.limits.body_bytes, 1024 * 1024);
    assert_int_equal(c.security.access_seconds, 1800);
    assert_int_equal(c.turn.keep_ms, 60000);
    assert_int_equal(c.allowed_origins.n, 0);
    config_free(&c);
}

static void a_later_source_wins(void **state)
{
    struct config c;

    (void)state;
    assert_false(is_error(load("{\"server\":{\"port\":1,\"workers\":1},\"turn\":{\"keep_ms\":1}}",
                               "SERVER__PORT=2\nSERVER__WORKERS=2\n", "SERVER__PORT=3", &c)));
    assert_int_equal(c.server.port, 3);
    assert_int_equal(c.server.workers, 2);
    assert_int_equal(c.turn.keep_ms, 1);
    config_free(&c);
    assert_false(is_error(load("{\"server\":{\"port\":1}}", NULL, "PORT=4", &c)));
    assert_int_equal(c.server.port, 4);
    config_free(&c);
}

static void within_a_source_the_keys_own_name_wins(void **state)
{
    struct config c;

    (void)state;
    assert_false(is_error(load(NULL, "SERVER__PORT=1\nPORT=2\n", NULL, &c)));
    assert_int_equal(c.server.port, 1);
    config_free(&c);
    assert_false(is_error(load(NULL, "JWT_SECRET_KEY=b\nSECRET_KEY=a\n", NULL, &c)));
    assert_str(c.security.secret, "a");
    config_free(&c);
    assert_false(is_error(load(NULL, "SECRET_KEY=a\nJWT_SECRET_KEY=b\n", NULL, &c)));
    assert_str(c.security.secret, "a");
    config_free(&c);
}

static void json_types_are_taken_as_they_are(void **state)
{
    struct config c;

    (void)state;
    assert_false(
        is_error(load("{\"database\": {\"prepared_statements\": false, \"url\": null},\n"
                      " \"trusted_proxies\": [\"10.0.0.0/8\", \"::1\"],\n"
                      " \"allowed_origins\": \"HTTPS://Example.com:443/, http://localhost:3000\",\n"
                      " \"limits.body_bytes\": \"7\", \"api\": {\"title\": \"Ch\\u00e4t\"},\n"
                      " \"turn\": {\"keep_ms\": 1, \"keep_ms\": 2}}",
                      NULL, NULL, &c)));
    assert_false(c.database.prepared_statements);
    assert_str(c.database.url, "");
    assert_int_equal(c.trusted_proxies.n, 2);
    assert_str(c.trusted_proxies.items[1], "::1");
    assert_int_equal(c.allowed_origins.n, 2);
    assert_str(c.allowed_origins.items[0], "https://example.com");
    assert_str(c.allowed_origins.items[1], "http://localhost:3000");
    assert_int_equal(c.limits.body_bytes, 7);
    assert_str(c.api_title, "Ch\xc3\xa4t");
    assert_int_equal(c.turn.keep_ms, 2);
    config_free(&c);
}

static void dotenv_knows_quotes_comments_and_export(void **state)
{
    struct config c;

    (void)state;
    assert_false(is_error(load(NULL,
                               "\xef\xbb\xbf# a comment\r\n\r\n"
                               "export API_TITLE=\"a \\\"b\\\" # c\" # comment\r\n"
                               "  DATA_DIR = 'x\\n #y'\n"
                               "SERVER__HOST=::1   # or 0.0.0.0\n"
                               "EGRESS__ALLOW=127.0.0.0/8, localhost,\n"
                               "ALLOWED_ORIGINS=\n"
                               "SECRET_KEY=a#b=c",
                               NULL, &c)));
    assert_str(c.api_title, "a \"b\" # c");
    assert_str(c.data_dir, "x\\n #y");
    assert_str(c.server.host, "::1");
    assert_int_equal(c.egress.allow.n, 2);
    assert_str(c.egress.allow.items[1], "localhost");
    assert_str(c.security.secret, "a#b=c");
    config_free(&c);
}

static void the_names_of_older_programs_work(void **state)
{
    struct config c;

    (void)state;
    assert_false(is_error(load(NULL,
                               "ACCESS_TOKEN_EXPIRE_MINUTES=45\nALGORITHM=HS256\n"
                               "SECURITY__BCRYPT_ROUNDS=10\nENVIRONMENT=production\n"
                               "LOGGING__LEVEL=WARNING\n",
                               NULL, &c)));
    assert_int_equal(c.security.access_seconds, 2700);
    assert_int_equal(c.security.bcrypt_rounds, 10);
    assert_str(c.environment, "production");
    assert_str(c.log.level, "warn");
    config_free(&c);
    assert_false(is_error(load(NULL, NULL, "SECURITY__JWT_EXPIRES_IN=60", &c)));
    assert_int_equal(c.security.access_seconds, 60);
    config_free(&c);
}

static void expect_pool(const struct config_list *pool, const char *joined)
{
    struct buf text = {0};

    for (size_t i = 0; i < pool->n; i++)
        buf_printf(&text, "%.*s ", STR_ARG(pool->items[i]));
    assert_str(buf_str(&text), joined);
    buf_deinit(&text);
}

/* One source's names give one pool; a later source's replaces it. */
static void provider_keys_are_pools(void **state)
{
    struct buf many = {0};
    struct config c;

    (void)state;
    assert_false(is_error(load("{\"ai_services\":{\"openai_api_key\":[\"a\",\"b\"],"
                               "\"groq_api_key_2\":\"c\",\"gemini_api_key\":\"d\"}}",
                               "GROQ_API_KEY=e,f\nAI_SERVICES__GROQ_API_KEY_1=e\n"
                               "AI_SERVICES__GROQ_API_KEY_99=g\nAI_SERVICES__GROQ_API_KEY_3=\n",
                               "AI_SERVICES__GEMINI_API_KEY=", &c)));
    expect_pool(&c.ai_services.openai.api_key, "a b ");
    expect_pool(&c.ai_services.groq.api_key, "e f g ");
    expect_pool(&c.ai_services.gemini.api_key, "");
    config_free(&c);
    for (int i = 0; i < 33; i++)
        buf_printf(&many, "%sk%d", i ? "," : "OPENAI_API_KEY=", i);
    buf_append(&many, "\n", 2);
    expect_error(NULL, many.data, NULL,
                 ".env:1: OPENAI_API_KEY: more than 32 keys for one provider");
    expect_error(NULL, NULL, "SERVER__PORT_1=3",
                 "environment: unknown key SERVER__PORT_1; did you mean SERVER__PORT?");
    expect_error(NULL, NULL, "AI_SERVICES__OPENAI_BASE_URL=api.openai.com",
                 "environment: AI_SERVICES__OPENAI_BASE_URL: \"api.openai.com\" is not accepted, "
                 "expected a URL like https://api.example.com/v1");
    buf_deinit(&many);
}

static void provider_keys_are_printed_masked(void **state)
{
    struct buf text = {0};
    struct config c;

    (void)state;
    assert_false(is_error(load(NULL, NULL, "OPENAI_API_KEY=sk-one,sk-two", &c)));
    config_print(&c, false, &text);
    config_print(&c, true, &text);
    assert_false(str_contains(buf_str(&text), STR("sk-")));
    assert_true(str_contains(buf_str(&text), STR("[\"********\",\"********\"]")));
    buf_deinit(&text);
    config_free(&c);
}

static void a_sample_of_each_older_program_loads(void **state)
{
    static const char config_json[] =
        "{\"supabase\":{\"url\":\"https://x.supabase.co\",\"service_role_key\":\"k\"},"
        "\"logging\":{\"level\":\"INFO\",\"retention_days\":30,\"log_directory\":\"logs\"},"
        "\"api\":{\"title\":\"Eagle\",\"description\":\"d\",\"version\":\"1\"},"
        "\"callback\":{\"retry_attempts\":3,\"retry_delay_seconds\":3}}";
    static const char dotenv[] =
        "MONGO_URI=mongodb://x\nEMAIL__GMAIL_FROM_EMAIL=a@b.c\nEMAIL__GMAIL_APP_PASSWORD=p\n"
        "AI_SERVICES__OPEN_ROUTER_API_KEY_1=k1\nAI_SERVICES__OPEN_ROUTER_API_KEY_2=k2\n"
        "AI_SERVICES__GROQ_API_KEY=g\nAI_SERVICES__GEMINI_API_KEY=e\n"
        "SUPABASE_URL=u\nSUPABASE_KEY=k\nOPENROUTER_API_KEY=k3\n"
        "DATABASE_URL=postgresql+asyncpg://username:password@localhost:5432/database_name\n";
    char log[4096];
    struct config c;
    size_t warnings = 0;
    ssize_t n;
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    log_init(LOG_INFO, fds[1]);
    assert_false(is_error(load(config_json, dotenv, NULL, &c)));
    log_init(LOG_INFO, STDERR_FILENO);
    assert_str(c.api_title, "Eagle");
    assert_str(c.email.url, "smtps://smtp.gmail.com:465");
    assert_str(c.email.user, "a@b.c");
    assert_str(c.email.password, "p");
    expect_pool(&c.ai_services.openrouter.api_key, "k1 k2 k3 ");
    expect_pool(&c.ai_services.groq.api_key, "g ");
    expect_pool(&c.ai_services.gemini.api_key, "e ");
    n = read(fds[0], log, sizeof(log) - 1);
    assert_true(n > 0);
    log[n] = '\0';
    for (const char *at = log; (at = strstr(at, " WARN ")); at++)
        warnings++;
    assert_int_equal(warnings, 2); /* MONGO_URI, and SUPABASE once for all its names */
    assert_non_null(strstr(log, "set DATABASE_URL to the project's postgresql:// connection"));
    assert_null(strstr(log, "mongodb://"));
    close(fds[0]);
    close(fds[1]);
    config_free(&c);
}

static void database_urls_are_put_in_normal_form(void **state)
{
    (void)state;
    expect_url("", "");
    expect_url("sqlite:///./chatbot.db", "sqlite:///./chatbot.db");
    expect_url("sqlite:////var/lib/a.db", "sqlite:////var/lib/a.db");
    expect_url("sqlite+aiosqlite:///a.db", "sqlite:///a.db");
    expect_url("postgres://u@h/d", "postgresql://u@h/d");
    expect_url("postgresql://", "postgresql://");
    expect_url("postgresql+asyncpg://u:p@h:5432/d", "postgresql://u:p@h:5432/d");
    expect_url("postgresql+asyncpg://h/d?ssl=require&a=b", "postgresql://h/d?sslmode=require&a=b");
    expect_error(NULL, NULL, "DATABASE_URL=mysql://u:pa@ss@h/d",
                 "environment: DATABASE_URL: mysql://u:********@h/d is not accepted, expected "
                 "sqlite:///relative/path, sqlite:////absolute/path or "
                 "postgresql://user:password@host/name");
    expect_error(NULL, NULL, "DATABASE_URL=host=h password=p",
                 "environment: DATABASE_URL: ******** is not accepted, expected "
                 "sqlite:///relative/path, sqlite:////absolute/path or "
                 "postgresql://user:password@host/name");
    expect_error(NULL, NULL, "DATABASE_URL=sqlite://a.db",
                 "environment: DATABASE_URL: sqlite://a.db is not accepted, expected "
                 "sqlite:///relative/path, sqlite:////absolute/path or "
                 "postgresql://user:password@host/name");
}

static void a_bad_value_is_told_with_its_place(void **state)
{
    (void)state;
    expect_error(
        "{\n \"limits\": {\n  \"body_bytes\": 5,\n  \"head_seconds\": 0 }\n}", NULL, NULL,
        "config.json:4: limits.head_seconds: \"0\" is not accepted, expected a whole number "
        "from 1 to 86400");
    expect_error(
        "{\"server\":{\"port\":-1}}", NULL, NULL,
        "config.json:1: server.port: \"-1\" is not accepted, expected a whole number from 0 "
        "to 65535");
    expect_error(
        "{\"server\":{\"port\":80.5}}", NULL, NULL,
        "config.json:1: server.port: \"80.5\" is not accepted, expected a whole number from "
        "0 to 65535");
    expect_error(
        NULL, "\n# x\nSERVER__PORT=70000\n", NULL,
        ".env:3: SERVER__PORT: \"70000\" is not accepted, expected a whole number from 0 to "
        "65535");
    expect_error(
        NULL, NULL, "ACCESS_TOKEN_EXPIRE_MINUTES=9223372036854775807",
        "environment: ACCESS_TOKEN_EXPIRE_MINUTES: \"9223372036854775807\" is not accepted, "
        "expected a whole number from 1 to 525600");
    expect_error(
        NULL, NULL, "SERVER__HOST=example.com",
        "environment: SERVER__HOST: \"example.com\" is not accepted, expected an IP address "
        "or localhost");
    expect_error(NULL, NULL, "ENVIRONMENT=staging",
                 "environment: ENVIRONMENT: \"staging\" is not accepted, expected development or "
                 "production");
    expect_error(
        NULL, NULL, "DATABASE__PREPARED_STATEMENTS=maybe",
        "environment: DATABASE__PREPARED_STATEMENTS: \"maybe\" is not accepted, expected true "
        "or false");
    expect_error("{\"api_title\": 5}", NULL, NULL,
                 "config.json:1: api_title: \"5\" is not accepted, expected text in quotes");
    expect_error(
        "{\"allowed_origins\": [\"http://a\", 5]}", NULL, NULL,
        "config.json:1: allowed_origins: \"[\\\"http://a\\\",5]\" is not accepted, expected a "
        "list of texts");
    expect_error(NULL, NULL, "ALGORITHM=RS256",
                 "environment: ALGORITHM: expected HS256, which is all that is accepted");
}

static void secrets_do_not_stand_in_errors(void **state)
{
    (void)state;
    expect_error(
        NULL, NULL, "SECRET_KEY=abc\ndef",
        "environment: SECRET_KEY: this value is not accepted, expected text without control "
        "characters");
}

static void list_items_are_checked(void **state)
{
    static const char *const bad[] = {
        "TRUSTED_PROXIES=10.0.0.0/33",
        "TRUSTED_PROXIES=10.0.0.0/8,nginx",
        "TRUSTED_PROXIES=10.0.0/8",
        "TRUSTED_PROXIES=::/129",
        "EGRESS__ALLOW=10.0.0.300",
        "EGRESS__ALLOW=http://localhost",
        "EGRESS__ALLOW=a..b",
        "ALLOWED_ORIGINS=*",
        "ALLOWED_ORIGINS=example.com",
        "ALLOWED_ORIGINS=https://",
        "ALLOWED_ORIGINS=https://a/path",
        "ALLOWED_ORIGINS=https://a:0",
        "ALLOWED_ORIGINS=https://a:",
        "ALLOWED_ORIGINS=https://u@a",
        "ALLOWED_ORIGINS=https://[::1",
        "ALLOWED_ORIGINS=null",
    };
    struct config c;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = load(NULL, NULL, bad[i], &c);

        if (err.status != ERR_INVALID)
            fail_msg("%s was accepted", bad[i]);
        config_free(&c);
    }
    assert_false(is_error(load(NULL, NULL, "ALLOWED_ORIGINS=http://[::1]:80,http://[::1]:81", &c)));
    assert_str(c.allowed_origins.items[0], "http://[::1]");
    assert_str(c.allowed_origins.items[1], "http://[::1]:81");
    config_free(&c);
}

static uint64_t sampled_below(const char *variable)
{
    struct config c;
    uint64_t below;

    assert_false(is_error(load(NULL, NULL, variable, &c)));
    below = c.trace_rules.sampled_below;
    config_free(&c);
    return below;
}

static void tracing_is_told_in_shares_headers_and_whom_to_follow(void **state)
{
    static const uint64_t whole = UINT64_C(1) << 56;
    static const char *const bad[] = {
        "TRACING__SAMPLE=",
        "TRACING__SAMPLE=2",
        "TRACING__SAMPLE=1.1",
        "TRACING__SAMPLE=.5",
        "TRACING__SAMPLE=0.",
        "TRACING__SAMPLE=0,5",
        "TRACING__SAMPLE=-0.5",
        "TRACING__SAMPLE=50%",
        "TRACING__SAMPLE=0.0000000001",
        "TRACING__HEADERS=Authorization",
        "TRACING__HEADERS=: value",
        "TRACING__HEADERS=a b: value",
        "TRACING__HEADERS=name: ",
        "TRACING__HEADERS=a: 1,b: 2,c: 3,d: 4,e: 5",
        "TRACING__FOLLOW_PARENT=clients",
        "TRACING__ENDPOINT=collector:4318",
    };
    struct config c;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (load(NULL, NULL, bad[i], &c).status != ERR_INVALID)
            fail_msg("%s was accepted", bad[i]);
        config_free(&c);
    }
    assert_int_equal(sampled_below("TRACING__SAMPLE=0"), 0);
    assert_int_equal(sampled_below("TRACING__SAMPLE=0.000"), 0);
    assert_int_equal(sampled_below("TRACING__SAMPLE=1"), whole);
    assert_int_equal(sampled_below("TRACING__SAMPLE=1.0"), whole);
    assert_in_range(sampled_below("TRACING__SAMPLE=0.5"), whole / 2 - 10, whole / 2);
    assert_in_range(sampled_below("TRACING__SAMPLE=0.000000001"), whole / 1000000000 - 10,
                    whole / 1000000000);
    assert_false(is_error(load(NULL, NULL, NULL, &c)));
    assert_true(c.trace_rules.follows_proxies && !c.trace_rules.follows_all);
    config_free(&c);
    assert_false(is_error(load(NULL, NULL, "TRACING__FOLLOW_PARENT=always", &c)));
    assert_true(c.trace_rules.follows_proxies && c.trace_rules.follows_all);
    config_free(&c);
    assert_false(is_error(load(NULL, NULL, "TRACING__FOLLOW_PARENT=never", &c)));
    assert_false(c.trace_rules.follows_proxies || c.trace_rules.follows_all);
    config_free(&c);
    assert_false(
        is_error(load(NULL, "TRACING__HEADERS=Authorization: Bearer a=b, X-Org: 1\n", NULL, &c)));
    assert_str(c.tracing.headers.items[0], "Authorization: Bearer a=b");
    assert_str(c.tracing.headers.items[1], "X-Org: 1");
    config_free(&c);
}

static void an_unknown_key_stops_the_start_with_a_hint(void **state)
{
    struct config c;

    (void)state;
    expect_error("{\"server\": {\n\"prot\": 1}}", NULL, NULL,
                 "config.json:2: unknown key server.prot; did you mean server.port?");
    expect_error(
        "{\"x\": [{\"y\": 1}]}", NULL, NULL,
        "config.json:1: unknown key x; docs/configuration.md and `aerie config` list the keys");
    expect_error(NULL, "FOO=1", NULL,
                 ".env:1: unknown key FOO; docs/configuration.md and `aerie config` list the keys");
    expect_error(NULL, NULL, "LIMITS__BODY_BITES=1",
                 "environment: unknown key LIMITS__BODY_BITES; did you mean LIMITS__BODY_BYTES?");
    assert_false(is_error(load(NULL, NULL, "HOME=/root", &c)));
    config_free(&c);
    assert_false(is_error(load(NULL, NULL, "LIMITSX=1", &c)));
    config_free(&c);
}

static void lines_stay_right_behind_foreign_values(void **state)
{
    (void)state;
    expect_error(
        "{\"ai_services\": {\"a\": [{\"b\": 1},\n {\"c\": {\"d\": \"}\\\"\"}}], \"e\": \"x: y\"},\n"
        "\"server\": \n{\"port\": \"x\"}}",
        NULL, NULL,
        "config.json:4: server.port: \"x\" is not accepted, expected a whole number from 0 to "
        "65535");
}

static void broken_files_are_told_with_their_line(void **state)
{
    struct config c;
    struct error err;

    (void)state;
    expect_error("{\n\"server\": {\n}", NULL, NULL, "config.json:3: Malformed JSON at byte 15");
    expect_error("[]", NULL, NULL, "config.json:1: expected one JSON object");
    expect_error("", NULL, NULL, "config.json:1: The JSON is empty");
    expect_error(NULL, "A B\n", NULL, ".env:1: expected NAME=value");
    expect_error(NULL, "\nAPI_TITLE=\"x\n", NULL, ".env:2: the quote is not closed");
    expect_error(NULL, "API_TITLE=\"x\" y\n", NULL,
                 ".env:1: expected nothing after the closing quote");
    err = config_load(&(struct config_sources){.json_path = "missing.json"}, &c);
    assert_str(str_from(err.detail), "missing.json: cannot be opened: No such file or directory");
    config_free(&c);
    assert_int_equal(mkdir("folder", 0700), 0);
    err = config_load(&(struct config_sources){.env_path = "folder"}, &c);
    assert_str(str_from(err.detail), "folder: cannot be read: Is a directory");
    config_free(&c);
}

static void printing_masks_secrets(void **state)
{
    struct buf out = {0};
    struct config c;
    struct str text;

    (void)state;
    assert_false(
        is_error(load("{\"security\":{\"secret\":\"hush hush\"},\"egress\":{\"allow\":[\"::1\"]}}",
                      NULL, "DATABASE_URL=postgresql://u:p@x@h/d?password=q&a=b", &c)));
    config_print(&c, false, &out);
    text = buf_str(&out);
    assert_false(str_contains(text, STR("hush")));
    assert_true(str_contains(text, STR("\nsecurity.secret = ********\n")));
    assert_true(str_contains(text, STR("\nsecurity.previous_secret = \n")));
    assert_true(str_contains(
        text, STR("\ndatabase.url = postgresql://u:********@h/d?password=********&a=b\n")));
    buf_clear(&out);
    config_print(&c, true, &out);
    text = buf_str(&out);
    assert_false(str_contains(text, STR("hush")));
    assert_false(str_contains(text, STR("p@x")));
    assert_true(
        str_contains(text, STR("\"egress\":{\"allow\":[\"::1\"]},\"email\":{\"ca_file\":\"\"")));
    assert_true(str_contains(text, STR("\"server\":{\"drain_seconds\":30,\"host\":\"127.0.0.1\"")));
    buf_deinit(&out);
    config_free(&c);
}

int main(void)
{
#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(a_files_permissions_are_three_octal_digits),
        IN_DIRECTORY(an_empty_place_gives_the_defaults),
        IN_DIRECTORY(a_later_source_wins),
        IN_DIRECTORY(within_a_source_the_keys_own_name_wins),
        IN_DIRECTORY(json_types_are_taken_as_they_are),
        IN_DIRECTORY(dotenv_knows_quotes_comments_and_export),
        IN_DIRECTORY(the_names_of_older_programs_work),
        IN_DIRECTORY(provider_keys_are_pools),
        IN_DIRECTORY(provider_keys_are_printed_masked),
        IN_DIRECTORY(a_sample_of_each_older_program_loads),
        IN_DIRECTORY(a_value_may_stand_in_a_file_of_its_own),
        IN_DIRECTORY(mail_servers_are_told_with_their_port),
        IN_DIRECTORY(database_urls_are_put_in_normal_form),
        IN_DIRECTORY(a_bad_value_is_told_with_its_place),
        IN_DIRECTORY(secrets_do_not_stand_in_errors),
        IN_DIRECTORY(list_items_are_checked),
        IN_DIRECTORY(tracing_is_told_in_shares_headers_and_whom_to_follow),
        IN_DIRECTORY(an_unknown_key_stops_the_start_with_a_hint),
        IN_DIRECTORY(lines_stay_right_behind_foreign_values),
        IN_DIRECTORY(broken_files_are_told_with_their_line),
        IN_DIRECTORY(printing_masks_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
