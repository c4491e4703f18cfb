/* API keys at the door: remembered, or found by prefix and compared in constant time; each use is
 * noted, once a minute. */
#include "key_auth.h"

#include "account/rate.h"
#include "api/auth.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "caller_origin.h"
#include "config/config.h"
#include "signature.h"

#include <stdlib.h>

#define MINUTE_MS  60000
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

static void note_use(const struct key_auth *a)
{
    const struct key_caller *caller = &a->caller;
    struct key_use *u;

    if (!key_row_is_use_due(a->row, db_is_null(caller->row, 0, BY_KEY_LAST_USED_AT)
                                        ? INT64_MIN
                                        : db_get_int(caller->row, 0, BY_KEY_LAST_USED_AT)))
        return;
    u = calloc(1, sizeof(*u));
    if (!u)
        return; /* a later use is noted */
    u->team_id = caller->team_id;
    u->key_id = caller->key_id;
    flow_start(&u->flow, use_steps, u, on_use_end);
}

/* ---- the steps ---- */

static struct rate wrong_keys(const struct key_auth *a)
{
    return (struct rate){RATE_WRONG_KEYS, a->req->address_group,
                         config()->limits.wrong_keys_per_minute, MINUTE_MS};
}

/* What is no key, or was one: of no use to who guesses, so that other nodes need not know. */
static void refuse(struct key_auth *a)
{
    const struct rate rate = wrong_keys(a);

    rate_note(&rate);
    flow_fail(&a->sub.flow, ERROR(ERR_UNAUTHORIZED, 0, WRONG_KEY));
}

/* Guesses are counted, not calls: a busy server with the right key never waits. */
static void refuse_guess(struct key_auth *a)
{
    const struct rate rate = wrong_keys(a);
    unsigned wait_s = rate_take(&rate);

    flow_fail(&a->sub.flow, wait_s > 0 ? ERROR(ERR_RATE_LIMITED, (int)wait_s, FLOODED)
                                       : ERROR(ERR_UNAUTHORIZED, 0, WRONG_KEY));
}

/* Who guesses does not lock out those who share the address and whose keys have been good lately.
 * Whether there may be one more guess is asked beside the question for the key. */
static void load_key(struct flow *f)
{
    struct key_auth *a = f->state;
    const struct rate rate = wrong_keys(a);
    struct api_key key;
    bool is_key = a->sent.ptr && api_key_read(a->sent, &key);
    unsigned wait_s;

    if (is_key)
        a->row = key_cache_find(&key, &a->req->arena, &a->look);
    if (a->row)
        return;
    wait_s = rate_wait(&rate);
    if (wait_s > 0 && !a->look.was_good)
        flow_fail(f, ERROR(ERR_RATE_LIMITED, (int)wait_s, FLOODED));
    else if (!a->sent.ptr)
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, NO_KEY));
    else if (!is_key)
        refuse(a);
    else if (!(a->key = arena_alloc(&a->req->arena, sizeof(key))))
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else
        db_query(&a->query, f, &a->req->arena, SQL_KEY_BY_PREFIX,
                 DB_ARGS(db_text(str_from(key.prefix))));
    if (!a->key)
        return;
    *a->key = key;
    if (!a->look.was_good)
        rate_ask(f, &a->req->arena, &rate);
}

static bool is_key_in(const struct key_auth *a, const struct db_result *row)
{
    return row->n_rows > 0 &&
           crypto_equal(db_get_text(row, 0, BY_KEY_HASH), str_from(a->key->hash)) &&
           !db_get_bool(row, 0, BY_KEY_IS_REVOKED) && db_get_bool(row, 0, BY_KEY_TEAM_ACTIVE);
}

/* The row that the database gave, if it is a good one. */
static void take_row(struct flow *f)
{
    struct key_auth *a = f->state;
    const struct db_result *row = a->query.result;
    struct id team_id;

    if (a->row)
        return;
    if (!is_key_in(a, row) || !id_parse(db_get_text(row, 0, BY_KEY_TEAM_ID), &team_id)) {
        key_cache_drop(a->key);
        if (a->look.was_good)
            refuse(a);
        else
            refuse_guess(a);
        return;
    }
    a->row = key_cache_put(a->key, &team_id, row, &a->look, &a->req->arena);
    if (!a->row)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
}

static bool is_expired(const struct db_result *row)
{
    return !db_is_null(row, 0, BY_KEY_EXPIRES_AT) &&
           db_get_int(row, 0, BY_KEY_EXPIRES_AT) <= clock_wall_us();
}

static void check_key(struct flow *f)
{
    struct key_auth *a = f->state;
    const struct db_result *row = key_row_result(a->row);
    struct key_caller *who = &a->caller;

    if (is_expired(row) || !id_parse(db_get_text(row, 0, BY_KEY_TEAM_ID), &who->team_id) ||
        !id_parse(db_get_text(row, 0, BY_KEY_AGENT_ID), &who->agent_id) ||
        !id_parse(db_get_text(row, 0, BY_KEY_ID), &who->key_id)) {
        refuse(a);
        return;
    }
    who->row = row;
    if (a->scope && !db_get_bool(row, 0, BY_KEY_AGENT_ACTIVE))
        flow_fail(f, ERROR(ERR_FORBIDDEN, 0, AGENT_OFF));
}

static void check_signature(struct flow *f)
{
    struct key_auth *a = f->state;

    if (!a->scope || a->req->method != HTTP_POST ||
        signature_check(f, a->req, a->sent, db_get_text(a->caller.row, 0, BY_KEY_AGENT_CONFIG)))
        note_use(a);
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
    STEP(take_row),    /* 401 */
    STEP(check_key),   /* 401; 403: the agent is switched off */
    STEP(check_signature), /* 401 */
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

void key_auth_forget(struct flow *f)
{
    const struct caller *who = request_of(f)->caller;

    if (who)
        key_cache_forget_team(&who->team_id);
}
