/* A user or a visitor goes: transaction after transaction, while the client waits. Should it leave,
 * or this server end, the first loop of a server goes on (account/account.c), and whoever asks
 * again does too. */
#include "erasures.h"

#include "account/revocation.h"
#include "answer.h"
#include "base/clock.h"
#include "chat/turn.h"
#include "config/config.h"
#include "doc.h"
#include "session.h"
#include "take_rate.h"

#include <stddef.h>
#include <stdio.h>

#define NO_USER      "User not found"
#define NO_SESSION   "Session not found"
#define ID_CHARS     100 /* what is longer, or no UUID, is nobody's id: 404 */
#define PASSWORD_MAX 128
#define QUARTER_MS   (15 * 60000)
#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))

/* ---- whom ---- */

static void find_user(struct flow *f)
{
    struct request *req = request_of(f);
    struct erase_call *s = req->state;

    if (input_path_id(req, 0, NO_USER, &s->erasure.subject_id))
        db_query(&s->query, f, &req->arena, SQL_USER_GET,
                 DB_ARGS(team_arg(req), db_uuid(id_str(&s->erasure.subject_id))));
}

static void take_user(struct flow *f)
{
    struct erase_call *s = request_of(f)->state;

    s->erasure.kind = ERASURE_USER;
    if (s->query.result->n_rows == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NO_USER));
}

static void take_user_to_delete(struct flow *f)
{
    struct erase_call *s = request_of(f)->state;

    take_user(f);
    s->erasure.kind = ERASURE_DELETE;
}

static const struct input_field visitor_fields[] = {
    {"visitor", INPUT_LINE, true, false, 0, ID_CHARS, offsetof(struct erase_call, visitor), NULL},
};

static void read_visitor(struct flow *f)
{
    struct request *req = request_of(f);
    struct erase_call *s = req->state;

    s->erasure.kind = ERASURE_VISITOR;
    if (input_read(req, visitor_fields, COUNT(visitor_fields), s) &&
        !id_parse(s->visitor.text, &s->erasure.subject_id))
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NO_SESSION));
}

static const struct input_field me_fields[] = {
    {"password", INPUT_SECRET, true, false, 1, PASSWORD_MAX, offsetof(struct erase_call, password),
     NULL},
};

/* As many tries as at a login: a stolen token must not help to guess the password. */
static void read_me(struct flow *f)
{
    struct request *req = request_of(f);
    struct erase_call *s = req->state;
    const struct rate rate = {RATE_LOGIN_ACCOUNT, id_str(&caller_of(req)->user_id),
                              config()->limits.login_per_account, QUARTER_MS};

    s->erasure.kind = ERASURE_USER;
    s->erasure.subject_id = caller_of(req)->user_id;
    if (input_read(req, me_fields, COUNT(me_fields), s) &&
        take_rate(req, &rate, "Too many tries, try again later"))
        db_query(&s->query, f, &req->arena, SQL_USER_GET_PASSWORD,
                 DB_ARGS(team_arg(req), user_arg(req)));
}

static void check_password(struct flow *f)
{
    struct erase_call *s = request_of(f)->state;
    const struct db_result *row = s->query.result;

    password_verify(&s->job, f, s->password.text,
                    row->n_rows > 0 ? db_get_text(row, 0, 0) : STR_NONE);
}

static void require_password(struct flow *f)
{
    struct request *req = request_of(f);
    struct erase_call *s = req->state;

    if (s->job.is_match)
        return;
    input_wrong(req, "password", "is not right");
    flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
}

/* ---- away ---- */

static void free_portion(void *arena)
{
    arena_free(arena);
}

static void begin(struct flow *f)
{
    struct request *req = request_of(f);
    struct erase_call *s = req->state;
    struct erasure *e = &s->erasure;
    const struct caller *who = caller_of(req);
    struct db_call calls[DB_BATCH_MAX];

    e->team_id = who->team_id;
    e->actor = who->user_id.text[0] != '\0' ? AUDIT_USER : AUDIT_KEY;
    e->actor_id = who->user_id;
    e->is_sqlite = db_is_sqlite_here();
    snprintf(e->address, sizeof(e->address), "%.*s", STR_ARG(req->address));
    if (!arena_defer(&req->arena, free_portion, &s->portion)) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    db_batch(&s->query, f, &s->portion, calls, erasure_begin(e, calls));
}

/* On this node at once, whatever was begun until this moment. Other nodes are told by the rows. */
static void put_out(struct flow *f)
{
    struct request *req = request_of(f);
    struct erase_call *s = req->state;
    const struct id *team = &s->erasure.team_id, *subject = &s->erasure.subject_id;

    if (s->erasure.kind != ERASURE_VISITOR)
        revocation_until_now(&s->put_out, f, &req->arena, REVOKED_USER, team, subject);
    revocation_until_now(&s->end_turns, f, &req->arena, REVOKED_ERASED, team, subject);
    turn_end_all_of(subject);
}

