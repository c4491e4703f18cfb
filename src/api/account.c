/* A user's own account: registering, and what one may see and change of oneself. */
#include "accounts.h"

#include "account/outbox.h"
#include "account/revocation.h"
#include "answer.h"
#include "base/clock.h"
#include "config/config.h"
#include "doc.h"
#include "mailed.h"
#include "take_rate.h"
#include "user_json.h"

#include <stddef.h>

#define MINUTE_MS         60000
#define QUARTER_MS        (15 * MINUTE_MS)
#define PASSWORD_MIN      8
#define PASSWORD_MAX      128
#define NAME_MAX_CHARS    200
#define PREFERENCES_BYTES 16384
#define COUNT(array)      (sizeof(array) / sizeof((array)[0]))

/* ---- register ---- */

enum team_column { TEAM_ID, TEAM_NAME, TEAM_SLUG, TEAM_SETTINGS, TEAM_IS_ACTIVE };

static const struct input_field register_fields[] = {
    {"email", INPUT_EMAIL, true, false, 0, 0, offsetof(struct registration, email), NULL},
    {"password", INPUT_SECRET, true, false, PASSWORD_MIN, PASSWORD_MAX,
     offsetof(struct registration, password), NULL},
    {"full_name", INPUT_LINE, false, true, 0, NAME_MAX_CHARS,
     offsetof(struct registration, full_name), NULL},
    {"team_id", INPUT_ID, false, true, 0, 0, offsetof(struct registration, team_id), NULL},
};

static void read_registration(struct flow *f)
{
    struct request *req = request_of(f);
    struct registration *s = req->state;
    const struct rate rate = {RATE_REGISTER_ADDRESS, req->address_group,
                              config()->limits.register_per_minute, MINUTE_MS};

    if (take_rate(req, &rate, "Too many registrations, try again later"))
        (void)!input_read(req, register_fields, COUNT(register_fields), s);
}

static void find_team(struct flow *f)
{
    struct request *req = request_of(f);
    struct registration *s = req->state;

    if (s->team_id.text.ptr)
        db_query(&s->query, f, &req->arena, SQL_TEAM_GET, DB_ARGS(db_uuid(s->team_id.text)));
    else
        db_query(&s->query, f, &req->arena, SQL_TEAM_DEFAULT, NULL, 0);
}

static size_t find_default(const struct db_result *teams)
{
    for (size_t row = 0; row < teams->n_rows; row++)
        if (str_eq(db_get_text(teams, row, TEAM_SLUG), STR("default")))
            return row;
    return 0;
}

/* settings.open_registration: only a plain false closes it. settings.require_verified_email: only a
 * plain true asks for a mail. */
static struct error check_settings(struct request *req, struct str settings)
{
    struct registration *s = req->state;
    yyjson_val *root = NULL;
    struct error err = json_read(&req->arena, settings, 64, &root);

    if (is_error(err))
        return err;
    if (yyjson_is_false(json_member(root, "open_registration")))
        return ERROR(ERR_FORBIDDEN, 0, "This team does not take registrations");
    s->must_verify = yyjson_is_true(json_member(root, "require_verified_email"));
    return s->must_verify && !config_has_mail() ? mail_missing() : NO_ERROR;
}

/* Before the password is hashed: what can be refused cheaply is. The insert decides. */
static void check_team(struct flow *f)
{
    struct request *req = request_of(f);
    struct registration *s = req->state;
    const struct db_result *r = s->query.result;
    size_t row = find_default(r);
    struct error err;

    if (r->n_rows == 0 || !db_get_bool(r, row, TEAM_IS_ACTIVE) ||
        !id_parse(db_get_text(r, row, TEAM_ID), &s->team)) {
        flow_fail(f, ERROR(ERR_BAD_REQUEST, 0, "Team not found"));
        return;
    }
    err = check_settings(req, db_get_text(r, row, TEAM_SETTINGS));
    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    db_query(&s->query, f, &req->arena, SQL_USER_FIND_EMAIL,
             DB_ARGS(db_uuid(id_str(&s->team)), db_text(s->email.text)));
}

static void hash_password(struct flow *f)
{
    struct registration *s = request_of(f)->state;

    if (s->query.result->n_rows > 0)
        flow_fail(f, ERROR(ERR_BAD_REQUEST, 0, "Email already registered"));
    else
        password_hash(&s->hash, f, s->password.text);
}

