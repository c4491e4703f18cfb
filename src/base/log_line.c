/* The text of a record: escaped, and without what looks like a secret. */
#include "log_line.h"

#include <stdio.h>
#include <string.h>

void line_put(struct line *l, const char *bytes, size_t len)
{
    if (len <= sizeof(l->bytes) - LINE_TAIL_BYTES - l->len) {
        memcpy(l->bytes + l->len, bytes, len);
        l->len += len;
    }
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* What secrets begin with. The callers keep them out of the log; this is for the one who forgot. */
static const struct {
    struct str prefix;
    size_t least_len; /* of the rest, so that plain words pass */
} secret_shapes[] = {
    {{"eck_", 4}, 8},  /* our API keys */
    {{"eyJ", 3}, 8},   /* JSON Web Tokens */
    {{"sk-", 3}, 16},  /* OpenAI, OpenRouter, Anthropic */
    {{"gsk_", 4}, 16}, /* Groq */
    {{"AIza", 4}, 16}, /* Google */
};

/* Number of bytes at the beginning of s that are a secret, or 0. */
static size_t secret_len(struct str s)
{
    for (size_t i = 0; i < sizeof(secret_shapes) / sizeof(secret_shapes[0]); i++) {
        size_t at = secret_shapes[i].prefix.len;

        if (!str_starts_with(s, secret_shapes[i].prefix))
            continue;
        while (at < s.len && (is_word(s.ptr[at]) || s.ptr[at] == '.'))
            at++;
        if (at - secret_shapes[i].prefix.len >= secret_shapes[i].least_len)
            return at;
    }
    return 0;
}

/* Number of bytes at the beginning of s that are an e-mail address, '@' plain or as in a URL, or
 * 0. */
static size_t email_len(struct str s)
{
    size_t local = 0, at, domain;

    while (local < s.len && (is_word(s.ptr[local]) || s.ptr[local] == '.' || s.ptr[local] == '+'))
        local++;
    at = local;
    if (at < s.len && s.ptr[at] == '@')
        at++;
    else if (str_starts_with(str_skip(s, at), STR("%40")))
        at += 3;
    else
        return 0;
    for (domain = at; at < s.len && (is_word(s.ptr[at]) || s.ptr[at] == '.'); at++)
        ;
    return local > 0 && at > domain ? at : 0;
}

static void put_redacted(struct line *l)
{
    line_put(l, "[redacted]", 10);
}

/* The word behind i, with the spaces before it. */
static size_t skip_word(struct str s, size_t i)
{
    while (i < s.len && s.ptr[i] == ' ')
        i++;
    while (i < s.len && (unsigned char)s.ptr[i] > ' ' && s.ptr[i] != '"' && s.ptr[i] != '\'')
        i++;
    return i;
}

/* "Bearer xxx": the word is kept, once: who configured "Bearer xxx" as a token has it twice.
 * Returns the bytes taken, or 0. */
static size_t put_bearer(struct line *l, struct str s)
{
    const struct str word = STR("Bearer ");
    size_t at = word.len;

    if (!str_starts_with_nocase(s, word) || str_trim(str_skip(s, at)).len == 0)
        return 0;
    do
        at = skip_word(s, at);
    while (at < s.len && s.ptr[at] == ' ' &&
           str_eq_nocase((struct str){s.ptr + at + 1 - word.len, word.len}, word));
    line_put(l, s.ptr, word.len);
    put_redacted(l);
    return at;
}

static size_t char_len(unsigned char first)
{
    if (first < 0xc0)
        return 1;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static void put_code(struct line *l, const char *prefix, int n_digits, unsigned char code)
{
    char escaped[12];

    line_put(l, escaped,
             (size_t)snprintf(escaped, sizeof(escaped), "%s%0*x", prefix, n_digits, code));
}

/* One byte or character, escaped when a terminal or a line-reading program could take it amiss, or
 * a reader of JSON would. */
static size_t put_char(struct line *l, struct str s, bool is_utf8, bool is_json)
{
    unsigned char c = (unsigned char)s.ptr[0];
    unsigned char second = s.len > 1 ? (unsigned char)s.ptr[1] : 0;
    size_t used = 1;

    if (c == '\n')
        line_put(l, "\\n", 2);
    else if (c == '\r')
        line_put(l, "\\r", 2);
    else if (c == '\t')
        line_put(l, "\\t", 2);
    else if (c == '\\')
        line_put(l, "\\\\", 2);
    else if (c == '"' && is_json)
        line_put(l, "\\\"", 2);
    else if (c >= 0x80 && !is_utf8)
        put_code(l, is_json ? "\\\\x" : "\\x", 2, c);
    else if (c < 0x20 || c == 0x7f)
        put_code(l, is_json ? "\\u" : "\\x", is_json ? 4 : 2, c);
    else if (c == 0xc2 && second < 0xa0) { /* U+0080 to U+009F: controls, too */
        put_code(l, "\\u", 4, second);
        used = 2;
    } else {
        used = is_utf8 ? char_len(c) : 1; /* whole, or not at all */
        line_put(l, s.ptr, used);
    }
    return used;
}

void line_put_text(struct line *l, struct str text, bool is_json)
{
    bool is_utf8 = utf8_is_valid(text), starts_word = true;
    size_t used;

    while (text.len > 0) {
        used = starts_word ? put_bearer(l, text) : 0;
        if (used == 0 && starts_word &&
            ((used = secret_len(text)) > 0 || (used = email_len(text)) > 0))
            put_redacted(l);
        if (used == 0)
            used = put_char(l, text, is_utf8, is_json);
        starts_word = !is_word(text.ptr[used - 1]);
        text = str_skip(text, used);
    }
}
