/* What the texts among the values must look like, and their normal forms. */
#include "base/cidr.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "internal.h"

#define TOKEN_LEAST_CHARS 16

/* ASCII letters folded, from the arena. */
static struct str lower(struct arena *a, struct str s)
{
    struct str copy = arena_copy(a, s);
    char *p = (char *)(uintptr_t)copy.ptr;

    for (size_t i = 0; p && i < copy.len; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] + ('a' - 'A'));
    return copy;
}

static bool accept_cidr(struct arena *a, struct str value, struct str *out)
{
    struct cidr cidr;

    *out = lower(a, value);
    return cidr_parse(value, &cidr);
}

static bool accept_proxy(struct arena *a, struct str value, struct str *out)
{
    return accept_cidr(a, value, out) || str_eq(*out, STR("unix"));
}

static bool is_host_name(struct str s)
{
    if (s.len == 0 || s.len > 253 || s.ptr[0] == '.' || s.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '.' || c == '_'))
            return false;
        if (c == '.' && i > 0 && s.ptr[i - 1] == '.')
            return false;
    }
    return true;
}

/* Digits and dots only: a mistyped address, not a name. */
static bool looks_like_address(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != '.' && (s.ptr[i] < '0' || s.ptr[i] > '9'))
            return false;
    return true;
}

static bool accept_inside(struct arena *a, struct str value, struct str *out)
{
    return accept_cidr(a, value, out) || (is_host_name(value) && !looks_like_address(value));
}

static bool accept_host(struct arena *a, struct str value, struct str *out)
{
    struct ip ip;

    *out = lower(a, value);
    return ip_parse(value, &ip) || str_eq_nocase(value, STR("localhost"));
}

/* As it is written, but for the words. */
static bool accept_listen(struct arena *a, struct str value, struct str *out)
{
    bool is_tls = str_starts_with_nocase(value, STR("tls://"));
    struct endpoint endpoint;

    *out = value;
    if (str_eq_nocase(value, STR("systemd"))) {
        *out = STR("systemd");
        return true;
    }
    if (!endpoint_parse(str_skip(value, is_tls ? 6 : 0), &endpoint))
        return false;
    if (!endpoint.is_unix)
        *out = lower(a, value);
    return !is_tls || !endpoint.is_unix;
}

/* One place, in clear, or none. */
static bool accept_listen_plain(struct arena *a, struct str value, struct str *out)
{
    struct endpoint endpoint;

    *out = value;
    if (value.len == 0)
        return true;
    return endpoint_parse(value, &endpoint) && accept_listen(a, value, out);
}

/* As it can stand in a header line, and long enough that nobody guesses it. */
static bool accept_token(struct arena *a, struct str value, struct str *out)
{
    (void)a;
    *out = value;
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] <= ' ' || value.ptr[i] > '~')
            return false;
    return value.len == 0 || value.len >= TOKEN_LEAST_CHARS;
}

/* A file's permissions: the owner's, the group's, the others'. */
static bool accept_mode(struct arena *a, struct str value, struct str *out)
{
    (void)a;
    *out = value;
    if (value.len == 4 && value.ptr[0] == '0')
        value = str_skip(value, 1);
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] < '0' || value.ptr[i] > '7')
            return false;
    return value.len == 3;
}

/* host[:port], the host perhaps a bracketed IPv6 address, and a slash at the end at most. *port: 0
 * when there is none. */
static bool split_host(struct str rest, struct str *host, int64_t *port)
{
    struct ip ip;
    size_t at;

    if (str_ends_with(rest, STR("/")))
        rest.len--;
    if (str_starts_with(rest, STR("["))) {
        at = str_find(rest, ']');
        if (at == rest.len || !ip_parse((struct str){rest.ptr + 1, at - 1}, &ip) || ip.is_v4)
            return false;
        at++;
    } else {
        at = str_find(rest, ':');
        if (!is_host_name((struct str){rest.ptr, at}))
            return false;
    }
    *host = (struct str){rest.ptr, at};
    *port = 0;
    return at == rest.len || (rest.ptr[at] == ':' && str_to_i64(str_skip(rest, at + 1), port) &&
                              *port >= 1 && *port <= 65535);
}

