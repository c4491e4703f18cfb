/* Words to whoever started the server and waits for them: systemd, for a unit of Type=notify. See
 * sd_notify(3). */
#ifndef AERIE_COMMAND_NOTIFY_H
#define AERIE_COMMAND_NOTIFY_H

/* It listens, or has read its settings again. */
void notify_ready(void);
/* It reads its settings again; notify_ready() follows. */
void notify_reloading(void);
/* It ends, within timeout_s seconds or so: it is not to be killed before. */
void notify_stopping(unsigned timeout_s);
/* The service is another process from now on, which speaks for itself; nothing is said here any
 * more. */
void notify_successor(int pid);

#endif
