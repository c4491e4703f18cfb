/* The secret: checked, or made and kept in data_dir. */
#include "base/crypto.h"
#include "base/id.h"
#include "base/log.h"
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEAST_BYTES = 32, FILE_BYTES = 4096 };

static struct error fail(struct config *c, const char *what, const char *path, int code)
{
    struct str detail = arena_printf(&c->arena, "%s %s: %s", what, path, errno_text(code));

    return ERROR(ERR_INVALID, code, detail.ptr ? detail.ptr : what);
}

/* Letters folded and all but letters and digits left out: "your_secret-KEY" gives "yoursecretkey".
 */
static struct str essence(struct str s, char out[256])
{
    size_t len = 0;

    for (size_t i = 0; i < s.len && len < 256; i++) {
        char c = s.ptr[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c + ('a' - 'A'));
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            out[len++] = c;
    }
    return (struct str){out, len};
}

/* A pattern of up to ten characters again and again, or very few different ones. */
static bool is_repetition(struct str s)
{
    bool seen[256] = {false};
    size_t n_seen = 0;

    for (size_t i = 0; i < s.len; i++) {
        n_seen += !seen[(unsigned char)s.ptr[i]];
        seen[(unsigned char)s.ptr[i]] = true;
    }
    for (size_t period = 1; period <= 10 && 2 * period <= s.len; period++)
        if (memcmp(s.ptr, s.ptr + period, s.len - period) == 0)
            return true;
    return n_seen < 6;
}

/* Secrets that stand in manuals and sample files, and so in the lists of those who guess. */
static bool is_well_known(struct str secret)
{
    static const char *const whole[] = {
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", /* FastAPI's tutorial */
        "astringsecretatleast256bitslong",                                  /* jwt.io */
        "your256bitsecret",                                                 /* jwt.io, before */
    };
    static const char *const parts[] = {
        "changeme",    "changeit",    "changethis",  "generatewith",   "insecure",
        "jwtsecret",   "letmein",     "mysecret",    "notsecret",      "password",
        "placeholder", "replaceme",   "replacethis", "secretgoeshere", "secrethere",
        "secretkey",   "supersecret", "topsecret",   "yoursecret",
    };
    char buffer[256];
    struct str text = essence(secret, buffer);

    if (str_eq(text, STR("secret")) || str_eq(text, STR("default")) || str_eq(text, STR("test")))
        return true;
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        if (str_eq(text, str_from(whole[i])))
            return true;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (str_contains(text, str_from(parts[i])))
            return true;
    return false;
}

const char *config_secret_weakness(struct str secret)
{
    if (secret.len < LEAST_BYTES)
        return "is shorter than 32 bytes";
    if (is_well_known(secret))
        return "is a well-known example";
    if (is_repetition(secret))
        return "is a repetition of few characters";
    return NULL;
}

static struct error read_secret(struct config *c, const char *path, bool *is_missing)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), code;
    char text[FILE_BYTES];
    struct stat st;
    ssize_t n;

    *is_missing = fd < 0 && errno == ENOENT;
    if (fd < 0)
        return *is_missing ? NO_ERROR : fail(c, "cannot open the secret in", path, errno);
    n = read(fd, text, sizeof(text));
    code = errno;
    if (fstat(fd, &st) == 0 && (st.st_mode & 077) != 0)
        log_warn("config: %s can be read by others; chmod 600 it", path);
    close(fd);
    if (n < 0)
        return fail(c, "cannot read the secret in", path, code);
    c->security.secret = arena_copy(&c->arena, str_trim((struct str){text, (size_t)n}));
    if (!c->security.secret.ptr)
        return ERROR(ERR_NO_MEMORY, 0, "out of memory");
    if (c->security.secret.len < LEAST_BYTES)
        return fail(c, "the secret is cut short in", path, EINVAL);
    return NO_ERROR;
}

static bool write_whole(int fd, struct str text)
{
    return write(fd, text.ptr, text.len) == (ssize_t)text.len && fsync(fd) == 0;
}

/* The file appears whole or not at all, and never replaces another server's. */
static struct error make_secret(struct config *c, const char *path)
{
    struct id id = id_v4();
    struct str draft = arena_printf(&c->arena, "%s.%s", path, id.text), text;
    unsigned char raw[32];
    int fd, code = 0;

    crypto_random(raw, sizeof(raw));
    text = crypto_hex(&c->arena, (struct str){(const char *)raw, sizeof(raw)});
    if (!draft.ptr || !text.ptr)
        return ERROR(ERR_NO_MEMORY, 0, "out of memory");
    fd = open(draft.ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(c, "cannot write a secret to", path, errno);
    if (!write_whole(fd, text) || (link(draft.ptr, path) != 0 && errno != EEXIST))
        code = errno;
    close(fd);
    unlink(draft.ptr);
    if (code)
        return fail(c, "cannot write a secret to", path, code);
    log_info("config: %s holds the secret; keep it with the database", path);
    return NO_ERROR;
}

static struct error settle_in_data_dir(struct config *c)
{
    struct str dir = arena_copy(&c->arena, c->data_dir);
    struct str path = arena_printf(&c->arena, "%.*s/secret", STR_ARG(c->data_dir));
    struct error err;
    bool is_missing;

    if (!dir.ptr || !path.ptr)
        return ERROR(ERR_NO_MEMORY, 0, "out of memory");
    if (mkdir(dir.ptr, 0700) != 0 && errno != EEXIST)
        return fail(c, "cannot make the directory", dir.ptr, errno);
    err = read_secret(c, path.ptr, &is_missing);
    if (!is_missing)
        return err;
    err = make_secret(c, path.ptr);
    if (is_error(err))
        return err;
    /* Read again: of two servers that start at once, one made it and both use it. */
    err = read_secret(c, path.ptr, &is_missing);
    return is_missing ? fail(c, "cannot open the secret in", path.ptr, ENOENT) : err;
}

/* What is wrong with one that is in force: tokens can be made with it. */
static struct error judge_secret(struct config *c, const char *name, struct str secret,
                                 bool is_production)
{
    const char *why = secret.len == 0 ? "is missing" : config_secret_weakness(secret);
    struct str detail;

    if (!why)
        return NO_ERROR;
    if (!is_production) {
        log_warn("config: %s %s; in production this stops the start", name, why);
        return NO_ERROR;
    }
    detail = arena_printf(&c->arena,
                          "%s %s, which production does not allow; make one with "
                          "`openssl rand -hex 32`",
                          name, why);
    return ERROR(ERR_INVALID, 0, detail.ptr ? detail.ptr : why);
}

struct error config_settle_secret(struct config *c)
{
    bool is_production = str_eq(c->environment, STR("production"));
    struct error err;

    if (c->security.secret.len == 0 && !is_production)
        err = settle_in_data_dir(c);
    else
        err = judge_secret(c, "SECRET_KEY (security.secret)", c->security.secret, is_production);
    if (!is_error(err) && c->security.previous_secret.len > 0)
        err = judge_secret(c, "SECURITY__PREVIOUS_SECRET", c->security.previous_secret,
                           is_production);
    return err;
}