static void add_user(struct flow *f)
{
    struct request *req = request_of(f);
    struct registration *s = req->state;
    struct str name = s->full_name.text.len > 0 ? s->full_name.text : STR_NONE;

    s->now_us = clock_wall_us();
    s->user_id = id_v7();

    const struct db_arg add[] = {
        db_uuid(id_str(&s->team)),
        db_uuid(id_str(&s->user_id)),
        db_text(s->email.text),
        db_text(str_from(s->hash.hash)),
        db_text(name),
        db_time(s->now_us),
    };
    struct id mail_id = id_v7();
    const struct db_arg mail[] = {
        db_uuid(id_str(&s->team)),
        db_uuid(id_str(&mail_id)),
        db_uuid(id_str(&s->user_id)),
        db_time(s->now_us),
        db_time(s->now_us + mail_life_us(MAIL_VERIFY)),
        db_int((int64_t)config()->email.outbox),
    };
    const struct db_call calls[] = {
        {SQL_TEAM_LOCK, add, 1}, /* so that settings.max_users is counted by one at a time */
        {SQL_USER_REGISTER, add, COUNT(add)},
        {SQL_MAIL_ADD_VERIFY, mail, COUNT(mail)},
    };

    db_batch(&s->query, f, &req->arena, calls, s->must_verify ? 3 : 2);
}

/* Nothing was inserted: someone was faster with the same address, or the team is full. */
static void find_reason(struct flow *f)
{
    struct request *req = request_of(f);
    struct registration *s = req->state;

    if (db_result_at(&s->query, 1)->n_changed == 0)
        db_query(&s->query, f, &req->arena, SQL_USER_FIND_EMAIL,
                 DB_ARGS(db_uuid(id_str(&s->team)), db_text(s->email.text)));
}

static const struct schema registered_schema = {
    "RegisteredUser",
    .members = MEMBERS({"id", DOC_ID}, {"team_id", DOC_ID}, {"email", DOC_EMAIL},
                       {"full_name", DOC_TEXT | DOC_NULL}, {"role", DOC_TEXT, .values = "user"},
                       {"is_active", DOC_BOOL}, {"created_at", DOC_TIME}),
};

static void answer_registration(struct flow *f)
{
    struct request *req = request_of(f);
    struct registration *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (db_result_at(&s->query, 1)->n_changed == 0) {
        flow_fail(f, s->query.result->n_rows > 0
                         ? ERROR(ERR_BAD_REQUEST, 0, "Email already registered")
                         : ERROR(ERR_FORBIDDEN, 0, "This team has reached its number of users"));
        return;
    }
    json_begin_object(&j);
    json_pair_str(&j, "id", id_str(&s->user_id));
    json_pair_str(&j, "team_id", id_str(&s->team));
    json_pair_str(&j, "email", s->email.text);
    json_pair_str_or_null(&j, "full_name",
                          s->full_name.text.len > 0 ? s->full_name.text : STR_NONE);
    json_pair_str(&j, "role", STR("user"));
    json_pair_bool(&j, "is_active", true);
    json_pair_time(&j, "created_at", s->now_us);
    json_end_object(&j);
    answer_json(req, 201, &body);
}

const struct step account_register_steps[] = {
    STEP(read_registration), /* 429, 422 */
    STEP(find_team),
    STEP(check_team),    /* 400, 403, 503 */
    STEP(hash_password), /* 400 */
    STEP(add_user),
    STEP(find_reason),
    STEP(answer_registration), /* 400, 403 */
    STEP_END,
};

const struct route_doc account_register_doc = {
    TAG_ACCOUNTS,
    ANSWERS({201, &registered_schema}),
    DOC_ERRORS(429),
    DOC_BODY(register_fields),
    .example = "{\"email\": \"mia@example.com\", \"password\": \"correct horse battery\", "
               "\"full_name\": \"Mia\"}",
    .about =
        "Without `team_id`: in the default team. 400 when the team does not exist or the address "
        "is taken, 403 when the team takes no registrations or is full.",
};

/* ---- me ---- */

static const struct input_field me_fields[] = {
    {"full_name", INPUT_LINE, false, true, 0, NAME_MAX_CHARS, offsetof(struct me, full_name), NULL},
    {"preferences", INPUT_OBJECT, false, false, 0, PREFERENCES_BYTES,
     offsetof(struct me, preferences), NULL},
    {"password", INPUT_SECRET, false, false, PASSWORD_MIN, PASSWORD_MAX,
     offsetof(struct me, password), NULL},
    {"current_password", INPUT_SECRET, false, false, 1, PASSWORD_MAX,
     offsetof(struct me, current_password), NULL},
};

static void load_me(struct flow *f)
{
    struct request *req = request_of(f);
    struct me *s = req->state;

    db_query(&s->query, f, &req->arena, SQL_USER_GET, DB_ARGS(team_arg(req), user_arg(req)));
}

static void answer_me(struct flow *f)
{
    struct request *req = request_of(f);
    struct me *s = req->state;

    if (s->query.result->n_rows == 0)
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, "This account does not exist any more"));
    else
        user_answer(req, 200, s->query.result);
}

const struct step account_get_me_steps[] = {
    STEP(load_me),
    STEP(answer_me),
    STEP_END,
};

const struct route_doc account_get_me_doc = {TAG_ACCOUNTS, ANSWERS({200, &user_schema})};

