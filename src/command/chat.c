/* aerie chat: whom to ask, as whom, and message after message. */
#include "base/json.h"
#include "base/nearest.h"
#include "chat_turn.h"
#include "command.h"
#include "config/config.h"
#include "config/here.h"
#include "terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALL_MS       30000
#define MESSAGE_BYTES ((size_t)1024 * 1024)
#define JSON_DEPTH    64
enum { EXIT_REFUSED = 3, EXIT_INTERRUPTED = 130 };

struct chat_options {
    const char *url, *agent, *message;
    struct credentials credentials;
    bool as_json;
};

/* ---- where ---- */

static bool is_local(struct str url)
{
    static const char *const here[] = {"http://127.", "http://localhost", "http://[::1]"};

    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
        if (str_starts_with_nocase(url, str_from(here[i])))
            return true;
    return false;
}

static struct error open_client(struct remote *c, const char *url)
{
    struct buf local = {0};
    struct error err;

    if (!url)
        config_url_here(&local);
    err = remote_open(c, url ? str_from(url) : buf_str(&local), config()->upstream.ca_file);
    if (!is_error(err) && url && str_starts_with_nocase(str_from(url), STR("http://")) &&
        !is_local(str_from(url)))
        fputs("aerie: http sends passwords and messages in clear: use https, if you can\n", stderr);
    buf_deinit(&local);
    return err;
}

/* ---- whom ---- */

static int say_call(const struct remote *c, const struct remote_call *call)
{
    struct buf told = {0};

    remote_explain(c, call, &told);
    fprintf(stderr, "aerie: %.*s\n", STR_ARG(buf_str(&told)));
    buf_deinit(&told);
    return call->status == 401 || call->status == 403 ? EXIT_REFUSED : COMMAND_FAILED;
}

/* Reads JSON from the server into the arena; an exit. */
static int call_json(struct remote *c, const char *method, const char *path, struct str body,
                     struct arena *arena, yyjson_val **root)
{
    struct remote_call call = {
        .method = method, .path = path, .body = body, .timeout_ms = CALL_MS};
    int exit = COMMAND_OK;

    remote_run(c, &call);
    if (call.code != CURLE_OK || call.status / 100 != 2) {
        exit = say_call(c, &call);
    } else if (is_error(json_read(arena, buf_str(&call.body_read), JSON_DEPTH, root))) {
        fprintf(stderr, "aerie: what answers at %s is no Aerie\n", c->base.data);
        exit = COMMAND_FAILED;
    }
    remote_call_deinit(&call);
    return exit;
}

static void print_name(const char *before, yyjson_val *agent, const char *after)
{
    struct buf line = {0};

    buf_append_str(&line, str_from(before));
    terminal_append_harmless(&line, json_text(json_member(agent, "name")));
    buf_append_str(&line, str_from(after));
    fwrite(line.data, 1, line.len, stderr);
    buf_deinit(&line);
}

static int say_no_agent(yyjson_val *agents, const char *wanted)
{
    struct nearest nearest = {.asked = str_from(wanted)};
    yyjson_val *agent, *best = NULL;
    size_t i, n;

    if (yyjson_arr_size(agents) == 0) {
        fputs("aerie: the team has no active agent: an admin makes one in the console\n", stderr);
        return COMMAND_FAILED;
    }
    yyjson_arr_foreach (agents, i, n, agent)
        if (nearest_offer(&nearest, json_text(json_member(agent, "name"))))
            best = agent;
    if (best) {
        print_name("aerie: there is no active agent of this name or id; did you mean ", best, "?\n");
        return COMMAND_FAILED;
    }
    fputs("aerie: there is no active agent of this name or id. There are:\n", stderr);
    yyjson_arr_foreach (agents, i, n, agent)
        print_name("  ", agent, "\n");
    return COMMAND_FAILED;
}

