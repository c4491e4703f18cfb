/* What the files of this room share. */
#ifndef AERIE_LOOP_INTERNAL_H
#define AERIE_LOOP_INTERNAL_H

#include "loop/loop.h"

void timer_wheel_init(struct loop *l);

/* lag.c */
void lag_open(struct loop *l);
void lag_note_woken(struct loop *l); /* it stopped waiting */
void lag_note_turn(struct loop *l);  /* it is going to wait again */

#endif
