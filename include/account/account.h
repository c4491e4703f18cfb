/* The room's life: opened once, attached to each loop. */
#ifndef AERIE_ACCOUNT_ACCOUNT_H
#define AERIE_ACCOUNT_ACCOUNT_H

#include "db/db.h"
#include "loop/loop.h"

/* Main thread, after db_open() and the migrations, before anyone listens: limits, password workers,
 * and what is revoked. */
struct error account_open(struct db *db) MUST_CHECK;
void account_close(void); /* after all loops have left */
/* Loop's thread, after db_attach(). The first loop polls what other processes revoke and sweeps
 * what has expired. */
struct error account_attach(struct loop *l) MUST_CHECK;
/* Loop's thread, before db_detach(). on_detached: nothing of the room runs on this loop any more.
 */
void account_detach(struct loop *l, void (*on_detached)(struct loop *l));

#endif
