/* Files of the log, and the thread that writes them. */
#ifndef AERIE_SRC_BASE_LOG_FILE_H
#define AERIE_SRC_BASE_LOG_FILE_H

#include "base/log.h"

/* See log.h. */
int log_file_open(const struct log_files *files);
int log_file_reopen(unsigned keep_days);
void log_file_flush(void);
void log_file_close(void);
/* Hands a line over, which is of this day (20260131). False: there is no room. */
bool log_file_put(struct str line, int day);

/* log.c's: lines that are lost. */
void log_count_dropped(uint64_t n);

#endif
