/* The ear on the first loop, and those who want to hear. */
#include "cluster/news.h"

#include "base/clock.h"
#include "base/log.h"
#include "cluster/cluster.h"
#include "cluster/metrics.h"
#include "db/db.h"
#include "desk.h"

#include <stdatomic.h>

#define CHANNEL "aerie" /* as in the triggers */
/* Our own word goes out this often, and is heard this long after the last one at the latest. */
#define ECHO_MS  5000
#define HEARD_MS 8000

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
static bool is_listening;
static uint64_t echoed_ms;               /* when our own word was last sent; 0: not yet */
static atomic_uint_least64_t heard_ms; /* when it was last heard; 0: not, on this connection */

static void tell(enum news news, const struct id *team_id)
{
    struct list *it = readers.next;

    while (it != &readers) {
        struct news_reader *r = container_of(it, struct news_reader, link);

        it = it->next;
        r->on_news(r, news, team_id);
    }
}

static void tell_all(void)
{
    for (int news = 0; news < N_NEWS; news++)
        tell((enum news)news, NULL);
}

static void on_echo(const struct id *of)
{
    bool was_told = news_are_told();

    if (!str_eq(id_str(of), id_str(cluster_node_id())))
        return;
    atomic_store(&heard_ms, clock_mono_ms());
    if (!was_told)
        tell_all();
}

/* "<table> <team>", or "echo <node>". */
static void on_word(struct db_ear *e, struct str payload)
{
    struct str table;
    struct id team_id;

    (void)e;
    if (!str_next(&payload, ' ', &table) || !id_parse(payload, &team_id))
        return;
    if (str_eq(table, STR("echo"))) {
        on_echo(&team_id);
        return;
    }
    counter_add(&cluster_count()->words, 1);
    for (int news = 0; news < N_NEWS; news++)
        if (str_eq(table, tables[news]))
            tell((enum news)news, &team_id);
}

/* What is heard counts from the first echo on. */
static void on_change(struct db_ear *e, bool is_there)
{
    bool was_told = news_are_told();

    (void)e;
    is_listening = is_there;
    echoed_ms = 0;
    atomic_store(&heard_ms, 0);
    if (was_told)
        tell_all();
}

bool desk_wants_echo(void)
{
    uint64_t now_ms = clock_mono_ms();

    if (!is_listening || (echoed_ms != 0 && now_ms - echoed_ms < ECHO_MS))
        return false;
    echoed_ms = now_ms;
    return true;
}

bool news_are_told(void)
{
    uint64_t last_ms = atomic_load(&heard_ms);

    return last_ms != 0 && clock_mono_ms() - last_ms < HEARD_MS;
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
    is_listening = false;
    atomic_store(&heard_ms, 0);
}
