/* The built-in agent: says again what it was told, word by word, without a network. */
#include "base/arena.h"
#include "base/json.h"
#include "provider.h"

#define DEFAULT_DELAY_MS 20
#define MAX_DELAY_MS     1000

struct echo {
    struct reply *reply;
    struct buf text;
    size_t told;
    int delay_ms;
};

static void read_config(struct echo *e, struct arena *a, struct str config)
{
    yyjson_val *root, *delay;
    struct str text;

    /* What is no JSON object counts as no wish. */
    if (config.len == 0 || is_error(json_read(a, config, 64, &root)))
        return;
    text = json_text(json_member(root, "text"));
    buf_append_str(&e->text, text);
    delay = json_member(root, "delay_ms");
    if (yyjson_is_int(delay) && yyjson_get_sint(delay) >= 0)
        e->delay_ms =
            yyjson_get_sint(delay) < MAX_DELAY_MS ? (int)yyjson_get_sint(delay) : MAX_DELAY_MS;
}

static struct error echo_init(void *state, const struct upstream_prompt *prompt,
                              struct reply *reply)
{
    struct echo *e = state;
    struct arena a = {0};

    *e = (struct echo){.reply = reply, .delay_ms = DEFAULT_DELAY_MS};
    read_config(e, &a, prompt->config);
    arena_free(&a);
    if (e->text.len == 0 && prompt->n_messages > 0) {
        buf_append_str(&e->text, STR("Echo: "));
        buf_append_str(&e->text, prompt->messages[prompt->n_messages - 1].content);
    }
    return e->text.failed ? ERROR(ERR_NO_MEMORY, 0, NULL) : NO_ERROR;
}

/* A word with the white space before it: cut at ASCII spaces, so never inside a character. */
static int echo_next(void *state)
{
    struct echo *e = state;
    struct str rest = str_skip(buf_str(&e->text), e->told);
    size_t n = 0;

    while (n < rest.len && rest.ptr[n] == ' ')
        n++;
    while (n < rest.len && rest.ptr[n] != ' ')
        n++;
    reply_add(e->reply, (struct str){rest.ptr, n});
    e->told += n;
    return e->told == e->text.len ? -1 : e->delay_ms;
}

static void echo_deinit(void *state)
{
    struct echo *e = state;

    buf_deinit(&e->text);
}

const struct builtin_type echo_type = {
    .state_bytes = sizeof(struct echo),
    .init = echo_init,
    .next = echo_next,
    .deinit = echo_deinit,
};
