/* The folder of the journals: found, locked, and left. */
#include "journal_folder.h"

#include "base/log.h"
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SERVERS CLUSTER_ROLL_MAX /* on one DATA_DIR */

struct folder {
    int fd, lock_fd;
};
static const struct folder none = {-1, -1};
static struct folder held = {-1, -1};

void journal_name(char out[JOURNAL_NAME_BYTES], unsigned loop, unsigned segment)
{
    snprintf(out, JOURNAL_NAME_BYTES, "%03u-%010u.journal", loop, segment);
}

int journal_folder(void)
{
    return held.fd;
}

static struct error fail(const char *what, const char *path)
{
    static _Thread_local char detail[PATH_MAX + 128];
    int code = errno;

    snprintf(detail, sizeof(detail), "cannot %s %s: %s", what, path, errno_text(code));
    return ERROR(ERR_INVALID, code, detail);
}

static void leave(struct folder *f)
{
    if (f->lock_fd >= 0)
        close(f->lock_fd);
    if (f->fd >= 0)
        close(f->fd);
    *f = none;
}

/* Whom the locked file names: as dead where nobody held the lock, and then nobody asks again. */
static void call_roll(const struct folder *f, bool is_alive, struct cluster_roll *roll)
{
    char text[ID_LEN];
    struct id *node = is_alive ? &roll->living[roll->n_living] : &roll->dead[roll->n_dead];

    if (pread(f->lock_fd, text, ID_LEN, 0) == ID_LEN &&
        id_parse((struct str){text, ID_LEN}, node))
        *(is_alive ? &roll->n_living : &roll->n_dead) += 1;
}

/* Not held afterwards: another server has it. */
static struct error enter(const char *path, struct folder *out, struct cluster_roll *roll)
{
    struct error err = NO_ERROR;

    out->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->fd < 0)
        return fail("open", path);
    out->lock_fd = openat(out->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (out->lock_fd >= 0 && flock(out->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        call_roll(out, false, roll);
        return NO_ERROR;
    }
    if (out->lock_fd < 0 || errno != EWOULDBLOCK)
        err = fail("lock", path);
    else
        call_roll(out, true, roll);
    leave(out);
    return err;
}

static struct error make_directory(const char *path)
{
    return mkdir(path, 0700) != 0 && errno != EEXIST ? fail("make the directory", path) : NO_ERROR;
}

/* The name of its last node is not wanted any more, or ours takes its place. Without it, on a full
 * disk, others learn of our end a little later. */
static void sign(const struct folder *f, const char *path, struct str node)
{
    if (ftruncate(f->lock_fd, 0) != 0 ||
        pwrite(f->lock_fd, node.ptr, node.len, 0) != (ssize_t)node.len)
        log_warn("chat: cannot write to the lock of %s: %s", path, errno_text(errno));
}

/* Looks into the folder of this number, and keeps the first that is free. */
static struct error visit(const char *path, struct error (*recover)(int folder_fd, void *state),
                          void *state, struct cluster_roll *roll)
{
    struct folder f = none;
    struct error err = enter(path, &f, roll);

    if (f.fd < 0)
        return err;
    err = recover(f.fd, state);
    if (!is_error(err))
        sign(&f, path, held.fd < 0 ? id_str(cluster_node_id()) : STR(""));
    if (!is_error(err) && held.fd < 0)
        held = f;
    else
        leave(&f);
    return err;
}

struct error journal_folder_open(struct error (*recover)(int folder_fd, void *state), void *state,
                                 struct cluster_roll *roll)
{
    struct str data_dir = config()->data_dir;
    char path[PATH_MAX];
    struct error err;

    if (data_dir.len > sizeof(path) - 32)
        return ERROR(ERR_INVALID, 0, "data_dir is too long a path");
    snprintf(path, sizeof(path), "%.*s", STR_ARG(data_dir));
    err = make_directory(path);
    snprintf(path, sizeof(path), "%.*s/replies", STR_ARG(data_dir));
    if (!is_error(err))
        err = make_directory(path);
    for (unsigned n = 0; n < MAX_SERVERS && !is_error(err); n++) {
        snprintf(path, sizeof(path), "%.*s/replies/%u", STR_ARG(data_dir), n);
        if (held.fd >= 0 && access(path, F_OK) != 0)
            return NO_ERROR;
        err = make_directory(path);
        if (!is_error(err))
            err = visit(path, recover, state, roll);
    }
    if (!is_error(err) && held.fd < 0)
        err = ERROR(ERR_CONFLICT, 0, "too many servers run on this data_dir");
    if (is_error(err))
        journal_folder_close();
    return err;
}

void journal_folder_close(void)
{
    leave(&held);
}
