/* The request target: what is asked for, and percent escapes. */
#include "internal.h"

#include <string.h>

static int hex_value(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    if (ch >= 'a' && ch <= 'f')
        return ch - 'a' + 10;
    if (ch >= 'A' && ch <= 'F')
        return ch - 'A' + 10;
    return -1;
}

size_t percent_decode(struct str in, bool is_form, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < in.len; i++) {
        char ch = in.ptr[i];
        bool may_escape = ch == '%' && i + 2 < in.len;
        int high = may_escape ? hex_value(in.ptr[i + 1]) : -1;
        int low = may_escape ? hex_value(in.ptr[i + 2]) : -1;

        if (high >= 0 && low >= 0) {
            ch = (char)(high << 4 | low);
            i += 2;
        } else if (ch == '+' && is_form) {
            ch = ' ';
        }
        out[len++] = ch;
    }
    return len;
}

/* Every '%' begins an escape, and no escape hides a control character. */
static bool has_sane_escapes(struct str s, bool allows_control)
{
    for (size_t i = 0; i < s.len; i++) {
        int high, low, byte;

        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return false;
        if (s.ptr[i] != '%')
            continue;
        if (i + 2 >= s.len)
            return false;
        high = hex_value(s.ptr[i + 1]);
        low = hex_value(s.ptr[i + 2]);
        if (high < 0 || low < 0)
            return false;
        byte = high << 4 | low;
        if (byte == 0 || (!allows_control && (byte < 0x20 || byte == 0x7f)))
            return false;
    }
    return true;
}

/* Decoded, it is UTF-8: what is no text must not reach a database. A copy is made only where there
 * are escapes. */
static bool is_text(struct str s)
{
    char copy[8192];

    if (str_find(s, '%') == s.len)
        return utf8_is_valid(s);
    if (s.len > sizeof(copy))
        return false;
    return utf8_is_valid((struct str){copy, percent_decode(s, false, copy)});
}

/* absolute-form (RFC 9112 section 3.2.2) to origin-form. */
static bool skip_authority(struct str *target)
{
    static const struct str schemes[] = {{"http://", 7}, {"https://", 8}};

    for (size_t i = 0; i < 2; i++) {
        struct str rest;
        size_t authority_len = 0;

        if (!str_starts_with_nocase(*target, schemes[i]))
            continue;
        rest = str_skip(*target, schemes[i].len);
        while (authority_len < rest.len && !strchr("/?", rest.ptr[authority_len]))
            authority_len++;
        if (authority_len == 0)
            return false;
        *target = str_skip(rest, authority_len);
        return true;
    }
    return false;
}

struct error target_split(struct str target, bool is_options, struct str *path, struct str *query)
{
    size_t question;

    *query = STR_NONE;
    if (is_options && str_eq(target, STR("*"))) {
        *path = target;
        return NO_ERROR;
    }
    *path = STR_NONE;
    if (target.len == 0 || target.ptr[0] != '/') {
        if (!skip_authority(&target))
            return ERROR(ERR_BAD_REQUEST, 0, "The request target is not understood");
        if (target.len == 0)
            target = STR("/");
        else if (target.ptr[0] != '/')
            return ERROR(ERR_BAD_REQUEST, 0, "The request target is not understood");
    }
    if (str_find(target, '#') < target.len)
        return ERROR(ERR_BAD_REQUEST, 0, "A request target has no fragment");
    question = str_find(target, '?');
    *path = (struct str){target.ptr, question};
    if (question < target.len)
        *query = str_skip(target, question + 1);
    if (!has_sane_escapes(*path, false) || !has_sane_escapes(*query, true))
        return ERROR(ERR_BAD_REQUEST, 0, "The request target has a broken escape");
    if (!is_text(*path) || !is_text(*query))
        return ERROR(ERR_BAD_REQUEST, 0, "The request target is not UTF-8");
    return NO_ERROR;
}
