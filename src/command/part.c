/* A file that appears whole or not at all. */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (256U << 10)

struct error part_fail(const char *what, const char *path, int code)
{
    static _Thread_local char words[PATH_MAX + 128];

    snprintf(words, sizeof(words), "cannot %s %s: %s", what, path, errno_text(code));
    return ERROR(code == ENOSPC || code == EDQUOT || code == EFBIG ? ERR_DISK_FULL : ERR_INTERNAL,
                 code, words);
}

/* The draft is this process's alone: what another left is taken over, what another writes is not.
 * 0, or errno. */
static int claim_draft(struct part *p)
{
    struct stat own, there;
    int code = 0;

    p->fd = open(p->draft, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (p->fd < 0)
        return errno;
    if (flock(p->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        code = EBUSY;
    else if (fstat(p->fd, &own) != 0 || lstat(p->draft, &there) != 0)
        code = errno;
    else if (own.st_ino != there.st_ino || own.st_dev != there.st_dev)
        code = EBUSY; /* it has just become another's file */
    else if (fchmod(p->fd, 0600) != 0 || ftruncate(p->fd, 0) != 0)
        code = errno;
    if (code != 0) {
        close(p->fd);
        p->fd = -1;
    }
    return code;
}

struct error part_begin(struct part *p, const char *path)
{
    struct stat st;
    int code;

    memset(p, 0, sizeof(*p));
    p->fd = -1;
    if ((size_t)snprintf(p->path, sizeof(p->path), "%s", path) >= sizeof(p->path) - 8 ||
        (size_t)snprintf(p->draft, sizeof(p->draft), "%s.part", path) >= sizeof(p->draft))
        return part_fail("write", path, ENAMETOOLONG);
    if (lstat(path, &st) == 0)
        return part_fail("write", path, EEXIST);
    /* A file that may grow no more is an error like others. */
    signal(SIGXFSZ, SIG_IGN);
    code = claim_draft(p);
    if (code == EBUSY)
        return ERROR(
            ERR_CONFLICT, 0,
            "another process is writing a file of that name: wait for it, or take another");
    return code == 0 ? NO_ERROR : part_fail("write", p->draft, code);
}

/* 0, or errno. */
static int write_all(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        const ssize_t n = write(fd, bytes.ptr, bytes.len);

        if (n < 0 && errno != EINTR)
            return errno;
        bytes = str_skip(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

static struct error flush(struct part *p)
{
    const int code = write_all(p->fd, buf_str(&p->out));

    buf_clear(&p->out);
    return code == 0 ? NO_ERROR : part_fail("write", p->path, code);
}

struct error part_write(struct part *p, struct str bytes)
{
    buf_append_str(&p->out, bytes);
    if (p->out.failed)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    crypto_sum_add(&p->sum, bytes);
    p->bytes += bytes.len;
    return p->out.len >= PIECE_BYTES ? flush(p) : NO_ERROR;
}

struct error part_sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct error err = NO_ERROR;
    int fd;

    snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
        err = part_fail("sync", folder, errno);
    if (fd >= 0)
        close(fd);
    return err;
}

/* link() and not rename(): what came to stand there meanwhile stays. */
static struct error appear(struct part *p)
{
    bool ok = link(p->draft, p->path) == 0;

    if (ok)
        ok = unlink(p->draft) == 0; /* while it is locked: the next one may have that name */
    else if (errno != EEXIST)       /* a file system without hard links */
        ok = access(p->path, F_OK) != 0 && rename(p->draft, p->path) == 0;
    if (ok)
        p->draft[0] = '\0';
    return ok ? part_sync_folder(p->path) : part_fail("write", p->path, errno);
}

struct error part_finish(struct part *p)
{
    struct error err = flush(p);

    if (!is_error(err) && fsync(p->fd) != 0)
        err = part_fail("write", p->path, errno);
    return is_error(err) ? err : appear(p);
}

void part_drop(struct part *p)
{
    buf_deinit(&p->out);
    if (p->fd < 0)
        return;
    if (p->draft[0])
        (void)unlink(p->draft);
    close(p->fd);
    p->fd = -1;
}

void part_sum_text(struct crypto_sum *s, char sum[PART_SUM_BYTES])
{
    unsigned char digest[SHA256_BYTES];

    crypto_sum_end(s, digest);
    crypto_write_hex(digest, sizeof(digest), sum);
    sum[2 * sizeof(digest)] = '\0';
}

struct error part_sum_file(const char *path, int copy, char sum[PART_SUM_BYTES], uint64_t *bytes)
{
    static char piece[PIECE_BYTES];
    struct progress progress = {.what = copy >= 0 ? "copying" : "reading it again",
                                .unit = "bytes"};
    struct crypto_sum s = {0};
    struct error err = NO_ERROR;
    struct stat st;
    ssize_t n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC), code = 0;

    *bytes = 0;
    if (fd < 0)
        return part_fail("read", path, errno);
    progress.total = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    while (n != 0 && !is_error(err)) {
        n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno != EINTR)
            err = part_fail("read", path, errno);
        if (n <= 0)
            continue;
        crypto_sum_add(&s, (struct str){piece, (size_t)n});
        *bytes += (uint64_t)n;
        progress_tell(&progress, *bytes);
        if (copy >= 0)
            code = write_all(copy, (struct str){piece, (size_t)n});
        if (code)
            err = part_fail("write a copy of", path, code);
    }
    close(fd);
    progress_end(&progress);
    part_sum_text(&s, sum);
    return err;
}
