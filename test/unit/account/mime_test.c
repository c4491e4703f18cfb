/* Mails as they go over the wire. */
#include "account/mime.h"

#include "account/mail_text.h"
#include "base/crypto.h"

#include "../cmocka_all.h"

#include <string.h>

static struct arena arena;
static struct buf out;

static int set_up(void **state)
{
    (void)state;
    arena = (struct arena){0};
    out = (struct buf){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    buf_deinit(&out);
    return 0;
}

/* The head's lines and the text of a mail with this name, subject and text; NUL-terminated. */
static const char *written(struct str name, struct str subject, struct str text)
{
    buf_clear(&out);
    mime_write(&out, &arena,
               &(struct mime_mail){.id = STR("the-id"),
                                   .from = STR("no@from.test"),
                                   .from_name = name,
                                   .to = STR("you@to.test"),
                                   .subject = subject,
                                   .text = text,
                                   .sent_at_us = INT64_C(1795274430000000)});
    buf_append_char(&out, 0);
    assert_false(out.failed);
    return out.data;
}

static void assert_holds(const char *mail, const char *part)
{
    if (!strstr(mail, part))
        fail_msg("no %s in\n%s", part, mail);
}

static size_t count(const char *mail, const char *part)
{
    size_t n = 0;

    for (; (mail = strstr(mail, part)); mail++)
        n++;
    return n;
}

static void a_plain_mail_is_written_as_it_is(void **state)
{
    (void)state;
    assert_string_equal(written(STR("Aerie"), STR("Hello"), STR("One line.\n\nAnother.\n")),
                        "From: \"Aerie\" <no@from.test>\r\n"
                        "To: <you@to.test>\r\n"
                        "Subject: Hello\r\n"
                        "Date: Sat, 21 Nov 2026 15:20:30 +0000\r\n"
                        "Message-ID: <the-id@from.test>\r\n"
                        "MIME-Version: 1.0\r\n"
                        "Content-Type: text/plain; charset=utf-8\r\n"
                        "Content-Transfer-Encoding: quoted-printable\r\n"
                        "Auto-Submitted: auto-generated\r\n"
                        "\r\n"
                        "One line.\r\n"
                        "\r\n"
                        "Another.\r\n");
}

static void nothing_in_a_name_or_subject_ends_a_line_of_the_head(void **state)
{
    const struct str evil = STR("x\r\nBcc: <a@b.test>\r\n\r\nBody\n\0y\x7f");
    const char *mail = written(evil, evil, STR("text"));

    (void)state;
    assert_int_equal(count(mail, "\nBcc"), 0);
    assert_int_equal(count(mail, "\r\n\r\n"), 1);
    assert_int_equal(count(mail, "\r\n"), 11);
    assert_holds(mail, "From: \"x  Bcc: <a@b.test>    Body  y \" <no@from.test>\r\n");
}

static void quotes_in_a_name_are_escaped(void **state)
{
    (void)state;
    assert_holds(written(STR("The \"A\\B\" team"), STR("s"), STR("t")),
                 "From: \"The \\\"A\\\\B\\\" team\" <no@from.test>\r\n");
    assert_holds(written(STR(""), STR("s"), STR("t")), "From: <no@from.test>\r\n");
}

static void other_letters_become_encoded_words_that_cut_no_character(void **state)
{
    char text[241];
    const char *mail, *line;
    size_t n_bytes = 0;

    (void)state;
    assert_holds(written(STR("Ærie"), STR("Prüfung"), STR("t")),
                 "From: =?UTF-8?B?w4ZyaWU=?=\r\n <no@from.test>\r\n");
    assert_holds(out.data, "Subject: =?UTF-8?B?UHLDvGZ1bmc=?=\r\n");
    /* what looks like an encoded word is none */
    assert_holds(written(STR(""), STR("=?x"), STR("t")), "Subject: =?UTF-8?B?PT94?=\r\n");
    for (int i = 0; i < 80; i++)
        memcpy(text + (size_t)(3 * i), "€", 3); /* 3 bytes each; 45 are a whole number of them */
    text[0] = 'a';                              /* but not from here on */
    text[1] = 'b';
    text[2] = 'c';
    text[240] = 0;
    mail = written(STR(""), (struct str){text + 1, 239}, STR("t"));
    line = strstr(mail, "Subject: ");
    for (size_t n = 0; n < 6; n++, line += strcspn(line, "\r") + 2) {
        struct str word = {line, strcspn(line, "\r")}, bytes;
        size_t begin = 0;

        while (memcmp(word.ptr + begin, "=?UTF-8?B?", 10) != 0)
            begin++;
        assert_true(word.len - begin <= 75);
        while (word.ptr[word.len - 3] == '=') /* base64url wants no padding */
            word.len--;
        bytes = crypto_base64url_decode(&arena,
                                        (struct str){word.ptr + begin + 10, word.len - begin - 12});
        assert_true(bytes.len > 0 && bytes.len <= 45 && utf8_is_valid(bytes));
        n_bytes += bytes.len;
    }
    assert_int_equal(n_bytes, 239);
}

static void the_text_is_quoted_printable_in_lines_of_76(void **state)
{
    char text[301];
    const char *mail, *body;

    (void)state;
    mail = written(STR(""), STR("s"), STR("Grüße = gut \n.\nFrom here\n"));
    assert_holds(mail, "\r\n\r\nGr=C3=BC=C3=9Fe =3D gut=20\r\n.\r\nFrom here\r\n");
    memset(text, 'x', 300);
    text[300] = 0;
    mail = written(STR(""), STR("s"), str_from(text));
    body = strstr(mail, "\r\n\r\n") + 4;
    for (size_t n = 0; *body; n++) {
        size_t len = strcspn(body, "\r");

        assert_true(len <= 76);
        assert_true(body[len + 2] == 0 || body[len - 1] == '=');
        body += len + 2;
    }
    /* a line of just 76 needs no break */
    text[76] = 0;
    assert_int_equal(count(written(STR(""), STR("s"), str_from(text)), "=\r\n"), 0);
    text[76] = 'x';
    text[77] = 0;
    assert_int_equal(count(written(STR(""), STR("s"), str_from(text)), "=\r\n"), 1);
}

static void templates_are_filled_in_whole(void **state)
{
    const struct mail_link links[] = {{STR("Shop {life}"), STR("https://a.test/1")},
                                      {STR("B"), STR("https://a.test/2")}};
    const uint64_t lives[] = {3600, 86400, 90, 60};
    const char *const words[] = {"1 hour.", "24 hours.", "2 minutes.", "1 minute."};

    (void)state;
    for (size_t n = 1; n <= 2; n++)
        for (int kind = 0; kind < N_MAIL_KINDS; kind++)
            for (size_t i = 0; i < 4; i++) {
                const struct mail_values v = {STR("My {links}"), links, n, lives[i]};

                buf_clear(&out);
                mail_text_subject(&out, (enum mail_kind)kind, &v);
                mail_text_body(&out, (enum mail_kind)kind, &v);
                buf_append_char(&out, 0);
                assert_holds(out.data, words[i]);
                assert_holds(out.data, "https://a.test/1\n");
                /* what is filled in is not filled in again */
                assert_int_equal(count(out.data, "{links}"), 2);
                assert_int_equal(count(out.data, "{life}"), n == 2 ? 1 : 0);
                assert_int_equal(count(out.data, "https://a.test/2\n"), n - 1);
                assert_int_equal(count(out.data, "{service}"), 0);
            }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_plain_mail_is_written_as_it_is),
        TEST(nothing_in_a_name_or_subject_ends_a_line_of_the_head),
        TEST(quotes_in_a_name_are_escaped),
        TEST(other_letters_become_encoded_words_that_cut_no_character),
        TEST(the_text_is_quoted_printable_in_lines_of_76),
        TEST(templates_are_filled_in_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
