/* bcrypt costs a fifth of a second of a core: it runs on its own threads, and past the queue's
 * bound the answer is "come back later" instead of a wait without end. */
#include "account/password.h"

#include "base/crypto.h"
#include "config/config.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BCRYPT_SEES_BYTES 72
#define BUSY_SECONDS      2
#define BASE64_SHA256_LEN 44

/* Set once, before the loops run. */
static struct workers *workers;

/* bcrypt stops reading at 72 bytes, so a longer password goes in as its digest. phrase: at least 73
 * bytes. */
static void make_phrase(struct str password, char *phrase)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char sum[SHA256_BYTES + 1] = {0};

    if (password.len <= BCRYPT_SEES_BYTES) {
        memcpy(phrase, password.ptr, password.len);
        phrase[password.len] = 0;
        return;
    }
    crypto_sha256(password, sum);
    for (size_t i = 0, n = 0; i <= SHA256_BYTES; i += 3) {
        unsigned v = (unsigned)sum[i] << 16 | (unsigned)sum[i + 1] << 8 | sum[i + 2];

        phrase[n++] = digits[v >> 18];
        phrase[n++] = digits[v >> 12 & 63];
        phrase[n++] = digits[v >> 6 & 63];
        phrase[n++] = digits[v & 63];
    }
    phrase[BASE64_SHA256_LEN - 1] = '=';
    phrase[BASE64_SHA256_LEN] = 0;
    explicit_bzero(sum, sizeof(sum));
}

/* setting: a salt, or a whole hash whose salt is used. False: no memory, or no bcrypt in the
 * system's crypt. */
static bool run_bcrypt(struct str password, const char *setting, char out[PASSWORD_HASH_BYTES])
{
    /* 32 kB: too much for a thread's stack */
    struct crypt_data *data = calloc(1, sizeof(*data));
    char phrase[BCRYPT_SEES_BYTES + 1];
    const char *hash;
    bool ok = false;

    if (!data)
        return false;
    make_phrase(password, phrase);
    hash = crypt_rn(phrase, setting, data, sizeof(*data));
    if (hash && strlen(hash) < PASSWORD_HASH_BYTES) {
        memcpy(out, hash, strlen(hash) + 1);
        ok = true;
    }
    explicit_bzero(phrase, sizeof(phrase));
    explicit_bzero(data, sizeof(*data));
    free(data);
    return ok;
}

bool password_hash_blocking(struct str password, char out[PASSWORD_HASH_BYTES])
{
    char salt[CRYPT_GENSALT_OUTPUT_SIZE], bytes[16];

    crypto_random(bytes, sizeof(bytes));
    if (!crypt_gensalt_rn("$2b$", config()->security.bcrypt_rounds, bytes, sizeof(bytes), salt,
                          sizeof(salt)))
        return false;
    return run_bcrypt(password, salt, out);
}

static void run_job(struct work *w)
{
    struct password_job *job = container_of(w, struct password_job, work);
    bool ok;

    if (job->is_verify) {
        ok = run_bcrypt(job->password, job->expected, job->hash);
        job->is_match = ok && crypto_equal(str_from(job->hash), str_from(job->expected));
    } else {
        ok = password_hash_blocking(job->password, job->hash);
    }
    if (!ok)
        job->err = ERROR(ERR_NO_MEMORY, 0, NULL);
}

static void on_job_done(struct work *w)
{
    struct password_job *job = container_of(w, struct password_job, work);

    op_end(&job->op, job->err);
}

static void cancel_job(struct op *op)
{
    struct password_job *job = container_of(op, struct password_job, op);

    /* What runs already ends by itself, within the time of a hash. */
    if (workers_cancel(workers, &job->work))
        op_end(op, ERROR(ERR_CANCELED, 0, NULL));
}

static void submit(struct password_job *job, struct flow *f, struct str password)
{
    job->password = password;
    job->err = NO_ERROR;
    job->is_match = false;
    op_begin(&job->op, f, cancel_job);
    if (!workers_submit(workers, &job->work, run_job, on_job_done))
        op_end(&job->op, ERROR(ERR_BUSY, BUSY_SECONDS, "Too many logins at once, try again soon"));
}

void password_hash(struct password_job *job, struct flow *f, struct str password)
{
    job->is_verify = false;
    submit(job, f, password);
}

void password_verify(struct password_job *job, struct flow *f, struct str password, struct str hash)
{
    job->is_verify = true;
    /* Nobody's hash: a salt of zeros with today's rounds, and no digest that any password has. */
    if (!hash.ptr || hash.len >= sizeof(job->expected))
        snprintf(job->expected, sizeof(job->expected), "$2b$%02u$......................%s",
                 (unsigned)config()->security.bcrypt_rounds, "...............................");
    else
        snprintf(job->expected, sizeof(job->expected), "%.*s", STR_ARG(hash));
    submit(job, f, password);
}

struct error password_open(void)
{
    const struct config_security *security = &config()->security;

    workers = workers_new("bcrypt", WORK_COMPUTES, (unsigned)security->bcrypt_threads,
                          security->bcrypt_queue);
    return workers ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, "no threads for passwords");
}

void password_close(void)
{
    if (workers)
        workers_free(workers);
    workers = NULL;
}
