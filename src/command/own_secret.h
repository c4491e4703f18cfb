/* The secret that a server made for itself, DATA_DIR/secret, beside a backup. */
#ifndef AERIE_SRC_COMMAND_OWN_SECRET_H
#define AERIE_SRC_COMMAND_OWN_SECRET_H

#include "base/error.h"

#define OWN_SECRET_SUFFIX ".secret"

/* Puts it into FILE.secret, mode 0600. Says so, or why there is none to put there. */
struct error own_secret_keep(const char *file) MUST_CHECK;
/* Says that it must be kept. */
void own_secret_remind(void);
/* Puts FILE.secret into DATA_DIR, where there is none, or the same. ERR_CONFLICT: another one is
 * there. */
struct error own_secret_put_back(const char *file) MUST_CHECK;

#endif
