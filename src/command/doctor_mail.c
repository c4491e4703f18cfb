/* The mail server: greeting, STARTTLS, login. No mail is sent. */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 1024
#define DEFAULT_MS 10000L

static char *text_of(struct str value, char out[TEXT_BYTES])
{
    snprintf(out, TEXT_BYTES, "%.*s", STR_ARG(value));
    return out;
}

static const char *remedy_of(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "The host in email.url is not known: see the configuration, and DNS.";
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
        return "See email.url's host and port (587 for smtp://, 465 for smtps://), and whether this network "
               "lets mail out.";
    case CURLE_USE_SSL_FAILED:
        return "The server offers no STARTTLS. Use smtps:// or another port; only inside your own network "
               "set email.starttls to optional.";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
        return "Its certificate is not to be trusted for this name: see email.ca_file, and the host in "
               "email.url.";
    case CURLE_LOGIN_DENIED:
        return "See email.user and email.password; some providers want a password for programs.";
    default:
        return "docs/operations.md has a section on mail.";
    }
}

void doctor_check_mail(struct doctor *d)
{
    const struct config_email *email = &config()->email;
    char url[TEXT_BYTES], user[TEXT_BYTES], password[TEXT_BYTES], ca[TEXT_BYTES];
    char reason[CURL_ERROR_SIZE] = "";
    CURLcode code;
    CURL *easy;

    if (!config_has_mail()) {
        doctor_say(d, MARK_OK, "mail", NULL, "is not configured: nobody can reset a password by mail");
        return;
    }
    easy = curl_easy_init();
    if (!easy)
        return;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_URL, text_of(email->url, url));
    curl_easy_setopt(easy, CURLOPT_USE_SSL,
                     str_eq(email->starttls, STR("required")) ? (long)CURLUSESSL_ALL
                                                              : (long)CURLUSESSL_TRY);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "NOOP");
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, DEFAULT_MS);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason);
    if (email->user.len > 0) {
        curl_easy_setopt(easy, CURLOPT_USERNAME, text_of(email->user, user));
        curl_easy_setopt(easy, CURLOPT_PASSWORD, text_of(email->password, password));
    }
    if (email->ca_file.len > 0)
        curl_easy_setopt(easy, CURLOPT_CAINFO, text_of(email->ca_file, ca));
    code = curl_easy_perform(easy);
    if (code == CURLE_OK)
        doctor_say(d, MARK_OK, "mail", NULL, "%s takes us%s; no mail was sent", url,
                   email->user.len > 0 ? " with email.user" : "");
    else
        doctor_say(d, MARK_PROBLEM, "mail", remedy_of(code), "%s: %s", url,
                   reason[0] ? reason : curl_easy_strerror(code));
    curl_easy_cleanup(easy);
    explicit_bzero(password, sizeof(password));
}
