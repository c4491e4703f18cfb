/* Writes mails: the head in ASCII with encoded words, the text quoted-printable. */
#include "mime.h"

#include "base/crypto.h"

#include <stdio.h>
#include <time.h>

#define LINE_CHARS 76 /* of quoted-printable (RFC 2045 section 6.7) */
#define WORD_BYTES 45 /* of text in an encoded word: 75 characters in all (RFC 2047 section 2) */
#define SHORT_TEXT 60 /* as it is, on one line of the head */

/* A copy in which nothing ends a line. */
static struct str one_line(struct arena *a, struct str s)
{
    struct str copy = arena_copy(a, s);
    char *p = (char *)(uintptr_t)copy.ptr;

    for (size_t i = 0; p && i < copy.len; i++)
        if ((unsigned char)p[i] < ' ' || p[i] == 0x7f)
            p[i] = ' ';
    return copy;
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    return s.len <= SHORT_TEXT && !str_contains(s, STR("=?"));
}

static void write_words(struct buf *out, struct arena *a, struct str s)
{
    for (bool is_first = true; s.len > 0; is_first = false) {
        struct str part = utf8_prefix(s, WORD_BYTES);
        struct str coded;

        if (part.len == 0) /* no UTF-8: cut anywhere */
            part = (struct str){s.ptr, s.len < WORD_BYTES ? s.len : WORD_BYTES};
        coded = crypto_base64(a, part);
        if (!coded.ptr)
            out->failed = true;
        buf_printf(out, "%s=?UTF-8?B?%.*s?=", is_first ? "" : "\r\n ", STR_ARG(coded));
        s = str_skip(s, part.len);
    }
}

static void write_text_line(struct buf *out, struct arena *a, const char *name, struct str text)
{
    struct str line = one_line(a, text);

    buf_printf(out, "%s: ", name);
    if (is_plain(line))
        buf_append_str(out, line);
    else
        write_words(out, a, line);
    buf_append_str(out, STR("\r\n"));
}

static void write_from(struct buf *out, struct arena *a, const struct mime_mail *m)
{
    struct str name = one_line(a, m->from_name);

    buf_append_str(out, STR("From: "));
    if (name.len > 0 && is_plain(name)) {
        buf_append_char(out, '"');
        for (size_t i = 0; i < name.len; i++) {
            if (name.ptr[i] == '"' || name.ptr[i] == '\\')
                buf_append_char(out, '\\');
            buf_append_char(out, name.ptr[i]);
        }
        buf_append_str(out, STR("\" "));
    } else if (name.len > 0) {
        write_words(out, a, name);
        buf_append_str(out, STR("\r\n "));
    }
    buf_printf(out, "<%.*s>\r\n", STR_ARG(m->from));
}

static void write_date(struct buf *out, int64_t at_us)
{
    time_t seconds = (time_t)(at_us / 1000000);
    struct tm tm;
    char text[64];

    gmtime_r(&seconds, &tm);
    /* The process has the C locale: English names. */
    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &tm);
    buf_printf(out, "Date: %s\r\n", text);
}

/* One line, without its end. */
static void write_quoted(struct buf *out, struct str line)
{
    size_t column = 0;

    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];
        bool is_last = i + 1 == line.len;
        bool is_literal = (c > ' ' && c < 0x7f && c != '=') || (c == ' ' && !is_last);
        size_t width = is_literal ? 1 : 3;

        if (column + width > LINE_CHARS - (is_last ? 0 : 1)) {
            buf_append_str(out, STR("=\r\n"));
            column = 0;
        }
        if (is_literal)
            buf_append_char(out, (char)c);
        else
            buf_printf(out, "=%02X", c);
        column += width;
    }
    buf_append_str(out, STR("\r\n"));
}

void mime_write(struct buf *out, struct arena *a, const struct mime_mail *m)
{
    struct str domain = str_skip(m->from, str_find(m->from, '@') + 1), text = m->text, line;

    write_from(out, a, m);
    buf_printf(out, "To: <%.*s>\r\n", STR_ARG(m->to));
    write_text_line(out, a, "Subject", m->subject);
    write_date(out, m->sent_at_us);
    buf_printf(out, "Message-ID: <%.*s@%.*s>\r\n", STR_ARG(m->id), STR_ARG(domain));
    buf_append_str(out,
                   STR("MIME-Version: 1.0\r\n"
                       "Content-Type: text/plain; charset=utf-8\r\n"
                       "Content-Transfer-Encoding: quoted-printable\r\n"
                       "Auto-Submitted: auto-generated\r\n" /* RFC 3834: no out-of-office replies */
                       "\r\n"));
    if (str_ends_with(text, STR("\n")))
        text.len--;
    while (str_next(&text, '\n', &line))
        write_quoted(out, line);
}
