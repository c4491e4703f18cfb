/* Where a server's log goes, and what its lines look like: log.* of the configuration. Main thread.
 */
#ifndef AERIE_SRC_COMMAND_SERVE_LOG_H
#define AERIE_SRC_COMMAND_SERVE_LOG_H

#include "base/error.h"

/* Before other threads start. */
struct error serve_log_open(void) MUST_CHECK;
/* At SIGHUP: files are opened again, for they may have been moved away. */
void serve_log_reopen(void);
/* The settings were read again. */
void serve_log_settle(void);
/* The file or directory; ptr NULL: stderr. */
struct str serve_log_path(void);

#endif
