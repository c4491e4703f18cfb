/* What a document's text becomes: plain, and in chunks. */
#include "document/document.h"
#include "document/html.h"
#include "document/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void assert_text(struct buf *out, const char *expected)
{
    buf_append_char(out, '\0');
    assert_false(out->failed);
    assert_string_equal(out->data, expected);
    buf_deinit(out);
}

/* ---- kinds ---- */

static void a_kind_has_its_media_type(void **state)
{
    (void)state;
    assert_string_equal(document_media_type(DOCUMENT_IS_PDF), "application/pdf");
    assert_string_equal(document_media_type(DOCUMENT_IS_HTML), "text/html");
    assert_string_equal(document_media_type(DOCUMENT_IS_MARKDOWN), "text/markdown");
    assert_string_equal(document_media_type(DOCUMENT_IS_TEXT), "text/plain");
    assert_string_equal(document_media_type(DOCUMENT_IS_UNKNOWN), "application/octet-stream");
}

static void a_kind_is_told_by_how_the_content_begins(void **state)
{
    static const struct {
        struct str data, declared;
        enum document_kind kind;
    } cases[] = {
        {{"%PDF-1.7\n", 9}, {"text/plain", 10}, DOCUMENT_IS_PDF},
        {{"\n\n%PDF-1.7\n", 11}, {"", 0}, DOCUMENT_IS_PDF},
        {{"<!DOCTYPE HTML><p>", 18}, {"", 0}, DOCUMENT_IS_HTML},
        {{"\xef\xbb\xbf <!-- x --><html>", 20}, {"text/plain", 10}, DOCUMENT_IS_HTML},
        {{"<?xml version=\"1.0\"?><html>", 27}, {"", 0}, DOCUMENT_IS_HTML},
        {{"<p>a part</p>", 13}, {"text/html; charset=utf-8", 24}, DOCUMENT_IS_HTML},
        {{"<p>a part</p>", 13}, {"text/plain", 10}, DOCUMENT_IS_TEXT},
        {{"no tag", 6}, {"text/html", 9}, DOCUMENT_IS_TEXT},
        {{"<!-- never closed", 17}, {"", 0}, DOCUMENT_IS_TEXT},
        {{"# Title", 7}, {"text/markdown", 13}, DOCUMENT_IS_MARKDOWN},
        {{"", 0}, {"", 0}, DOCUMENT_IS_TEXT},
        {{"a\0b", 3}, {"text/plain", 10}, DOCUMENT_IS_UNKNOWN},
        {{"<html>\0", 7}, {"", 0}, DOCUMENT_IS_UNKNOWN},
        {{"\x89PNG\r\n", 6}, {"text/plain", 10}, DOCUMENT_IS_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(document_kind_of(cases[i].data, cases[i].declared), cases[i].kind);
}

/* ---- plain ---- */

static void text_is_made_plain(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"\xef\xbb\xbf\n\n one\r\ntwo\rthree  \t\n\n\n\n\nfour\n\n", " one\ntwo\nthree\n\nfour"},
        {"page\fpage", "page\npage"},
        {"a\x01\x1b[31mred\x7f", "a  [31mred "},
        {"tab\tstays", "tab\tstays"},
        {"\t\x01\x01", "\t  "},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0};

        text_normalise(str_from(cases[i][0]), &out);
        assert_text(&out, cases[i][1]);
    }
}

/* ---- HTML ---- */

static void html_becomes_what_people_read(void **state)
{
    static const char *const cases[][3] = {
        {"<p>one<p>two", "one\n\ntwo", ""},
        {"<title>A\n title</title><h2>Head</h2>text", "## Head\n\ntext", "A title"},
        {"<p>a<script>alert('<p>no')</script>b<style>p{}</style>c", "abc", ""},
        {"<nav><ul><li>menu</ul></nav><ul><li>x<li> <b>y</b></ul>", "- x\n- y", ""},
        {"<svg><title>icon</title><text>no</text></svg>yes", "yes", ""},
        {"a &lt;b&gt; &amp; &eacute;&#x1F600; &nosuch;",
         "a <b> & \xc3\xa9\xf0\x9f\x98\x80 &nosuch;", ""},
        {"<pre>keep\n  this</pre>not\n  this", "keep\n  this\n\nnot this", ""},
        {"one<br>two<table><tr><td>a<td>b<tr><td>c</table>", "one\ntwo\n\na b\nc", ""},
        {"<h1></h1><h1> </h1>x", "x", ""},
        {"<p>un<p>closed <b>tags <i>every</p>where", "un\n\nclosed tags every\n\nwhere", ""},
        {"<!DOCTYPE html [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><p>&x;", "]>\n\n&x;", ""},
        {"<img src=\"http://192.0.2.1/x\"><link href=\"http://192.0.2.1/y\">z", "z", ""},
        {"</p></div>stray</script>", "stray", ""},
        {"<noscript>no</noscript><template>no</template><iframe>no</iframe>yes", "yes", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0}, title = {0};

        assert_int_equal(html_to_text(str_from(cases[i][0]), &out, &title).status, OK);
        assert_text(&out, cases[i][1]);
        assert_text(&title, cases[i][2]);
    }
}