/* scheme://host[:port] as browsers send it: lower case, without the scheme's own port. */
static bool accept_origin(struct arena *a, struct str value, struct str *out)
{
    bool is_tls = str_starts_with_nocase(value, STR("https://"));
    const char *scheme = is_tls ? "https" : "http";
    struct str host;
    int64_t port;

    if (!is_tls && !str_starts_with_nocase(value, STR("http://")))
        return false;
    if (!split_host(str_skip(value, is_tls ? 8 : 7), &host, &port))
        return false;
    *out = lower(a, port == 0 || port == (is_tls ? 443 : 80)
                        ? arena_printf(a, "%s://%.*s", scheme, STR_ARG(host))
                        : arena_printf(a, "%s://%.*s:%d", scheme, STR_ARG(host), (int)port));
    return out->len > 0;
}

static bool accept_origin_or_none(struct arena *a, struct str value, struct str *out)
{
    *out = value;
    return value.len == 0 || accept_origin(a, value, out);
}

/* smtp://host[:port] or smtps://host[:port], with the port told. */
static bool accept_smtp_url(struct arena *a, struct str value, struct str *out)
{
    bool is_tls = str_starts_with_nocase(value, STR("smtps://"));
    struct str host;
    int64_t port;

    *out = value;
    if (value.len == 0)
        return true;
    if (!is_tls && !str_starts_with_nocase(value, STR("smtp://")))
        return false;
    if (!split_host(str_skip(value, is_tls ? 8 : 7), &host, &port))
        return false;
    if (port == 0)
        port = is_tls ? 465 : 587;
    *out = lower(
        a, arena_printf(a, "%s://%.*s:%d", is_tls ? "smtps" : "smtp", STR_ARG(host), (int)port));
    return out->len > 0;
}

static bool accept_email(struct arena *a, struct str value, struct str *out)
{
    size_t at = str_find(value, '@');

    (void)a;
    *out = value;
    if (value.len == 0)
        return true;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        if (c <= ' ' || c >= 0x7f || c == '<' || c == '>' || c == '"' || c == ',' || c == ';')
            return false;
    }
    return at > 0 && is_host_name(str_skip(value, at + 1));
}

static bool accept_starttls(struct arena *a, struct str value, struct str *out)
{
    *out = lower(a, value);
    return str_eq(*out, STR("required")) || str_eq(*out, STR("optional"));
}

static bool accept_environment(struct arena *a, struct str value, struct str *out)
{
    *out = lower(a, value);
    return str_eq(*out, STR("development")) || str_eq(*out, STR("production"));
}

static bool accept_word(struct arena *a, struct str value, const char *words, struct str *out)
{
    struct str rest = str_from(words), word;

    *out = lower(a, value);
    while (str_next(&rest, '|', &word))
        if (str_eq(*out, word))
            return true;
    return false;
}

static bool accept_switch(struct arena *a, struct str value, struct str *out)
{
    return accept_word(a, value, "auto|off|on", out);
}

static bool accept_log_format(struct arena *a, struct str value, struct str *out)
{
    return accept_word(a, value, "auto|json|plain|seed", out);
}

static bool accept_level(struct arena *a, struct str value, struct str *out)
{
    enum log_level level;

    /* Python's names, as the programs have them that people come from. */
    if (str_eq_nocase(value, STR("warning")))
        value = STR("warn");
    else if (str_eq_nocase(value, STR("critical")))
        value = STR("error");
    *out = lower(a, value);
    return log_level_from(value, &level);
}

static bool accept_auto_or_off(struct arena *a, struct str value, struct str *out)
{
    (void)a;
    *out = str_eq_nocase(value, STR("off")) ? STR("off") : STR("auto");
    return str_eq_nocase(value, *out);
}

