/* Accounts: what is leased, what is held. See budget_account.h. */
#include "budget_account.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "config/config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_SHARDS      16
#define SHARD_ENTRIES 16384
/* A portion is so much of a limit, or what is needed. */
#define PORTIONS 64
/* Where the database had no more, it is not asked again at once. */
#define DRY_MS    200
#define SECOND_US 1000000
#define KEY_LEN   (ID_LEN + 2 + 20)

struct budget_account {
    struct map_node node;
    struct list link; /* in the shard's idle, while no turn has it */
    char key[KEY_LEN];
    struct id subject_id, lease_id;
    enum budget_scope scope;
    enum budget_period period;
    int64_t period_us; /* when it began */
    unsigned n_claims;
    struct budget_amount lease, held; /* of the lease, by turns */
    int64_t tokens_there;             /* spoken for in the database, this lease included */
    uint64_t lease_until_ms, idle_since_ms;
    uint64_t dry_until_ms;          /* the database had no more, */
    struct budget_amount dry_limit; /* of this limit, */
    struct budget_amount dry_least; /* for who needs no less than this; 0: of that unit it had */
    bool has_lease;                 /* and so a row to count in */
};

static struct shard {
    pthread_mutex_t lock;
    struct map map;
    struct list idle; /* longest quiet first */
} shards[N_SHARDS];

static struct shard *shard_of(const struct id *team_id)
{
    return &shards[map_hash(id_str(team_id)) >> 60];
}

static uint64_t lease_ms(void)
{
    return config()->budgets.lease_seconds * 1000;
}

/* ---- under the shard's lock ---- */

/* Subjects of different teams have different ids. */
static void make_key(const struct budget_rule *rule, int64_t period_us, char key[KEY_LEN])
{
    char text[KEY_LEN + 1];

    snprintf(text, sizeof(text), "%s%c%c%020lld", rule->subject_id.text, 'a' + (int)rule->scope,
             'a' + (int)rule->period, (long long)period_us);
    memcpy(key, text, KEY_LEN);
}

static struct budget_account *find_account(struct shard *s, const struct budget_rule *rule,
                                           int64_t now_us)
{
    int64_t period_us = budget_period_start(rule->period, now_us);
    struct budget_account *a;
    struct map_node *found;
    char key[KEY_LEN];

    make_key(rule, period_us, key);
    found = map_find(&s->map, (struct str){key, KEY_LEN});
    if (found)
        return container_of(found, struct budget_account, node);
    a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    memcpy(a->key, key, KEY_LEN);
    a->subject_id = rule->subject_id;
    a->lease_id = id_v4();
    a->scope = rule->scope;
    a->period = rule->period;
    a->period_us = period_us;
    map_insert(&s->map, &a->node, (struct str){a->key, KEY_LEN});
    return a;
}

static void leave_account(struct shard *s, struct budget_account *a)
{
    if (--a->n_claims > 0)
        return;
    a->idle_since_ms = clock_mono_ms();
    list_push(&s->idle, &a->link);
}

/* What was not renewed in time may be another's by now. */
static void check_lease(struct budget_account *a, uint64_t now_ms)
{
    if (now_ms >= a->lease_until_ms)
        a->lease = (struct budget_amount){{0}};
}

static int64_t free_of(const struct budget_part *p, size_t unit)
{
    if (p->limit.of[unit] == BUDGET_NO_LIMIT)
        return BUDGET_NO_LIMIT;
    return p->account->lease.of[unit] - p->account->held.of[unit];
}

static struct budget_amount amount_of(const struct budget_claim *c, int64_t prompt_tokens,
                                      int64_t reply_tokens)
{
    return (struct budget_amount){
        {1, prompt_tokens + reply_tokens, price_cost(&c->price, prompt_tokens, reply_tokens)}};
}

/* What a reply of so many tokens more takes. */
static struct budget_amount growth_of(const struct budget_claim *c, int64_t more)
{
    int64_t money = price_cost(&c->price, c->prompt_tokens, c->reply_tokens + more) - c->money;

    return (struct budget_amount){{0, more, money > 0 ? money : 0}};
}

/* The first unit of which too little is free, or N_BUDGET_UNITS. */
static enum budget_unit short_unit(const struct budget_part *p, const struct budget_amount *amount)
{
    enum budget_unit unit = BUDGET_REQUESTS;

    while (unit < N_BUDGET_UNITS && amount->of[unit] <= free_of(p, unit))
        unit++;
    return unit;
}

