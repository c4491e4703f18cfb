/* Making text plain, and cutting it into chunks. */
#include "text.h"

/* ---- plain ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The line's break is not part of it. "\r\n", "\r", "\n" and the page's end break lines. */
static struct str take_line(struct str *rest)
{
    size_t n = 0;
    struct str line;

    while (n < rest->len && rest->ptr[n] != '\n' && rest->ptr[n] != '\r' && rest->ptr[n] != '\f')
        n++;
    line = (struct str){rest->ptr, n};
    if (n + 1 < rest->len && rest->ptr[n] == '\r' && rest->ptr[n + 1] == '\n')
        n++;
    *rest = str_skip(*rest, n + 1);
    while (line.len > 0 && is_blank(line.ptr[line.len - 1]))
        line.len--;
    return line;
}

static void append_line(struct buf *out, struct str line)
{
    size_t from = 0;

    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];

        if ((c >= 0x20 && c != 0x7f) || c == '\t')
            continue;
        buf_append(out, line.ptr + from, i - from);
        buf_append_char(out, ' ');
        from = i + 1;
    }
    buf_append(out, line.ptr + from, line.len - from);
}

void text_normalise(struct str text, struct buf *out)
{
    unsigned n_breaks = 0;

    if (str_starts_with(text, STR("\xef\xbb\xbf"))) /* a byte order mark */
        text = str_skip(text, 3);
    while (text.len > 0) {
        struct str line = take_line(&text);

        if (line.len > 0) {
            for (; out->len > 0 && n_breaks > 0; n_breaks--)
                buf_append_char(out, '\n');
            append_line(out, line);
            n_breaks = 0;
        }
        if (n_breaks < 2)
            n_breaks++;
    }
}

/* ---- chunks ---- */

/* Bytes of the first n characters from at on; rest of the text when it has fewer. */
static size_t bytes_of_chars(struct str text, size_t at, size_t n)
{
    size_t i = at;

    while (i < text.len && n-- > 0) {
        i++;
        while (i < text.len && ((unsigned char)text.ptr[i] & 0xc0) == 0x80)
            i++;
    }
    return i - at;
}

/* Where the n characters before end begin; not before from. */
static size_t back_chars(struct str text, size_t end, size_t from, size_t n)
{
    while (end > from && n > 0) {
        end--;
        if (((unsigned char)text.ptr[end] & 0xc0) != 0x80)
            n--;
    }
    return end;
}

/* How good a place to cut is the one before byte i; 0: none. */
enum cut { CUT_NOT, CUT_WORD, CUT_SENTENCE, CUT_LINE, CUT_PARAGRAPH, CUT_HEADING };

static bool ends_sentence(char c)
{
    return c == '.' || c == '!' || c == '?' || c == ':' || c == ';';
}

static enum cut cut_before(struct str text, size_t i)
{
    char before = text.ptr[i - 1];

    if (before == '\n' && text.ptr[i] == '#')
        return CUT_HEADING;
    if (before == '\n')
        return i >= 2 && text.ptr[i - 2] == '\n' ? CUT_PARAGRAPH : CUT_LINE;
    if (before == ' ')
        return i >= 2 && ends_sentence(text.ptr[i - 2]) ? CUT_SENTENCE : CUT_WORD;
    /* U+3002, the full stop of Chinese and Japanese */
    return i >= 3 && str_eq((struct str){text.ptr + i - 3, 3}, STR("\xe3\x80\x82")) ? CUT_SENTENCE
                                                                                    : CUT_NOT;
}

/* The best place in (from, end], the last of equals; end when there is none. */
static size_t find_cut(struct str text, size_t from, size_t end, enum cut *best)
{
    size_t at = end;

    *best = CUT_NOT;
    for (size_t i = end; i > from; i--) {
        enum cut cut = cut_before(text, i);

        if (cut > *best) {
            *best = cut;
            at = i;
        }
    }
    return at;
}

static bool is_gap(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* Where a word begins, from at on; at itself when there is one long word only. at > 0. */
static size_t next_word(struct str text, size_t at, size_t end)
{
    for (size_t i = at; i < end; i++)
        if (is_gap(text.ptr[i - 1]))
            return i;
    return is_gap(text.ptr[end - 1]) ? end : at;
}

bool chunker_next(struct chunker *c, struct str *chunk)
{
    struct str text = c->text;
    size_t end, from = c->at, half, overlap = c->overlap_chars;
    enum cut cut;

    while (from < text.len && is_gap(text.ptr[from]))
        from++;
    if (from == text.len)
        return false;
    end = from + bytes_of_chars(text, from, c->max_chars);
    if (end == text.len) {
        c->at = end;
        *chunk = str_trim((struct str){text.ptr + from, end - from});
        return true;
    }
    half = from + bytes_of_chars(text, from, c->max_chars / 2);
    end = find_cut(text, half, end, &cut);
    *chunk = str_trim((struct str){text.ptr + from, end - from});
    /* A piece is longer than half of what it may be, so that the next one begins behind it. */
    if (overlap > c->max_chars / 2)
        overlap = c->max_chars / 2;
    c->at = cut == CUT_HEADING ? end : next_word(text, back_chars(text, end, from, overlap), end);
    return true;
}