static bool is_asked_for(yyjson_val *agent, struct str wanted)
{
    return str_eq_nocase(json_text(json_member(agent, "id")), wanted) ||
           str_eq_nocase(json_text(json_member(agent, "name")), wanted);
}

/* The one of this name or id, or else the team's oldest. */
static yyjson_val *choose(yyjson_val *agents, const char *wanted)
{
    yyjson_val *agent, *best = NULL;
    size_t i, n;

    yyjson_arr_foreach (agents, i, n, agent) {
        struct str made = json_text(json_member(agent, "created_at"));
        struct str first = json_text(json_member(best, "created_at"));

        if (wanted && is_asked_for(agent, str_from(wanted)))
            return agent;
        if (!wanted && (!best || (made.len == first.len && memcmp(made.ptr, first.ptr, made.len) < 0)))
            best = agent;
    }
    return best;
}

static bool take_id(yyjson_val *object, const char *name, char out[ID_LEN + 1])
{
    struct str text = json_text(json_member(object, name));
    struct id id;

    if (!id_parse(text, &id))
        return false;
    memcpy(out, id.text, ID_LEN + 1);
    return true;
}

static int find_agent(struct talk *talk, const char *wanted)
{
    struct arena arena = {0};
    yyjson_val *agents = NULL, *agent;
    int exit =
        call_json(talk->client, "GET", "/api/agents?limit=200", STR_NONE, &arena, &agents);

    if (exit != COMMAND_OK) {
        arena_free(&arena);
        return exit;
    }
    agent = choose(agents, wanted);
    if (!agent || !take_id(agent, "id", talk->agent_id))
        exit = say_no_agent(agents, wanted ? wanted : "");
    else if (!wanted)
        print_name("aerie: asking ", agent, "\n");
    arena_free(&arena);
    return exit;
}

/* A key has one agent, and talks in a session of its own. */
static int open_session(struct talk *talk, const char *wanted)
{
    struct arena arena = {0};
    yyjson_val *models = NULL, *session = NULL, *model;
    struct str body;
    int exit = call_json(talk->client, "GET", "/v1/models", STR_NONE, &arena, &models);

    model = exit == COMMAND_OK ? yyjson_arr_get_first(json_member(models, "data")) : NULL;
    if (exit == COMMAND_OK && !take_id(model, "id", talk->agent_id)) {
        fputs("aerie: the API key has no agent\n", stderr);
        exit = COMMAND_FAILED;
    }
    if (exit == COMMAND_OK && wanted && strcmp(wanted, talk->agent_id) != 0) {
        fprintf(stderr, "aerie: the API key is of agent %s: leave out --agent\n", talk->agent_id);
        exit = COMMAND_FAILED;
    }
    if (exit == COMMAND_OK) {
        body = arena_printf(&arena, "{\"assistant_id\":\"%s\"}", talk->agent_id);
        exit = call_json(talk->client, "POST", "/api/chat/session", body, &arena, &session);
    }
    if (exit == COMMAND_OK && !take_id(session, "session_id", talk->session_id)) {
        fputs("aerie: the server gave no session\n", stderr);
        exit = COMMAND_FAILED;
    }
    arena_free(&arena);
    return exit;
}

/* ---- messages ---- */

static int send_message(struct talk *talk, struct str message)
{
    if (!utf8_is_valid(message)) {
        fputs("aerie: the message is no UTF-8\n", stderr);
        return COMMAND_FAILED;
    }
    switch (chat_turn_run(talk, message)) {
    case TURN_DONE:
        return COMMAND_OK;
    case TURN_STOPPED:
        return EXIT_INTERRUPTED;
    case TURN_REFUSED:
        return EXIT_REFUSED;
    case TURN_FAILED:
        break;
    }
    return COMMAND_FAILED;
}