static bool changes_password(const struct me *s)
{
    return s->password.is_given;
}

static void read_me(struct flow *f)
{
    struct request *req = request_of(f);
    struct me *s = req->state;

    if (!input_read(req, me_fields, COUNT(me_fields), s) || !changes_password(s))
        return;
    if (!s->current_password.is_given) {
        input_wrong(req, "current_password", "is required to change the password");
        flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
    }
}

/* As many tries as at a login: a stolen token must not help to guess the password. */
static void load_password(struct flow *f)
{
    struct request *req = request_of(f);
    struct me *s = req->state;
    const struct rate rate = {RATE_LOGIN_ACCOUNT, id_str(&caller_of(req)->user_id),
                              config()->limits.login_per_account, QUARTER_MS};

    if (changes_password(s) && take_rate(req, &rate, "Too many tries, try again later"))
        db_query(&s->query, f, &req->arena, SQL_USER_GET_PASSWORD,
                 DB_ARGS(team_arg(req), user_arg(req)));
}

static void check_current_password(struct flow *f)
{
    struct me *s = request_of(f)->state;

    if (!changes_password(s))
        return;
    if (s->query.result->n_rows > 0)
        s->old_hash = db_get_text(s->query.result, 0, 0);
    password_verify(&s->job, f, s->current_password.text, s->old_hash);
}

static void hash_new_password(struct flow *f)
{
    struct request *req = request_of(f);
    struct me *s = req->state;

    if (!changes_password(s))
        return;
    if (s->job.is_match) {
        password_hash(&s->job, f, s->password.text);
        return;
    }
    input_wrong(req, "current_password", "is not right");
    flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
}

/* With a new password all other logins end; the one that asks goes on. */
static void save_me(struct flow *f)
{
    struct request *req = request_of(f);
    struct me *s = req->state;
    int64_t now_us = clock_wall_us(), expires_us = revocation_expiry(now_us);
    struct db_arg team = team_arg(req), me = user_arg(req);
    struct db_arg family = db_uuid(id_str(&caller_of(req)->family));
    const struct db_arg password[] = {team, me, db_text(str_from(s->job.hash)),
                                      db_text(s->old_hash), db_time(now_us)};
    const struct db_arg profile[] = {
        team,
        me,
        db_bool(s->full_name.is_given),
        db_text(s->full_name.text.len > 0 ? s->full_name.text : STR_NONE),
        db_json(s->preferences.text),
        db_time(now_us),
    };
    const struct db_arg revoke[] = {team, me, family, db_time(expires_us), db_time(expires_us)};
    const struct db_arg drop[] = {team, me, db_text(mail_kind_name(MAIL_RESET))};
    struct audit audit = audit_of(req, "user.password", &caller_of(req)->user_id, now_us);
    const struct db_call calls[] = {
        {SQL_USER_UPDATE_ME, profile, COUNT(profile)},
        {SQL_USER_SET_PASSWORD, password, COUNT(password)},
        {SQL_REVOKED_ADD_OTHER_LOGINS, revoke, COUNT(revoke)},
        {SQL_REFRESH_DROP_USER, revoke, 3},
        {SQL_REFRESH_DROP_USER, revoke, 3},
        {SQL_MAIL_TOKEN_DROP_USER, drop, COUNT(drop)}, /* a link that resets it is spent too */
        audit_call(&audit, &req->arena),
    };

    db_batch(&s->query, f, &req->arena, calls, changes_password(s) ? COUNT(calls) : 1);
}

static void answer_put_me(struct flow *f)
{
    struct me *s = request_of(f)->state;
    const struct db_result *families = db_result_at(&s->query, 2);
    int64_t expires_us = revocation_expiry(clock_wall_us());

    if (changes_password(s) && db_result_at(&s->query, 1)->n_changed == 0) {
        flow_fail(f, ERROR(ERR_CONFLICT, 0, "The password was changed by someone else just now"));
        return;
    }
    for (size_t i = 0; changes_password(s) && i < families->n_rows; i++)
        if (!revocation_add(REVOKED_FAMILY, db_get_text(families, i, 0), expires_us, expires_us)) {
            flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
            return;
        }
    answer_me(f);
}

const struct step account_put_me_steps[] = {
    STEP(read_me),       /* 422 */
    STEP(load_password), /* 429 */
    STEP(check_current_password),
    STEP(hash_new_password), /* 422 */
    STEP(save_me),
    STEP(answer_put_me),
    STEP_END,
};

const struct route_doc account_put_me_doc = {
    TAG_ACCOUNTS,
    ANSWERS({200, &user_schema}),
    DOC_ERRORS(409, 429),
    DOC_BODY(me_fields),
    .example = "{\"full_name\": \"Mia M.\", \"preferences\": {\"theme\": \"dark\"}}",
    .about = "`password` goes with `current_password`, and ends the other sessions.",
};
