/* Calls over TLS to a real nginx with a certificate of its own: who is trusted, and one HTTP/2
 * connection for many calls. Skipped where nginx or openssl is missing. */
#include "harness.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_FIRST 100
#define N_CALLS 250
#define NGINX   "/usr/sbin/nginx"

static char dir[] = "/tmp/aerie-tls-XXXXXX";
static pid_t nginx;
static unsigned port;

static void make_certificate(const char *name)
{
    char command[512];

    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=localhost -addext subjectAltName=DNS:localhost "
             "-keyout %s/%s.key -out %s/%s.crt 2>/dev/null",
             dir, name, dir, name);
    assert_int_equal(system(command), 0);
}

static int connect_to(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = connect(fd, (struct sockaddr *)address, sizeof(*address));

    close(fd);
    return result;
}

/* The answer comes from behind a proxy, which reads the request to its end first: a server that
 * answers before it has all of a body resets the stream now and then. */
static void write_config(void)
{
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "%s/nginx.conf", dir);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "daemon off; master_process off; pid nginx.pid; error_log error.log;\n"
            "events {}\n"
            "http {\n"
            "  access_log off; client_body_temp_path body; proxy_temp_path proxy;\n"
            "  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
            "  limit_req_zone $server_name zone=pace:1m rate=100r/s;\n"
            "  server {\n"
            "    listen 127.0.0.1:%u ssl http2;\n"
            "    ssl_certificate ours.crt; ssl_certificate_key ours.key;\n"
            "    location / {\n"
            "      limit_req zone=pace burst=1000;\n" /* so that calls at once stay at once */
            "      proxy_pass http://unix:%s/inner;\n"
            "      proxy_set_header X-Outer '$connection $server_protocol';\n"
            "    }\n"
            "  }\n"
            "  server {\n"
            "    listen unix:%s/inner;\n"
            "    location / { return 200 '{\"output\":\"$http_x_outer\"}'; }\n"
            "  }\n"
            "}\n",
            port, dir, dir);
    fclose(file);
}

static int start_nginx(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    port = ntohs(address.sin_port);
    assert_non_null(mkdtemp(dir));
    make_certificate("ours");
    make_certificate("other");
    write_config();
    nginx = fork();
    if (nginx == 0) {
        execl(NGINX, NGINX, "-p", dir, "-e", "error.log", "-c", "nginx.conf", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 500 && connect_to(&address) != 0; i++)
        usleep(10000);
    return connect_to(&address);
}

static int stop_nginx(void **state)
{
    char command[64];

    (void)state;
    kill(nginx, SIGTERM);
    waitpid(nginx, NULL, 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static void trust(const char *name)
{
    static char path[64];

    snprintf(path, sizeof(path), "%s/%s.crt", dir, name);
    test_config.upstream.ca_file = str_from(path);
}

static enum status ask_host(const char *host)
{
    char url[64];
    struct outcome out;
    enum status status;

    snprintf(url, sizeof(url), "https://%s:%u/x", host, port);
    ask(&(struct ask){.url = url}, &out);
    assert_int_equal(out.n_ends, 1);
    status = out.err.status;
    outcome_free(&out);
    return status;
}

static void only_a_trusted_certificate_of_that_host_is_taken(void **state)
{
    (void)state;
    trust("ours");
    assert_int_equal(ask_host("localhost"), OK);
    assert_int_equal(ask_host("127.0.0.1"), ERR_PROVIDER_UNREACHABLE); /* not in the certificate */
    trust("other");
    assert_int_equal(ask_host("localhost"), ERR_PROVIDER_UNREACHABLE);
    trust("missing");
    assert_int_equal(ask_host("localhost"), ERR_PROVIDER_UNREACHABLE);
    test_config.upstream.ca_file = STR_NONE; /* the system's */
    assert_int_equal(ask_host("localhost"), ERR_PROVIDER_UNREACHABLE);
}

/* ---- many at once ---- */

struct caller {
    struct flow flow;
    struct upstream_call call;
    char text[64];
};

static struct loop loop;
static struct caller callers[N_CALLS];
static struct upstream_prompt prompt;
static struct upstream_message message;
static unsigned n_ended;

static void on_text(struct upstream_call *call, struct str text)
{
    struct caller *c = call->state;

    snprintf(c->text, sizeof(c->text), "%.*s", STR_ARG(text));
}

static void call_step(struct flow *f)
{
    struct caller *c = f->state;

    c->call = (struct upstream_call){.state = c, .on_text = on_text};
    upstream_start(&c->call, f, &prompt);
}

static const struct step steps[] = {STEP(call_step), STEP_END};

static void on_detached(struct loop *l)
{
    loop_close(l);
}

static void on_ended(struct flow *f);

static void start_calls(int from, int to)
{
    for (int i = from; i < to; i++) {
        callers[i] = (struct caller){0};
        flow_start(&callers[i].flow, steps, &callers[i], on_ended);
    }
}

/* The others come when a connection stands and is nearly full. */
static void on_ended(struct flow *f)
{
    assert_int_equal(f->err.status, OK);
    if (++n_ended == 1)
        start_calls(N_FIRST, N_CALLS);
    if (n_ended == N_CALLS)
        upstream_detach(&loop, on_detached);
}

/* The text names the connection. */
static bool is_first_of_connection(int i)
{
    for (int k = 0; k < i; k++)
        if (strcmp(callers[k].text, callers[i].text) == 0)
            return false;
    return true;
}

/* As many as may be on one. */
static void calls_at_once_share_http2_connections(void **state)
{
    unsigned n_connections = 0;
    char url[64];

    (void)state;
    trust("ours");
    snprintf(url, sizeof(url), "https://localhost:%u/x", port);
    message = (struct upstream_message){.role = STR("user"), .content = STR("Hello")};
    prompt = (struct upstream_prompt){.provider = provider_find(STR("n8n")),
                                      .url = str_from(url),
                                      .messages = &message,
                                      .n_messages = 1};
    n_ended = 0;
    assert_false(is_error(loop_init(&loop, 0)));
    assert_false(is_error(upstream_attach(&loop)));
    start_calls(0, N_FIRST);
    loop_run(&loop);
    loop_deinit(&loop);
    assert_int_equal(n_ended, N_CALLS);
    assert_non_null(strstr(callers[0].text, "HTTP/2"));
    for (int i = 0; i < N_CALLS; i++)
        n_connections += is_first_of_connection(i);
    assert_in_range(n_connections, 2, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(only_a_trusted_certificate_of_that_host_is_taken),
        UPSTREAM_TEST(calls_at_once_share_http2_connections),
    };

    if (access(NGINX, X_OK) != 0 || system("openssl version >/dev/null 2>&1") != 0)
        return 77; /* meson counts it as skipped */
    return cmocka_run_group_tests(tests, start_nginx, stop_nginx);
}
