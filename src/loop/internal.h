/* What the files of this room share. */
#ifndef AERIE_LOOP_INTERNAL_H
#define AERIE_LOOP_INTERNAL_H

#include "loop/loop.h"

void timer_wheel_init(struct loop *l);

#endif