static void hold(struct budget_claim *c, const struct budget_amount *amount)
{
    c->money += amount->of[BUDGET_MONEY];
    for (size_t i = 0; i < c->n_parts; i++)
        for (size_t unit = 0; unit < N_BUDGET_UNITS; unit++) {
            c->parts[i].held.of[unit] += amount->of[unit];
            c->parts[i].account->held.of[unit] += amount->of[unit];
        }
}

/* whole: what must fit where a reply is not cut; NULL: it grows, and does there unasked. */
static bool fits(struct budget_claim *c, const struct budget_amount *amount,
                 const struct budget_amount *whole, struct budget_part **short_part,
                 enum budget_unit *unit)
{
    uint64_t now_ms = clock_mono_ms();

    for (size_t i = 0; i < c->n_parts; i++) {
        struct budget_part *p = &c->parts[i];

        check_lease(p->account, now_ms);
        if (!whole && p->is_whole)
            continue;
        *unit = whole && !p->account->has_lease ? BUDGET_REQUESTS
                                                : short_unit(p, p->is_whole ? whole : amount);
        if (*unit < N_BUDGET_UNITS) {
            *short_part = p;
            return false;
        }
    }
    return true;
}

/* The most tokens between least and most with which all fits: what fits, fits with fewer as well.
 */
static int64_t most_that_fit(struct budget_claim *c, int64_t prompt_tokens, int64_t least,
                             int64_t most, bool is_growth, struct budget_part **short_part,
                             enum budget_unit *unit)
{
    struct budget_amount whole = amount_of(c, prompt_tokens, most);
    int64_t good = -1, low = least, high = most;
    struct budget_part *p;
    enum budget_unit u;

    while (low <= high) {
        int64_t middle = good < 0 && high == most ? high : low + (high - low) / 2;
        struct budget_amount amount =
            is_growth ? growth_of(c, middle) : amount_of(c, prompt_tokens, middle);

        if (fits(c, &amount, is_growth ? NULL : &whole, &p, &u)) {
            good = middle;
            low = middle + 1;
        } else {
            *short_part = p;
            *unit = u;
            high = middle - 1;
        }
    }
    return good;
}

static void drop(struct budget_claim *c)
{
    for (size_t i = 0; i < c->n_parts; i++) {
        struct budget_part *p = &c->parts[i];

        for (size_t unit = 0; unit < N_BUDGET_UNITS; unit++)
            p->account->held.of[unit] -= p->held.of[unit];
        p->held = (struct budget_amount){{0}};
    }
    c->is_held = false;
    c->reply_tokens = c->money = 0;
}

/* ---- a turn's ---- */

static bool add_part(struct shard *s, struct budget_claim *c, const struct budget_rule *rule,
                     int64_t now_us)
{
    struct budget_account *a = find_account(s, rule, now_us);

    if (!a)
        return false;
    if (a->n_claims++ == 0)
        list_remove(&a->link);
    c->parts[c->n_parts++] = (struct budget_part){
        .account = a, .limit = rule->limit, .is_whole = rule->scope == BUDGET_OWNER};
    return true;
}

struct error budget_claim_open(struct budget_claim *c, const struct budget_who *who)
{
    int64_t tokens_per_day = (int64_t)config()->limits.tokens_per_day, now_us = clock_wall_us();
    struct budget_rule rules[BUDGET_PARTS];
    size_t n = budget_rules_are_there() ? budget_rules_find(who, rules) : 0;
    struct error err = NO_ERROR;
    struct shard *s;

    *c = (struct budget_claim){.team_id = who->team_id};
    if (tokens_per_day > 0 && who->owner_id.text[0] != '\0')
        rules[n++] =
            (struct budget_rule){.scope = BUDGET_OWNER,
                                 .period = BUDGET_DAY,
                                 .subject_id = who->owner_id,
                                 .limit = {{BUDGET_NO_LIMIT, tokens_per_day, BUDGET_NO_LIMIT}}};
    if (n == 0)
        return NO_ERROR;
    s = shard_of(&c->team_id);
    pthread_mutex_lock(&s->lock);
    if (s->map.count + n > SHARD_ENTRIES)
        err = ERROR(ERR_BUSY, 1, "too many budgets are in use at once");
    for (size_t i = 0; i < n && !is_error(err); i++)
        if (!add_part(s, c, &rules[i], now_us))
            err = ERROR(ERR_NO_MEMORY, 0, NULL);
    pthread_mutex_unlock(&s->lock);
    if (is_error(err))
        budget_claim_close(c);
    return err;
}

