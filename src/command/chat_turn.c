/* Sends a message, prints what streams back, and comes back when the connection breaks. The message
 * is sent with an Idempotency-Key: sent again, it joins its own reply, after the last event that was
 * read. */
#include "chat_turn.h"

#include "base/json.h"
#include "command.h"
#include "terminal.h"
#include "upstream/event_stream.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EVENT_BYTES    ((size_t)256 * 1024)
#define EVENT_ID_BYTES 128
#define JSON_DEPTH     64
/* A stream that is well is never silent for longer: the server sends comments. */
#define SILENCE_S 60
#define STOP_MS   5000
/* Waits before the message is sent again, each twice as long as the one before. */
#define RESUME_FIRST_MS 250
#define RESUME_TRIES    8

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t n_interrupts;

static void on_interrupt(int number)
{
    (void)number;
    n_interrupts++;
}

/* Without SA_RESTART: what waits for a line, or for bytes, returns. */
void chat_turn_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};

    sigaction(SIGINT, &action, NULL);
}

unsigned chat_turn_interrupts(void)
{
    return (unsigned)n_interrupts;
}

void chat_turn_forget_interrupts(void)
{
    n_interrupts = 0;
}

/* ---- a turn ---- */

struct turn {
    struct talk *talk;
    struct event_stream events;
    char id[EVENT_ID_BYTES];      /* of the event being read */
    char last_id[EVENT_ID_BYTES]; /* of the last whole one */
    bool has_answer, has_text, ends_with_line, is_done, is_stopped, has_failed;
    bool has_asked_to_stop, has_left;
};

static void take_session(struct talk *talk, struct str id)
{
    if (id.len > 0 && id.len < sizeof(talk->session_id)) {
        memcpy(talk->session_id, id.ptr, id.len);
        talk->session_id[id.len] = 0;
    }
}

static void print_harmless(FILE *out, struct str text)
{
    struct buf safe = {0};

    terminal_append_harmless(&safe, text);
    fwrite(safe.data, 1, safe.len, out);
    fflush(out);
    buf_deinit(&safe);
}

static void print_event(const struct turn *t, struct str data)
{
    struct buf line = {0};
    struct json j = {.buf = &line};

    if (data.len < 2 || data.ptr[0] != '{')
        return;
    json_begin_object(&j);
    json_pair_str(&j, "id", str_from(t->id));
    buf_append_char(&line, ',');
    terminal_append_harmless_json(&line, str_skip(data, 1));
    (void)command_print(&line);
}

static void end_line(struct turn *t)
{
    if (t->has_text && !t->ends_with_line && !t->talk->as_json) {
        putchar('\n');
        fflush(stdout);
    }
    t->has_text = false;
}

static void take_text(struct turn *t, struct str text)
{
    if (text.len == 0)
        return;
    print_harmless(stdout, text);
    t->has_text = true;
    t->ends_with_line = text.ptr[text.len - 1] == '\n';
}

/* Only people are told what the server does meanwhile. */
static void take_status(struct turn *t, yyjson_val *data)
{
    struct str words = json_text(json_member(data, "description"));

    take_session(t->talk, json_text(json_member(data, "session_id")));
    if (t->talk->as_json || !isatty(STDERR_FILENO) || words.len == 0 || t->has_text)
        return;
    fputs(terminal_style(stderr, STYLE_DIM), stderr);
    print_harmless(stderr, words);
    fprintf(stderr, "%s\n", terminal_style(stderr, STYLE_PLAIN));
}

static void take_error(struct turn *t, yyjson_val *data)
{
    t->has_failed = true;
    end_line(t);
    fputs("aerie: ", stderr);
    print_harmless(stderr, json_text(json_member(data, "message")));
    fputs(" (", stderr);
    print_harmless(stderr, json_text(json_member(data, "code")));
    fputs(")\n", stderr);
}

static void on_event(void *state, struct str kind, struct str text)
{
    struct turn *t = state;
    struct arena arena = {0};
    yyjson_val *root, *data;
    struct str type;

    (void)kind;
    memcpy(t->last_id, t->id, sizeof(t->id));
    if (is_error(json_read(&arena, text, JSON_DEPTH, &root))) {
        arena_free(&arena);
        return;
    }
    type = json_text(json_member(root, "type"));
    data = json_member(root, "data");
    if (t->talk->as_json)
        print_event(t, text);
    if (str_eq(type, STR("message")) && !t->talk->as_json) {
        take_text(t, json_text(json_member(data, "content")));
    } else if (str_eq(type, STR("status"))) {
        take_status(t, data);
    } else if (str_eq(type, STR("done"))) {
        t->is_done = true;
        t->is_stopped = yyjson_get_bool(json_member(data, "stopped"));
    } else if (str_eq(type, STR("error"))) {
        take_error(t, data);
    }
    arena_free(&arena);
}

static void on_id(void *state, struct str id)
{
    struct turn *t = state;

    if (!str_has_control(id))
        snprintf(t->id, sizeof(t->id), "%.*s", STR_ARG(id));
}

static bool on_bytes(struct remote_call *call, struct str bytes)
{
    struct turn *t = call->state;

    t->has_answer = true;
    return event_stream_feed(&t->events, bytes);
}

