/* Makes files fail, for tests: a library for LD_PRELOAD. AERIE_IO_FAULTS names a file that says
 * what fails now; while it is missing or empty all is well, so that a disk fills up and is emptied
 * under a running program. Its lines:
 *
 *   ERRNO CALL PATTERN
 *
 * ERRNO: ENOSPC, EIO, EDQUOT, EFBIG or EROFS. CALL: write, sync, truncate, open (with O_CREAT),
 * read, or any for all but read. PATTERN: of fnmatch(3), against the file's path. */
#undef _FILE_OFFSET_BITS /* both names of each call are defined here */
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const struct {
    const char *name;
    int code;
} codes[] = {
    {"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EDQUOT", EDQUOT}, {"EFBIG", EFBIG}, {"EROFS", EROFS}};

static int code_of(const char *name)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(codes[i].name, name) == 0)
            return codes[i].code;
    return 0;
}

static int code_of_line(const char *line, const char *call, const char *path)
{
    char name[16], which[16], pattern[512];
    bool is_meant;

    if (sscanf(line, "%15s %15s %511s", name, which, pattern) != 3)
        return 0;
    is_meant = strcmp(which, call) == 0 || (strcmp(which, "any") == 0 && strcmp(call, "read") != 0);
    return is_meant && fnmatch(pattern, path, 0) == 0 ? code_of(name) : 0;
}

/* With plain system calls, since the functions of libc are ours here. */
static size_t read_rules(char *out, size_t size)
{
    const char *name = getenv("AERIE_IO_FAULTS");
    long fd = name ? syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC) : -1;
    long n = fd >= 0 ? syscall(SYS_read, fd, out, size - 1) : 0;

    if (fd >= 0)
        syscall(SYS_close, fd);
    n = n > 0 ? n : 0;
    out[n] = '\0';
    return (size_t)n;
}

/* 0: the call may go on. */
static int fault(const char *call, const char *path)
{
    char rules[2048], *rest = rules, *line;
    int code = 0;

    if (read_rules(rules, sizeof(rules)) == 0)
        return 0;
    while (code == 0 && (line = strsep(&rest, "\n")))
        code = code_of_line(line, call, path);
    return code;
}

/* Of an open file; "" : it has none. */
static void path_of(int fd, char out[PATH_MAX])
{
    char link[32];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, out, PATH_MAX - 1);
    out[n > 0 && out[0] == '/' ? n : 0] = '\0';
}

/* errno says how when it does, and is left alone when not. */
static bool fails(const char *call, const char *path)
{
    const int before = errno, code = path[0] ? fault(call, path) : 0;

    errno = code ? code : before;
    return code != 0;
}

static bool fails_on(const char *call, int fd)
{
    const int before = errno;
    char path[PATH_MAX];

    path_of(fd, path);
    errno = before;
    return fails(call, path);
}

static bool fails_to_open(int folder, const char *path, int flags)
{
    char whole[2 * PATH_MAX];

    if (!(flags & O_CREAT))
        return false;
    whole[0] = '\0';
    if (folder >= 0 && path[0] != '/') {
        path_of(folder, whole);
        strcat(whole, "/");
    }
    strncat(whole, path, PATH_MAX);
    return fails("open", whole);
}

/* Each call like the next one in the line of libraries. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define BY_DESCRIPTOR(result, name, call, params, args)                                            \
    result name params;                                                                            \
    result name params                                                                             \
    {                                                                                              \
        static __typeof__(&name) next;                                                             \
                                                                                                   \
        if (fails_on(call, fd))                                                                    \
            return -1;                                                                             \
        if (!next)                                                                                 \
            next = NEXT(name);                                                                     \
        return next args;                                                                          \
    }

BY_DESCRIPTOR(ssize_t, write, "write", (int fd, const void *data, size_t n), (fd, data, n))
BY_DESCRIPTOR(ssize_t, writev, "write", (int fd, const struct iovec *v, int n), (fd, v, n))
BY_DESCRIPTOR(ssize_t, pwrite, "write", (int fd, const void *data, size_t n, off_t at),
              (fd, data, n, at))
BY_DESCRIPTOR(ssize_t, pwrite64, "write", (int fd, const void *data, size_t n, off_t at),
              (fd, data, n, at))
BY_DESCRIPTOR(ssize_t, pwritev, "write", (int fd, const struct iovec *v, int n, off_t at),
              (fd, v, n, at))
BY_DESCRIPTOR(ssize_t, pread, "read", (int fd, void *data, size_t n, off_t at), (fd, data, n, at))
BY_DESCRIPTOR(ssize_t, pread64, "read", (int fd, void *data, size_t n, off_t at), (fd, data, n, at))
BY_DESCRIPTOR(int, fsync, "sync", (int fd), (fd))
BY_DESCRIPTOR(int, fdatasync, "sync", (int fd), (fd))
BY_DESCRIPTOR(int, ftruncate, "truncate", (int fd, off_t size), (fd, size))
BY_DESCRIPTOR(int, ftruncate64, "truncate", (int fd, off_t size), (fd, size))

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

#define BY_PATH(name, folder, params, ...)                                                         \
    int name params;                                                                               \
    int name params                                                                                \
    {                                                                                              \
        static __typeof__(&name) next;                                                             \
        va_list args;                                                                              \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start(args, flags);                                                                     \
        mode = mode_of(flags, args);                                                               \
        va_end(args);                                                                              \
        if (fails_to_open(folder, path, flags))                                                    \
            return -1;                                                                             \
        if (!next)                                                                                 \
            next = NEXT(name);                                                                     \
        return next(__VA_ARGS__, mode);                                                            \
    }

BY_PATH(open, AT_FDCWD, (const char *path, int flags, ...), path, flags)
BY_PATH(open64, AT_FDCWD, (const char *path, int flags, ...), path, flags)
BY_PATH(openat, at, (int at, const char *path, int flags, ...), at, path, flags)
BY_PATH(openat64, at, (int at, const char *path, int flags, ...), at, path, flags)
