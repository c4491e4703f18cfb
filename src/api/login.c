/* Logging in, going on with a refresh token, logging out. */
#include "login.h"

#include "account/audit.h"
#include "account/revocation.h"
#include "api/auth.h"
#include "base/clock.h"
#include "config/config.h"
#include "doc.h"
#include "login_failed.h"
#include "take_rate.h"

#include <assert.h>
#include <stddef.h>

#define MINUTE_MS        60000
#define QUARTER_MS       (15 * MINUTE_MS)
#define US_PER_SECOND    1000000
#define PASSWORD_MAX     128
#define WRONG_LOGIN      "Incorrect email or password"
#define TOO_MANY_LOGINS  "Too many login attempts, try again later"
#define REFRESH_REFUSED  "The refresh token is not valid or has expired"
#define REFRESH_REPLAYED "The refresh token was used before: log in again"

/* ---- login ---- */

enum account_column {
    ACCOUNT_ID,
    ACCOUNT_TEAM_ID,
    ACCOUNT_PASSWORD_HASH,
    ACCOUNT_ROLE,
    ACCOUNT_MAY_ENTER, /* the address is confirmed, or need not be */
};

/* The bounds of registration do not bind here: a wrong length is a wrong password. */
static const struct input_field login_fields[] = {
    {"email", INPUT_EMAIL, true, false, 0, 0, offsetof(struct login, email), "username"},
    {"password", INPUT_SECRET, true, false, 1, PASSWORD_MAX, offsetof(struct login, password),
     NULL},
    {"team_id", INPUT_ID, false, true, 0, 0, offsetof(struct login, team_id), NULL},
};

/* Any page can make a browser post a form, and so sign its owner in as someone else, who then reads
 * what he writes. For JSON the browser asks us first. */
static bool is_foreign_form(struct request *req)
{
    return !str_starts_with_nocase(request_header(req, "content-type"), STR("application/json")) &&
           !api_is_from_our_page(req);
}

static void take_address_rate(struct flow *f)
{
    struct request *req = request_of(f);
    const struct rate rate = {RATE_LOGIN_ADDRESS, req->address_group,
                              config()->limits.login_per_minute, MINUTE_MS};

    if (is_foreign_form(req))
        flow_fail(f, ERROR(ERR_FORBIDDEN, 0, "This origin may not log in with a form"));
    else
        (void)!take_rate(req, &rate, TOO_MANY_LOGINS);
}

static void read_login(struct flow *f)
{
    struct request *req = request_of(f);
    struct login *s = req->state;

    (void)!input_read(req, login_fields, sizeof(login_fields) / sizeof(login_fields[0]), s);
}

static void take_account_rate(struct flow *f)
{
    struct request *req = request_of(f);
    const struct login *s = req->state;
    const struct rate rate = {RATE_LOGIN_ACCOUNT, s->email.text, config()->limits.login_per_account,
                              QUARTER_MS};

    (void)!take_rate(req, &rate, TOO_MANY_LOGINS);
}

static void find_accounts(struct flow *f)
{
    struct request *req = request_of(f);
    struct login *s = req->state;

    /* The token counts from here, so that disabling the user while the password is checked refuses
     * it. */
    s->now_us = clock_wall_us();
    if (s->team_id.text.ptr)
        db_query(&s->query, f, &req->arena, SQL_USER_BY_TEAM_EMAIL,
                 DB_ARGS(db_uuid(s->team_id.text), db_text(s->email.text)));
    else
        db_query(&s->query, f, &req->arena, SQL_USER_BY_EMAIL, DB_ARGS(db_text(s->email.text)));
}

/* Once for each account (the statement bounds them), and once for nobody. */
static void check_password(struct flow *f)
{
    struct login *s = request_of(f)->state;

    if (!s->is_checking) {
        s->accounts = *s->query.result;
        s->is_checking = true;
    } else {
        if (s->verify.is_match && s->row < s->accounts.n_rows) {
            s->match = s->row;
            s->n_matches++;
        }
        s->row++;
    }
    if (s->row > 0 && s->row >= s->accounts.n_rows)
        return;
    password_verify(&s->verify, f, s->password.text,
                    s->accounts.n_rows ? db_get_text(&s->accounts, s->row, ACCOUNT_PASSWORD_HASH)
                                       : STR_NONE);
    flow_repeat(f);
}

