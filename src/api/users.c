/* A team's users, as its admins see and change them. */
#include "users.h"

#include "account/revocation.h"
#include "answer.h"
#include "base/clock.h"
#include "doc.h"
#include "team_door.h"
#include "user_json.h"

#include <stddef.h>

#define NO_USER    "User not found"
#define LAST_ADMIN "The last active admin of a team must stay one"

#define NAME_MAX_CHARS 200
#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))

/* ---- list ---- */

static void read_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct users *s = req->state;

    (void)!input_page(req, &s->limit, &s->offset);
}

static void load_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct users *s = req->state;

    db_query(&s->query, f, &req->arena, SQL_USER_LIST,
             DB_ARGS(team_arg(req), db_int(s->limit), db_int(s->offset)));
    db_query(&s->count, f, &req->arena, SQL_USER_COUNT, DB_ARGS(team_arg(req)));
}

static void answer_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct users *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    answer_set_total(req, db_get_int(s->count.result, 0, 0));
    json_begin_array(&j);
    for (size_t row = 0; row < s->query.result->n_rows; row++)
        user_write(&j, s->query.result, row);
    json_end_array(&j);
    answer_json(req, 200, &body);
}

const struct step users_list_steps[] = {
    STEP(team_door_admin_read), /* 401, 403 */
    STEP(read_page),            /* 422 */
    STEP(load_page),
    STEP(answer_page),
    STEP_END,
};

const struct route_doc users_list_doc = {
    TAG_TEAM,
    ANSWERS({200, &user_schema, .is_list = true}),
    .is_paged = true,
};

/* ---- one ---- */

static void load_user(struct flow *f)
{
    struct request *req = request_of(f);
    struct users *s = req->state;

    if (input_path_id(req, 0, NO_USER, &s->id))
        db_query(&s->query, f, &req->arena, SQL_USER_GET,
                 DB_ARGS(team_arg(req), db_uuid(id_str(&s->id))));
}

static void require_user(struct flow *f)
{
    struct users *s = request_of(f)->state;

    if (s->query.result->n_rows == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NO_USER));
}

static void answer_one(struct flow *f)
{
    struct request *req = request_of(f);
    struct users *s = req->state;

    user_answer(req, 200, s->query.result);
}

const struct step users_get_steps[] = {
    STEP(team_door_admin_read), /* 401, 403 */
    STEP(load_user),
    STEP(require_user), /* 404 */
    STEP(answer_one),
    STEP_END,
};

const struct route_doc users_get_doc = {TAG_TEAM, ANSWERS({200, &user_schema})};

/* ---- change ---- */

static const struct input_field user_fields[] = {
    {"role", INPUT_LINE, false, false, 1, 20, offsetof(struct users, role), NULL, "user|admin"},
    {"is_active", INPUT_BOOL, false, false, 0, 0, offsetof(struct users, is_active), NULL},
    {"full_name", INPUT_LINE, false, true, 0, NAME_MAX_CHARS, offsetof(struct users, full_name),
     NULL},
};

static void read_change(struct flow *f)
{
    struct request *req = request_of(f);

    (void)!input_read(req, user_fields, COUNT(user_fields), req->state);
}

static void note_change(struct audit *audit, const struct users *s)
{
    const struct db_result *r = s->query.result;
    bool was_active = db_get_bool(r, 0, USER_IS_ACTIVE), is_active = s->is_active.number != 0;

    if (s->role.is_given && !str_eq(s->role.text, db_get_text(r, 0, USER_ROLE)))
        audit_values(audit, "role", db_get_text(r, 0, USER_ROLE), s->role.text);
    if (s->is_active.is_given && was_active != is_active)
        audit_values(audit, "is_active", audit_bool(was_active), audit_bool(is_active));
    if (s->full_name.is_given && !str_eq(s->full_name.text, db_get_text(r, 0, USER_FULL_NAME)))
        audit_field(audit, "full_name");
}

static void save_change(struct flow *f)
{
    struct request *req = request_of(f);
    struct users *s = req->state;
    const struct db_result *r = s->query.result;

    s->now_us = clock_wall_us();
    s->revokes =
        (s->role.is_given && !str_eq(s->role.text, db_get_text(r, 0, USER_ROLE))) ||
        (s->is_active.is_given && (s->is_active.number != 0) != db_get_bool(r, 0, USER_IS_ACTIVE));

    struct audit audit = audit_of(req, "user.update", &s->id, s->now_us);

    note_change(&audit, s);

    struct db_arg team = team_arg(req), user = db_uuid(id_str(&s->id));
    const struct db_arg change[] = {
        team,
        user,
        s->role.is_given ? db_text(s->role.text) : db_null(),
        s->is_active.is_given ? db_bool(s->is_active.number != 0) : db_null(),
        db_bool(s->full_name.is_given),
        db_text(s->full_name.text.len > 0 ? s->full_name.text : STR_NONE),
        db_time(s->now_us),
    };
    const struct db_arg revoke[] = {team, user, db_time(s->now_us),
                                    db_time(revocation_expiry(s->now_us))};
    /* The lock lets only one at a time count the other admins. */
    const struct db_call calls[] = {
        {SQL_TEAM_LOCK, change, 1},
        {SQL_USER_UPDATE, change, COUNT(change)},
        audit_call(&audit, &req->arena),
        {SQL_REVOKED_ADD_USER_CHANGED, revoke, COUNT(revoke)},
        {SQL_REFRESH_DROP_DISABLED, revoke, 2},
        {SQL_REFRESH_DROP_DISABLED, revoke, 2},
    };

    db_batch(&s->query, f, &req->arena, calls, s->revokes ? COUNT(calls) : 3);
}

/* Before the answer, so that the next request of that user is refused; also when the client has
 * left since. */
static void end_logins(struct flow *f)
{
    struct request *req = request_of(f);
    struct users *s = req->state;

    if (db_result_at(&s->query, 1)->n_rows == 0)
        flow_fail(f, ERROR(ERR_CONFLICT, 0, LAST_ADMIN));
    else if (s->revokes)
        revocation_until_now(&s->revoke, f, &req->arena, REVOKED_USER, &caller_of(req)->team_id,
                             &s->id);
}

static void answer_change(struct flow *f)
{
    struct request *req = request_of(f);
    struct users *s = req->state;

    user_answer(req, 200, db_result_at(&s->query, 1));
}

const struct step users_update_steps[] = {
    STEP(read_change),                            /* 422 */
    STEP(load_user),     STEP(require_user),      /* 404 */
    STEP(save_change),   STEP_ALWAYS(end_logins), /* 409 */
    STEP(answer_change), STEP_END,
};

const struct route_doc users_update_doc = {
    TAG_TEAM,
    ANSWERS({200, &user_schema}),
    DOC_ERRORS(409),
    DOC_BODY(user_fields),
    .example = "{\"full_name\": \"Mia Miller\"}",
    .about = "The last active admin of a team must stay one: 409.",
};
