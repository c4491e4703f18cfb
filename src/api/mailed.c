/* Asking for mails, and what their tokens do. Asking stores a row and says 202, whoever the address
 * belongs to: the outbox looks that up later. */
#include "mailed.h"

#include "account/revocation.h"
#include "answer.h"
#include "base/clock.h"
#include "config/config.h"
#include "doc.h"
#include "take_rate.h"
#include "user_json.h"

#include <stddef.h>

#define MINUTE_MS    60000
#define QUARTER_MS   (15 * MINUTE_MS)
#define PASSWORD_MIN 8
#define PASSWORD_MAX 128
#define BUSY_SECONDS 60
#define TOO_MANY     "Too many mails were asked for, try again later"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct error mail_missing(void)
{
    return ERROR(ERR_UNAVAILABLE, 0, "Mail is not configured");
}

static void require_mail(struct flow *f)
{
    struct request *req = request_of(f);
    const struct rate rate = {RATE_MAIL_ADDRESS, req->address_group,
                              config()->limits.mail_per_minute, MINUTE_MS};

    if (!config_has_mail())
        flow_fail(f, mail_missing());
    else
        (void)!take_rate(req, &rate, TOO_MANY);
}

/* ---- asking ---- */

/* By what was typed, so that refusing says nothing about accounts either. */
static void add_mail(struct flow *f)
{
    struct request *req = request_of(f);
    struct ask_mail *s = req->state;
    int64_t now_us = clock_wall_us();
    struct id id = id_v7();
    const struct rate rate = {RATE_MAIL_ACCOUNT, s->email.text, config()->limits.mail_per_account,
                              QUARTER_MS};

    if (take_rate(req, &rate, TOO_MANY))
        db_query(&s->query, f, &req->arena, SQL_MAIL_ADD,
                 DB_ARGS(db_uuid(s->team_id.text), db_uuid(id_str(&id)),
                         db_text(mail_kind_name(s->kind)), db_text(s->email.text), db_time(now_us),
                         db_time(now_us + mail_life_us(s->kind)),
                         db_int((int64_t)config()->email.outbox)));
}

static void answer_asked(struct flow *f)
{
    struct request *req = request_of(f);
    struct ask_mail *s = req->state;

    if (s->query.result->n_changed == 0)
        flow_fail(f, ERROR(ERR_BUSY, BUSY_SECONDS, "the outbox is full"));
    else
        response_empty(req, 202);
}

static const struct input_field forgot_fields[] = {
    {"email", INPUT_EMAIL, true, false, 0, 0, offsetof(struct ask_mail, email), NULL},
    {"team_id", INPUT_ID, false, true, 0, 0, offsetof(struct ask_mail, team_id), NULL},
};

static void read_forgot(struct flow *f)
{
    struct request *req = request_of(f);
    struct ask_mail *s = req->state;

    s->kind = MAIL_RESET;
    (void)!input_read(req, forgot_fields, COUNT(forgot_fields), s);
}

const struct step mailed_forgot_steps[] = {
    STEP(require_mail), /* 503, 429 */
    STEP(read_forgot),  /* 422 */
    STEP(add_mail),     /* 429 */
    STEP(answer_asked), /* 503 */
    STEP_END,
};
const struct route_doc mailed_forgot_doc = {
    TAG_ACCOUNTS,
    ANSWERS({202}),
    DOC_ERRORS(429),
    DOC_BODY(forgot_fields),
    .example = "{\"email\": \"mia@example.com\"}",
    .about = "The same answer for an address that nobody has. Without `team_id` the mail names each "
             "team of the address.",
};

/* ---- asking again ---- */

static const struct input_field resend_fields[] = {
    {"email", INPUT_EMAIL, false, true, 0, 0, offsetof(struct ask_mail, email), NULL},
    {"team_id", INPUT_ID, false, true, 0, 0, offsetof(struct ask_mail, team_id), NULL},
};

/* Who is signed in need not say the address. */
static void read_resend(struct flow *f)
{
    struct request *req = request_of(f);
    struct ask_mail *s = req->state;

    s->kind = MAIL_VERIFY;
    if (!input_read(req, resend_fields, COUNT(resend_fields), s) || s->email.text.len > 0)
        return;
    if (caller_of(req)) {
        db_query(&s->query, f, &req->arena, SQL_USER_GET, DB_ARGS(team_arg(req), user_arg(req)));
    } else {
        input_wrong(req, "email", "is required");
        flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
    }
}