void budget_claim_close(struct budget_claim *c)
{
    struct shard *s = shard_of(&c->team_id);

    pthread_mutex_lock(&s->lock);
    drop(c);
    for (size_t i = 0; i < c->n_parts; i++)
        leave_account(s, c->parts[i].account);
    c->n_parts = 0;
    pthread_mutex_unlock(&s->lock);
}

bool budget_claim_has_money(const struct budget_claim *c)
{
    for (size_t i = 0; i < c->n_parts; i++)
        if (c->parts[i].limit.of[BUDGET_MONEY] != BUDGET_NO_LIMIT)
            return true;
    return false;
}

bool budget_claim_hold(struct budget_claim *c, int64_t prompt_tokens, int64_t least,
                       int64_t reply_tokens, struct budget_part **short_part,
                       enum budget_unit *unit)
{
    struct shard *s = shard_of(&c->team_id);
    int64_t most;

    pthread_mutex_lock(&s->lock);
    most = most_that_fit(c, prompt_tokens, least, reply_tokens, false, short_part, unit);
    if (most >= 0) {
        struct budget_amount amount = amount_of(c, prompt_tokens, most);

        hold(c, &amount);
        c->is_held = true;
        c->prompt_tokens = prompt_tokens;
        c->reply_tokens = most;
    }
    pthread_mutex_unlock(&s->lock);
    return most >= 0;
}

bool budget_claim_grow(struct budget_claim *c, int64_t needed, int64_t wanted,
                       struct budget_part **short_part, enum budget_unit *unit)
{
    struct shard *s = shard_of(&c->team_id);
    int64_t most;

    pthread_mutex_lock(&s->lock);
    most = most_that_fit(c, 0, needed, wanted, true, short_part, unit);
    if (most >= 0) {
        struct budget_amount amount = growth_of(c, most);

        hold(c, &amount);
        c->reply_tokens += most;
    }
    pthread_mutex_unlock(&s->lock);
    return most >= 0;
}

void budget_claim_drop(struct budget_claim *c)
{
    struct shard *s = shard_of(&c->team_id);

    pthread_mutex_lock(&s->lock);
    drop(c);
    pthread_mutex_unlock(&s->lock);
}

/* ---- leasing ---- */

static bool is_dry(const struct budget_part *p, const struct budget_lease *row, uint64_t now_ms)
{
    const struct budget_account *a = p->account;

    if (now_ms >= a->dry_until_ms || memcmp(&a->dry_limit, &p->limit, sizeof(p->limit)) != 0)
        return false;
    for (size_t unit = 0; unit < N_BUDGET_UNITS; unit++)
        if (a->dry_least.of[unit] > 0 && row->amount.of[unit] > 0 &&
            row->least.of[unit] >= a->dry_least.of[unit])
            return true;
    return false;
}

/* Under the lock. False: of this part, nothing is missing. */
static bool want(const struct budget_part *p, const struct budget_amount *least,
                 const struct budget_amount *amount, struct budget_lease *out)
{
    bool wants = !p->account->has_lease;

    *out = (struct budget_lease){.part = 0};
    for (size_t unit = 0; unit < N_BUDGET_UNITS; unit++) {
        int64_t is_free = free_of(p, unit), portion = p->limit.of[unit] / PORTIONS;

        if (amount->of[unit] <= is_free)
            continue;
        out->least.of[unit] = least->of[unit] - is_free;
        out->amount.of[unit] = amount->of[unit] - is_free;
        if (out->amount.of[unit] < portion)
            out->amount.of[unit] = portion;
        wants = true;
    }
    return wants;
}

static size_t missing(struct budget_claim *c, const struct budget_amount *least,
                      const struct budget_amount *amount, bool is_growth,
                      struct budget_lease rows[BUDGET_PARTS])
{
    uint64_t now_ms = clock_mono_ms();
    struct shard *s = shard_of(&c->team_id);
    bool is_vain = false;
    size_t n = 0;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < c->n_parts; i++) {
        const struct budget_part *p = &c->parts[i];

        check_lease(p->account, now_ms);
        if ((is_growth && p->is_whole) || !want(p, p->is_whole ? amount : least, amount, &rows[n]))
            continue;
        rows[n].part = i;
        is_vain |= is_dry(p, &rows[n++], now_ms);
    }
    pthread_mutex_unlock(&s->lock);
    return is_vain ? 0 : n;
}

size_t budget_claim_missing(struct budget_claim *c, int64_t prompt_tokens, int64_t least,
                            int64_t reply_tokens, struct budget_lease rows[BUDGET_PARTS])
{
    struct budget_amount amount = amount_of(c, prompt_tokens, reply_tokens);
    struct budget_amount useful = amount_of(c, prompt_tokens, least);

    return missing(c, &useful, &amount, false, rows);
}

