/* Lets API keys in where people may go. */
#include "team_door.h"

#include "api/auth.h"
#include "key_auth.h"

/* In the request's arena. */
struct door {
    struct subflow sub;
    struct request *req;
    const char *scope;
    struct key_auth auth;
};

static void check_key(struct flow *f)
{
    struct door *d = f->state;

    key_auth_start(&d->auth, f, d->req, api_key_sent(d->req), d->scope);
}

static void let_in(struct flow *f)
{
    struct door *d = f->state;
    struct caller *who = arena_alloc(&d->req->arena, sizeof(*who));

    if (!who) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    *who = (struct caller){.team_id = d->auth.caller.team_id, .is_admin = true};
    d->req->caller = who;
}

static const struct step door_steps[] = {STEP(check_key), STEP(let_in), STEP_END};

static void open_door(struct flow *f, const char *scope)
{
    struct request *req = request_of(f);
    struct door *d;

    if (req->caller)
        return;
    d = arena_alloc(&req->arena, sizeof(*d));
    if (!d) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    *d = (struct door){.req = req, .scope = scope};
    flow_call(f, &d->sub, door_steps, d);
}

void team_door_admin_read(struct flow *f)
{
    open_door(f, "admin:read");
}

void team_door_documents(struct flow *f)
{
    open_door(f, "documents");
}
