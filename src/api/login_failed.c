/* Failed logins of admins, for the audit trail. */
#include "login_failed.h"

#include "account/audit.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

struct failed {
    struct flow flow;
    struct db_query query;
    struct arena arena;
    struct audit audit;
};

static void write_row(struct flow *f)
{
    struct failed *l = f->state;
    const struct db_call call = audit_call(&l->audit, &l->arena);

    db_batch(&l->query, f, &l->arena, &call, 1);
}

static const struct step steps[] = {STEP(write_row), STEP_END};

static void on_end(struct flow *f)
{
    struct failed *l = f->state;

    if (is_error(f->err) && f->err.status != ERR_CANCELED)
        log_warn("api: a failed login is not in the audit trail: %s",
                 status_row(f->err.status)->name);
    arena_free(&l->arena);
    free(l);
}

void login_failed_note(const struct id *team_id, const struct id *user_id, struct str address)
{
    struct failed *l = calloc(1, sizeof(*l));

    if (!l) {
        log_warn("api: a failed login is not in the audit trail: no memory");
        return;
    }
    l->audit = (struct audit){.action = "user.login_failed",
                              .team_id = *team_id,
                              .subject_id = *user_id,
                              .actor = AUDIT_ANYONE,
                              .address = arena_copy(&l->arena, address),
                              .now_us = clock_wall_us()};
    flow_start(&l->flow, steps, l, on_end);
}
