/* The secret that a server made for itself. */
#include "own_secret.h"

#include "config/config.h"
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_BYTES 4096

static bool is_configured(void)
{
    return config()->security.secret.len > 0;
}

static void path_of(char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%.*s/secret", STR_ARG(config()->data_dir));
}

/* len 0: there is none. */
static struct error read_secret(const char *path, char out[SECRET_BYTES], size_t *len)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    *len = 0;
    if (fd < 0)
        return errno == ENOENT ? NO_ERROR : part_fail("read", path, errno);
    n = read(fd, out, SECRET_BYTES);
    close(fd);
    if (n < 0)
        return part_fail("read", path, errno);
    *len = (size_t)n;
    return NO_ERROR;
}

static struct error write_secret(const char *path, struct str secret)
{
    struct part p;
    struct error err = part_begin(&p, path);

    if (!is_error(err))
        err = part_write(&p, secret);
    if (!is_error(err))
        err = part_finish(&p);
    part_drop(&p);
    return err;
}

struct error own_secret_keep(const char *file)
{
    char from[PATH_MAX], to[PATH_MAX], secret[SECRET_BYTES];
    struct error err;
    size_t len;

    path_of(from);
    snprintf(to, sizeof(to), "%s" OWN_SECRET_SUFFIX, file);
    if (is_configured()) {
        own_secret_remind();
        return NO_ERROR;
    }
    err = read_secret(from, secret, &len);
    if (!is_error(err) && len > 0)
        err = write_secret(to, (struct str){secret, len});
    explicit_bzero(secret, sizeof(secret));
    if (!is_error(err))
        fprintf(stderr,
                len > 0 ? "aerie: %s is the secret: whoever has both can open what is sealed\n"
                        : "aerie: no server has made a secret yet, so there is no %s\n",
                to);
    return err;
}

void own_secret_remind(void)
{
    if (is_configured())
        fputs("aerie: keep SECRET_KEY of your configuration, too: what is sealed opens with it "
              "alone\n",
              stderr);
    else
        fprintf(stderr,
                "aerie: keep %.*s/secret, too (--with-secret puts it beside): what is sealed opens "
                "with it "
                "alone\n",
                STR_ARG(config()->data_dir));
}

struct error own_secret_put_back(const char *file)
{
    static char words[2 * PATH_MAX + 128];
    char from[PATH_MAX], to[PATH_MAX], secret[SECRET_BYTES], has[SECRET_BYTES];
    struct arena arena = {0};
    struct str folder = arena_copy(&arena, config()->data_dir);
    struct error err;
    size_t len, has_len = 0;

    path_of(to);
    snprintf(from, sizeof(from), "%s" OWN_SECRET_SUFFIX, file);
    err = read_secret(from, secret, &len);
    if (!is_error(err) && len == 0)
        err = part_fail("read", from, ENOENT);
    if (!is_error(err) && folder.ptr && mkdir(folder.ptr, 0700) != 0 && errno != EEXIST)
        err = part_fail("make the directory", folder.ptr, errno);
    if (!is_error(err))
        err = read_secret(to, has, &has_len);
    if (!is_error(err) && has_len == 0)
        err = write_secret(to, (struct str){secret, len});
    else if (!is_error(err) &&
             !str_eq(str_trim((struct str){secret, len}), str_trim((struct str){has, has_len}))) {
        snprintf(words, sizeof(words),
                 "%s holds another secret than %s: move it away, if nothing that is needed was "
                 "sealed with it",
                 to, from);
        err = ERROR(ERR_CONFLICT, 0, words);
    }
    if (!is_error(err) && is_configured())
        fputs("aerie: SECRET_KEY of your configuration wins over the secret that was put back\n",
              stderr);
    explicit_bzero(secret, sizeof(secret));
    explicit_bzero(has, sizeof(has));
    arena_free(&arena);
    return err;
}
