/* API keys at the door: found by prefix, compared in constant time; each use is noted, once a
 * minute. */
#include "key_auth.h"

#include "account/api_key.h"
#include "account/rate.h"
#include "account/revocation.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "caller_origin.h"
#include "config/config.h"
#include "signature.h"

#include <stdlib.h>

#define MINUTE_MS  60000
#define GOOD_MS    (10 * MINUTE_MS)
#define MINUTE_US  (60 * INT64_C(1000000))
#define MAX_DEPTH  8
#define NO_KEY     "No API key was sent: it belongs into Authorization: Bearer, or X-API-Key"
#define FLOODED    "Too many wrong API keys came from this address; wait a moment"
#define WRONG_KEY  "The API key is not valid, has expired or was revoked"
#define AGENT_OFF  "The agent of this API key is switched off"
#define NEEDS_MORE "The API key does not have the scope that this call needs"
#define OTHER_PAGE "This page's origin is not in the allowed_origins of the API key"

/* ---- the last use ---- */

/* A flow of its own, which no request waits for. */
struct key_use {
    struct flow flow;
    struct db_query query;
    struct arena arena;
    struct id team_id, key_id;
};

static void write_use(struct flow *f)
{
    struct key_use *u = f->state;

    db_query(&u->query, f, &u->arena, SQL_KEY_USED,
             DB_ARGS(db_uuid(id_str(&u->team_id)), db_uuid(id_str(&u->key_id)),
                     db_time(clock_wall_us())));
}

static const struct step use_steps[] = {STEP(write_use), STEP_END};

static void on_use_end(struct flow *f)
{
    struct key_use *u = f->state;

    if (is_error(f->err) && f->err.status != ERR_CANCELED)
        log_warn("api: the last use of an API key is not noted: %s",
                 status_row(f->err.status)->name);
    arena_free(&u->arena);
    free(u);
}

/* The row tells of other processes' notes, the rate of those that are under way. */
static void note_use(const struct key_caller *caller)
{
    bool is_fresh = !db_is_null(caller->row, 0, BY_KEY_LAST_USED_AT) &&
                    clock_wall_us() - db_get_int(caller->row, 0, BY_KEY_LAST_USED_AT) < MINUTE_US;
    struct key_use *u;

    if (is_fresh || rate_take(RATE_KEY_USE, id_str(&caller->key_id), 1, MINUTE_MS) > 0)
        return;
    u = calloc(1, sizeof(*u));
    if (!u)
        return; /* a later use is noted */
    u->team_id = caller->team_id;
    u->key_id = caller->key_id;
    flow_start(&u->flow, use_steps, u, on_use_end);
}

/* ---- the steps ---- */

static uint64_t wrong_keys(void)
{
    return config()->limits.wrong_keys_per_minute;
}

/* Guesses are counted, not calls: a busy server with the right key never waits. */
static void refuse(struct key_auth *a)
{
    (void)!rate_take(RATE_WRONG_KEYS, a->req->address_group, wrong_keys(), MINUTE_MS);
    flow_fail(&a->sub.flow, ERROR(ERR_UNAUTHORIZED, 0, WRONG_KEY));
}

/* Who guesses does not lock out those who share the address and whose keys have been good lately.
 */
static bool was_good(const char *hash)
{
    return rate_wait(RATE_GOOD_KEY, str_from(hash), 1, GOOD_MS) > 0;
}

static void load_key(struct flow *f)
{
    struct key_auth *a = f->state;
    unsigned wait_s = rate_wait(RATE_WRONG_KEYS, a->req->address_group, wrong_keys(), MINUTE_MS);
    struct str prefix;
    struct api_key key;
    bool is_key = a->sent.ptr && api_key_read(a->sent, &key);

    if (wait_s > 0 && !(is_key && was_good(key.hash))) {
        flow_fail(f, ERROR(ERR_RATE_LIMITED, (int)wait_s, FLOODED));
        return;
    }
    if (!a->sent.ptr) {
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, NO_KEY));
        return;
    }
    if (!is_key) {
        refuse(a);
        return;
    }
    a->hash = arena_copy(&a->req->arena, str_from(key.hash));
    prefix = str_from(key.prefix);
    if (a->hash.ptr)
        db_query(&a->query, f, &a->req->arena, SQL_KEY_BY_PREFIX, DB_ARGS(db_text(prefix)));
    else
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
}

