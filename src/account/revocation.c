/* The set of what is revoked, in memory: a lock that readers share, a map from kind and id to the
 * moment. */
#include "account/revocation.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "config/config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define US_PER_SECOND 1000000
/* Beyond the life of a token: clocks differ, and other processes see a row a little later. */
#define SLACK_SECONDS 60

#define KEY_LEN (1 + ID_LEN)

struct entry {
    struct map_node node;
    char key[KEY_LEN]; /* the kind, the id */
    int64_t before_us, expires_us;
};

/* Written under the lock only. */
static struct {
    pthread_rwlock_t lock;
    struct map map;
    bool is_open;
} set;

static const struct str names[N_REVOKED] = {
    [REVOKED_TOKEN] = STR("token"), [REVOKED_FAMILY] = STR("family"), [REVOKED_USER] = STR("user"),
    [REVOKED_TEAM] = STR("team"),   [REVOKED_ERASED] = STR("erased"),
};

static void (*tell_erased)(const struct id *owner_id);

void revocation_on_erased(void (*on_erased)(const struct id *owner_id))
{
    tell_erased = on_erased;
}

struct str revoked_kind_name(enum revoked_kind kind)
{
    return names[kind];
}

static bool make_key(enum revoked_kind kind, struct str subject, char key[KEY_LEN])
{
    if (subject.len != ID_LEN)
        return false;
    key[0] = (char)('0' + kind);
    memcpy(key + 1, subject.ptr, ID_LEN);
    return true;
}

bool revocation_add(enum revoked_kind kind, struct str subject, int64_t before_us,
                    int64_t expires_us)
{
    struct entry *fresh = calloc(1, sizeof(*fresh));
    struct map_node *found;

    if (!fresh || !make_key(kind, subject, fresh->key)) {
        free(fresh);
        return false;
    }
    pthread_rwlock_wrlock(&set.lock);
    found = map_find(&set.map, (struct str){fresh->key, KEY_LEN});
    if (found) {
        struct entry *e = container_of(found, struct entry, node);

        if (before_us > e->before_us)
            e->before_us = before_us;
        if (expires_us > e->expires_us)
            e->expires_us = expires_us;
    } else {
        fresh->before_us = before_us;
        fresh->expires_us = expires_us;
        map_insert(&set.map, &fresh->node, (struct str){fresh->key, KEY_LEN});
        fresh = NULL;
    }
    pthread_rwlock_unlock(&set.lock);
    free(fresh);
    return true;
}

void revocation_until_now(struct db_query *q, struct flow *f, struct arena *arena,
                          enum revoked_kind kind, const struct id *team_id,
                          const struct id *subject)
{
    int64_t now_us = clock_wall_us(), expires_us = revocation_expiry(now_us);

    if (!revocation_add(kind, id_str(subject), now_us, expires_us)) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    db_query(q, f, arena, SQL_REVOKED_ADD,
             DB_ARGS(db_uuid(id_str(team_id)), db_text(revoked_kind_name(kind)),
                     db_uuid(id_str(subject)), db_time(now_us), db_time(expires_us)));
}

/* Under the lock. */
static bool has(enum revoked_kind kind, struct str subject, int64_t issued_us)
{
    char key[KEY_LEN];
    struct map_node *found;

    if (!make_key(kind, subject, key))
        return false;
    found = map_find(&set.map, (struct str){key, KEY_LEN});
    return found && issued_us < container_of(found, struct entry, node)->before_us;
}

bool revocation_has(enum revoked_kind kind, struct str subject, int64_t issued_us)
{
    bool is_revoked;

    pthread_rwlock_rdlock(&set.lock);
    is_revoked = has(kind, subject, issued_us);
    pthread_rwlock_unlock(&set.lock);
    return is_revoked;
}

bool revocation_refuses(const struct caller *who)
{
    bool is_revoked = false;

    pthread_rwlock_rdlock(&set.lock);
    if (set.map.count > 0)
        is_revoked = has(REVOKED_TOKEN, id_str(&who->token_id), who->issued_at_us) ||
                     has(REVOKED_FAMILY, id_str(&who->family), who->issued_at_us) ||
                     has(REVOKED_USER, id_str(&who->user_id), who->issued_at_us) ||
                     has(REVOKED_TEAM, id_str(&who->team_id), who->issued_at_us);
    pthread_rwlock_unlock(&set.lock);
    return is_revoked;
}

int64_t revocation_expiry(int64_t now_us)
{
    return now_us + ((int64_t)config()->security.access_seconds + SLACK_SECONDS) * US_PER_SECOND;
}

size_t revocation_count(void)
{
    size_t count;

    pthread_rwlock_rdlock(&set.lock);
    count = set.map.count;
    pthread_rwlock_unlock(&set.lock);
    return count;
}

static void drop_if_expired(struct map_node *node, void *state)
{
    struct entry *e = container_of(node, struct entry, node);
    const int64_t *now_us = state;

    if (e->expires_us > *now_us)
        return;
    map_remove(&set.map, node);
    free(e);
}

void revocation_drop_expired(int64_t now_us)
{
    pthread_rwlock_wrlock(&set.lock);
    map_each(&set.map, drop_if_expired, &now_us);
    pthread_rwlock_unlock(&set.lock);
}

struct error revocation_open(void)
{
    if (!map_init(&set.map, 64))
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    if (pthread_rwlock_init(&set.lock, NULL) != 0) {
        map_deinit(&set.map);
        return ERROR(ERR_INTERNAL, 0, "no lock for the revoked tokens");
    }
    set.is_open = true;
    return NO_ERROR;
}

void revocation_close(void)
{
    int64_t end = INT64_MAX;

    if (!set.is_open)
        return;
    map_each(&set.map, drop_if_expired, &end);
    map_deinit(&set.map);
    pthread_rwlock_destroy(&set.lock);
    set.is_open = false;
}

static bool kind_from(struct str name, enum revoked_kind *out)
{
    for (int k = 0; k < N_REVOKED; k++)
        if (str_eq(names[k], name)) {
            *out = (enum revoked_kind)k;
            return true;
        }
    return false;
}

static bool add_row(const struct db_result *rows, size_t i, enum revoked_kind kind)
{
    struct str subject = db_get_text(rows, i, 2);
    int64_t before_us = db_get_int(rows, i, 3);
    bool is_news = kind == REVOKED_ERASED && !revocation_has(kind, subject, before_us - 1);
    struct id owner_id;

    if (!revocation_add(kind, subject, before_us, db_get_int(rows, i, 4)))
        return false;
    if (is_news && tell_erased && id_parse(subject, &owner_id))
        tell_erased(&owner_id);
    return true;
}

bool revocation_add_rows(const struct db_result *rows, int64_t *pos)
{
    for (size_t i = 0; i < rows->n_rows; i++) {
        struct str subject = db_get_text(rows, i, 2);
        enum revoked_kind kind;

        if (!kind_from(db_get_text(rows, i, 1), &kind) || subject.len != ID_LEN)
            log_warn("account: a row of revoked_tokens has an unknown kind");
        else if (!add_row(rows, i, kind))
            return false;
        *pos = db_get_int(rows, i, 0);
    }
    return true;
}
