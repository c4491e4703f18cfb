/* The ear on the first loop, or its eye where nothing is to be heard, and those who want to know. */
#include "cluster/news.h"

#include "base/clock.h"
#include "base/log.h"
#include "cluster/cluster.h"
#include "cluster/metrics.h"
#include "db/db.h"
#include "desk.h"

#include <stdatomic.h>
#include <string.h>

#define CHANNEL "aerie" /* as in the triggers */
/* Our own word goes out this often, and is heard this long after the last one at the latest. */
#define ECHO_MS  5000
#define HEARD_MS 8000
#define LOOK_MS  500

static const struct str tables[N_NEWS] = {
    [NEWS_AGENTS] = STR("agents"),
    [NEWS_API_KEYS] = STR("api_keys"),
    [NEWS_BUDGETS] = STR("budgets"),
    [NEWS_PROVIDER_KEYS] = STR("provider_keys"),
    [NEWS_REVOKED_TOKENS] = STR("revoked_tokens"),
    [NEWS_TEAMS] = STR("teams"),
    [NEWS_USERS] = STR("users"),
    [NEWS_WEBHOOKS] = STR("webhooks"),
};

static struct list readers = {&readers, &readers}; /* the first loop's */

/* ---- what is heard ---- */

static struct db_ear ear;
static bool is_listening;
static uint64_t echoed_ms;               /* when our own word was last sent; 0: not yet */
static atomic_uint_least64_t heard_ms; /* when it was last heard; 0: not, on this connection */

static bool find_table(struct str name, enum news *out)
{
    for (int news = 0; news < N_NEWS; news++) {
        if (str_eq(name, tables[news])) {
            *out = (enum news)news;
            return true;
        }
    }
    return false;
}

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
    bool was_heard = news_are_heard();

    if (!str_eq(id_str(of), id_str(cluster_node_id())))
        return;
    atomic_store(&heard_ms, clock_mono_ms());
    if (!was_heard)
        tell_all();
}

/* "<table> <team>", or "echo <node>". */
static void on_word(struct db_ear *e, struct str payload)
{
    struct str table;
    struct id team_id;
    enum news news;

    (void)e;
    if (!str_next(&payload, ' ', &table) || !id_parse(payload, &team_id))
        return;
    if (str_eq(table, STR("echo"))) {
        on_echo(&team_id);
        return;
    }
    counter_add(&cluster_count()->words, 1);
    if (find_table(table, &news))
        tell(news, &team_id);
}

/* What is heard counts from the first echo on. */
static void on_change(struct db_ear *e, bool is_there)
{
    bool was_heard = news_are_heard();

    (void)e;
    is_listening = is_there;
    echoed_ms = 0;
    atomic_store(&heard_ms, 0);
    if (was_heard)
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

static bool is_fresh(const atomic_uint_least64_t *at_ms)
{
    uint64_t last_ms = atomic_load(at_ms);

    return last_ms != 0 && clock_mono_ms() - last_ms < HEARD_MS;
}

bool news_are_heard(void)
{
    return is_fresh(&heard_ms);
}

/* ---- what is seen ---- */

static struct {
    struct timer timer;
    struct flow flow;
    struct arena arena;
    struct db_query query;
    int64_t stamps[N_NEWS][2];
    bool is_running, has_looked, was_failing;
    void (*on_closed)(void);
} eye;
static atomic_uint_least64_t seen_ms[N_NEWS]; /* when each was last looked at; 0: not yet, or it is not */

static void look(struct flow *f)
{
    db_query(&eye.query, f, &eye.arena, SQL_NEWS_LOOK, NULL, 0);
}

/* The columns of NEWS_LOOK. */
enum { LOOK_TABLE, LOOK_STAMPS };

/* The first look tells of all: what is in memory was read a while before. */
static void compare(struct flow *f)
{
    const struct db_result *rows = eye.query.result;
    bool has_looked = eye.has_looked;

    (void)f;
    eye.has_looked = true;
    for (size_t row = 0; row < rows->n_rows; row++) {
        int64_t stamps[] = {db_get_int(rows, row, LOOK_STAMPS), db_get_int(rows, row, LOOK_STAMPS + 1)};
        enum news news;
        bool is_new;

        if (!find_table(db_get_text(rows, row, LOOK_TABLE), &news))
            continue;
        is_new = !has_looked || memcmp(eye.stamps[news], stamps, sizeof(stamps)) != 0;
        memcpy(eye.stamps[news], stamps, sizeof(stamps));
        atomic_store(&seen_ms[news], clock_mono_ms());
        if (is_new)
            tell(news, NULL);
    }
}

static const struct step look_steps[] = {STEP(look), STEP(compare), STEP_END};

static void on_looked(struct flow *f)
{
    void (*on_closed)(void) = eye.on_closed;

    eye.is_running = false;
    arena_free(&eye.arena);
    if (is_error(f->err) && !eye.was_failing && !on_closed)
        log_warn("cluster: cannot look what others have changed, trying again: %s", status_row(f->err.status)->name);
    eye.was_failing = is_error(f->err);
    if (on_closed)
        on_closed();
}

static void on_look_due(struct timer *t)
{
    timer_start(t, LOOK_MS, on_look_due);
    if (eye.is_running || news_are_heard())
        return;
    eye.is_running = true;
    eye.query = (struct db_query){0};
    flow_start(&eye.flow, look_steps, NULL, on_looked);
}

bool news_are_told(enum news news)
{
    return news_are_heard() || is_fresh(&seen_ms[news]);
}

/* ---- those who want to know ---- */

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
    eye.has_looked = eye.was_failing = false;
    eye.on_closed = NULL;
    for (int news = 0; news < N_NEWS; news++)
        atomic_store(&seen_ms[news], 0);
    ear = (struct db_ear){.on_word = on_word, .on_change = on_change};
    if (!db_listen(&ear, CHANNEL))
        log_debug("cluster: this database does not tell of changes: it is asked");
    timer_start(&eye.timer, LOOK_MS, on_look_due);
}

void desk_close(void (*on_closed)(void))
{
    db_listen_end();
    is_listening = false;
    atomic_store(&heard_ms, 0);
    timer_stop(&eye.timer);
    if (!eye.is_running) {
        on_closed();
        return;
    }
    eye.on_closed = on_closed;
    flow_fail(&eye.flow, ERROR(ERR_CANCELED, 0, NULL));
}
