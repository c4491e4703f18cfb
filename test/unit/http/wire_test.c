/* The small languages of HTTP: lines, forms, addresses and routes, without sockets. */
#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static struct header_line lines[4];

static struct request request_with(const char *name, const char *value)
{
    lines[0] = (struct header_line){str_from(name), str_from(value)};
    return (struct request){.headers = lines, .n_headers = 1};
}

static void accept_lines_are_weighed(void **state)
{
    static const struct {
        const char *line, *type;
        bool accepts;
    } rows[] = {
        {"text/event-stream", "text/event-stream", true},
        {"TEXT/Event-Stream", "text/event-stream", true},
        {"*/*", "text/event-stream", true},
        {"", "text/event-stream", true},
        {"text/*", "text/event-stream", true},
        {"text/html", "text/event-stream", false},
        {"application/json", "text/event-stream", false},
        {"application/json, text/event-stream", "text/event-stream", true},
        {"application/json, text/event-stream;q=0.9", "text/event-stream", false},
        {"application/json;q=0.5, text/event-stream", "text/event-stream", true},
        {"application/json, text/plain, */*", "text/event-stream", false},
        {"application/json;q=0.5, */*", "text/event-stream", true},
        {"application/json, */*;q=0.1", "application/json", true},
        {"text/event-stream;q=0", "text/event-stream", false},
        {"*/*, text/event-stream;q=0", "text/event-stream", false},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html", true},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json",
         false},
        {"text/html;level=1;q=0.3, text/plain;q=0.25", "text/html", true},
        {"text/html;q=0.25, text/plain;q=0.3", "text/html", false},
        {";;,,q=1", "text/html", false},
        {"text/html;q=bogus, text/plain;q=0.9", "text/html", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct request req = request_with("Accept", rows[i].line);

        if (request_accepts(&req, rows[i].type) != rows[i].accepts)
            fail_msg("%s of: %s", rows[i].type, rows[i].line);
    }
}

