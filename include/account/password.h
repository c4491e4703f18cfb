/* Passwords: bcrypt on worker threads of its own, behind a bounded queue. */
#ifndef AERIE_ACCOUNT_PASSWORD_H
#define AERIE_ACCOUNT_PASSWORD_H

#include "loop/flow.h"
#include "loop/workers.h"

#define PASSWORD_HASH_BYTES 64 /* a bcrypt hash has 60 characters */

/* Inside the caller's state, all-zero, in place until it ends; may be used again afterwards. */
struct password_job {
    struct op op;
    struct work work;
    struct str password;
    char expected[PASSWORD_HASH_BYTES];
    char hash[PASSWORD_HASH_BYTES]; /* password_hash()'s result */
    bool is_match;                  /* password_verify()'s result */
    bool is_verify;
    struct error err;
};

/* password: in place until the job ends. Both end with ERR_BUSY (queue full; code: seconds to
 * wait), ERR_NO_MEMORY or ERR_CANCELED. */
void password_hash(struct password_job *job, struct flow *f, struct str password);
/* hash ptr NULL: nobody of that name; costs the same time and matches nothing. */
void password_verify(struct password_job *job, struct flow *f, struct str password,
                     struct str hash);
/* Hashes on the calling thread, for the command line. False: no memory. */
bool password_hash_blocking(struct str password, char out[PASSWORD_HASH_BYTES]) MUST_CHECK;

/* Main thread: the worker threads, by config security.bcrypt_threads and .bcrypt_queue. */
struct error password_open(void) MUST_CHECK;
void password_close(void); /* after all loops have left */

#endif
