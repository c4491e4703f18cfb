/* What mails say. */
#ifndef AERIE_ACCOUNT_MAIL_TEXT_H
#define AERIE_ACCOUNT_MAIL_TEXT_H

#include "account/outbox.h"
#include "base/buf.h"

struct mail_link {
    struct str team, url; /* team: its slug, as a name may say anything */
};

struct mail_values {
    struct str service;
    const struct mail_link *links; /* one for each account */
    size_t n_links;
    uint64_t life_seconds; /* of the links */
};

void mail_text_subject(struct buf *out, enum mail_kind kind, const struct mail_values *v);
void mail_text_body(struct buf *out, enum mail_kind kind, const struct mail_values *v);

#endif