static void html_says_its_charset_when_it_is_not_utf8(void **state)
{
    struct buf out = {0}, title = {0};

    (void)state;
    assert_int_equal(html_to_text(STR("<meta charset=\"iso-8859-1\"><p>Gr\xfc\xdf"
                                      "e"),
                                  &out, &title)
                         .status,
                     OK);
    buf_deinit(&title);
    assert_text(&out, "Gr\xc3\xbc\xc3\x9f"
                      "e");
}

static void html_that_is_too_deep_or_too_long_is_refused(void **state)
{
    struct buf html = {0}, out = {0}, title = {0}, small = {.max_bytes = 10};

    (void)state;
    for (int i = 0; i < 300000; i++)
        buf_append_str(&html, STR("<b>"));
    for (int i = 0; i < 300000; i++)
        buf_append_str(&html, STR("</i>"));
    assert_int_equal(html_to_text(buf_str(&html), &out, &title).status, ERR_INVALID);
    assert_int_equal(html_to_text(STR("<p>more than ten bytes"), &small, &title).status,
                     ERR_TOO_LARGE);
    buf_deinit(&html);
    buf_deinit(&out);
    buf_deinit(&small);
    buf_deinit(&title);
}

static void a_title_that_is_too_long_is_cut(void **state)
{
    struct buf html = {0}, out = {0}, title = {.max_bytes = 2000};

    (void)state;
    buf_append_str(&html, STR("<title>x"));
    for (int i = 0; i < 2000; i++)
        buf_append_str(&html, STR("\xc3\xbc"));
    buf_append_str(&html, STR("</title>text"));
    assert_int_equal(html_to_text(buf_str(&html), &out, &title).status, OK);
    assert_true(utf8_is_valid(buf_str(&title)));
    assert_int_equal(title.len, 1999);
    assert_text(&out, "text");
    buf_deinit(&html);
    buf_deinit(&title);
}

static void html_is_bared_of_what_is_not_read(void **state)
{
    static const char *const cases[][2] = {
        {"<p class=\"a\" b='>' c=d/e>x</p >", "<p>x</p >"},
        {"<a title=\">\" x=\"<b y>\">t", "<a>t"},
        {"<br/><br /><p id=\"x\"/><p id=x/>", "<br/><br/><p/><p>"},
        {"<p a=\"never closed> <b c>", "<p>"},
        {"<p", "<p>"},
        {"<", "<"},
        {"a < b <1 <!DOCTYPE html x y><?php a b ?>", "a < b <1 <!DOCTYPE html x y><?php a b ?>"},
        {"<!-- <p a b> -->x<!-->y<!--->z<!-- never <p a b>", "xyz"},
        {"<script src=x>if (a<b && c=='\"')</SCRIPT >y", "<script></SCRIPT >y"},
        {"<style>p{}</style><style>never <p a b>", "<style></style><style>never <p>"},
        {"<script><p a b><script/><p a b>", "<script><p><script/><p>"},
        {"<META charset=x><p a\xc3\xbc<b c>", "<META charset=x><p>"},
        {"<scripts>x</scripts><p\"a\"b c>", "<scripts>x</scripts><p>"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0};

        html_bare(str_from(cases[i][0]), &out);
        assert_text(&out, cases[i][1]);
    }
}

static void a_tag_with_very_many_attributes_costs_no_more_than_others(void **state)
{
    struct buf html = {0}, out = {0}, title = {0};
    clock_t began = clock();

    (void)state;
    buf_append_str(&html, STR("<p"));
    for (int i = 0; i < 200000; i++)
        buf_printf(&html, " a%d", i);
    buf_append_str(&html, STR(">text"));
    assert_int_equal(html_to_text(buf_str(&html), &out, &title).status, OK);
    assert_text(&out, "text");
    assert_true((clock() - began) / CLOCKS_PER_SEC < 5);
    buf_deinit(&html);
    buf_deinit(&title);
}

