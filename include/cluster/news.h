/* What others change and this process keeps in memory, as the database tells of it (LISTEN): another node, the command line, a hand in
 * the database. First loop's thread, but for news_are_told(). */
#ifndef AERIE_CLUSTER_NEWS_H
#define AERIE_CLUSTER_NEWS_H

#include "base/id.h"
#include "base/list.h"

/* The tables that tell: those with a trigger aerie_notify. */
enum news { NEWS_AGENTS, NEWS_API_KEYS, NEWS_PROVIDER_KEYS, NEWS_REVOKED_TOKENS, NEWS_TEAMS, NEWS_USERS, N_NEWS };

/* The caller's memory; all-zero: does not read. */
struct news_reader {
    struct list link;
    /* Rows of the team have changed, by a commit that can be seen by now. team_id NULL: what was told until now may have been
     * missed, or is not told any more; then of every kind. */
    void (*on_news)(struct news_reader *r, enum news news, const struct id *team_id);
};
/* After cluster_attach(), until before cluster_detach(). */
void news_read(struct news_reader *r, void (*on_news)(struct news_reader *r, enum news news, const struct id *team_id));
void news_leave(struct news_reader *r); /* does not read: fine */
/* Does the database tell now? Never on SQLite, nor behind a transaction pooler: who wants to know asks the database now and then,
 * often where it is not told, seldom where it is. It is told while what this node says to itself comes back. Any thread. */
bool news_are_told(void);

#endif
