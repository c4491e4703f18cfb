/* The terminal: colours, width, wrapping, and the taming of foreign text. */
#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_MIN     40
#define WIDTH_MAX     120
#define WIDTH_DEFAULT 80

static enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } color;

bool terminal_set_color(const char *word)
{
    static const char *const words[] = {"auto", "always", "never"};

    for (int i = 0; i < 3; i++) {
        if (strcmp(word, words[i]) == 0) {
            color = (unsigned)i;
            return true;
        }
    }
    return false;
}

bool terminal_has_color(FILE *out)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    if (color != COLOR_AUTO)
        return color == COLOR_ALWAYS;
    return !(no_color && no_color[0]) && !(term && strcmp(term, "dumb") == 0) &&
           isatty(fileno(out));
}

const char *terminal_style(FILE *out, enum style style)
{
    static const char *const escapes[] = {
        [STYLE_PLAIN] = "\033[0m",  [STYLE_BOLD] = "\033[1m",    [STYLE_DIM] = "\033[2m",
        [STYLE_GREEN] = "\033[32m", [STYLE_YELLOW] = "\033[33m", [STYLE_RED] = "\033[31m",
    };

    return terminal_has_color(out) ? escapes[style] : "";
}

unsigned terminal_width(FILE *out)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    int64_t width = 0;

    if (!columns || !str_to_i64(str_from(columns), &width) || width <= 0)
        width = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
    if (width <= 0)
        return WIDTH_DEFAULT;
    if (width < WIDTH_MIN)
        return WIDTH_MIN;
    return width > WIDTH_MAX ? WIDTH_MAX : (unsigned)width;
}

static void begin_line(struct buf *out, unsigned indent)
{
    buf_append_char(out, '\n');
    for (unsigned i = 0; i < indent; i++)
        buf_append_char(out, ' ');
}

void terminal_wrap(struct buf *out, struct str text, unsigned column, unsigned indent,
                   unsigned width)
{
    struct str line, word;

    for (bool is_first = true; str_next(&text, '\n', &line); is_first = false) {
        bool is_begun = false;

        if (!is_first) {
            begin_line(out, indent);
            column = indent;
        }
        while (str_next(&line, ' ', &word)) {
            unsigned len = (unsigned)utf8_length(word);

            if (is_begun && column + 1 + len > width) {
                begin_line(out, indent);
                column = indent;
            } else if (is_begun) {
                buf_append_char(out, ' ');
                column++;
            }
            buf_append_str(out, word);
            column += len;
            is_begun = true;
        }
    }
}

/* The character at the front of valid UTF-8, and its bytes. */
static unsigned next_char(struct str text, size_t *n)
{
    const unsigned char *p = (const unsigned char *)text.ptr;

    if (p[0] < 0x80 || text.len < 2) {
        *n = 1;
        return p[0];
    }
    if (p[0] < 0xe0 || text.len < 3) {
        *n = 2;
        return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    }
    if (p[0] < 0xf0 || text.len < 4) {
        *n = 3;
        return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    }
    *n = 4;
    return (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
}

/* C0, DEL and C1 command terminals; marks and overrides of direction show text in another order
 * than it is (Unicode Standard Annex 9); U+2028 and U+2029 break lines for some. */
static bool is_harmful(unsigned c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void terminal_append_harmless(struct buf *out, struct str text)
{
    while (text.len > 0) {
        size_t n;
        unsigned c = next_char(text, &n);

        if (!is_harmful(c) || c == '\n' || c == '\t') {
            buf_append(out, text.ptr, n);
        } else if (c < 0x20) { /* U+2400 and on are their pictures */
            buf_append(out, "\xe2\x90", 2);
            buf_append_char(out, (char)(0x80 + c));
        } else {
            buf_append_str(out, STR("\xef\xbf\xbd"));
        }
        text = str_skip(text, n);
    }
}

void terminal_append_harmless_json(struct buf *out, struct str json)
{
    while (json.len > 0) {
        size_t n;
        unsigned c = next_char(json, &n);

        if (is_harmful(c))
            buf_printf(out, "\\u%04x", c);
        else
            buf_append(out, json.ptr, n);
        json = str_skip(json, n);
    }
}