static void find_own_address(struct flow *f)
{
    struct request *req = request_of(f);
    struct ask_mail *s = req->state;
    const struct db_result *me = s->query.result;

    if (s->email.text.len > 0)
        return;
    if (me->n_rows == 0) {
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, "This account does not exist any more"));
        return;
    }
    s->email.text = db_get_text(me, 0, USER_EMAIL);
    s->team_id.text = id_str(&caller_of(req)->team_id);
}

const struct step mailed_resend_steps[] = {
    STEP(require_mail),     /* 503, 429 */
    STEP(read_resend),      /* 422 */
    STEP(find_own_address), /* 401 */
    STEP(add_mail),         /* 429 */
    STEP(answer_asked),     /* 503 */
    STEP_END,
};
const struct route_doc mailed_resend_doc = {
    TAG_ACCOUNTS,
    ANSWERS({202}),
    DOC_ERRORS(401, 429),
    DOC_BODY(resend_fields),
    .example = "{\"email\": \"mia@example.com\"}",
    .about = "Who is signed in may leave out `email`.",
};

/* ---- a mailed token ---- */

static struct error spent(void)
{
    return ERROR(ERR_BAD_REQUEST, 0, "This link is not valid any more: ask for a new mail");
}

static void find_token(struct flow *f, enum mail_kind kind)
{
    struct request *req = request_of(f);
    struct mailed *s = req->state;

    if (opaque_token_read(s->token.text, &s->opaque))
        db_query(&s->query, f, &req->arena, SQL_MAIL_TOKEN_FIND,
                 DB_ARGS(db_text(str_from(s->opaque.hash)), db_text(mail_kind_name(kind)),
                         db_time(clock_wall_us())));
    else
        flow_fail(f, spent());
}

enum token_column { TOKEN_TEAM_ID, TOKEN_USER_ID, TOKEN_PASSWORD_HASH };

static void take_token(struct flow *f)
{
    struct mailed *s = request_of(f)->state;
    const struct db_result *r = s->query.result;

    if (r->n_rows == 0 || !id_parse(db_get_text(r, 0, TOKEN_TEAM_ID), &s->team_id) ||
        !id_parse(db_get_text(r, 0, TOKEN_USER_ID), &s->user_id))
        flow_fail(f, spent());
    else
        s->old_hash = db_get_text(r, 0, TOKEN_PASSWORD_HASH);
}

static const struct schema done_schema = {
    "Done",
    .members = MEMBERS({"message", DOC_TEXT}),
};

static void answer_done(struct request *req, struct str message)
{
    struct buf body = {0};
    struct json j = {.buf = &body};

    json_begin_object(&j);
    json_pair_str(&j, "message", message);
    json_end_object(&j);
    answer_json(req, 200, &body);
}

/* ---- verify ---- */

static const struct input_field verify_fields[] = {
    {"token", INPUT_SECRET, true, false, 1, 512, offsetof(struct mailed, token), NULL},
};

static void read_verify(struct flow *f)
{
    struct request *req = request_of(f);

    if (input_read(req, verify_fields, COUNT(verify_fields), req->state))
        find_token(f, MAIL_VERIFY);
}

