/* The ear on the first loop, and those who want to hear. */
#include "cluster/news.h"

#include "base/log.h"
#include "cluster/metrics.h"
#include "db/db.h"
#include "desk.h"

#include <stdatomic.h>

#define CHANNEL "aerie" /* as in the triggers */

static const struct str tables[N_NEWS] = {
    [NEWS_AGENTS] = STR("agents"),
    [NEWS_API_KEYS] = STR("api_keys"),
    [NEWS_PROVIDER_KEYS] = STR("provider_keys"),
    [NEWS_REVOKED_TOKENS] = STR("revoked_tokens"),
    [NEWS_TEAMS] = STR("teams"),
    [NEWS_USERS] = STR("users"),
};

static struct list readers; /* the first loop's */
static struct db_ear ear;
static atomic_bool are_told;

static void tell(enum news news, const struct id *team_id)
{
    struct list *it = readers.next;

    while (it != &readers) {
        struct news_reader *r = container_of(it, struct news_reader, link);

        it = it->next;
        r->on_news(r, news, team_id);
    }
}

/* "<table> <team>". */
static void on_word(struct db_ear *e, struct str payload)
{
    struct str table;
    struct id team_id;

    (void)e;
    counter_add(&cluster_count()->words, 1);
    if (!str_next(&payload, ' ', &table) || !id_parse(payload, &team_id))
        return;
    for (int news = 0; news < N_NEWS; news++)
        if (str_eq(table, tables[news]))
            tell((enum news)news, &team_id);
}

static void on_change(struct db_ear *e, bool is_listening)
{
    (void)e;
    atomic_store(&are_told, is_listening);
    log_debug("cluster: the database tells of changes: %s", is_listening ? "yes" : "no");
    for (int news = 0; news < N_NEWS; news++)
        tell((enum news)news, NULL);
}

bool news_are_told(void)
{
    return atomic_load(&are_told);
}

void news_read(struct news_reader *r,
               void (*on_news)(struct news_reader *r, enum news news, const struct id *team_id))
{
    r->on_news = on_news;
    list_push(&readers, &r->link);
}

void news_leave(struct news_reader *r)
{
    if (list_is_linked(&r->link))
        list_remove(&r->link);
}

void desk_open(void)
{
    list_init(&readers);
    ear = (struct db_ear){.on_word = on_word, .on_change = on_change};
    if (!db_listen(&ear, CHANNEL))
        log_debug("cluster: this database does not tell of changes: it is asked");
}

void desk_close(void)
{
    db_listen_end();
    atomic_store(&are_told, false);
}
