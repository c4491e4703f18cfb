/* Mails on their way. Asking for one stores a row, in the asker's transaction; the first loop sends
 * what is due, and tries again until the mail server takes it, refuses it for good, or its time is
 * over. So a mail that was promised is sent after a crash too, at the cost of sometimes coming
 * twice: when the crash, or a cut, hits between the server's word and our hearing it. Whom a mail
 * concerns is looked up when it is sent, and the token made then: asking costs the same for an
 * address that nobody has. */
#ifndef AERIE_ACCOUNT_OUTBOX_H
#define AERIE_ACCOUNT_OUTBOX_H

#include "db/db.h"
#include "loop/loop.h"

enum mail_kind { MAIL_RESET, MAIL_VERIFY, N_MAIL_KINDS };
/* As in the tables' columns kind. */
struct str mail_kind_name(enum mail_kind kind);
/* How long its links count. */
int64_t mail_life_us(enum mail_kind kind);

struct outbox; /* the first loop's */

/* Main thread. Without email.url there is no mail: then the outbox only rests. */
struct error outbox_open(void) MUST_CHECK;
void outbox_close(void);
/* *out NULL: no mail. */
struct error outbox_start(struct loop *l, struct outbox **out) MUST_CHECK;
/* on_stopped: nothing of it runs any more and it is freed; perhaps before this returns. A mail that
 * is just being sent may end. */
void outbox_stop(struct outbox *box, void (*on_stopped)(struct loop *l));

#endif