/* Tells the server, over a connection of its own: this one is where the end of the reply comes. */
static bool ask_to_stop(struct turn *t)
{
    struct talk *talk = t->talk;
    struct remote other;
    struct remote_call call = {.method = "POST", .body = STR(""), .timeout_ms = STOP_MS};
    char path[96];
    bool ok;

    if (talk->sign_in->is_key || !talk->session_id[0])
        return false;
    snprintf(path, sizeof(path), "/api/chats/%s/stop", talk->session_id);
    call.path = path;
    if (is_error(remote_open(&other, str_from(talk->client->base.data),
                             str_from(talk->client->ca_file))))
        return false;
    memcpy(other.token, talk->client->token, sizeof(other.token));
    remote_run(&other, &call);
    ok = call.code == CURLE_OK && call.status == 202;
    remote_call_deinit(&call);
    remote_close(&other);
    return ok;
}

static bool on_wait(struct remote_call *call)
{
    struct turn *t = call->state;

    if (n_interrupts > 1)
        t->has_left = true;
    if (n_interrupts == 1 && !t->has_asked_to_stop) {
        t->has_asked_to_stop = true;
        t->has_left = !ask_to_stop(t);
    }
    return !t->has_left;
}

static void write_body(const struct talk *talk, struct str message, struct buf *out)
{
    struct json j = {.buf = out};
    struct str session = str_from(talk->session_id);

    json_begin_object(&j);
    if (talk->sign_in->is_key) {
        json_pair_str(&j, "session_id", session);
        json_pair_str(&j, "assistant_id", str_from(talk->agent_id));
        json_key(&j, "messages");
        json_begin_array(&j);
        json_begin_object(&j);
        json_pair_str(&j, "role", STR("user"));
        json_pair_str(&j, "content", message);
        json_end_object(&j);
        json_end_array(&j);
    } else {
        json_pair_str(&j, "message", message);
        json_pair_str_or_null(&j, "session_id", session.len > 0 ? session : STR_NONE);
        if (session.len == 0)
            json_pair_str(&j, "agent_id", str_from(talk->agent_id));
    }
    json_end_object(&j);
}

/* Once: from the sending to the end of the stream, or of the connection. */
static void run_once(struct turn *t, struct str body, const struct id *key, struct remote_call *call)
{
    char key_line[80], id_line[EVENT_ID_BYTES + 32];
    const char *lines[] = {key_line, t->last_id[0] ? id_line : NULL, NULL};

    snprintf(key_line, sizeof(key_line), "Idempotency-Key: %s", key->text);
    snprintf(id_line, sizeof(id_line), "Last-Event-ID: %s", t->last_id);
    *call = (struct remote_call){.method = "POST",
                                 .path = t->talk->sign_in->is_key ? "/api/chat" : "/api/chat/stream",
                                 .body = body,
                                 .accept = "text/event-stream",
                                 .headers = lines,
                                 .silence_s = SILENCE_S,
                                 .on_bytes = on_bytes,
                                 .on_wait = on_wait,
                                 .state = t};
    event_stream_deinit(&t->events);
    t->events = (struct event_stream){
        .on_event = on_event, .on_id = on_id, .state = t, .max_bytes = EVENT_BYTES};
    remote_run(t->talk->client, call);
    call->headers = NULL;
}

/* The answer was an error, or none: is it one that may pass? */
static bool may_pass(const struct turn *t, const struct remote_call *call)
{
    if (t->has_left || (!t->has_answer && call->status == 0 &&
                        (call->code == CURLE_COULDNT_CONNECT ||
                         call->code == CURLE_COULDNT_RESOLVE_HOST ||
                         call->code == CURLE_PEER_FAILED_VERIFICATION)))
        return false;
    /* 409: the server has not seen yet that the turn it runs is ours. */
    return call->code != CURLE_OK || call->status == 200 ||
           (t->has_answer && (call->status == 409 || call->status >= 500));
}

/* False: the wait was cut by Ctrl-C. */
static bool wait_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    return nanosleep(&pause, NULL) == 0 || errno != EINTR;
}

static void say_failure(const struct turn *t, const struct remote_call *call)
{
    struct buf told = {0};

    remote_explain(t->talk->client, call, &told);
    fprintf(stderr, "aerie: %.*s\n", STR_ARG(buf_str(&told)));
    buf_deinit(&told);
}

static enum turn_end end_of(struct turn *t, const struct remote_call *call)
{
    end_line(t);
    if (t->is_done)
        return t->is_stopped ? TURN_STOPPED : TURN_DONE;
    if (t->has_failed)
        return TURN_FAILED;
    if (t->has_left) {
        if (t->talk->sign_in->is_key)
            fputs("aerie: left; the agent may go on, since an API key cannot stop it\n", stderr);
        return TURN_STOPPED;
    }
    say_failure(t, call);
    return call->status == 401 || call->status == 403 ? TURN_REFUSED : TURN_FAILED;
}

enum turn_end chat_turn_run(struct talk *talk, struct str message)
{
    struct turn t = {.talk = talk};
    struct id key = id_v4();
    struct remote_call call;
    struct buf body = {0};
    enum turn_end end;
    long pause_ms = RESUME_FIRST_MS;
    bool has_renewed = false;

    write_body(talk, message, &body);
    for (int tries = 0;; tries++) {
        run_once(&t, buf_str(&body), &key, &call);
        if (t.is_done || t.has_failed || tries == RESUME_TRIES)
            break;
        if (call.status == 401 && !has_renewed && sign_in_again(talk->client, talk->sign_in)) {
            has_renewed = true;
        } else {
            if (!may_pass(&t, &call))
                break;
            if (tries == 0)
                fputs("aerie: the connection was lost; taking it up again\n", stderr);
            if (!wait_ms(pause_ms) && chat_turn_interrupts() > 1)
                break;
            pause_ms *= 2;
        }
        remote_call_deinit(&call);
    }
    end = end_of(&t, &call);
    remote_call_deinit(&call);
    event_stream_deinit(&t.events);
    buf_deinit(&body);
    return end;
}
