/* The log: whatever is told, it is one line of printable UTF-8, and a secret in it is masked,
 * whatever stands around. The first line of the input stands before the secrets, the rest behind.
 */
#include "base/log.h"
#include "fuzz.h"

#include <limits.h>
#include <unistd.h>

static int reading_end = -1;

static void open_log(void)
{
    int ends[2];

    if (reading_end >= 0)
        return;
    MUST(pipe(ends) == 0);
    reading_end = ends[0];
    log_init(LOG_INFO, ends[1]);
}

static struct str written(struct str before, const char *secret, struct str behind,
                          char line[2 * PIPE_BUF])
{
    ssize_t n;

    log_info("%.*s%s%.*s", STR_ARG(before), secret, STR_ARG(behind));
    n = read(reading_end, line, (size_t)2 * PIPE_BUF);
    MUST(n > 1 && n <= PIPE_BUF);
    return (struct str){line, (size_t)n};
}

static void check_line(struct str line)
{
    MUST(str_find(line, '\n') == line.len - 1);
    line.len--;
    MUST(!str_has_control(line) && utf8_is_valid(line));
    for (size_t i = 0; i + 1 < line.len; i++) /* U+0080 to U+009F */
        MUST(!(line.ptr[i] == (char)0xc2 && (unsigned char)line.ptr[i + 1] < 0xa0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const secrets[] = {
        " eck_SECRETSECRETSECRET ",        "\teyJSECRETSECRETSECRET.SECRETSECRET.SECRETSECRET ",
        "\"sk-SECRETSECRETSECRETSECRET\"", " (Bearer SECRETSECRETSECRET ",
        " <SECRETSECRET@host.example>",    " ?mail=SECRETSECRET%40host.example&",
    };
    struct str behind = {(const char *)data, size}, before = take_line(&behind), line;
    char text[2 * PIPE_BUF];

    open_log();
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        line = written(before, secrets[i], behind, text);
        check_line(line);
        MUST(!str_contains(line, STR("SECRETSECRET")) ||
             str_contains((struct str){(const char *)data, size}, STR("SECRETSECRET")));
    }
    return 0;
}
