/* Readers in memory: the same bytes in whatever pieces. */
#include "reading.h"

#include <stdlib.h>
#include <string.h>

void reading_read(const struct reader_type *type, struct str body, size_t cut, size_t piece,
                  bool is_whole, struct reply *reply)
{
    void *reader = calloc(1, type->state_bytes);

    assert_non_null(reader);
    *reply = (struct reply){.max_text_bytes = READING_REPLY_BYTES,
                            .max_event_bytes = READING_EVENT_BYTES};
    type->init(reader, reply);
    while (body.len > 0) {
        size_t n = piece ? piece : cut;
        /* A copy of its own, so that a look behind its end is seen. */
        char *copy;

        if (n == 0 || n > body.len)
            n = body.len;
        copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, body.ptr, n);
        type->feed(reader, (struct str){copy, n});
        free(copy);
        body = str_skip(body, n);
        cut = 0;
    }
    if (reply->state != REPLY_DONE)
        type->end(reader, is_whole);
    type->deinit(reader);
    free(reader);
    if (is_whole && reply->err.status == OK && reply->text_bytes == 0)
        reply->err = ERROR(ERR_EMPTY_REPLY, 0, NULL);
    assert_true(utf8_is_valid(buf_str(&reply->text)));
    assert_int_equal(reply->text.len, reply->text_bytes);
}

void reading_check_one(const struct reader_type *type, struct str body, size_t cut, size_t piece,
                       bool is_whole, enum status status, const char *text)
{
    struct reply reply;

    reading_read(type, body, cut, piece, is_whole, &reply);
    buf_append_char(&reply.text, '\0');
    assert_string_equal(reply.text.data, text);
    assert_int_equal(reply.err.status, status);
    buf_deinit(&reply.text);
}

void reading_check(const struct reader_type *type, struct str body, bool is_whole,
                   enum status status, const char *text)
{
    for (size_t cut = 0; cut < body.len || cut == 0; cut++)
        reading_check_one(type, body, cut, 0, is_whole, status, text);
    for (size_t piece = 1; piece < 4; piece++)
        reading_check_one(type, body, 0, piece, is_whole, status, text);
}

void reading_check_rows(const struct reader_type *type, const struct reading_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        print_message("%s\n", rows[i].body);
        reading_check(type, str_from(rows[i].body), true, rows[i].status, rows[i].text);
    }
}
