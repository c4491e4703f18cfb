/* Handing one finished message to the mail server that the configuration names (email.*). libcurl
 * waits for the server's word inside one call, with its multi interface too, so this runs on worker
 * threads. The server is the operator's own choice: the egress guard, which is about addresses that
 * others choose, is not asked. */
#ifndef AERIE_UPSTREAM_SMTP_H
#define AERIE_UPSTREAM_SMTP_H

#include "loop/flow.h"
#include "loop/workers.h"

#include <stdatomic.h>

/* Inside the caller's state, all-zero, in place until it ends; may be used again afterwards. */
struct smtp_send {
    struct op op;
    struct work work;
    struct str to, message;
    size_t n_read;                    /* bytes of message that libcurl has taken */
    uint64_t give_up_ms;              /* on the clock of the process */
    atomic_uint_fast64_t canceled_ms; /* 0: not canceled */
    struct error err; /* how it ended, also when the flow has failed for another reason */
};

/* to: one address without spaces, control characters or <>. message: RFC 5322, lines end with CRLF.
 * Both in place until the operation ends: with NO_ERROR once the server has taken the message; else
 * - ERR_PROVIDER_ERROR (code: its reply): refused for good, the recipient or the message;
 * - ERR_PROVIDER_RATE_LIMITED (code: its reply): refused for now;
 * - ERR_PROVIDER_AUTH (code: its reply): it does not take our user and password;
 * - ERR_PROVIDER_UNREACHABLE: no connection, no TLS where it is required, or a certificate that is
 * not trusted;
 * - ERR_PROVIDER_TIMEOUT, ERR_INTERRUPTED: it may or may not have taken the message;
 * - ERR_BUSY, ERR_NO_MEMORY, ERR_CANCELED.
 * The detail is static and names nobody. Cancel ends it within a second; a message that is wholly
 * handed over gets CANCEL_GRACE_MS for the server's word. */
void smtp_send(struct smtp_send *s, struct flow *f, struct str to, struct str message);

/* Main thread, after upstream_open(): email.connections threads. */
struct error smtp_open(void) MUST_CHECK;
void smtp_close(void); /* after all loops have left */

#endif
