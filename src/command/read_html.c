/* aerie read-html: what the server starts for each HTML document: the page on stdin, its title, a
 * line break and its text on stdout. The server has set the limits of memory, time and output. */
#include "document/html.h"

#include "command.h"

#include <errno.h>
#include <unistd.h>

#define PIECE_BYTES     65536
#define MAX_TITLE_BYTES 2000

static bool read_all(int fd, struct buf *out)
{
    ssize_t n = 1;

    while (n != 0 && buf_reserve(out, PIECE_BYTES)) {
        n = read(fd, out->data + out->len, PIECE_BYTES);
        if (n > 0)
            out->len += (size_t)n;
        else if (n < 0 && errno != EINTR)
            return false;
    }
    return n == 0;
}

static bool write_all(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);

        if (n < 0 && errno != EINTR)
            return false;
        text = str_skip(text, n > 0 ? (size_t)n : 0);
    }
    return true;
}

int command_read_html(int argc, char **argv)
{
    struct buf page = {0}, title = {.max_bytes = MAX_TITLE_BYTES}, text = {0};
    int code = COMMAND_FAILED;

    if (argc > 1)
        return command_usage(argv[0]);
    if (read_all(STDIN_FILENO, &page)) {
        struct error err = html_to_text(buf_str(&page), &text, &title);

        if (err.status == ERR_INVALID)
            code = HTML_EXIT_TOO_DEEP;
        else if (!is_error(err) && write_all(STDOUT_FILENO, buf_str(&title)) &&
                 write_all(STDOUT_FILENO, STR("\n")) && write_all(STDOUT_FILENO, buf_str(&text)))
            code = COMMAND_OK;
    }
    buf_deinit(&page);
    buf_deinit(&title);
    buf_deinit(&text);
    return code;
}