static bool accept_tls_version(struct arena *a, struct str value, struct str *out)
{
    (void)a;
    *out = value;
    return str_eq(value, STR("1.2")) || str_eq(value, STR("1.3"));
}

static bool accept_synchronous(struct arena *a, struct str value, struct str *out)
{
    (void)a;
    *out = str_eq_nocase(value, STR("NORMAL")) ? STR("NORMAL") : STR("FULL");
    return str_eq_nocase(value, *out);
}

/* Up to a week. */
static bool accept_wait(struct arena *a, struct str value, struct str *out)
{
    int64_t seconds;

    (void)a;
    *out = value;
    return str_to_i64(value, &seconds) && seconds >= 0 && seconds <= INT64_C(7) * 24 * 3600;
}

static bool accept_not_empty(struct arena *a, struct str value, struct str *out)
{
    (void)a;
    *out = value;
    return str_trim(value).len > 0;
}

/* asyncpg says ?ssl=require where libpq says ?sslmode=require. */
static void put_libpq_query(struct buf *out, struct str query)
{
    struct str part;

    for (char separator = '?'; str_next(&query, '&', &part); separator = '&') {
        struct str value = str_skip(part, 4);

        buf_append_char(out, separator);
        if (!str_starts_with(part, STR("ssl=")))
            buf_append_str(out, part);
        else if (str_eq_nocase(value, STR("true")))
            buf_append_str(out, STR("sslmode=require"));
        else if (str_eq_nocase(value, STR("false")))
            buf_append_str(out, STR("sslmode=disable"));
        else
            buf_printf(out, "sslmode=%.*s", STR_ARG(value));
    }
}

/* What stands behind the scheme of a PostgreSQL URL. ptr NULL: no memory. */
static struct str libpq_url(struct arena *a, struct str rest)
{
    size_t at = str_find(rest, '?');
    struct buf out = {0};
    struct str url;

    buf_append_str(&out, STR("postgresql://"));
    buf_append(&out, rest.ptr, at);
    if (at < rest.len)
        put_libpq_query(&out, str_skip(rest, at + 1));
    url = out.failed ? STR_NONE : arena_copy(a, buf_str(&out));
    buf_deinit(&out);
    return url;
}

static bool accept_database_url(struct arena *a, struct str value, struct str *out)
{
    static const char *const schemes[] = {"postgresql://", "postgres://", "postgresql+asyncpg://",
                                          "postgresql+psycopg://", "postgresql+psycopg2://"};
    struct str rest = STR_NONE;

    *out = value;
    if (value.len == 0)
        return true;
    if (str_starts_with(value, STR("sqlite+aiosqlite:///")))
        rest = str_skip(value, 20);
    else if (str_starts_with(value, STR("sqlite:///")))
        rest = str_skip(value, 10);
    if (rest.ptr) {
        *out = arena_printf(a, "sqlite:///%.*s", STR_ARG(rest));
        return rest.len > 0 && !str_ends_with(rest, STR("/")) && !str_eq(rest, STR(":memory:"));
    }
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        struct str scheme = str_from(schemes[i]);

        if (!str_starts_with(value, scheme))
            continue;
        *out = libpq_url(a, str_skip(value, scheme.len));
        return true;
    }
    return false;
}

static bool accept_follow_parent(struct arena *a, struct str value, struct str *out)
{
    return accept_word(a, value, "always|never|proxies", out);
}

