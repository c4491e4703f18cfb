/* Two ways in for a team's own work. */
#include "team_door.h"

#include "account/api_key.h"
#include "account/caller.h"
#include "api/input.h"

#define NOBODY                                                                                     \
    "An admin's token or an API key with the needed scope belongs into Authorization: Bearer"

/* A token is never mistaken for a key: that has no dots. */
static bool sends_key(const struct request *req)
{
    struct str header = request_header(req, "authorization");
    struct api_key key;

    if (request_header(req, "x-api-key").ptr && !caller_of(req))
        return true;
    return str_starts_with_nocase(header, STR("Bearer ")) &&
           api_key_read(str_trim(str_skip(header, 7)), &key);
}

void team_door_load(struct flow *f)
{
    struct request *req = request_of(f);
    struct team_door *d = req->state;
    const struct caller *who = caller_of(req);

    d->is_by_key = sends_key(req);
    if (d->is_by_key)
        load_key(f);
    else if (!who)
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, NOBODY));
    else if (!who->is_admin)
        flow_fail(f, ERROR(ERR_FORBIDDEN, 0, "Admin privileges required"));
    else
        d->team_id = who->team_id;
}

static void check_scope(struct flow *f, const char *scope)
{
    struct request *req = request_of(f);
    struct team_door *d = req->state;

    if (!d->is_by_key)
        return;
    check_key(f);
    if (!is_error(f->err) && key_needs_scope(req, scope))
        d->team_id = d->key.caller.team_id;
}

void team_door_check_documents(struct flow *f)
{
    check_scope(f, "documents");
}

struct db_arg team_door_arg(const struct request *req)
{
    const struct team_door *d = req->state;

    return db_uuid(id_str(&d->team_id));
}
