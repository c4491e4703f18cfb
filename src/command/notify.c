/* A datagram to the socket that NOTIFY_SOCKET names; without one, nothing. What is lost is lost:
 * the server does not wait for it. */
#include "notify.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Another process is the service now: what this one says would be of no service. */
static bool is_mute;

static void __attribute__((format(printf, 1, 2))) notify(const char *format, ...)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nothing changes the environment after the start */
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    char text[128];
    va_list args;
    int fd;

    if (is_mute || len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; /* of no file */
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

void notify_ready(void)
{
    notify("READY=1");
}

void notify_reloading(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    notify("RELOADING=1\nMONOTONIC_USEC=%lld",
           (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void notify_stopping(unsigned timeout_s)
{
    notify("STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu", timeout_s * 1000000ULL);
}

void notify_successor(int pid)
{
    notify("MAINPID=%d", pid);
    is_mute = true;
}
