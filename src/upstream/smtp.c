/* Mail out: one libcurl transfer a message, on a worker thread. */
#include "upstream/smtp.h"

#include "base/clock.h"
#include "config/config.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANCEL_GRACE_MS 5000
#define BUSY_SECONDS    1
#define TEXT_BYTES      1024

/* Set once, before the loops run. */
static struct workers *workers;

/* ---- on a worker thread ---- */

static size_t on_read(char *out, size_t size, size_t n, void *data)
{
    struct smtp_send *s = data;
    size_t len = s->message.len - s->n_read;

    if (len > size * n)
        len = size * n;
    memcpy(out, s->message.ptr + s->n_read, len);
    s->n_read += len;
    return len;
}

/* At least once a second, also while libcurl waits for a reply. Not 0: it gives up. */
static int on_progress(void *data, curl_off_t to_read, curl_off_t has_read, curl_off_t to_write,
                       curl_off_t has_written)
{
    struct smtp_send *s = data;
    uint64_t now_ms = clock_mono_ms();
    uint64_t canceled_ms = atomic_load(&s->canceled_ms);
    bool is_handed_over = s->n_read == s->message.len;

    (void)to_read;
    (void)has_read;
    (void)to_write;
    (void)has_written;
    if (canceled_ms && (!is_handed_over || now_ms >= canceled_ms + CANCEL_GRACE_MS))
        return 1;
    return now_ms >= s->give_up_ms;
}

/* False: no memory, or a text that is longer than any we send. */
static bool set_text(CURL *easy, CURLoption option, struct str value)
{
    char text[TEXT_BYTES];

    if (value.len >= sizeof(text))
        return false;
    snprintf(text, sizeof(text), "%.*s", STR_ARG(value));
    return curl_easy_setopt(easy, option, text) == CURLE_OK;
}

/* In angle brackets: libcurl puts a bare address into them only when it finds no other syntax in
 * it. */
static struct curl_slist *recipient_list(struct str to)
{
    char text[TEXT_BYTES];

    if (to.len + 3 > sizeof(text))
        return NULL;
    snprintf(text, sizeof(text), "<%.*s>", STR_ARG(to));
    return curl_slist_append(NULL, text);
}

static bool set_options(CURL *easy, struct smtp_send *s, struct curl_slist *to)
{
    const struct config_email *email = &config()->email;
    bool is_required = str_eq(email->starttls, STR("required"));
    long timeout_ms = (long)(email->timeout_seconds * 1000);
    bool ok = to != NULL;

#define SET(option, value) (ok = curl_easy_setopt(easy, option, value) == CURLE_OK && ok)
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_USE_SSL, is_required ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_TRY);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
    SET(CURLOPT_TIMEOUT_MS, timeout_ms);
    SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, timeout_ms / 1000);
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_MAIL_RCPT, to);
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)s->message.len);
    SET(CURLOPT_READFUNCTION, on_read);
    SET(CURLOPT_READDATA, s);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, s);
    SET(CURLOPT_NOPROGRESS, 0L);
#undef SET
    ok = ok && set_text(easy, CURLOPT_URL, email->url);
    ok = ok && set_text(easy, CURLOPT_MAIL_FROM, email->from);
    if (email->user.len > 0) {
        ok = ok && set_text(easy, CURLOPT_USERNAME, email->user);
        ok = ok && set_text(easy, CURLOPT_PASSWORD, email->password);
    }
    if (email->ca_file.len > 0)
        ok = ok && set_text(easy, CURLOPT_CAINFO, email->ca_file);
    return ok;
}

/* By the server's last reply. */
static struct error explain_reply(int reply)
{
    if (reply == 530 || reply == 535)
        return ERROR(ERR_PROVIDER_AUTH, reply,
                     "the mail server refuses email.user or its password");
    if (reply >= 500)
        return ERROR(ERR_PROVIDER_ERROR, reply, "the mail server refuses the mail");
    if (reply >= 400)
        return ERROR(ERR_PROVIDER_RATE_LIMITED, reply, "the mail server takes no mail for now");
    return ERROR(ERR_INTERRUPTED, reply, "the mail server broke off");
}