/* The trail tells an admin's team, but not the one who tries. */
static void note_failure(const struct request *req, const struct db_result *accounts)
{
    struct id team_id, user_id;

    for (size_t i = 0; i < accounts->n_rows; i++)
        if (str_eq(db_get_text(accounts, i, ACCOUNT_ROLE), STR("admin")) &&
            id_parse(db_get_text(accounts, i, ACCOUNT_TEAM_ID), &team_id) &&
            id_parse(db_get_text(accounts, i, ACCOUNT_ID), &user_id))
            login_failed_note(&team_id, &user_id, req->address);
}

static void store_login(struct flow *f)
{
    struct request *req = request_of(f);
    struct login *s = req->state;
    struct caller *who = &s->session.caller;
    struct id row_id = id_v7();

    if (s->n_matches == 0) {
        note_failure(req, &s->accounts);
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, WRONG_LOGIN));
        return;
    }
    if (s->n_matches > 1) {
        flow_fail(f, ERROR(ERR_CONFLICT, 0,
                           "This email has accounts in several teams: send its team_id too"));
        return;
    }
    if (!db_get_bool(&s->accounts, s->match, ACCOUNT_MAY_ENTER)) {
        flow_fail(f, ERROR(ERR_FORBIDDEN, 0, "Confirm your e-mail address first"));
        return;
    }
    if (!id_parse(db_get_text(&s->accounts, s->match, ACCOUNT_ID), &who->user_id) ||
        !id_parse(db_get_text(&s->accounts, s->match, ACCOUNT_TEAM_ID), &who->team_id)) {
        flow_fail(f, ERROR(ERR_INTERNAL, 0, NULL));
        return;
    }
    who->is_admin = str_eq(db_get_text(&s->accounts, s->match, ACCOUNT_ROLE), STR("admin"));
    who->family = id_v7();
    if (!session_sign(req, &s->session, s->now_us))
        return;
    opaque_token_new(&s->session.refresh);

    struct db_arg team = db_uuid(id_str(&who->team_id)), user = db_uuid(id_str(&who->user_id));
    const struct db_arg add[] = {
        team,
        db_uuid(id_str(&row_id)),
        user,
        db_uuid(id_str(&who->family)),
        db_text(str_from(s->session.refresh.hash)),
        db_time(s->now_us),
        db_time(s->now_us + (int64_t)config()->security.refresh_seconds * US_PER_SECOND),
        db_text(db_get_text(&s->accounts, s->match, ACCOUNT_PASSWORD_HASH)),
    };
    const struct db_arg touch[] = {team, user, db_time(s->now_us)};
    struct audit audit = {.action = "user.login",
                          .team_id = who->team_id,
                          .subject_id = who->user_id,
                          .actor = AUDIT_USER,
                          .user_id = who->user_id,
                          .address = req->address,
                          .now_us = s->now_us};
    const struct db_call calls[] = {
        {SQL_REFRESH_ADD, add, sizeof(add) / sizeof(add[0])},
        {SQL_USER_SET_LAST_LOGIN, touch, sizeof(touch) / sizeof(touch[0])},
        audit_call(&audit, &req->arena), /* of admins */
    };

    db_batch(&s->query, f, &req->arena, calls, who->is_admin ? 3 : 2);
}

static void answer_login(struct flow *f)
{
    struct login *s = request_of(f)->state;

    /* Disabled, or the password changed, while it was checked. */
    if (db_result_at(&s->query, 0)->n_changed == 0)
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, WRONG_LOGIN));
    else
        session_answer(request_of(f), &s->session, "Login successful");
}

const struct step login_steps[] = {
    STEP(take_address_rate), /* 403, 429 */
    STEP(read_login),        /* 422 */
    STEP(take_account_rate), /* 429 */
    STEP(find_accounts),     /* of active users in active teams */
    STEP(check_password),    /* for each of them */
    STEP(store_login),       /* 401, 403, 409 */
    STEP(answer_login),   STEP_END,
};

