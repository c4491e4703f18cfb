/* The request parser: the same bytes in one piece and cut in two must be judged alike. */
#include "http/internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    unsigned n_done;
    enum status status;
    size_t body_len, n_lines;
    uint64_t hash; /* of heads and bodies */
};

static void note(struct outcome *o, struct str bytes)
{
    o->hash = o->hash * 31 + map_hash(bytes);
}

static void note_head(struct outcome *o, struct parser *p)
{
    struct parser_head head = parser_head(p);
    struct str target = {head.bytes.ptr + head.target.at, head.target.len}, path, query;

    o->n_lines += head.n_lines;
    note(o, head.bytes);
    for (size_t i = 0; i < head.n_lines; i++) {
        note(o, (struct str){head.bytes.ptr + head.lines[i].name.at, head.lines[i].name.len});
        note(o, (struct str){head.bytes.ptr + head.lines[i].value.at, head.lines[i].value.len});
    }
    if (!is_error(target_split(target, strcmp(head.method, "OPTIONS") == 0, &path, &query)) &&
        path.len > target.len + 1)
        abort();
    parser_accept_body(p, 4096);
}

/* False: the parser is done, one way or the other. */
static bool feed(struct outcome *o, struct parser *p, const char *data, size_t len)
{
    size_t at = 0, used;

    for (;;) {
        enum parser_event event = parser_feed(p, data + at, len - at, &used);

        at += used;
        if (at > len)
            abort();
        switch (event) {
        case PARSER_MORE:
            if (at != len)
                abort();
            return true;
        case PARSER_HEAD:
            note_head(o, p);
            break;
        case PARSER_DONE: {
            struct buf body = parser_take_body(p);

            note(o, buf_str(&body));
            o->body_len = body.len;
            o->n_done++;
            buf_deinit(&body);
            return false;
        }
        case PARSER_FAILED:
            o->status = parser_error(p).status;
            if (o->status == OK)
                abort();
            return false;
        }
    }
}

static struct outcome run(const char *data, size_t len, size_t cut)
{
    static const struct parser_limits limits = {256, 1024, 10};
    struct parser *p = parser_new(&limits);
    struct outcome o = {.n_done = 0};

    if (p && feed(&o, p, data, cut))
        feed(&o, p, data + cut, len - cut);
    parser_free(p);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data + 1;
    struct outcome whole, split;

    if (size < 2)
        return 0;
    whole = run(text, size - 1, size - 1);
    split = run(text, size - 1, (size - 1) * data[0] / 256);
    /* Which limit is met first may depend on the cut; what is accepted may not. */
    if (whole.n_done != split.n_done || (whole.status == OK) != (split.status == OK) ||
        (whole.n_done && whole.hash != split.hash))
        abort();
    return 0;
}
