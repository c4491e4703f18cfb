/* What others change and this process keeps in memory: another node, the command line, a hand in the database. The database tells of it
 * (LISTEN); where it does not, on SQLite and behind a transaction pooler, the first loop looks twice a second whether something has
 * changed, in one statement for all who want to know. First loop's thread, but for what says any thread. */
#ifndef AERIE_CLUSTER_NEWS_H
#define AERIE_CLUSTER_NEWS_H

#include "base/id.h"
#include "base/list.h"

/* The tables that tell: those with a trigger aerie_notify. Budgets and webhooks tell always; the others where news_are_told(). */
enum news {
    NEWS_AGENTS,
    NEWS_API_KEYS,
    NEWS_BUDGETS,
    NEWS_PROVIDER_KEYS,
    NEWS_REVOKED_TOKENS,
    NEWS_TEAMS,
    NEWS_USERS,
    NEWS_WEBHOOKS,
    N_NEWS
};

/* The caller's memory; all-zero: does not read. */
struct news_reader {
    struct list link;
    /* Rows of the team have changed, by a commit that can be seen by now. team_id NULL: of whichever team; and, for every kind, when
     * what was told until now may have been missed, or is not told any more. */
    void (*on_news)(struct news_reader *r, enum news news, const struct id *team_id);
};
/* Until before cluster_detach(). */
void news_read(struct news_reader *r, void (*on_news)(struct news_reader *r, enum news news, const struct id *team_id));
void news_leave(struct news_reader *r); /* does not read: fine */
/* Does word of it come now, within half a second? Who reads rows by their numbers asks the database himself as well, often where it
 * does not, seldom where it does. Any thread. */
bool news_are_told(enum news news);
/* By the database: never on SQLite, nor behind a transaction pooler. It is while what this node says to itself comes back. Any thread. */
bool news_are_heard(void);

#endif