static void verify(struct flow *f)
{
    struct request *req = request_of(f);
    struct mailed *s = req->state;
    struct db_arg team = db_uuid(id_str(&s->team_id)), user = db_uuid(id_str(&s->user_id));
    const struct db_arg spend[] = {team, db_text(str_from(s->opaque.hash))};
    const struct db_arg mark[] = {team, user, db_time(clock_wall_us())};
    const struct db_arg drop[] = {team, user, db_text(mail_kind_name(MAIL_VERIFY))};
    const struct db_call calls[] = {
        {SQL_MAIL_TOKEN_SPEND, spend, COUNT(spend)},
        {SQL_USER_SET_VERIFIED, mark, COUNT(mark)},
        {SQL_MAIL_TOKEN_DROP_USER, drop, COUNT(drop)},
    };

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void answer_verified(struct flow *f)
{
    struct mailed *s = request_of(f)->state;

    if (db_result_at(&s->query, 0)->n_changed == 0)
        flow_fail(f, spent()); /* someone else used it just now */
    else
        answer_done(request_of(f), STR("Your e-mail address is confirmed"));
}

const struct step mailed_verify_steps[] = {
    STEP(require_mail), /* 503, 429 */
    STEP(read_verify),  /* 422 */
    STEP(take_token),   /* 400 */
    STEP(verify),
    STEP(answer_verified), /* 400 */
    STEP_END,
};
const struct route_doc mailed_verify_doc = {
    TAG_ACCOUNTS,
    ANSWERS({200, &done_schema}),
    DOC_ERRORS(429),
    DOC_BODY(verify_fields),
    .example = "{\"token\": \"the one behind the # of the link\"}",
};

/* ---- reset ---- */

static const struct input_field reset_fields[] = {
    {"token", INPUT_SECRET, true, false, 1, 512, offsetof(struct mailed, token), NULL},
    {"password", INPUT_SECRET, true, false, PASSWORD_MIN, PASSWORD_MAX,
     offsetof(struct mailed, password), NULL},
};

static void read_reset(struct flow *f)
{
    struct request *req = request_of(f);

    if (input_read(req, reset_fields, COUNT(reset_fields), req->state))
        find_token(f, MAIL_RESET);
}

static void hash_reset(struct flow *f)
{
    struct mailed *s = request_of(f)->state;

    password_hash(&s->hash, f, s->password.text);
}

/* All logins end, unless someone was faster with the token: those since then are the user's. Who holds the token reads the address's mail, so that is confirmed too. */
static void reset(struct flow *f)
{
    struct request *req = request_of(f);
    struct mailed *s = req->state;
    int64_t now_us = clock_wall_us();
    struct db_arg team = db_uuid(id_str(&s->team_id)), user = db_uuid(id_str(&s->user_id));
    const struct db_arg spend[] = {team, db_text(str_from(s->opaque.hash))};
    const struct db_arg password[] = {team, user, db_text(str_from(s->hash.hash)),
                                      db_text(s->old_hash), db_time(now_us)};
    const struct db_arg mark[] = {team, user, db_time(now_us)};
    const struct db_arg revoke[] = {team, user, db_time(now_us),
                                    db_time(revocation_expiry(now_us))};
    const struct db_arg logins[] = {team, user, db_time(now_us)};
    const struct db_arg links[] = {team, user, db_text(mail_kind_name(MAIL_RESET))};
    struct audit audit = {.action = "user.password",
                          .team_id = s->team_id,
                          .subject_id = s->user_id,
                          .actor = AUDIT_USER,
                          .user_id = s->user_id,
                          .address = req->address,
                          .now_us = now_us};
    const struct db_call calls[] = {
        {SQL_MAIL_TOKEN_SPEND, spend, COUNT(spend)},
        {SQL_USER_SET_PASSWORD, password, COUNT(password)},
        {SQL_USER_SET_VERIFIED, mark, COUNT(mark)},
        {SQL_REVOKED_ADD_USER_CHANGED, revoke, COUNT(revoke)},
        {SQL_REFRESH_DROP_CHANGED, logins, COUNT(logins)},
        {SQL_REFRESH_DROP_CHANGED, logins, COUNT(logins)},
        {SQL_MAIL_TOKEN_DROP_USER, links, COUNT(links)},
        audit_call(&audit, &req->arena),
    };

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

/* Also when the client has left since. */
static void end_logins(struct flow *f)
{
    struct request *req = request_of(f);
    struct mailed *s = req->state;

    if (db_result_at(&s->query, 0)->n_changed == 0 || db_result_at(&s->query, 1)->n_changed == 0)
        flow_fail(f, spent()); /* the token was used, or the password changed, just now */
    else
        revocation_until_now(&s->query, f, &req->arena, REVOKED_USER, &s->team_id, &s->user_id);
}

static void answer_reset(struct flow *f)
{
    answer_done(request_of(f), STR("Your password is changed: sign in with it"));
}

const struct step mailed_reset_steps[] = {
    STEP(require_mail), /* 503, 429 */
    STEP(read_reset),   /* 422 */
    STEP(take_token),   /* 400 */
    STEP(hash_reset),   /* 503 */
    STEP(reset),
    STEP_ALWAYS(end_logins), /* 400 */
    STEP(answer_reset),
    STEP_END,
};
const struct route_doc mailed_reset_doc = {
    TAG_ACCOUNTS,
    ANSWERS({200, &done_schema}),
    DOC_ERRORS(429),
    DOC_BODY(reset_fields),
    .example = "{\"token\": \"the one behind the # of the link\", "
               "\"password\": \"correct horse battery\"}",
    .about = "Ends every session of the user.",
};