const struct route_doc login_doc = {
    TAG_ACCOUNTS,
    ANSWERS({200, &tokens_schema}),
    DOC_ERRORS(401, 403, 409, 429),
    DOC_BODY(login_fields),
    .example = "{\"email\": \"mia@example.com\", \"password\": \"correct horse battery\"}",
    .about =
        "Sets the tokens as cookies, too. 409 asks for `team_id` when the same address has the "
        "same password in two teams.",
};

/* ---- refresh ---- */

enum refresh_column {
    REFRESH_TEAM_ID,
    REFRESH_USER_ID,
    REFRESH_FAMILY,
    REFRESH_EXPIRES_AT,
    REFRESH_SPENT_AT,
    REFRESH_ROLE,
};

static const struct input_field refresh_fields[] = {
    {"refresh_token", INPUT_SECRET, false, true, 0, 512, offsetof(struct refresh, given), NULL},
};

static void read_refresh(struct flow *f)
{
    struct request *req = request_of(f);
    struct refresh *s = req->state;
    struct str text;

    if (!input_read(req, refresh_fields, 1, s))
        return;
    text = s->given.text.len > 0 ? s->given.text : request_cookie(req, "refresh_token");
    if (!text.ptr)
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, "No refresh token was sent"));
    else if (!opaque_token_read(text, &s->old))
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, REFRESH_REFUSED));
}

static void find_refresh(struct flow *f)
{
    struct request *req = request_of(f);
    struct refresh *s = req->state;

    s->now_us = clock_wall_us();
    db_query(&s->query, f, &req->arena, SQL_REFRESH_FIND, DB_ARGS(db_text(str_from(s->old.hash))));
}

/* Fills the caller from the token's row. */
static bool take_refresh_row(const struct db_result *r, struct caller *who)
{
    if (r->n_rows == 0)
        return false;
    who->is_admin = str_eq(db_get_text(r, 0, REFRESH_ROLE), STR("admin"));
    return id_parse(db_get_text(r, 0, REFRESH_TEAM_ID), &who->team_id) &&
           id_parse(db_get_text(r, 0, REFRESH_USER_ID), &who->user_id) &&
           id_parse(db_get_text(r, 0, REFRESH_FAMILY), &who->family);
}

static void spend(struct flow *f)
{
    struct request *req = request_of(f);
    struct refresh *s = req->state;
    struct caller *who = &s->session.caller;
    struct id row_id = id_v7();
    struct db_arg team = db_uuid(id_str(&who->team_id)), old = db_text(str_from(s->old.hash));
    const struct db_arg spend_args[] = {team, old, db_time(s->now_us)};
    const struct db_arg succeed_args[] = {
        team,
        old,
        db_uuid(id_str(&row_id)),
        db_text(str_from(s->session.refresh.hash)),
        db_time(s->now_us),
        db_time(s->now_us + (int64_t)config()->security.refresh_seconds * US_PER_SECOND),
    };
    const struct db_call calls[] = {
        {SQL_REFRESH_SPEND, spend_args, sizeof(spend_args) / sizeof(spend_args[0])},
        {SQL_REFRESH_SUCCEED, succeed_args, sizeof(succeed_args) / sizeof(succeed_args[0])},
    };

    db_batch(&s->query, f, &req->arena, calls, sizeof(calls) / sizeof(calls[0]));
}

/* Someone has a token that was given away long ago: whoever holds its successors may be a thief. */
static void revoke_family(struct flow *f, struct db_query *q, const struct caller *who,
                          int64_t now_us)
{
    struct request *req = request_of(f);
    struct db_arg team = db_uuid(id_str(&who->team_id)), family = db_uuid(id_str(&who->family));
    int64_t expires_us = revocation_expiry(now_us);
    const struct db_arg revoke[] = {team, db_text(revoked_kind_name(REVOKED_FAMILY)), family,
                                    db_time(expires_us), db_time(expires_us)};
    const struct db_arg drop[] = {team, family};
    const struct db_call calls[] = {
        {SQL_REVOKED_ADD, revoke, sizeof(revoke) / sizeof(revoke[0])},
        {SQL_REFRESH_DROP_FAMILY, drop, sizeof(drop) / sizeof(drop[0])},
        {SQL_REFRESH_DROP_FAMILY, drop, sizeof(drop) / sizeof(drop[0])},
    };

    /* In memory first: should the database fail, this process at least refuses the family. */
    if (!revocation_add(REVOKED_FAMILY, id_str(&who->family), expires_us, expires_us)) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    db_batch(q, f, &req->arena, calls, sizeof(calls) / sizeof(calls[0]));
}