size_t budget_claim_missing_more(struct budget_claim *c, int64_t needed, int64_t wanted,
                                 struct budget_lease rows[BUDGET_PARTS])
{
    struct budget_amount amount = growth_of(c, wanted), useful = growth_of(c, needed);

    return missing(c, &useful, &amount, true, rows);
}

void budget_claim_take(struct budget_claim *c, const struct budget_lease *asked,
                       const struct budget_lease *got, size_t n, uint64_t asked_ms)
{
    struct shard *s = shard_of(&c->team_id);
    uint64_t now_ms = clock_mono_ms();

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < n; i++) {
        struct budget_account *a = c->parts[got[i].part].account;

        check_lease(a, now_ms);
        if (a->lease_until_ms < asked_ms + lease_ms())
            a->lease_until_ms = asked_ms + lease_ms();
        a->has_lease = true;
        a->tokens_there = got[i].tokens_there + got[i].amount.of[BUDGET_TOKENS];
        for (size_t unit = 0; unit < N_BUDGET_UNITS; unit++) {
            a->lease.of[unit] += got[i].amount.of[unit];
            if (got[i].amount.of[unit] >= asked[i].amount.of[unit])
                continue;
            if (now_ms >= a->dry_until_ms)
                a->dry_least = (struct budget_amount){{0}};
            a->dry_until_ms = now_ms + DRY_MS;
            a->dry_limit = c->parts[got[i].part].limit;
            a->dry_least.of[unit] = got[i].amount.of[unit] > 0 ? 1 : asked[i].least.of[unit];
        }
    }
    pthread_mutex_unlock(&s->lock);
}

void budget_part_write(const struct budget_part *part, struct json *j)
{
    const struct budget_account *a = part->account;

    json_pair_str(j, "scope", budget_scope_names[a->scope]);
    json_pair_str(j, "subject", id_str(&a->subject_id));
    json_pair_str(j, "period", budget_period_names[a->period]);
    json_pair_int(j, "start", a->period_us / SECOND_US);
    json_pair_str(j, "lease", id_str(&a->lease_id));
}

bool budget_claim_tokens_left(struct budget_claim *c, int64_t *limit, int64_t *left)
{
    struct shard *s = shard_of(&c->team_id);
    const struct budget_part *p = NULL;

    for (size_t i = 0; i < c->n_parts; i++)
        if (c->parts[i].is_whole)
            p = &c->parts[i];
    if (!p)
        return false;
    pthread_mutex_lock(&s->lock);
    *limit = p->limit.of[BUDGET_TOKENS];
    *left = *limit - p->account->tokens_there + free_of(p, BUDGET_TOKENS);
    pthread_mutex_unlock(&s->lock);
    if (*left < 0)
        *left = 0;
    return true;
}

/* ---- settling ---- */

static void write_row(const struct budget_part *p, const struct budget_amount *cost,
                      const struct budget_amount *freed, struct json *j)
{
    json_begin_object(j);
    json_pair_int(j, "n", 0);
    budget_part_write(p, j);
    json_pair_int(j, "requests", cost->of[BUDGET_REQUESTS]);
    json_pair_int(j, "tokens", cost->of[BUDGET_TOKENS]);
    json_pair_int(j, "micros", cost->of[BUDGET_MONEY]);
    json_pair_int(j, "freed_requests", freed->of[BUDGET_REQUESTS]);
    json_pair_int(j, "freed_tokens", freed->of[BUDGET_TOKENS]);
    json_pair_int(j, "freed_micros", freed->of[BUDGET_MONEY]);
    json_pair_bool(j, "was_cut", p->was_cut);
    json_end_object(j);
}

