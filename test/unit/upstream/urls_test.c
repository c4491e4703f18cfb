/* URLs taken apart are kept, within bounds, and live as long as somebody asks at them. */
#include "harness.h"

#include "upstream/urls.h"

#include <string.h>

static struct url *take(struct urls *u, const char *text)
{
    struct url *url;

    assert_false(is_error(urls_take(u, str_from(text), &url)));
    return url;
}

static void a_url_is_taken_apart_once(void **state)
{
    struct urls urls = {0};
    struct url *first = take(&urls, "http://n8n.example.org:5678/webhook/a?b=c#d");
    struct url *second = take(&urls, "http://n8n.example.org:5678/webhook/a?b=c#d");
    char *text;

    (void)state;
    assert_ptr_equal(first, second);
    assert_string_equal(first->parts.host, "n8n.example.org");
    assert_string_equal(first->parts.port, "5678");
    assert_int_equal(curl_url_get(first->parts.parsed, CURLUPART_URL, &text, 0), CURLUE_OK);
    assert_string_equal(text, first->parts.full);
    curl_free(text);
    url_release(first);
    urls_forget(&urls);
    assert_string_equal(second->parts.host, "n8n.example.org"); /* still asked at */
    url_release(second);
}

static void a_url_that_is_refused_is_not_kept(void **state)
{
    struct urls urls = {0};
    struct url *url;

    (void)state;
    assert_int_equal(urls_take(&urls, STR("ftp://example.org/"), &url).status, ERR_INVALID);
    assert_null(url);
    assert_int_equal(urls_take(&urls, STR(""), &url).status, ERR_INVALID);
    for (size_t i = 0; i < URLS_KEPT; i++)
        assert_null(urls.kept[i]);
}

static void many_urls_take_each_others_places(void **state)
{
    struct urls urls = {0};
    struct url *held = take(&urls, "http://example.org/held");

    (void)state;
    for (unsigned i = 0; i < URLS_KEPT * 20; i++) {
        char text[64], host[64];
        struct url *url;

        snprintf(text, sizeof(text), "http://%u.example.org/", i);
        snprintf(host, sizeof(host), "%u.example.org", i);
        url = take(&urls, text);
        assert_string_equal(url->parts.host, host);
        url_release(url);
    }
    assert_int_equal(held->n_refs, 1); /* its place went to another */
    assert_string_equal(held->parts.full, "http://example.org/held");
    url_release(held);
    urls_forget(&urls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_taken_apart_once),
        cmocka_unit_test(a_url_that_is_refused_is_not_kept),
        cmocka_unit_test(many_urls_take_each_others_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