static void rotate(struct flow *f)
{
    struct refresh *s = request_of(f)->state;
    const struct db_result *r = s->query.result;
    struct caller *who = &s->session.caller;
    int64_t grace_us = (int64_t)config()->security.refresh_grace_seconds * US_PER_SECOND;

    if (!take_refresh_row(r, who) || db_get_int(r, 0, REFRESH_EXPIRES_AT) <= s->now_us ||
        revocation_has(REVOKED_FAMILY, id_str(&who->family), s->now_us)) {
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, REFRESH_REFUSED));
        return;
    }
    refresh_token_successor(&s->old, &s->session.refresh);
    if (db_is_null(r, 0, REFRESH_SPENT_AT)) {
        spend(f);
    } else if (s->now_us - db_get_int(r, 0, REFRESH_SPENT_AT) > grace_us) {
        s->is_replayed_late = true;
        revoke_family(f, &s->query, who, s->now_us);
    }
}

/* Also after a rotation that lost a race, or met a logout: is the successor there? */
static void find_successor(struct flow *f)
{
    struct request *req = request_of(f);
    struct refresh *s = req->state;

    if (s->is_replayed_late)
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, REFRESH_REPLAYED));
    else
        db_query(&s->query, f, &req->arena, SQL_REFRESH_FIND,
                 DB_ARGS(db_text(str_from(s->session.refresh.hash))));
}

static void answer_refresh(struct flow *f)
{
    struct request *req = request_of(f);
    struct refresh *s = req->state;

    if (!take_refresh_row(s->query.result, &s->session.caller))
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, REFRESH_REFUSED));
    else if (session_sign(req, &s->session, s->now_us))
        session_answer(req, &s->session, "Token refreshed");
}

const struct step login_refresh_steps[] = {
    STEP(read_refresh),   STEP(find_refresh),   STEP(rotate),
    STEP(find_successor), STEP(answer_refresh), STEP_END,
};

const struct route_doc login_refresh_doc = {
    TAG_ACCOUNTS,    ANSWERS({200, &tokens_schema}),
    DOC_ERRORS(401), DOC_BODY(refresh_fields),
    .example = "{}", .about = "Takes the cookie `refresh_token` or the body. Each works once.",
};

/* ---- logout ---- */

static void find_login(struct flow *f)
{
    struct request *req = request_of(f);
    struct logout *s = req->state;
    struct str cookie = request_cookie(req, "refresh_token");

    if (opaque_token_read(cookie, &s->refresh))
        db_query(&s->find, f, &req->arena, SQL_REFRESH_FIND,
                 DB_ARGS(db_text(str_from(s->refresh.hash))));
    else if (!caller_of(req))
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, "Not authenticated"));
}

static void end_login(struct flow *f)
{
    struct request *req = request_of(f);
    struct logout *s = req->state;
    const struct caller *who = caller_of(req);
    int64_t now_us = clock_wall_us(), expires_us = revocation_expiry(now_us);

    if (who) {
        revoke_family(f, &s->revoke, who, now_us);
        /* By itself too: another tool may have signed it without a login's family. */
        if (!revocation_add(REVOKED_TOKEN, id_str(&who->token_id), expires_us, expires_us))
            flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    }
    if (s->find.result && take_refresh_row(s->find.result, &s->other) &&
        !(who && str_eq(id_str(&who->family), id_str(&s->other.family))))
        revoke_family(f, &s->revoke_other, &s->other, now_us);
}

static void answer_logout(struct flow *f)
{
    session_clear_cookies(request_of(f));
    if (!is_error(f->err))
        response_empty(request_of(f), 204);
}

const struct step login_logout_steps[] = {
    STEP(find_login),
    STEP(end_login), /* in this process at once, in others by the poll */
    STEP(answer_logout),
    STEP_END,
};

const struct route_doc login_logout_doc = {TAG_ACCOUNTS, ANSWERS({204}),
                                           .takes_access_token = true};
