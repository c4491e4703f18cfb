/* Tokens a day: limits.tokens_per_day for each owner. What a turn may cost is held before anyone is
 * asked, and what it did cost takes its place afterwards, so that turns at once never pass the
 * limit by more than their replies turn out longer than expected. Counted in memory; the table is
 * asked once for an owner and a day. Any thread. */
#ifndef AERIE_CHAT_QUOTA_H
#define AERIE_CHAT_QUOTA_H

#include "base/error.h"
#include "base/id.h"

struct quota_entry;

/* A turn's hold on its owner's count. All-zero: none, and everything is allowed. */
struct quota {
    struct quota_entry *entry;
    int64_t held_tokens;
};

bool quota_open(void); /* main thread; false: no memory */
void quota_close(void);

/* Before anything is read. *must_load: what the owner used today is to be read and handed to
 * quota_reserve(). ERR_NO_MEMORY. Nothing is done where the limit is off. */
struct error quota_begin(struct quota *q, const struct id *owner_id, bool *must_load) MUST_CHECK;
/* Holds the prompt and a reply of limits.reply_tokens. used_tokens: as read, or -1 when that was
 * not asked for. *left: what is left of the day beside all that is held; *limit: of the day, 0 when
 * off. ERR_RATE_LIMITED: that is too little; code: the seconds until midnight. */
struct error quota_reserve(struct quota *q, int64_t used_tokens, int64_t prompt_tokens,
                           int64_t *limit, int64_t *left) MUST_CHECK;
/* Once the turn's usage is stored, or it has failed: what it did cost. All-zero again. */
void quota_settle(struct quota *q, int64_t tokens);

#endif
