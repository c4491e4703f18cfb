/* What the keys of mail mean together. */
#include "internal.h"

#define GMAIL "smtps://smtp.gmail.com:465"

struct error config_settle_email(struct config *c)
{
    struct config_email *e = &c->email;

    /* An address and its app password are all that other programs ask for. */
    if (e->url.len == 0 && e->from.len > 0 && e->password.len > 0)
        e->url = STR(GMAIL);
    if (e->user.len == 0 && e->password.len > 0)
        e->user = e->from;
    if (e->url.len > 0 && e->from.len == 0)
        return ERROR(
            ERR_INVALID, 0,
            "email.url is set, and email.from is not: set the address that mails come from");
    return NO_ERROR;
}

bool config_has_mail(void)
{
    return config()->email.url.len > 0;
}