static struct error explain(CURL *easy, const struct smtp_send *s, CURLcode code)
{
    long reply = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply);
    switch (code) {
    case CURLE_OK:
        return NO_ERROR;
    case CURLE_ABORTED_BY_CALLBACK:
        if (atomic_load(&s->canceled_ms))
            return ERROR(ERR_CANCELED, 0, NULL);
        return ERROR(ERR_PROVIDER_TIMEOUT, 0, "the mail server did not answer in time");
    case CURLE_OPERATION_TIMEDOUT:
        return ERROR(ERR_PROVIDER_TIMEOUT, 0, "the mail server did not answer in time");
    case CURLE_OUT_OF_MEMORY:
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    case CURLE_COULDNT_RESOLVE_HOST:
        return ERROR(ERR_PROVIDER_UNREACHABLE, (int)code, "the mail server's name has no address");
    case CURLE_COULDNT_CONNECT:
        return ERROR(ERR_PROVIDER_UNREACHABLE, (int)code, "the mail server cannot be reached");
    case CURLE_USE_SSL_FAILED:
        return ERROR(ERR_PROVIDER_UNREACHABLE, (int)code,
                     "the mail server offers no TLS, which email.starttls requires");
    case CURLE_PEER_FAILED_VERIFICATION:
        return ERROR(ERR_PROVIDER_UNREACHABLE, (int)code,
                     "the mail server's certificate is not trusted");
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
        return ERROR(ERR_PROVIDER_UNREACHABLE, (int)code, "no TLS with the mail server");
    case CURLE_LOGIN_DENIED:
        return reply >= 400 && reply < 500 ? explain_reply((int)reply) : explain_reply(535);
    default:
        /* A greeting that is no welcome says nothing about this mail. */
        if (code == CURLE_WEIRD_SERVER_REPLY && s->n_read == 0)
            return ERROR(ERR_PROVIDER_UNREACHABLE, (int)reply, "the mail server does not want us");
        return explain_reply((int)reply);
    }
}

static void run_send(struct work *w)
{
    struct smtp_send *s = container_of(w, struct smtp_send, work);
    struct curl_slist *to = recipient_list(s->to);
    CURL *easy = curl_easy_init();

    s->give_up_ms = clock_mono_ms() + config()->email.timeout_seconds * 1000;
    if (easy && set_options(easy, s, to))
        s->err = explain(easy, s, curl_easy_perform(easy));
    else
        s->err = ERROR(ERR_NO_MEMORY, 0, NULL);
    curl_easy_cleanup(easy);
    curl_slist_free_all(to);
}

/* ---- on the loop ---- */

static void on_sent(struct work *w)
{
    struct smtp_send *s = container_of(w, struct smtp_send, work);

    op_end(&s->op, s->err);
}

static void on_cancel(struct op *op)
{
    struct smtp_send *s = container_of(op, struct smtp_send, op);

    if (workers_cancel(workers, &s->work)) {
        s->err = ERROR(ERR_CANCELED, 0, NULL);
        op_end(op, s->err);
        return;
    }
    atomic_store(&s->canceled_ms, clock_mono_ms());
}

void smtp_send(struct smtp_send *s, struct flow *f, struct str to, struct str message)
{
    s->to = to;
    s->message = message;
    s->n_read = 0;
    s->err = NO_ERROR;
    atomic_store(&s->canceled_ms, 0);
    op_begin(&s->op, f, on_cancel);
    if (workers_submit(workers, &s->work, run_send, on_sent))
        return;
    s->err = ERROR(ERR_BUSY, BUSY_SECONDS, "too many mails are under way");
    op_end(&s->op, s->err);
}

struct error smtp_open(void)
{
    unsigned n = (unsigned)config()->email.connections;

    workers = workers_new("mail", WORK_WAITS, n, n);
    return workers ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, "no threads for mail");
}

void smtp_close(void)
{
    if (workers)
        workers_free(workers);
    workers = NULL;
}
