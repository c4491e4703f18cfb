/* Calls that fail once. Descriptors of the kernel's own (epoll, eventfd, the pipe of a signal) are
 * left alone: reading or writing those cannot fail, and libuv aborts if they do. */
#undef _FILE_OFFSET_BITS /* both names of each call are defined here */
#undef _FORTIFY_SOURCE
#include "torture.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct torture_point own;
static struct torture_point *point = &own;
/* Whose calls count: all threads', or one's that armed a point. */
static _Atomic bool is_one_threads;
static _Thread_local bool is_that_thread;
/* Beneath our own calls nothing is counted. */
static _Thread_local bool is_inside;
static unsigned n_failed;

/* The next definition of the name: a sanitizer's, or the C library's. */
#define NEXT(name)                                                                                 \
    static __typeof__(&name) next;                                                                 \
    if (!next) {                                                                                   \
        bool was_inside = is_inside;                                                               \
        is_inside = true;                                                                          \
        next = (__typeof__(next))dlsym(RTLD_NEXT, #name);                                          \
        is_inside = was_inside;                                                                    \
    }

static void note_stack(void)
{
    void *frames[40];
    int n = backtrace(frames, 40);
    size_t at = 0;

    for (int i = 2; i < n; i++) {
        Dl_info info;
        int len;

        if (!dladdr(frames[i], &info) || !info.dli_fname)
            continue;
        len = snprintf(point->stack + at, sizeof(point->stack) - at, "%s+0x%lx\n", info.dli_fname,
                       (unsigned long)((char *)frames[i] - (char *)info.dli_fbase));
        if (len < 0 || (size_t)len >= sizeof(point->stack) - at)
            break;
        at += (size_t)len;
    }
}

static bool is_armed(enum torture_kind kind)
{
    return atomic_load(&point->kind) == kind && !is_inside && (!is_one_threads || is_that_thread);
}

/* True: this call is to fail, with *error. */
static bool fails(enum torture_kind kind, int *error)
{
    if (!is_armed(kind) || atomic_fetch_add(&point->seen, 1) + 1 != atomic_load(&point->n))
        return false;
    is_inside = true;
    note_stack();
    is_inside = false;
    *error = atomic_load(&point->error);
    n_failed++;
    atomic_store(&point->failed, 1);
    return true;
}

/* ---- arming ---- */

void torture_arm(enum torture_kind kind, unsigned n, int error)
{
    torture_disarm();
    is_one_threads = is_that_thread = true;
    atomic_store(&point->n, n);
    atomic_store(&point->error, error);
    atomic_store(&point->seen, 0);
    atomic_store(&point->failed, 0);
    atomic_store(&point->kind, kind);
}

void torture_disarm(void)
{
    atomic_store(&point->kind, TORTURE_NOTHING);
    is_that_thread = false;
}

unsigned torture_seen(void)
{
    return atomic_load(&point->seen);
}

bool torture_has_failed(void)
{
    return atomic_load(&point->failed) != 0;
}

__attribute__((constructor)) static void take_over(void)
{
    const char *path = getenv("TORTURE_CONTROL");
    void *frames[4];
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;

    (void)backtrace(frames, 4); /* loads what it needs */
    if (fd >= 0) {
        void *map = (void *)syscall(SYS_mmap, NULL, sizeof(*point), PROT_READ | PROT_WRITE,
                                    MAP_SHARED, fd, 0);

        syscall(SYS_close, fd);
        if (map != MAP_FAILED)
            point = map;
    }
}

/* Of a unit test: test/tools/units.mjs adds them up. */
__attribute__((destructor)) static void tell(void)
{
    if (point == &own && n_failed > 0)
        printf("%u calls were made to fail, one in each run\n", n_failed);
}

/* ---- memory ---- */

static bool no_memory(void)
{
    int error;

    if (!fails(TORTURE_MEMORY, &error))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    NEXT(malloc)
    return no_memory() ? NULL : next(size);
}

void *calloc(size_t n, size_t size)
{
    NEXT(calloc)
    return no_memory() ? NULL : next(n, size);
}

void *realloc(void *old, size_t size)
{
    NEXT(realloc)
    return no_memory() ? NULL : next(old, size);
}

void *reallocarray(void *old, size_t n, size_t size)
{
    NEXT(reallocarray)
    return no_memory() ? NULL : next(old, n, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    NEXT(aligned_alloc)
    return no_memory() ? NULL : next(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    NEXT(posix_memalign)
    return no_memory() ? ENOMEM : next(out, alignment, size);
}

/* A sanitizer's do not come by our malloc(). */
char *strndup(const char *text, size_t most)
{
    size_t len = strnlen(text, most);
    char *copy = malloc(len + 1);

    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

char *strdup(const char *text)
{
    return strndup(text, strlen(text));
}

/* Of a file, as SQLite's for the index of its log; the sanitizer's own and threads' stacks stay. */
void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    NEXT(mmap)
    if (fd >= 0 && no_memory())
        return MAP_FAILED;
    return next(at, size, protection, flags, fd, offset);
}

/* ---- reading and writing ---- */

static bool may_fail(int fd, bool is_read, int *error)
{
    enum torture_kind armed = (enum torture_kind)atomic_load(&point->kind), kind;
    struct stat st;

    if (armed < TORTURE_RECV || armed == TORTURE_SYNC || armed == TORTURE_OPEN ||
        fstat(fd, &st) < 0)
        return false;
    if (!is_read && (fd == STDOUT_FILENO || fd == STDERR_FILENO))
        kind = TORTURE_LOG;
    else if (S_ISSOCK(st.st_mode))
        kind = is_read ? TORTURE_RECV : TORTURE_SEND;
    else if (S_ISREG(st.st_mode))
        kind = is_read ? TORTURE_READ : TORTURE_WRITE;
    else
        return false;
    return fails(kind, error);
}

/* call: with is_short set it is asked for one byte only. */
#define TRANSFER(fd, is_read, whole, one_byte)                                                     \
    int error;                                                                                     \
    if (!may_fail(fd, is_read, &error))                                                            \
        return whole;                                                                              \
    if (error == TORTURE_SHORT)                                                                    \
        return one_byte;                                                                           \
    errno = error;                                                                                 \
    return -1;

/* The first byte of what the vector is about. */
static struct iovec one_byte_of(const struct iovec *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (parts[i].iov_len > 0)
            return (struct iovec){parts[i].iov_base, 1};
    return (struct iovec){0};
}

static struct msghdr one_byte_message(const struct msghdr *m, struct iovec *part)
{
    struct msghdr copy = *m;

    *part = one_byte_of(m->msg_iov, m->msg_iovlen);
    copy.msg_iov = part;
    copy.msg_iovlen = 1;
    return copy;
}

ssize_t read(int fd, void *out, size_t size){
    NEXT(read) TRANSFER(fd, true, next(fd, out, size), next(fd, out, size > 0))}

ssize_t readv(int fd, const struct iovec *parts, int n)
{
    NEXT(readv)
    struct iovec part = one_byte_of(parts, (size_t)n);
    TRANSFER(fd, true, next(fd, parts, n), next(fd, &part, 1))
}

ssize_t pread(int fd, void *out, size_t size, off_t at){
    NEXT(pread) TRANSFER(fd, true, next(fd, out, size, at), next(fd, out, size > 0, at))}

ssize_t pread64(int fd, void *out, size_t size, off64_t at){
    NEXT(pread64) TRANSFER(fd, true, next(fd, out, size, at), next(fd, out, size > 0, at))}

ssize_t recv(int fd, void *out, size_t size, int flags){
    NEXT(recv) TRANSFER(fd, true, next(fd, out, size, flags), next(fd, out, size > 0, flags))}

ssize_t recvfrom(int fd, void *out, size_t size, int flags, struct sockaddr *from, socklen_t *len){
    NEXT(recvfrom) TRANSFER(fd, true, next(fd, out, size, flags, from, len),
                            next(fd, out, size > 0, flags, from, len))}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    NEXT(recvmsg)
    struct iovec part;
    struct msghdr one = one_byte_message(m, &part);
    TRANSFER(fd, true, next(fd, m, flags), next(fd, &one, flags))
}

ssize_t write(int fd, const void *data, size_t size){
    NEXT(write) TRANSFER(fd, false, next(fd, data, size), next(fd, data, size > 0))}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    NEXT(writev)
    struct iovec part = one_byte_of(parts, (size_t)n);
    TRANSFER(fd, false, next(fd, parts, n), next(fd, &part, 1))
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at){
    NEXT(pwrite) TRANSFER(fd, false, next(fd, data, size, at), next(fd, data, size > 0, at))}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at){
    NEXT(pwrite64) TRANSFER(fd, false, next(fd, data, size, at), next(fd, data, size > 0, at))}

