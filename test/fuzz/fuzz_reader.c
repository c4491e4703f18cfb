/* Answers of n8n and of model providers, as events, as lines and as one JSON: in one piece, byte by
 * byte and cut in two the reply must be the same, valid UTF-8 and within its bound. The first byte
 * says whose answer it is, the second where the cut is. */
#include "fuzz.h"
#include "upstream/provider.h"

#define MAX_TEXT 300

struct reading {
    const struct reader_type *type;
    void *state;
    struct reply reply;
};

static bool feed(void *state, struct str piece)
{
    struct reading *r = state;

    r->type->feed(r->state, piece);
    MUST(r->reply.text_bytes <= MAX_TEXT && r->reply.text.len == r->reply.text_bytes);
    return true; /* the client may well go on after the end was told */
}

static void read_all(struct reading *r, const struct reader_type *type, struct str bytes,
                     struct cut cut)
{
    *r = (struct reading){.type = type,
                          .state = calloc(1, type->state_bytes),
                          .reply = {.max_text_bytes = MAX_TEXT, .max_event_bytes = 512}};
    MUST(r->state != NULL);
    type->init(r->state, &r->reply);
    feed_pieces(bytes, cut, feed, r);
    if (r->reply.state != REPLY_DONE)
        type->end(r->state, true);
    type->deinit(r->state);
    free(r->state);
    MUST(utf8_is_valid(buf_str(&r->reply.text)));
    MUST(str_find(buf_str(&r->reply.text), '\0') == r->reply.text.len);
    MUST(r->reply.text_bytes <= MAX_TEXT && r->reply.text.len == r->reply.text_bytes);
    MUST(r->reply.state != REPLY_FAILED || is_error(r->reply.err));
}

/* A bound may be met at another byte when the pieces differ; below it nothing may differ. */
static void compare(const struct reading *whole, struct str bytes, struct cut cut)
{
    struct reading parts;
    const struct reply *a = &whole->reply, *b = &parts.reply;

    read_all(&parts, whole->type, bytes, cut);
    if (a->err.status != ERR_UPSTREAM_LIMIT && b->err.status != ERR_UPSTREAM_LIMIT) {
        MUST(a->err.status == b->err.status);
        MUST(a->err.code == b->err.code);
        MUST(buf_eq(&a->text, &b->text));
        MUST(a->finish == b->finish);
        MUST(a->usage.is_known == b->usage.is_known &&
             a->usage.total_tokens == b->usage.total_tokens);
    }
    buf_deinit(&parts.reply.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct reader_type *const types[] = {&n8n_reader_type, &openai_reader_type,
                                                      &anthropic_reader_type, &gemini_reader_type};
    struct str bytes = {(const char *)data, size};
    const struct reader_type *type = types[take_byte(&bytes) % 4];
    unsigned at = take_byte(&bytes);
    struct reading whole;

    read_all(&whole, type, bytes, IN_ONE_PIECE);
    compare(&whole, bytes, BYTE_BY_BYTE);
    compare(&whole, bytes, cut_in_two(bytes.len * at / 256));
    buf_deinit(&whole.reply.text);
    return 0;
}
