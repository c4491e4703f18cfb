/* Text on its way from a reader to the turn: made valid, bounded, with its first error. */
#include "reply.h"

static const struct str replacement = {"\xEF\xBF\xBD", 3};

/* Appends and counts; text beyond the bound is cut between two characters. */
static void add_valid(struct reply *r, size_t old_len)
{
    size_t room = r->max_text_bytes - r->text_bytes;
    size_t added = r->text.len - old_len;

    if (r->text.failed) {
        reply_fail(r, ERR_NO_MEMORY, NULL);
        return;
    }
    if (added > room) {
        added = utf8_prefix((struct str){r->text.data + old_len, added}, room).len;
        r->text.len = old_len + added;
        r->text_bytes += added;
        reply_fail(r, ERR_UPSTREAM_LIMIT, "The reply is longer than this server takes.");
        return;
    }
    r->text_bytes += added;
}

void reply_add_bytes(struct reply *r, struct str bytes)
{
    size_t old_len = r->text.len;

    if (!reply_takes_more(r))
        return;
    while (bytes.len > 0) {
        size_t n = str_find(bytes, '\0');

        utf8_stream_feed(&r->utf8, (struct str){bytes.ptr, n}, &r->text);
        if (n < bytes.len) {
            utf8_stream_end(&r->utf8, &r->text);
            buf_append_str(&r->text, replacement);
            n++;
        }
        bytes = str_skip(bytes, n);
    }
    add_valid(r, old_len);
}

void reply_end_bytes(struct reply *r)
{
    size_t old_len = r->text.len;

    if (!reply_takes_more(r))
        return;
    utf8_stream_end(&r->utf8, &r->text);
    add_valid(r, old_len);
}

void reply_add(struct reply *r, struct str text)
{
    reply_add_bytes(r, text);
    reply_end_bytes(r);
}

static void set_error(struct reply *r, enum status status, const char *detail)
{
    if (r->err.status == OK)
        r->err = ERROR(status, 0, detail);
}

void reply_fail(struct reply *r, enum status status, const char *detail)
{
    if (!reply_takes_more(r))
        return;
    set_error(r, status, detail);
    r->state = REPLY_FAILED;
}

void reply_mistake(struct reply *r, enum upstream_clue clue, const char *detail)
{
    if (!is_error(r->err))
        r->clue = clue;
    reply_fail(r, clue == CLUE_STARTING ? ERR_PROVIDER_UNREACHABLE : ERR_PROVIDER_MALFORMED,
               detail);
}

void reply_refuse(struct reply *r, int http_status)
{
    if (!reply_takes_more(r))
        return;
    if (http_status == 401 || http_status == 403)
        reply_fail(r, ERR_PROVIDER_AUTH, "The model provider refused the key.");
    else if (http_status == 429)
        reply_fail(r, ERR_PROVIDER_RATE_LIMITED,
                   "The model provider is asked too often. Please try again later.");
    else if (http_status == 503 || http_status == 529)
        reply_fail(r, ERR_PROVIDER_ERROR,
                   "The model provider is overloaded. Please try again later.");
    else
        reply_fail(r, ERR_PROVIDER_ERROR, "The model provider reported an error.");
    if (r->err.status == ERR_PROVIDER_ERROR && http_status > 0)
        r->err.code = http_status;
}

void reply_fail_json(struct reply *r, const struct json_values *values, const char *detail)
{
    r->is_cut = values->is_cut;
    if (values->is_no_memory)
        reply_fail(r, ERR_NO_MEMORY, NULL);
    else
        reply_fail(r, ERR_PROVIDER_MALFORMED, detail);
}

void reply_tell_error(struct reply *r, enum status status, const char *detail)
{
    if (r->state != REPLY_OPEN)
        return;
    set_error(r, status, detail);
    r->state = REPLY_ERROR_TOLD;
}

void reply_done(struct reply *r)
{
    if (r->state == REPLY_OPEN)
        r->state = REPLY_DONE;
    else if (r->state == REPLY_ERROR_TOLD)
        r->state = REPLY_FAILED;
}