static void cookies_are_found(void **state)
{
    static const struct {
        const char *line, *value; /* NULL: absent */
    } rows[] = {
        {"t=1", "1"},         {"a=2; t=1", "1"}, {"t=1; t=2", "1"},   {"t=\"1\"", "1"},
        {"t=", ""},           {"tt=1", NULL},    {"t", NULL},         {"", NULL},
        {" t = 1 ;x=2", "1"}, {"T=1", NULL},     {"a=t=1", NULL},     {"t=a=b==", "a=b=="},
        {";;;t=1", "1"},      {"t=\"", "\""},    {"x=\"t=1\"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct request req = request_with("cookie", rows[i].line);
        struct str value = request_cookie(&req, "t");

        if (rows[i].value ? !value.ptr || !str_eq(value, str_from(rows[i].value)) : !!value.ptr)
            fail_msg("row %zu, %s, gave %.*s", i, rows[i].line, STR_ARG(value));
    }
}

static void forms_are_decoded(void **state)
{
    static const struct {
        const char *form, *pairs;
    } rows[] = {
        {"", ""},
        {"a=1", "[a|1]"},
        {"a=1&b=2", "[a|1][b|2]"},
        {"a=1&a=2&", "[a|1][a|2]"},
        {"a", "[a|]"},
        {"=1", "[|1]"},
        {"&&a=b=c", "[a|b=c]"},
        {"a+b=c%2bd%20e", "[a b|c+d e]"},
        {"a=%", "[a|%]"},
        {"a=%4", "[a|%4]"},
        {"a=%4x%41", "[a|%4xA]"},
        {"%61=%C3%A9", "[a|\xc3\xa9]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str rest = str_from(rows[i].form), name, value;
        struct arena arena = {.chunks = NULL};
        struct buf out = {.data = NULL};

        while (form_next(&arena, &rest, &name, &value))
            buf_printf(&out, "[%.*s|%.*s]", STR_ARG(name), STR_ARG(value));
        if (!str_eq(buf_str(&out), str_from(rows[i].pairs)))
            fail_msg("%s gave %.*s", rows[i].form, STR_ARG(buf_str(&out)));
        buf_deinit(&out);
        arena_free(&arena);
    }
}

static void a_form_without_memory_ends(void **state)
{
    struct arena arena = {.max_bytes = 1};
    struct str rest = STR("name=value"), name, value;

    (void)state;
    assert_false(form_next(&arena, &rest, &name, &value));
    arena_free(&arena);
}

#define PART "Content-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".png\"\r\n"

static void multipart_bodies_are_taken_apart(void **state)
{
    static const struct {
        const char *type, *body;
        enum status status;
        const char *data, *filename;
    } rows[] = {
        {"multipart/form-data; boundary=x",
         "--x\r\n" PART "Content-Type: image/png\r\n\r\nDATA\r\n--x--\r\n", OK, "DATA",
         "a \"b\".png"},
        {"multipart/form-data; charset=utf-8; Boundary=\"x y\"",
         "--x y\r\n" PART "\r\nDATA\r\n--x y--", OK, "DATA", "a \"b\".png"},
        {"multipart/form-data; boundary=x",
         "preamble\r\n--x\r\nContent-Disposition: form-data; name=other\r\n\r\nno\r\n--x  \r\n" PART
         "\r\n\r\n--x-\r\n\r\n--x--\r\nepilogue",
         OK, "\r\n--x-\r\n", "a \"b\".png"},
        {"multipart/form-data; boundary=x",
         "--x\r\nContent-Disposition: form-data; name=file\r\n\r\n\r\n--x--", OK, "", ""},
        {"multipart/form-data; boundary=x",
         "--x\r\nContent-Disposition: form-data; name=other\r\n\r\n1\r\n--x--", ERR_INVALID, NULL,
         NULL},
        {"multipart/form-data; boundary=x", "--x--", ERR_INVALID, NULL, NULL},
        {"multipart/form-data; boundary=x", "", ERR_BAD_REQUEST, NULL, NULL},
        {"multipart/form-data; boundary=x", "--x", ERR_BAD_REQUEST, NULL, NULL},
        {"multipart/form-data; boundary=x", "--x\r\n" PART "\r\nDATA", ERR_BAD_REQUEST, NULL, NULL},
        {"multipart/form-data; boundary=x", "--x\r\n" PART "\r\nDATA\r\n--x", ERR_BAD_REQUEST, NULL,
         NULL},
        {"multipart/form-data; boundary=x", "--x\r\n" PART "DATA\r\n--x--", ERR_BAD_REQUEST, NULL,
         NULL},
        {"multipart/form-data; boundary=x", "--x\r\nno colon\r\n\r\nDATA\r\n--x--", ERR_BAD_REQUEST,
         NULL, NULL},
        {"multipart/form-data", "--x--", ERR_BAD_REQUEST, NULL, NULL},
        {"multipart/form-data; boundary=", "----", ERR_BAD_REQUEST, NULL, NULL},
        {"multipart/form-data; boundary=\"x", "--x--", ERR_BAD_REQUEST, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct request req = request_with("Content-Type", rows[i].type);
        struct multipart_part part;
        struct error err;

        req.body = str_from(rows[i].body);
        err = multipart_find(&req, "file", &part);
        if (err.status != rows[i].status ||
            (!is_error(err) && (!str_eq(part.data, str_from(rows[i].data)) ||
                                !str_eq(part.filename, str_from(rows[i].filename)))))
            fail_msg("row %zu gave status %d, %.*s", i, err.status, STR_ARG(part.data));
        arena_free(&req.arena);
    }
}

static void multipart_bodies_have_a_bounded_number_of_parts(void **state)
{
    (void)state;
    for (unsigned n = 32; n <= 33; n++) {
        struct request req = request_with("Content-Type", "multipart/form-data; boundary=x");
        struct buf body = {.data = NULL};
        struct multipart_part part;
        struct error err;

        for (unsigned i = 0; i < n; i++)
            buf_append_str(&body, STR("--x\r\n" PART "\r\n1\r\n"));
        buf_append_str(&body, STR("--x--"));
        req.body = buf_str(&body);
        err = multipart_find(&req, "file", &part);
        assert_int_equal(err.status, n == 32 ? OK : ERR_BAD_REQUEST);
        buf_deinit(&body);
        arena_free(&req.arena);
    }
}

/* A head may hold a thousand quoted parameters: they must not cost a head's length each. */
static void quoted_parameters_cost_what_they_hold(void **state)
{
    struct request req = request_with("Content-Type", "multipart/form-data; boundary=x");
    struct buf body = {.data = NULL};
    struct multipart_part part;

    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        buf_append_str(&body, STR("--x\r\nContent-Disposition: form-data"));
        for (unsigned k = 0; k < 1600; k++)
            buf_append_str(&body, STR(";a=\"\""));
        buf_append_str(&body, STR("\r\n\r\n1\r\n"));
    }
    buf_append_str(&body, STR("--x--"));
    req.body = buf_str(&body);
    assert_int_equal(multipart_find(&req, "file", &part).status, ERR_INVALID);
    assert_true(req.arena.used_bytes < 4 * body.len);
    buf_deinit(&body);
    arena_free(&req.arena);
}

static void blocks_hold_their_addresses(void **state)
{
    static const struct {
        const char *cidr, *ip;
        bool matches;
    } rows[] = {
        {"10.0.0.0/8", "10.1.2.3", true},
        {"10.0.0.0/8", "11.1.2.3", false},
        {"10.9.9.9/8", "10.1.2.3", true},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"::ffff:10.0.0.0/104", "10.1.2.3", true},
        {"::ffff:10.0.0.0/104", "11.1.2.3", false},
        {"10.0.0.0/8", "::10.1.2.3", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "1.2.3.4", false},
        {"1.2.3.4", "1.2.3.4", true},
        {"1.2.3.4", "1.2.3.5", false},
        {"1.2.3.4/31", "1.2.3.5", true},
        {"1.2.3.4/31", "1.2.3.6", false},
        {"fd00::/7", "fdff::1", true},
        {"fd00::/7", "fe80::1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1", "::1", true},
    };
    static const char *const broken[] = {"",        "x",        "1.2.3.4/33",       "1.2.3.4/-1",
                                         "1.2.3/8", "::1/129",  "1.2.3.4/",         "1.2.3.4/8x",
                                         "[::1]",   "1.2.3.4 ", "::ffff:1.2.3.4/95"};
    struct cidr cidr;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ip ip;

        assert_true(cidr_parse(str_from(rows[i].cidr), &cidr));
        assert_true(ip_parse(str_from(rows[i].ip), &ip));
        if (cidr_match_ip(&cidr, &ip) != rows[i].matches)
            fail_msg("%s in %s", rows[i].ip, rows[i].cidr);
    }
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        if (cidr_parse(str_from(broken[i]), &cidr))
            fail_msg("%s is taken", broken[i]);
}

