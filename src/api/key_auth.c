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
#include "signature.h"

#include <stdlib.h>

#define MINUTE_MS  60000
#define MINUTE_US  (60 * INT64_C(1000000))
#define MAX_DEPTH  8
#define NO_KEY     "No API key was sent: it belongs into Authorization: Bearer, or X-API-Key"
#define WRONG_KEY  "The API key is not valid, has expired or was revoked"
#define AGENT_OFF  "The agent of this API key is switched off"
#define NEEDS_MORE "The API key does not have the scope that this call needs"

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

/* ptr NULL: none. */
static struct str sent_key(const struct request *req)
{
    struct str header = request_header(req, "authorization");

    if (str_starts_with_nocase(header, STR("Bearer ")))
        return str_trim(str_skip(header, 7));
    return request_header(req, "x-api-key");
}

bool key_auth_find(struct flow *f, struct key_auth *a, struct str text)
{
    struct request *req = request_of(f);
    struct api_key key;

    if (!api_key_read(text, &key))
        return false;
    a->text = text;
    a->hash = arena_copy(&req->arena, str_from(key.hash));
    if (a->hash.ptr)
        db_query(&a->query, f, &req->arena, SQL_KEY_BY_PREFIX,
                 DB_ARGS(db_text(str_from(key.prefix))));
    else
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    return true;
}

void load_key(struct flow *f)
{
    struct request *req = request_of(f);
    struct str sent = sent_key(req);

    if (!sent.ptr || !key_auth_find(f, req->state, sent))
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, sent.ptr ? WRONG_KEY : NO_KEY));
}

bool key_auth_is_in_force(const struct key_auth *a)
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

void check_key(struct flow *f)
{
    struct request *req = request_of(f);
    struct key_auth *a = req->state;
    const struct db_result *row = a->query.result;
    struct key_caller *who = &a->caller;
    struct error err = NO_ERROR;

    if (!key_auth_is_in_force(a) || !id_parse(db_get_text(row, 0, BY_KEY_TEAM_ID), &who->team_id) ||
        !id_parse(db_get_text(row, 0, BY_KEY_AGENT_ID), &who->agent_id) ||
        !id_parse(db_get_text(row, 0, BY_KEY_ID), &who->key_id)) {
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, WRONG_KEY));
        return;
    }
    who->scopes = db_get_text(row, 0, BY_KEY_SCOPES);
    who->row = row;
    if (!db_get_bool(row, 0, BY_KEY_AGENT_ACTIVE))
        err = ERROR(ERR_FORBIDDEN, 0, AGENT_OFF);
    else if (req->method == HTTP_POST)
        err = signature_check(req, a->text, db_get_text(row, 0, BY_KEY_AGENT_CONFIG));
    if (is_error(err))
        flow_fail(f, err);
    else
        note_use(who);
}

bool key_needs_scope(struct request *req, const char *scope)
{
    const struct key_auth *a = req->state;
    yyjson_val *root = NULL, *item;
    size_t i, n;
    struct error err = json_read(&req->arena, a->caller.scopes, MAX_DEPTH, &root);

    if (is_error(err)) {
        flow_fail(&req->flow, err);
        return false;
    }
    yyjson_arr_foreach(root, i, n, item)
    {
        if (yyjson_equals_str(item, scope))
            return true;
    }
    flow_fail(&req->flow, ERROR(ERR_FORBIDDEN, 0, NEEDS_MORE));
    return false;
}
