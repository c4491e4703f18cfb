/* See script.h. What n8n and OpenAI-like providers send, byte for byte, but that times and ids do
 * not change. */
#include "script.h"

#include "system.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

#define SCRIPTS_MAX 64

struct form {
    const char *name, *content_type;
    const char *begin;          /* a chunk before the first piece */
    const char *before, *after; /* around a piece's text */
    const char *ends[2];        /* chunks after the last piece; NULL: none */
};

#define N8N_METADATA                                                                               \
    "\"metadata\":{\"nodeId\":\"033a1d56-a037-407e-8ada-0cd68b9d699f\","                           \
    "\"nodeName\":\"AI Agent\",\"itemIndex\":0,\"runIndex\":0,\"timestamp\":1795198971656}}\n"
#define OPENAI_BEGIN                                                                               \
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\","                       \
    "\"created\":1795198971,\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":"
#define OPENAI_END "\"logprobs\":null,\"finish_reason\":null}]}\n\n"

static const struct form forms[] = {
    {
        .name = "n8n",
        .content_type = "application/json; charset=utf-8",
        .begin = "{\"type\":\"begin\"," N8N_METADATA,
        .before = "{\"type\":\"item\",\"content\":\"",
        .after = "\"," N8N_METADATA,
        .ends = {"{\"type\":\"end\"," N8N_METADATA},
    },
    {
        .name = "openai",
        .content_type = "text/event-stream",
        .begin = OPENAI_BEGIN "{\"role\":\"assistant\",\"content\":\"\"}," OPENAI_END,
        .before = OPENAI_BEGIN "{\"content\":\"",
        .after = "\"}," OPENAI_END,
        .ends = {OPENAI_BEGIN "{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n",
                 "data: [DONE]\n\n"},
    },
};

static struct script *scripts;
static unsigned n_scripts;

static void append(char *out, size_t *len, const char *text)
{
    size_t n = strlen(text);

    memcpy(out + *len, text, n);
    *len += n;
}

static void append_chunk(char *out, size_t *len, const char *text)
{
    *len += (size_t)sprintf(out + *len, "%zx\r\n", strlen(text));
    append(out, len, text);
    append(out, len, "\r\n");
}

static struct str keep(const char *bytes, size_t len)
{
    char *copy = must_calloc(1, len);

    memcpy(copy, bytes, len);
    return (struct str){copy, len};
}

static void write_script(struct script *s, const struct form *form)
{
    static char out[TEXT_PIECE_MAX_BYTES + 4096];
    size_t len;

    len = (size_t)sprintf(out,
                          "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n"
                          "Cache-Control: no-cache\r\nConnection: keep-alive\r\n"
                          "Vary: Accept-Encoding\r\nDate: Fri, 20 Nov 2026 18:22:51 GMT\r\n\r\n",
                          form->content_type);
    append_chunk(out, &len, form->begin);
    s->head = keep(out, len);

    len = (size_t)sprintf(out, "%zx\r\n", strlen(form->before) + s->bytes + strlen(form->after));
    append(out, &len, form->before);
    s->text_at = (uint32_t)len;
    memset(out + len, ' ', s->bytes);
    len += s->bytes;
    append(out, &len, form->after);
    append(out, &len, "\r\n");
    s->piece = keep(out, len);

    len = 0;
    for (size_t i = 0; i < 2 && form->ends[i]; i++)
        append_chunk(out, &len, form->ends[i]);
    append(out, &len, "0\r\n\r\n");
    s->tail = keep(out, len);
}

static const struct script *script_make(struct str name, uint32_t bytes)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const struct form *form = &forms[i];
        struct script *s;

        if (strlen(form->name) != name.len || memcmp(form->name, name.ptr, name.len) != 0)
            continue;
        if (++n_scripts > SCRIPTS_MAX)
            return NULL;
        s = must_calloc(1, sizeof(*s));
        s->format = (struct str){form->name, name.len};
        s->bytes = bytes;
        write_script(s, form);
        s->next = scripts;
        scripts = s;
        return s;
    }
    return NULL;
}

const struct script *script_find(struct str format, uint32_t bytes)
{
    for (const struct script *s = scripts; s; s = s->next)
        if (s->bytes == bytes && s->format.len == format.len &&
            memcmp(s->format.ptr, format.ptr, format.len) == 0)
            return s;
    return script_make(format, bytes);
}