void budget_claim_settle(struct budget_claim *c, const struct budget_amount *cost, struct json *j)
{
    struct shard *s = shard_of(&c->team_id);

    pthread_mutex_lock(&s->lock);
    drop(c);
    for (size_t i = 0; i < c->n_parts; i++) {
        struct budget_account *a = c->parts[i].account;
        struct budget_amount freed = {{0}};

        for (size_t unit = 0; unit < N_BUDGET_UNITS; unit++) {
            freed.of[unit] =
                cost->of[unit] < a->lease.of[unit] ? cost->of[unit] : a->lease.of[unit];
            a->lease.of[unit] -= freed.of[unit];
        }
        a->tokens_there += cost->of[BUDGET_TOKENS] - freed.of[BUDGET_TOKENS];
        write_row(&c->parts[i], cost, &freed, j);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- words ---- */

/* By scope, unit and period: made once. */
static char sentences[N_BUDGET_SCOPES][N_BUDGET_UNITS][N_BUDGET_PERIODS][160];

static void make_sentences(void)
{
    static const char *const whose[] = {"The team's budget", "Your budget", "This API key's budget",
                                        "This agent's budget", "Your budget"};
    static const char *const until[] = {"today is spent; it renews at midnight UTC",
                                        "this month is spent; it renews on the first, UTC"};

    for (size_t scope = 0; scope < N_BUDGET_SCOPES; scope++)
        for (size_t unit = 0; unit < N_BUDGET_UNITS; unit++)
            for (size_t period = 0; period < N_BUDGET_PERIODS; period++)
                snprintf(sentences[scope][unit][period], sizeof(sentences[0][0][0]),
                         "%s of %.*s for %s", whose[scope], STR_ARG(budget_unit_names[unit]),
                         until[period]);
    snprintf(sentences[BUDGET_OWNER][BUDGET_TOKENS][BUDGET_DAY], sizeof(sentences[0][0][0]),
             "Your tokens for today are used up; there are new ones after midnight UTC");
}

const char *budget_part_sentence(const struct budget_part *part, enum budget_unit unit)
{
    return sentences[part->account->scope][unit][part->account->period];
}

int budget_part_wait_s(const struct budget_part *part)
{
    const struct budget_account *a = part->account;
    int64_t wait_us = budget_period_end(a->period, a->period_us) - clock_wall_us();

    return wait_us > 0 ? (int)((wait_us + SECOND_US - 1) / SECOND_US) : 1;
}

/* ---- the chore's ---- */

size_t budget_accounts_return(struct buf *out, uint64_t idle_ms, size_t most, size_t *n_left)
{
    uint64_t now_ms = clock_mono_ms();
    struct json j = {.buf = out};
    size_t n = 0;

    *n_left = 0;
    json_begin_array(&j);
    for (size_t i = 0; i < N_SHARDS; i++) {
        struct shard *s = &shards[i];

        pthread_mutex_lock(&s->lock);
        while (!list_is_empty(&s->idle) && n < most) {
            struct budget_account *a = container_of(s->idle.next, struct budget_account, link);

            if (now_ms < a->idle_since_ms + idle_ms)
                break;
            list_remove(&a->link);
            map_remove(&s->map, &a->node);
            if (a->has_lease) {
                json_str(&j, id_str(&a->lease_id));
                n++;
            }
            free(a);
        }
        *n_left += s->map.count;
        pthread_mutex_unlock(&s->lock);
    }
    json_end_array(&j);
    return n;
}

static void renew(struct map_node *node, void *state)
{
    struct budget_account *a = container_of(node, struct budget_account, node);
    uint64_t began_ms = *(const uint64_t *)state;

    check_lease(a, began_ms);
    if (a->lease_until_ms > began_ms && a->lease_until_ms < began_ms + lease_ms())
        a->lease_until_ms = began_ms + lease_ms();
}

void budget_accounts_renew(uint64_t began_ms)
{
    for (size_t i = 0; i < N_SHARDS; i++) {
        pthread_mutex_lock(&shards[i].lock);
        map_each(&shards[i].map, renew, &began_ms);
        pthread_mutex_unlock(&shards[i].lock);
    }
}

size_t budget_accounts_count(void)
{
    size_t n = 0;

    for (size_t i = 0; i < N_SHARDS; i++) {
        pthread_mutex_lock(&shards[i].lock);
        n += shards[i].map.count;
        pthread_mutex_unlock(&shards[i].lock);
    }
    return n;
}

bool budget_accounts_open(void)
{
    make_sentences();
    for (size_t i = 0; i < N_SHARDS; i++) {
        list_init(&shards[i].idle);
        if (!map_init(&shards[i].map, 64)) {
            while (i-- > 0) {
                map_deinit(&shards[i].map);
                pthread_mutex_destroy(&shards[i].lock);
            }
            return false;
        }
        pthread_mutex_init(&shards[i].lock, NULL);
    }
    return true;
}

static void drop_account(struct map_node *node, void *state)
{
    map_remove(state, node);
    free(container_of(node, struct budget_account, node));
}

void budget_accounts_close(void)
{
    for (size_t i = 0; i < N_SHARDS; i++) {
        map_each(&shards[i].map, drop_account, &shards[i].map);
        map_deinit(&shards[i].map);
        pthread_mutex_destroy(&shards[i].lock);
    }
}