static void socket_addresses_match_too(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a010203)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr other = {.sa_family = AF_UNIX};
    struct cidr cidr;

    (void)state;
    assert_true(cidr_parse(STR("10.0.0.0/8"), &cidr));
    assert_true(cidr_match(&cidr, (struct sockaddr *)&in));
    assert_int_equal(inet_pton(AF_INET6, "::ffff:10.1.1.1", &in6.sin6_addr), 1);
    assert_true(cidr_match(&cidr, (struct sockaddr *)&in6));
    assert_false(cidr_match(&cidr, &other));
}

static void wrong_route_tables_are_told(void **state)
{
    static const struct step steps[] = {STEP_END};
    static const struct route twice[] = {
        {HTTP_GET, "/a/{x}", 0, BODY_NONE, 0, steps, ""},
        {HTTP_GET, "/a/{y}", 0, BODY_NONE, 0, steps, ""},
    };
    static const struct route relative[] = {{HTTP_GET, "a", 0, BODY_NONE, 0, steps, ""}};
    static const struct route deep[] = {{HTTP_GET, "/{a}/{b}/{c}/{d}", 0, BODY_NONE, 0, steps, ""}};
    struct router router;

    (void)state;
    assert_int_equal(router_init(&router, twice, 2).status, ERR_INTERNAL);
    assert_int_equal(router_init(&router, relative, 1).status, ERR_INTERNAL);
    assert_int_equal(router_init(&router, deep, 1).status, ERR_INTERNAL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(accept_lines_are_weighed),
    cmocka_unit_test(cookies_are_found),
    cmocka_unit_test(forms_are_decoded),
    cmocka_unit_test(a_form_without_memory_ends),
    cmocka_unit_test(multipart_bodies_are_taken_apart),
    cmocka_unit_test(multipart_bodies_have_a_bounded_number_of_parts),
    cmocka_unit_test(quoted_parameters_cost_what_they_hold),
    cmocka_unit_test(blocks_hold_their_addresses),
    cmocka_unit_test(socket_addresses_match_too),
    cmocka_unit_test(wrong_route_tables_are_told),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
