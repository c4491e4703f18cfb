/* The templates. {service}, {life} and {links} are filled in; what people typed about themselves is
 * not: it would be a way to send words of one's own to anyone. */
#include "mail_text.h"

static const struct template
{
    const char *subject, *body;
}
templates[N_MAIL_KINDS] = {
    [MAIL_VERIFY] =
        {
            "Confirm your e-mail address at {service}",
            "Hello,\n"
            "\n"
            "someone, probably you, made an account at {service} with this e-mail address.\n"
            "To confirm that the address is yours, open this page:\n"
            "\n"
            "{links}"
            "\n"
            "It can be used once, within {life}.\n"
            "\n"
            "If it was not you, there is nothing to do.\n",
        },
    [MAIL_RESET] =
        {
            "Your password at {service}",
            "Hello,\n"
            "\n"
            "someone, probably you, asked for a new password at {service}.\n"
            "To choose one, open this page:\n"
            "\n"
            "{links}"
            "\n"
            "It can be used once, within {life}. All devices are then signed out.\n"
            "\n"
            "If it was not you, there is nothing to do: your password stays as it is.\n",
        },
};

static void write_life(struct buf *out, uint64_t seconds)
{
    bool is_hours = seconds % 3600 == 0;
    uint64_t n = is_hours ? seconds / 3600 : (seconds + 59) / 60;

    buf_printf(out, "%llu %s%s", (unsigned long long)n, is_hours ? "hour" : "minute",
               n == 1 ? "" : "s");
}

static void write_links(struct buf *out, const struct mail_values *v)
{
    for (size_t i = 0; i < v->n_links; i++) {
        if (v->n_links > 1)
            buf_printf(out, "%sIn the team %.*s:\n\n", i > 0 ? "\n" : "",
                       STR_ARG(v->links[i].team));
        buf_printf(out, "%.*s\n", STR_ARG(v->links[i].url));
    }
}

static void fill_in(struct buf *out, const char *text, const struct mail_values *v)
{
    struct str rest = str_from(text);

    while (rest.len > 0) {
        size_t at = str_find(rest, '{');

        buf_append(out, rest.ptr, at);
        rest = str_skip(rest, at);
        if (str_starts_with(rest, STR("{service}")))
            buf_append_str(out, v->service);
        else if (str_starts_with(rest, STR("{life}")))
            write_life(out, v->life_seconds);
        else if (str_starts_with(rest, STR("{links}")))
            write_links(out, v);
        rest = str_skip(rest, str_find(rest, '}') + 1);
    }
}

void mail_text_subject(struct buf *out, enum mail_kind kind, const struct mail_values *v)
{
    fill_in(out, templates[kind].subject, v);
}

void mail_text_body(struct buf *out, enum mail_kind kind, const struct mail_values *v)
{
    fill_in(out, templates[kind].body, v);
}