/* ---- chunks ---- */

/* Every byte that is no space is in some chunk, in its place; each is within its length; each
 * begins after the one before it. */
static size_t check_chunks(struct str text, size_t max_chars, size_t overlap_chars)
{
    struct chunker c = {.text = text, .max_chars = max_chars, .overlap_chars = overlap_chars};
    const char *covered = text.ptr, *last = NULL;
    struct str chunk;
    size_t n = 0;

    while (chunker_next(&c, &chunk)) {
        assert_true(chunk.len > 0 && utf8_is_valid(chunk));
        assert_true(utf8_length(chunk) <= max_chars);
        assert_true(!last || chunk.ptr > last);
        for (const char *p = covered; p < chunk.ptr; p++)
            assert_true(*p == ' ' || *p == '\n');
        assert_true(chunk.ptr + chunk.len > covered);
        covered = chunk.ptr + chunk.len;
        last = chunk.ptr;
        n++;
    }
    for (const char *p = covered; p < text.ptr + text.len; p++)
        assert_true(*p == ' ' || *p == '\n');
    return n;
}

static void chunks_cover_the_text_whatever_it_is_made_of(void **state)
{
    static const char *const atoms[] = {
        "a",  "bc ",      "word ", ".\n",          "\n\n",
        "# ", "\xc3\xbc", "! ",    "\xe3\x80\x82", "\xf0\x9f\x98\x80",
        "  "};
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 300; round++) {
        struct buf text = {0};
        size_t max = 100 + (size_t)round % 50, overlap = (size_t)round % 60;

        for (int i = 0; i < 500; i++) {
            seed = seed * 1103515245u + 12345u;
            buf_append_str(&text,
                           str_from(atoms[(seed >> 16) % (sizeof(atoms) / sizeof(atoms[0]))]));
        }
        assert_true(check_chunks(buf_str(&text), max, overlap) >= 1);
        buf_deinit(&text);
    }
}

static struct str nth_chunk(const char *text, size_t max, size_t overlap, size_t n)
{
    struct chunker c = {.text = str_from(text), .max_chars = max, .overlap_chars = overlap};
    struct str chunk = STR_NONE;

    do {
        if (!chunker_next(&c, &chunk))
            return STR_NONE;
    } while (n-- > 0);
    return chunk;
}

static void a_cut_is_made_where_it_hurts_least(void **state)
{
    static const char *const text =
        "First words of a paragraph. Second sentence.\n\n# Heading\n\nMore text here that is long.";

    (void)state;
    assert_true(
        str_eq(nth_chunk(text, 70, 20, 0), STR("First words of a paragraph. Second sentence.")));
    assert_true(
        str_eq(nth_chunk(text, 70, 20, 1), STR("# Heading\n\nMore text here that is long.")));
    assert_true(str_eq(nth_chunk("aaaa bbbb. cccc dddd", 14, 0, 0), STR("aaaa bbbb.")));
    assert_true(str_eq(nth_chunk("aaaa bbbb cccc dddd", 12, 5, 0), STR("aaaa bbbb")));
    assert_true(str_eq(nth_chunk("aaaa bbbb cccc dddd", 12, 5, 1), STR("bbbb cccc")));
    assert_true(str_eq(nth_chunk("no need to cut", 100, 10, 0), STR("no need to cut")));
    assert_null(nth_chunk("no need to cut", 100, 10, 1).ptr);
    assert_null(nth_chunk(" \n\n\t ", 100, 10, 0).ptr);
    assert_true(str_eq(nth_chunk("\t\n \tx", 100, 10, 0), STR("x")));
    assert_int_equal(check_chunks(STR("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), 10, 5), 7);
}

static int set_up(void **state)
{
    (void)state;
    xmlInitParser();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    xmlCleanupParser();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kind_is_told_by_how_the_content_begins),
        cmocka_unit_test(a_kind_has_its_media_type),
        cmocka_unit_test(text_is_made_plain),
        cmocka_unit_test(html_becomes_what_people_read),
        cmocka_unit_test(html_says_its_charset_when_it_is_not_utf8),
        cmocka_unit_test(html_that_is_too_deep_or_too_long_is_refused),
        cmocka_unit_test(a_title_that_is_too_long_is_cut),
        cmocka_unit_test(html_is_bared_of_what_is_not_read),
        cmocka_unit_test(a_tag_with_very_many_attributes_costs_no_more_than_others),
        cmocka_unit_test(chunks_cover_the_text_whatever_it_is_made_of),
        cmocka_unit_test(a_cut_is_made_where_it_hurts_least),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
