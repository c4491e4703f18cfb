/* What a server tells other programs on its machine by files in data_dir: aerie.pid, which process
 * it is, and aerie.upgrade, how its last upgrade goes. Main thread. */
#ifndef AERIE_COMMAND_PID_FILE_H
#define AERIE_COMMAND_PID_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Names this process. A living server of the same data_dir stays named, unless this one takes it
 * over; the log tells what failed. */
void pid_file_write(bool takes_over);
void pid_file_remove(void); /* if it names this process */
/* The process that it names; 0: none that lives. */
pid_t pid_file_read(void);

enum upgrade_state { UPGRADE_STARTING, UPGRADE_FAILED, UPGRADE_DRAINING, UPGRADE_DONE };
struct upgrade_word {
    unsigned number; /* of the old process's upgrades */
    pid_t old_pid, new_pid;
    enum upgrade_state state;
    size_t n_streams; /* that the old one still has */
    char reason[256]; /* UPGRADE_FAILED */
};
void upgrade_word_write(const struct upgrade_word *w);
bool upgrade_word_read(struct upgrade_word *w); /* false: there is none */

#endif
