/* The machine's time zone, for lines and files that people read. */
#ifndef AERIE_SRC_BASE_LOG_TIME_H
#define AERIE_SRC_BASE_LOG_TIME_H

#include "base/clock.h"

/* "2026-01-31T12:00:00" where the machine is; ptr in out. */
struct str log_local_time(int64_t wall_us, char out[CLOCK_TEXT_BYTES]);
/* 20260131 */
int log_local_day(int64_t wall_us);
/* Seconds until the next midnight there, at least 1. */
unsigned log_seconds_to_midnight(int64_t wall_us);
/* How many days before today's that one was; negative: later. False: there is no such day. */
bool log_day_age(int day, int today, int *age);

#endif