static bool is_in_force(const struct key_auth *a)
{
    const struct db_result *row = a->query.result;

    if (row->n_rows == 0 || !crypto_equal(db_get_text(row, 0, BY_KEY_HASH), a->hash))
        return false;
    if (!db_is_null(row, 0, BY_KEY_EXPIRES_AT) &&
        db_get_int(row, 0, BY_KEY_EXPIRES_AT) <= clock_wall_us())
        return false;
    return !db_get_bool(row, 0, BY_KEY_IS_REVOKED) && db_get_bool(row, 0, BY_KEY_TEAM_ACTIVE) &&
           !revocation_has(REVOKED_KEY, db_get_text(row, 0, BY_KEY_ID),
                           db_get_int(row, 0, BY_KEY_CREATED_AT));
}

static void check_key(struct flow *f)
{
    struct key_auth *a = f->state;
    const struct db_result *row = a->query.result;
    struct key_caller *who = &a->caller;
    struct error err = NO_ERROR;

    if (!is_in_force(a) || !id_parse(db_get_text(row, 0, BY_KEY_TEAM_ID), &who->team_id) ||
        !id_parse(db_get_text(row, 0, BY_KEY_AGENT_ID), &who->agent_id) ||
        !id_parse(db_get_text(row, 0, BY_KEY_ID), &who->key_id)) {
        refuse(a);
        return;
    }
    who->row = row;
    (void)!rate_take(RATE_GOOD_KEY, a->hash, 1, GOOD_MS);
    if (!a->scope) {
        note_use(who);
        return;
    }
    if (!db_get_bool(row, 0, BY_KEY_AGENT_ACTIVE))
        err = ERROR(ERR_FORBIDDEN, 0, AGENT_OFF);
    else if (a->req->method == HTTP_POST)
        err = signature_check(a->req, a->sent, db_get_text(row, 0, BY_KEY_AGENT_CONFIG));
    if (is_error(err))
        flow_fail(f, err);
    else
        note_use(who);
}

/* A key that is for pages says for which; servers send no Origin, and pass. */
static void check_page(struct flow *f)
{
    struct key_auth *a = f->state;
    struct str origins = db_get_text(a->caller.row, 0, BY_KEY_ALLOWED_ORIGINS);
    struct str origin = caller_origin(a->req);

    if (!a->scope || !origin.ptr || str_eq(origins, STR("[]")))
        return;
    if (caller_origin_is_in(a->req, origin, origins)) {
        a->req->cors = CORS_WITHOUT_CREDENTIALS;
        return;
    }
    a->req->cors = CORS_REFUSED;
    flow_fail(f, ERROR(ERR_FORBIDDEN, 0, OTHER_PAGE));
}

static void check_scope(struct flow *f)
{
    struct key_auth *a = f->state;
    yyjson_val *root = NULL;
    struct error err;

    if (!a->scope)
        return;
    err = json_read(&a->req->arena, db_get_text(a->caller.row, 0, BY_KEY_SCOPES), MAX_DEPTH, &root);
    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    if (!json_list_has(root, str_from(a->scope)))
        flow_fail(f, ERROR(ERR_FORBIDDEN, 0, NEEDS_MORE));
}

static const struct step key_steps[] = {
    STEP(load_key),    /* 401, 429 */
    STEP(check_key),   /* 401; 403: the agent is switched off */
    STEP(check_page),  /* 403 */
    STEP(check_scope), /* 403 */
    STEP_END,
};

static void prepare(struct key_auth *a, struct request *req, struct str sent, const char *scope)
{
    *a = (struct key_auth){.req = req, .sent = sent, .scope = scope};
}

void key_auth_start(struct key_auth *a, struct flow *f, struct request *req, struct str sent,
                    const char *scope)
{
    prepare(a, req, sent, scope);
    flow_call(f, &a->sub, key_steps, a);
}

void key_auth_try(struct key_auth *a, struct flow *f, struct request *req, struct str sent,
                  const char *scope)
{
    prepare(a, req, sent, scope);
    flow_try(f, &a->sub, key_steps, a);
}