/* All of stdin is one message. */
static int send_stdin(struct talk *talk)
{
    struct buf message = {.max_bytes = MESSAGE_BYTES};
    char bytes[4096];
    int exit = COMMAND_FAILED;
    size_t n;

    while ((n = fread(bytes, 1, sizeof(bytes), stdin)) > 0)
        buf_append(&message, bytes, n);
    if (message.failed)
        fputs("aerie: the message on stdin is too long\n", stderr);
    else if (str_trim(buf_str(&message)).len == 0)
        fputs("aerie: there is no message: give it as a word, or on stdin\n", stderr);
    else
        exit = send_message(talk, str_trim(buf_str(&message)));
    buf_deinit(&message);
    return exit;
}

/* Until Ctrl-D, or Ctrl-C where nothing is being answered. */
static int converse(struct talk *talk)
{
    char *line = NULL;
    size_t size = 0;
    int exit = COMMAND_OK;

    fprintf(stderr, "Ctrl-C stops a reply, Ctrl-D leaves.\n");
    while (exit == COMMAND_OK) {
        struct str message;
        ssize_t len;

        chat_turn_forget_interrupts();
        fprintf(stderr, "%s> %s", terminal_style(stderr, STYLE_BOLD),
                terminal_style(stderr, STYLE_PLAIN));
        len = getline(&line, &size, stdin);
        if (len < 0) {
            fputc('\n', stderr);
            exit = chat_turn_interrupts() > 0 ? EXIT_INTERRUPTED : COMMAND_OK;
            break;
        }
        message = str_trim((struct str){line, (size_t)len});
        if (message.len > 0)
            exit = send_message(talk, message);
        /* What failed was said; who is still here may try again. */
        if (exit == COMMAND_FAILED || (exit == EXIT_INTERRUPTED && chat_turn_interrupts() < 2))
            exit = COMMAND_OK;
    }
    free(line);
    return exit;
}

static int talk_to(struct talk *talk, const struct chat_options *o)
{
    int exit = talk->sign_in->is_key ? open_session(talk, o->agent) : find_agent(talk, o->agent);

    if (exit != COMMAND_OK)
        return exit;
    chat_turn_catch_interrupts();
    if (o->message)
        return send_message(talk, str_from(o->message));
    return isatty(STDIN_FILENO) ? converse(talk) : send_stdin(talk);
}

int command_chat(int argc, char **argv)
{
    struct chat_options o = {.url = NULL};
    struct credentials *who = &o.credentials;
    const struct command_option options[] = {{"--url", &o.url, NULL},
                                             {"--agent", &o.agent, NULL},
                                             {"--email", &who->email, NULL},
                                             {"--password-stdin", NULL, &who->password_stdin},
                                             {"--token-stdin", NULL, &who->token_stdin},
                                             {"--key-file", &who->key_file, NULL},
                                             {"--json", NULL, &o.as_json},
                                             {NULL, &o.message, NULL}};
    struct remote client;
    struct sign_in me = {.is_key = false};
    struct talk talk = {.client = &client, .sign_in = &me};
    struct error err;
    int exit;

    if (!command_read_options(argc, argv, 1, options, sizeof(options) / sizeof(options[0])))
        return command_usage(argv[0]);
    if ((who->token_stdin + who->password_stdin + (who->key_file != NULL)) > 1 ||
        (who->password_stdin && !who->email)) {
        fputs("aerie chat: one of --key-file, --token-stdin, and --email with --password-stdin\n",
              stderr);
        return command_usage(argv[0]);
    }
    err = open_client(&client, o.url);
    if (is_error(err))
        return err.status == ERR_INVALID ? (command_fail(err), COMMAND_USAGE) : command_fail(err);
    talk.as_json = o.as_json;
    err = sign_in(&client, who, &me);
    if (is_error(err))
        exit = err.status == ERR_UNAUTHORIZED ? (command_fail(err), EXIT_REFUSED) : command_fail(err);
    else
        exit = talk_to(&talk, &o);
    sign_in_deinit(&me);
    remote_close(&client);
    return exit;
}
