/* A user whom an admin adds: also where the team's registration is closed, and with a confirmed
 * address, as the admin vouches for it. The team's settings.max_users holds. */
#include "user_new.h"

#include "answer.h"
#include "base/clock.h"
#include "doc.h"
#include "user_json.h"

#include <stddef.h>

#define PASSWORD_MIN   8
#define PASSWORD_MAX   128
#define NAME_MAX_CHARS 200
#define TAKEN          "Email already registered"
#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))

static const struct input_field new_fields[] = {
    {"email", INPUT_EMAIL, true, false, 0, 0, offsetof(struct user_new, email), NULL},
    {"password", INPUT_SECRET, true, false, PASSWORD_MIN, PASSWORD_MAX,
     offsetof(struct user_new, password), NULL},
    {"full_name", INPUT_LINE, false, true, 0, NAME_MAX_CHARS, offsetof(struct user_new, full_name),
     NULL},
    {"role", INPUT_LINE, false, false, 1, 20, offsetof(struct user_new, role), NULL, "user|admin"},
};

static void read_new(struct flow *f)
{
    struct request *req = request_of(f);

    (void)!input_read(req, new_fields, COUNT(new_fields), req->state);
}

static void find_email(struct flow *f)
{
    struct request *req = request_of(f);
    struct user_new *s = req->state;

    db_query(&s->taken, f, &req->arena, SQL_USER_FIND_EMAIL,
             DB_ARGS(team_arg(req), db_text(s->email.text)));
}

static void hash_new(struct flow *f)
{
    struct user_new *s = request_of(f)->state;

    if (s->taken.result->n_rows > 0)
        flow_fail(f, ERROR(ERR_BAD_REQUEST, 0, TAKEN));
    else
        password_hash(&s->hash, f, s->password.text);
}

enum add_result { ADD_LOCK, ADD_USER, ADD_VERIFIED, ADD_ROLE, ADD_AUDIT };

static void add_new(struct flow *f)
{
    struct request *req = request_of(f);
    struct user_new *s = req->state;

    int64_t now_us = clock_wall_us();
    struct str role_name = s->role.is_given ? s->role.text : STR("user");

    s->id = id_v7();

    struct audit audit = audit_of(req, "user.create", &s->id, now_us);
    struct db_arg team = team_arg(req), user = db_uuid(id_str(&s->id)), now = db_time(now_us);
    const struct db_arg add[] = {
        team,
        user,
        db_text(s->email.text),
        db_text(str_from(s->hash.hash)),
        db_text(s->full_name.text.len > 0 ? s->full_name.text : STR_NONE),
        now,
    };
    const struct db_arg verified[] = {team, user, now};
    const struct db_arg role[] = {
        team, user, db_text(role_name), db_null(), db_bool(false), db_text(STR_NONE), now,
    };

    audit_values(&audit, "role", STR_NONE, role_name);

    const struct db_call calls[] = {
        [ADD_LOCK] = {SQL_TEAM_LOCK, add, 1}, /* settings.max_users is counted by one at a time */
        [ADD_USER] = {SQL_USER_REGISTER, add, COUNT(add)},
        [ADD_VERIFIED] = {SQL_USER_SET_VERIFIED, verified, COUNT(verified)},
        [ADD_ROLE] = {SQL_USER_UPDATE, role, COUNT(role)},
        [ADD_AUDIT] = audit_call(&audit, &req->arena),
    };

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

/* Nothing was inserted: someone was faster with the same address, or the team is full. */
static void find_reason(struct flow *f)
{
    struct user_new *s = request_of(f)->state;

    if (db_result_at(&s->query, ADD_USER)->n_changed == 0)
        find_email(f);
}

static void answer_new(struct flow *f)
{
    struct request *req = request_of(f);
    struct user_new *s = req->state;

    if (db_result_at(&s->query, ADD_USER)->n_changed > 0)
        user_answer(req, 201, db_result_at(&s->query, ADD_ROLE));
    else
        flow_fail(f, s->taken.result->n_rows > 0
                         ? ERROR(ERR_BAD_REQUEST, 0, TAKEN)
                         : ERROR(ERR_FORBIDDEN, 0, "This team has reached its number of users"));
}

const struct step user_new_steps[] = {
    STEP(read_new),                                        /* 422 */
    STEP(find_email), STEP(hash_new),                      /* 400 */
    STEP(add_new),    STEP(find_reason), STEP(answer_new), /* 400, 403 */
    STEP_END,
};

const struct route_doc user_new_doc = {
    TAG_TEAM,
    ANSWERS({201, &user_schema}),
    DOC_BODY(new_fields),
    .example = "{\"email\": \"noor@example.com\", \"password\": \"correct horse battery\", "
               "\"full_name\": \"Noor\", \"role\": \"user\"}",
    .about =
        "Also where the team takes no registrations. The address counts as confirmed. 400 when "
        "it is taken, 403 when the team is full.",
};
