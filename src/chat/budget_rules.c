/* A map from teams to their budgets, under a lock that readers share. */
#include "budget_rules.h"

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* The columns of BUDGET_ALL. */
enum { TEAM_ID, SCOPE, SUBJECT_ID, PERIOD, LIMITS };

struct team_rules {
    struct map_node node;
    struct id team_id;
    size_t n;
    struct budget_rule rules[];
};

static struct {
    pthread_rwlock_t lock;
    struct map teams;
    atomic_size_t n_teams; /* readable without the lock */
} all;

static bool read_rule(const struct db_result *rows, size_t row, struct budget_rule *out)
{
    if (!budget_scope_from(db_get_text(rows, row, SCOPE), &out->scope) ||
        !budget_period_from(db_get_text(rows, row, PERIOD), &out->period) ||
        !id_parse(db_get_text(rows, row, SUBJECT_ID), &out->subject_id))
        return false;
    for (size_t unit = 0; unit < N_BUDGET_UNITS; unit++)
        out->limit.of[unit] = db_is_null(rows, row, LIMITS + unit)
                                  ? BUDGET_NO_LIMIT
                                  : db_get_int(rows, row, LIMITS + unit);
    return true;
}

/* Those of the rows from to end, which are one team's. */
static struct team_rules *make_team(const struct id *team_id, const struct db_result *rows,
                                    size_t from, size_t end)
{
    struct team_rules *team = calloc(1, sizeof(*team) + (end - from) * sizeof(team->rules[0]));

    if (!team)
        return NULL;
    team->team_id = *team_id;
    for (size_t row = from; row < end; row++) {
        if (read_rule(rows, row, &team->rules[team->n]))
            team->n++;
        else
            log_warn("budgets: a row of budgets is not understood");
    }
    return team;
}

static void drop_team(struct map_node *node, void *state)
{
    map_remove(state, node);
    free(container_of(node, struct team_rules, node));
}

static void drop_all(struct map *teams)
{
    map_each(teams, drop_team, teams);
    map_deinit(teams);
}

static bool read_all(const struct db_result *rows, struct map *teams)
{
    size_t end;

    for (size_t from = 0; from < rows->n_rows; from = end) {
        struct str id = db_get_text(rows, from, TEAM_ID);
        struct team_rules *team;
        struct id team_id;

        for (end = from + 1; end < rows->n_rows && str_eq(db_get_text(rows, end, TEAM_ID), id);)
            end++;
        if (!id_parse(id, &team_id))
            continue;
        team = make_team(&team_id, rows, from, end);
        if (!team)
            return false;
        map_insert(teams, &team->node, id_str(&team->team_id));
    }
    return true;
}

bool budget_rules_replace(const struct db_result *rows)
{
    struct map fresh, old;

    if (rows->n_rows >= BUDGET_RULES_MOST)
        log_error("budgets: there are more than %d: not all are in force", BUDGET_RULES_MOST);
    if (!map_init(&fresh, 64))
        return false;
    if (!read_all(rows, &fresh)) {
        drop_all(&fresh);
        return false;
    }
    pthread_rwlock_wrlock(&all.lock);
    old = all.teams;
    all.teams = fresh;
    atomic_store(&all.n_teams, fresh.count);
    pthread_rwlock_unlock(&all.lock);
    drop_all(&old);
    return true;
}

bool budget_rules_take(const struct id *team_id, const struct db_result *rows)
{
    struct team_rules *team = NULL;
    struct map_node *found;

    if (rows->n_rows > 0) {
        team = make_team(team_id, rows, 0, rows->n_rows);
        if (!team)
            return false;
    }
    pthread_rwlock_wrlock(&all.lock);
    found = map_find(&all.teams, id_str(team_id));
    if (found)
        drop_team(found, &all.teams);
    if (team)
        map_insert(&all.teams, &team->node, id_str(&team->team_id));
    atomic_store(&all.n_teams, all.teams.count);
    pthread_rwlock_unlock(&all.lock);
    return true;
}

bool budget_rules_are_there(void)
{
    return atomic_load_explicit(&all.n_teams, memory_order_relaxed) > 0;
}

static bool is_of(const struct budget_rule *rule, const struct budget_who *who)
{
    switch (rule->scope) {
    case BUDGET_TEAM:
        return true;
    case BUDGET_USER:
        return str_eq(id_str(&rule->subject_id), id_str(&who->user_id));
    case BUDGET_KEY:
        return str_eq(id_str(&rule->subject_id), id_str(&who->key_id));
    case BUDGET_AGENT:
        return str_eq(id_str(&rule->subject_id), id_str(&who->agent_id));
    case BUDGET_OWNER:
    case N_BUDGET_SCOPES:
        break;
    }
    return false;
}

size_t budget_rules_find(const struct budget_who *who, struct budget_rule *out)
{
    struct map_node *found;
    size_t n = 0;

    pthread_rwlock_rdlock(&all.lock);
    found = map_find(&all.teams, id_str(&who->team_id));
    if (found) {
        const struct team_rules *team = container_of(found, struct team_rules, node);

        for (size_t i = 0; i < team->n && n < BUDGET_RULES_APPLY; i++)
            if (is_of(&team->rules[i], who))
                out[n++] = team->rules[i];
    }
    pthread_rwlock_unlock(&all.lock);
    return n;
}

bool budget_rules_open(void)
{
    if (!map_init(&all.teams, 64))
        return false;
    if (pthread_rwlock_init(&all.lock, NULL) == 0)
        return true;
    map_deinit(&all.teams);
    return false;
}

void budget_rules_close(void)
{
    drop_all(&all.teams);
    atomic_store(&all.n_teams, 0);
    pthread_rwlock_destroy(&all.lock);
}
