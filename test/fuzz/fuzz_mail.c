/* Mails: whatever a service, a subject or a text holds, the head has our lines and no other, and
 * the text arrives as it was. The input's lines are the name, the subject and the text. */
#include "account/mime.h"
#include "fuzz.h"

static struct str take_mail_line(struct str *mail)
{
    const char *end = memmem(mail->ptr, mail->len, "\r\n", 2);
    struct str line;

    MUST(end != NULL);
    line = (struct str){mail->ptr, (size_t)(end - mail->ptr)};
    *mail = str_skip(*mail, line.len + 2);
    MUST(!str_has_control(line) && line.len <= 998); /* RFC 5322 section 2.1.1 */
    for (size_t i = 0; i < line.len; i++)
        MUST((unsigned char)line.ptr[i] < 0x80);
    return line;
}

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* RFC 2047: encoded words, and nothing else. */
static void decode_words(struct str line, struct buf *out)
{
    while (line.len > 0) {
        unsigned bits = 0, n_bits = 0;

        line = str_trim(line);
        MUST(str_starts_with(line, STR("=?UTF-8?B?")));
        for (line = str_skip(line, 10); line.len > 0 && digit_of(line.ptr[0]) >= 0;
             line = str_skip(line, 1)) {
            bits = bits << 6 | (unsigned)digit_of(line.ptr[0]);
            n_bits += 6;
            if (n_bits >= 8)
                buf_append_char(out, (char)(bits >> (n_bits -= 8)));
        }
        while (str_starts_with(line, STR("=")))
            line = str_skip(line, 1);
        MUST(str_starts_with(line, STR("?=")));
        line = str_skip(line, 2);
    }
}

/* A subject in which what is no printable character is a space. */
static void check_subject(struct str shown, struct str subject)
{
    struct buf decoded = {0};

    if (str_starts_with(shown, STR("=?")))
        decode_words(shown, &decoded);
    else
        buf_append_str(&decoded, shown);
    MUST(decoded.len == subject.len);
    for (size_t i = 0; i < subject.len; i++) {
        unsigned char c = (unsigned char)subject.ptr[i];

        MUST(decoded.data[i] == (c < ' ' || c == 0x7f ? ' ' : subject.ptr[i]));
    }
    buf_deinit(&decoded);
}

static struct str read_head(struct str mail, struct str subject)
{
    static const char *const names[] = {
        "From: ",          "To: ",           "Subject: ",      "Date: ",
        "Message-ID: ",    "MIME-Version: ", "Content-Type: ", "Content-Transfer-Encoding: ",
        "Auto-Submitted: "};
    size_t n = 0;

    for (;;) {
        struct str line = take_mail_line(&mail);
        struct buf unfolded = {0};

        if (line.len == 0)
            break;
        MUST(n < sizeof(names) / sizeof(names[0]));
        MUST(str_starts_with(line, str_from(names[n])));
        buf_append_str(&unfolded, line);
        while (str_starts_with(mail, STR(" ")))
            buf_append_str(&unfolded, take_mail_line(&mail));
        if (n == 2)
            check_subject(str_skip(buf_str(&unfolded), strlen(names[n])), subject);
        buf_deinit(&unfolded);
        n++;
    }
    MUST(n == sizeof(names) / sizeof(names[0]));
    return mail;
}

/* RFC 2045 section 6.7. */
static void read_text(struct str mail, struct buf *out)
{
    while (mail.len > 0) {
        struct str line = take_mail_line(&mail);

        MUST(line.len <= 76);
        for (size_t i = 0; i < line.len; i++) {
            if (line.ptr[i] != '=') {
                buf_append_char(out, line.ptr[i]);
            } else if (i + 1 < line.len) {
                MUST(i + 2 < line.len);
                buf_append_char(
                    out, (char)strtoul((char[]){line.ptr[i + 1], line.ptr[i + 2], 0}, NULL, 16));
                i += 2;
            }
        }
        MUST(!str_ends_with(line, STR(" ")));
        if (!str_ends_with(line, STR("=")))
            buf_append_char(out, '\n');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = {(const char *)data, size};
    struct mime_mail mail = {
        .id = STR("1"), .from = STR("service@host.example"), .to = STR("someone@host.example")};
    struct buf out = {0}, text = {0};
    struct arena arena = {0};

    if (!utf8_is_valid(all))
        return 0;
    mail.from_name = take_line(&all);
    mail.subject = take_line(&all);
    mail.text = all;
    mime_write(&out, &arena, &mail);
    MUST(!out.failed);
    read_text(read_head(buf_str(&out), mail.subject), &text);
    if (str_ends_with(all, STR("\n")))
        all.len--;
    MUST(text.len == all.len + 1 && str_starts_with(buf_str(&text), all));
    buf_deinit(&out);
    buf_deinit(&text);
    arena_free(&arena);
    return 0;
}
