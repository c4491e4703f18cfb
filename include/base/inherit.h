/* What the process was started with beside its arguments: the listening sockets and the lock of a
 * server that it is to take over (aerie upgrade), or sockets of systemd (sd_listen_fds(3)). Read
 * once; main thread only. */
#ifndef AERIE_BASE_INHERIT_H
#define AERIE_BASE_INHERIT_H

#include "base/endpoint.h"

#include <sys/types.h>

#define INHERIT_NAME_BYTES 64

struct inherited_socket {
    int fd;
    struct endpoint at; /* where it is bound */
    bool is_systemds;
    char name[INHERIT_NAME_BYTES]; /* of systemd: FileDescriptorName */
};

/* Before anything else is opened, and while the process has one thread. Takes what it reads out of
 * the environment. In an upgrade the process goes on as a child of its own, so that whoever looks
 * after the old one, and not the old one, is its parent. */
void inherit_read(void);
/* Is this the successor of a server that still runs? */
bool inherit_is_upgrade(void);
/* Who takes it closes it. False: none (more) is there. at: its port 0 is any port. */
bool inherit_take_socket(const struct endpoint *at, struct inherited_socket *out);
bool inherit_take_systemds(struct inherited_socket *out);
size_t inherit_n_systemds(void); /* not taken */
/* The lock on this file, held together with the old server; -1: none. */
int inherit_take_lock(const char *path);
/* A pipe with the keys of TLS session tickets, whose writer has gone; -1: none. Who takes it closes
 * it. */
int inherit_take_ticket_keys(void);
/* To the old server, once: it may leave, or why it has to stay. */
void inherit_say_ready(void);
void inherit_say_failed(const char *why);
/* Closes what nobody took. */
void inherit_close(void);

/* ---- the old server's side: how it writes down what it leaves ---- */
#define INHERIT_VARIABLE "AERIE_UPGRADE"
/* Words of the variable, each with a colon behind it. */
#define INHERIT_READY   "ready=%d:"
#define INHERIT_LOCK    "lock=%d:"
#define INHERIT_SOCKET  "socket=%d:"
#define INHERIT_SYSTEMD "systemd=%d,%s:"
#define INHERIT_TICKETS "tickets=%d:"

#endif