/* "Name: value", of what RFC 9110 section 5.6.2 calls a token, and without control characters. */
static bool accept_header(struct arena *a, struct str value, struct str *out)
{
    size_t colon = str_find(value, ':');

    (void)a;
    *out = value;
    for (size_t i = 0; i < colon; i++) {
        char ch = value.ptr[i];
        bool is_alnum =
            (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');

        if (!is_alnum && str_find(STR("!#$%&'*+-.^_`|~"), ch) == sizeof("!#$%&'*+-.^_`|~") - 1)
            return false;
    }
    return colon > 0 && str_trim(str_skip(value, colon + 1)).len > 0 && !str_has_control(value);
}

/* 0 to 1, with at most nine decimals. */
static bool accept_share(struct arena *a, struct str value, struct str *out)
{
    struct str decimals = str_skip(value, 2);

    (void)a;
    *out = value;
    if (value.len == 0 || value.len > 11 || (value.ptr[0] != '0' && value.ptr[0] != '1'))
        return false;
    if (value.len == 1)
        return true;
    for (size_t i = 0; i < decimals.len; i++)
        if (decimals.ptr[i] < '0' || decimals.ptr[i] > (value.ptr[0] == '1' ? '0' : '9'))
            return false;
    return value.ptr[1] == '.' && decimals.len > 0;
}

/* Without the slash at its end: paths are put behind it. */
static bool accept_base_url(struct arena *a, struct str value, struct str *out)
{
    (void)a;
    *out = value;
    while (str_ends_with(*out, STR("/")))
        out->len--;
    return value.len == 0 ||
           (value.len <= 1024 && (str_starts_with_nocase(value, STR("https://")) ||
                                  str_starts_with_nocase(value, STR("http://"))));
}

const struct config_format format_auto_or_off = {"auto or off", accept_auto_or_off};
const struct config_format format_base_url = {"a URL like https://api.example.com/v1",
                                              accept_base_url};
const struct config_format format_cidr = {"an address or network like 10.0.0.0/8", accept_cidr};
const struct config_format format_database_url = {
    "sqlite:///relative/path, sqlite:////absolute/path or postgresql://user:password@host/name",
    accept_database_url};
const struct config_format format_email = {"an e-mail address", accept_email};
const struct config_format format_environment = {"development or production", accept_environment};
const struct config_format format_host = {"an IP address or localhost", accept_host};
const struct config_format format_inside = {"a network like 10.0.0.0/8, or a host name",
                                            accept_inside};
const struct config_format format_level = {"error, warn, info, debug or trace", accept_level};
const struct config_format format_listen = {
    "an address with a port like 127.0.0.1:8000 or [::1]:8000, tls:// before one, unix:/path, or "
    "systemd",
    accept_listen};
const struct config_format format_listen_plain = {
    "an address with a port like 127.0.0.1:9090 or [::1]:9090, or unix:/path", accept_listen_plain};
const struct config_format format_follow_parent = {"always, never or proxies",
                                                   accept_follow_parent};
const struct config_format format_header = {"a header like Authorization: Bearer 1234",
                                            accept_header};
const struct config_format format_log = {"auto, json, plain or seed", accept_log_format};
const struct config_format format_mode = {"permissions like 0660", accept_mode};
const struct config_format format_switch = {"auto, on or off", accept_switch};
const struct config_format format_origin = {"an origin like https://example.com or "
                                            "http://localhost:3000",
                                            accept_origin};
const struct config_format format_origin_or_none = {"an address like https://chat.example.com",
                                                    accept_origin_or_none};
const struct config_format format_path = {"a path", accept_not_empty};
const struct config_format format_proxy = {"an address or network like 10.0.0.0/8, or unix",
                                           accept_proxy};
const struct config_format format_share = {"a share from 0 to 1, like 0.05", accept_share};
const struct config_format format_smtp_url = {"smtp://host or smtps://host, with a port or without",
                                              accept_smtp_url};
const struct config_format format_starttls = {"required or optional", accept_starttls};
const struct config_format format_synchronous = {"FULL or NORMAL", accept_synchronous};
const struct config_format format_title = {"a name", accept_not_empty};
const struct config_format format_tls_version = {"1.2 or 1.3", accept_tls_version};
const struct config_format format_token = {"at least 16 letters, digits and signs, without blanks",
                                           accept_token};
const struct config_format format_wait = {"whole seconds, at most a week", accept_wait};