static void note_begin(struct flow *f)
{
    struct erase_call *s = request_of(f)->state;
    struct error err = erasure_note_begin(&s->erasure, s->query.result);

    if (is_error(err))
        flow_fail(f, err);
    else
        put_out(f);
}

static void note(struct erase_call *s)
{
    if (s->n_calls > 0)
        erasure_note(&s->erasure, s->query.result);
    arena_free(&s->portion);
}

/* Comes back to itself until there is nothing more to do. */
static void erase(struct flow *f)
{
    struct erase_call *s = request_of(f)->state;
    struct db_call calls[DB_BATCH_MAX];

    note(s);
    s->n_calls = erasure_next(&s->erasure, &s->portion, calls);
    if (s->n_calls == 0)
        return;
    flow_repeat(f);
    db_batch(&s->query, f, &s->portion, calls, s->n_calls);
}

static void answer_report(struct flow *f)
{
    struct request *req = request_of(f);
    struct erase_call *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    erasure_write(&j, &s->erasure);
    answer_json(req, 200, &body);
}

static void answer_gone(struct flow *f)
{
    response_empty(request_of(f), 204);
}

static void forget_cookies(struct flow *f)
{
    session_clear_cookies(request_of(f));
}

#define ERASE_STEPS STEP(begin), STEP(note_begin), STEP(erase), STEP(put_out)

const struct step erase_user_steps[] = {
    STEP(find_user),     STEP(take_user), /* 404 */
    ERASE_STEPS,                          /* 409 */
    STEP(answer_report), STEP_END,
};
const struct step erase_delete_user_steps[] = {
    STEP(find_user),   STEP(take_user_to_delete), /* 404 */
    ERASE_STEPS,                                  /* 409 */
    STEP(answer_gone), STEP_END,
};
const struct step erase_visitor_steps[] = {
    STEP(read_visitor), /* 422, 404 */
    ERASE_STEPS,        /* 404 */
    STEP(answer_report),
    STEP_END,
};
const struct step erase_me_steps[] = {
    STEP(read_me),                                /* 422, 429 */
    STEP(check_password), STEP(require_password), /* 422 */
    ERASE_STEPS,                                  /* 409 */
    STEP(forget_cookies), STEP(answer_report),    STEP_END,
};

/* ---- what it says ---- */

static const struct schema erased_schema = {
    "Erased",
    .members = MEMBERS(
        {"chats", DOC_INT}, {"messages", DOC_INT}, {"deliveries", DOC_INT, .about = "Of webhooks"},
        {"logins", DOC_INT, .about = "Refresh tokens"},
        {"mails", DOC_INT, .about = "That waited to be sent"}, {"budgets", DOC_INT},
        {"accounts", DOC_INT}, {"audit_rows", DOC_INT, .about = "That name the person no more"}),
};
static const struct schema kept_schema = {
    "Kept",
    .members = MEMBERS({"what", DOC_TEXT}, {"why", DOC_TEXT}),
};
static const struct schema report_schema = {
    "ErasureReport",
    .members = MEMBERS(
        {"id", DOC_ID, .about = "Of this erasure; the audit row has it as its subject"},
        {"kind", DOC_TEXT, .values = "delete|user|visitor"}, {"erased", DOC_OBJECT, &erased_schema},
        {"kept", DOC_OBJECT | DOC_LIST, &kept_schema}, {"at", DOC_TIME}),
};

#define GOES_ON                                                                                    \
    "It works in portions, and answers when all is gone. A call that is cut is not lost: the "     \
    "server goes on with it within two minutes, and a call that is made again at once."

const struct route_doc erase_user_doc = {
    TAG_TEAM,
    ANSWERS({200, &report_schema}),
    DOC_ERRORS(409),
    .about = "The account with its chats, logins, budgets and mails, and its name in the audit "
             "trail. " GOES_ON " The last active admin of a team must stay: 409.",
};
const struct route_doc erase_delete_user_doc = {
    TAG_TEAM,
    ANSWERS({204}),
    DOC_ERRORS(409),
    .about = "As `POST …/erase`, but the audit trail keeps what the account did, by its id. The "
             "last active admin of a team must stay: 409.",
};
const struct route_doc erase_visitor_doc = {
    TAG_TEAM,
    ANSWERS({200, &report_schema}),
    DOC_ERRORS(404),
    DOC_BODY(visitor_fields),
    .example = "{\"visitor\": \"123e4567-e89b-42d3-a456-426614174000\"}",
    .about = "A visitor, or whom a program speaks for with an API key, is known by the session's "
             "id alone. " GOES_ON,
};
const struct route_doc erase_me_doc = {
    TAG_ACCOUNTS,
    ANSWERS({200, &report_schema}),
    DOC_ERRORS(409, 429),
    DOC_BODY(me_fields),
    .example = "{\"password\": \"my own password\"}",
    .about = "As `POST /api/users/{id}/erase`, by oneself; the password is asked for again. The "
             "last active admin of a team must stay: 409.",
};