ssize_t send(int fd, const void *data, size_t size, int flags){
    NEXT(send) TRANSFER(fd, false, next(fd, data, size, flags), next(fd, data, size > 0, flags))}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
               socklen_t len){NEXT(sendto) TRANSFER(fd, false, next(fd, data, size, flags, to, len),
                                                    next(fd, data, size > 0, flags, to, len))}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    NEXT(sendmsg)
    struct iovec part;
    struct msghdr one = one_byte_message(m, &part);
    TRANSFER(fd, false, next(fd, m, flags), next(fd, &one, flags))
}

/* ---- the disk, and descriptors ---- */

#define ONCE(kind, call)                                                                           \
    int error;                                                                                     \
    if (fails(kind, &error)) {                                                                     \
        errno = error;                                                                             \
        return -1;                                                                                 \
    }                                                                                              \
    return call;

int fsync(int fd)
{
    NEXT(fsync)
    ONCE(TORTURE_SYNC, next(fd))
}

int fdatasync(int fd)
{
    NEXT(fdatasync)
    ONCE(TORTURE_SYNC, next(fd))
}

int ftruncate(int fd, off_t size)
{
    NEXT(ftruncate)
    ONCE(TORTURE_SYNC, next(fd, size))
}

int ftruncate64(int fd, off64_t size)
{
    NEXT(ftruncate64)
    ONCE(TORTURE_SYNC, next(fd, size))
}

/* The mode is there only when a file may be made. */
#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode = va_arg(args, mode_t);                                                               \
        va_end(args);                                                                              \
    }

int open(const char *path, int flags, ...)
{
    NEXT(open)
    MODE_OF(flags)
    ONCE(TORTURE_OPEN, next(path, flags, mode))
}

int open64(const char *path, int flags, ...)
{
    NEXT(open64)
    MODE_OF(flags)
    ONCE(TORTURE_OPEN, next(path, flags, mode))
}

int openat(int folder, const char *path, int flags, ...)
{
    NEXT(openat)
    MODE_OF(flags)
    ONCE(TORTURE_OPEN, next(folder, path, flags, mode))
}

int socket(int domain, int type, int protocol)
{
    NEXT(socket)
    ONCE(TORTURE_OPEN, next(domain, type, protocol))
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    NEXT(accept4)
    ONCE(TORTURE_OPEN, next(fd, address, len, flags))
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    NEXT(connect)
    ONCE(TORTURE_OPEN, next(fd, address, len))
}
