/* What goes with a user or a visitor, in which order, and what the report says. See
 * account/erasure.h. */
#include "account/erasure.h"

#include "account/revocation.h"
#include "base/clock.h"
#include "config/config.h"

#include <stdio.h>
#include <string.h>

#define JSON_DEPTH  4
#define MERGE_PAGES 500 /* of the index of words, in one transaction */
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))

/* The columns of SQL_ERASURE_BEGIN and SQL_ERASURE_CLAIM. */
enum erasure_column {
    ROW_ID,
    ROW_TEAM_ID,
    ROW_KIND,
    ROW_SUBJECT_ID,
    ROW_ACTOR,
    ROW_ACTOR_ID,
    ROW_ADDRESS,
    ROW_COUNTS
};

static const struct str kinds[N_ERASURE_KINDS] = {
    [ERASURE_DELETE] = STR("delete"),
    [ERASURE_USER] = STR("user"),
    [ERASURE_VISITOR] = STR("visitor"),
};

static const char *const count_names[N_ERASURE_COUNTS] = {
    [ERASED_CHATS] = "chats",           [ERASED_MESSAGES] = "messages",
    [ERASED_DELIVERIES] = "deliveries", [ERASED_LOGINS] = "logins",
    [ERASED_MAILS] = "mails",           [ERASED_BUDGETS] = "budgets",
    [ERASED_ACCOUNTS] = "accounts",     [ERASED_AUDIT_ROWS] = "audit_rows",
};

/* What an erasure does not reach, of which kinds: a bit for each. */
#define OF(kind)    (1u << (kind))
#define OF_ACCOUNTS (OF(ERASURE_DELETE) | OF(ERASURE_USER))
#define OF_ALL      (OF_ACCOUNTS | OF(ERASURE_VISITOR))
static const struct kept {
    unsigned kinds;
    const char *what, *why;
} kept[] = {
    {OF_ALL, "backups",
     "Those made before still have all of it: let them expire, and erase again after one is "
     "restored"},
    {OF_ALL, "copies",
     "What agents, model providers and receivers of webhooks were sent is theirs to erase"},
    {OF_ALL, "journals",
     "Text of a reply that was running may stay in data_dir/replies until the replies beside it "
     "have ended"},
    {OF_ALL, "logs", "Log files may have the client's address until log.retention_days"},
    {OF_ALL, "usage",
     "Daily counts without text stay for usage.keep_days, under an id that names nobody any more"},
    {OF_ACCOUNTS, "team",
     "Agents, keys and documents are the team's, and no longer say who made them"},
    {OF(ERASURE_DELETE), "audit",
     "The audit trail has what the account did, by its id, for audit.keep_days"},
    {OF(ERASURE_USER), "audit",
     "The audit trail has what was done, and no longer by whom or from where"},
};

const char *erasure_count_name(enum erasure_count count)
{
    return count_names[count];
}

static struct db_arg team_of(const struct erasure *e)
{
    return db_uuid(id_str(&e->team_id));
}

static struct db_arg subject_of(const struct erasure *e)
{
    return db_uuid(id_str(&e->subject_id));
}

static bool is_account(const struct erasure *e)
{
    return e->kind != ERASURE_VISITOR;
}

/* ---- the beginning ---- */

enum begin_call {
    BEGIN_LOCK,
    BEGIN_USER,
    BEGIN_ROW,
    BEGIN_ERASED,
    BEGIN_REVOKE,
    BEGIN_LOGINS,
    BEGIN_LOGINS_AGAIN
};

size_t erasure_begin(struct erasure *e, struct db_call *calls)
{
    e->at_us = clock_wall_us();
    e->id = id_v7();

    const struct db_arg row[ERASURE_ARGS] = {
        team_of(e),
        db_uuid(id_str(&e->id)),
        db_text(kinds[e->kind]),
        subject_of(e),
        db_text(str_from(audit_actor_name(e->actor))),
        db_uuid(id_str(&e->actor_id)),
        db_text(e->address[0] != '\0' ? str_from(e->address) : STR_NONE),
        db_time(e->at_us),
    };
    const struct db_arg whom[] = {team_of(e), subject_of(e), db_time(e->at_us),
                                  db_time(revocation_expiry(e->at_us))};

    memcpy(e->args, row, sizeof(row));
    memcpy(e->more, whom, sizeof(whom));
    calls[BEGIN_LOCK] = (struct db_call){SQL_TEAM_LOCK, e->more, 1};
    calls[BEGIN_USER] =
        (struct db_call){SQL_ERASE_USER_BEGIN, e->more, 3}; /* of a session: nobody */
    calls[BEGIN_ROW] = (struct db_call){SQL_ERASURE_BEGIN, e->args, ERASURE_ARGS};
    calls[BEGIN_ERASED] = (struct db_call){SQL_REVOKED_ADD_ERASED, e->more, 4};
    calls[BEGIN_REVOKE] = (struct db_call){SQL_REVOKED_ADD_USER_CHANGED, e->more, 4};
    /* Twice: see SQL_REFRESH_DROP_FAMILY. */
    calls[BEGIN_LOGINS] = (struct db_call){SQL_REFRESH_DROP_DISABLED, e->more, 2};
    calls[BEGIN_LOGINS_AGAIN] = calls[BEGIN_LOGINS];
    return is_account(e) ? BEGIN_LOGINS_AGAIN + 1 : BEGIN_ERASED + 1;
}

static bool read_kind(struct str name, enum erasure_kind *out)
{
    for (int k = 0; k < N_ERASURE_KINDS; k++)
        if (str_eq(kinds[k], name)) {
            *out = (enum erasure_kind)k;
            return true;
        }
    return false;
}

static void read_counts(struct erasure *e, struct str text)
{
    struct arena arena = {0};
    yyjson_val *root = NULL;

    if (!is_error(json_read(&arena, text, JSON_DEPTH, &root)))
        for (int c = 0; c < N_ERASURE_COUNTS; c++)
            e->counts[c] = yyjson_get_sint(json_member(root, count_names[c]));
    arena_free(&arena);
}

bool erasure_take(struct erasure *e, const struct db_result *row)
{
    struct str address = db_get_text(row, 0, ROW_ADDRESS), actor = db_get_text(row, 0, ROW_ACTOR);

    if (!id_parse(db_get_text(row, 0, ROW_ID), &e->id) ||
        !id_parse(db_get_text(row, 0, ROW_TEAM_ID), &e->team_id) ||
        !id_parse(db_get_text(row, 0, ROW_SUBJECT_ID), &e->subject_id) ||
        !read_kind(db_get_text(row, 0, ROW_KIND), &e->kind))
        return false;
    if (db_is_null(row, 0, ROW_ACTOR_ID) ||
        !id_parse(db_get_text(row, 0, ROW_ACTOR_ID), &e->actor_id))
        e->actor_id = (struct id){{0}};
    for (int a = 0; a < N_AUDIT_ACTORS; a++)
        if (str_eq(actor, str_from(audit_actor_name((enum audit_actor)a))))
            e->actor = (enum audit_actor)a;
    snprintf(e->address, sizeof(e->address), "%.*s", STR_ARG(address));
    read_counts(e, db_get_text(row, 0, ROW_COUNTS));
    e->stage = ERASE_TEXT;
    return true;
}

struct error erasure_note_begin(struct erasure *e, const struct db_result *results)
{
    const struct db_result *row = &results[BEGIN_ROW];

    if (row->n_rows == 0)
        return is_account(e)
                   ? ERROR(ERR_CONFLICT, 0, "The last active admin of a team must stay one")
                   : ERROR(ERR_NOT_FOUND, 0, "Session not found");
    if (!erasure_take(e, row))
        return ERROR(ERR_INTERNAL, 0, NULL);
    if (is_account(e))
        e->counts[ERASED_LOGINS] +=
            results[BEGIN_LOGINS].n_changed + results[BEGIN_LOGINS_AGAIN].n_changed;
    return NO_ERROR;
}

/* ---- a transaction ---- */

static void write_counts(struct json *j, const struct erasure *e)
{
    json_begin_object(j);
    for (int c = 0; c < N_ERASURE_COUNTS; c++)
        json_pair_int(j, count_names[c], e->counts[c]);
    json_end_object(j);
}

/* What has gone until now, for who goes on with it. ptr NULL: no memory. */
static struct str copy_counts(const struct erasure *e, struct arena *a)
{
    struct buf out = {0};
    struct json j = {.buf = &out};
    struct str text;

    write_counts(&j, e);
    text = out.failed ? STR_NONE : arena_copy(a, buf_str(&out));
    buf_deinit(&out);
    return text;
}

enum text_call {
    TEXT_NOTE,
    TEXT_DELIVERIES,
    TEXT_MESSAGES,
    TEXT_CHAT_DELIVERIES,
    TEXT_CHATS,
    N_TEXT
};

static size_t next_text(struct db_call *calls, const struct db_arg *whom)
{
    calls[TEXT_DELIVERIES] = (struct db_call){SQL_ERASE_MESSAGE_DELIVERIES, whom, 3};
    calls[TEXT_MESSAGES] = (struct db_call){SQL_ERASE_MESSAGES, whom, 3};
    calls[TEXT_CHAT_DELIVERIES] = (struct db_call){SQL_ERASE_CHAT_DELIVERIES, whom, 2};
    calls[TEXT_CHATS] = (struct db_call){SQL_ERASE_EMPTY_CHATS, whom, 2};
    return N_TEXT;
}

enum index_call { INDEX_NOTE, INDEX_MERGE, INDEX_IS_OPEN, N_INDEX };

static size_t next_index(struct erasure *e, struct db_call *calls)
{
    bool is_first = e->merged_pages == 0;

    e->merged_pages += MERGE_PAGES;
    e->more[1] = e->args[1];
    e->more[2] = e->args[3];
    e->more[3] = db_int(e->merged_pages);
    e->more[4] = db_int(is_first ? -MERGE_PAGES : MERGE_PAGES);
    calls[INDEX_MERGE] = (struct db_call){SQL_ERASE_WORDS, e->more + 4, 1};
    calls[INDEX_IS_OPEN] = (struct db_call){SQL_ERASE_HAS_WORDS, e->more, 4};
    return N_INDEX;
}

enum trail_call { TRAIL_NOTE, TRAIL_ACTOR, TRAIL_SUBJECT, N_TRAIL };

static size_t next_trail(struct db_call *calls, const struct db_arg *whom)
{
    calls[TRAIL_ACTOR] = (struct db_call){SQL_ERASE_AUDIT_ACTOR, whom, 3};
    calls[TRAIL_SUBJECT] = (struct db_call){SQL_ERASE_AUDIT_SUBJECT, whom, 3};
    return N_TRAIL;
}

/* Whoever erases himself is nobody in the row that tells of it. */
static void fill_audit(struct erasure *e, struct arena *a)
{
    static const char *const actions[N_ERASURE_KINDS] = {
        [ERASURE_DELETE] = "user.delete",
        [ERASURE_USER] = "erasure.user",
        [ERASURE_VISITOR] = "erasure.visitor",
    };
    static const struct id nobody = {{0}};
    bool is_delete = e->kind == ERASURE_DELETE;
    bool is_own = e->kind == ERASURE_USER && str_eq(id_str(&e->actor_id), id_str(&e->subject_id));

    e->audit = (struct audit){
        .action = actions[e->kind],
        .team_id = e->team_id,
        .subject_id = is_delete ? e->subject_id : e->id,
        .actor = is_own ? AUDIT_ERASED : e->actor,
        .user_id = is_own ? nobody : e->actor_id,
        .address = is_own || e->address[0] == '\0' ? STR_NONE : str_from(e->address),
        .now_us = e->at_us,
    };
    for (int c = 0; !is_delete && c < N_ERASURE_COUNTS; c++)
        if (e->counts[c] > 0)
            audit_values(&e->audit, count_names[c], STR_NONE,
                         arena_printf(a, "%lld", (long long)e->counts[c]));
}

enum rest_call {
    REST_LOCK,
    REST_MAILS,
    REST_SITE,
    REST_BUDGETS,
    REST_USER,
    REST_AUDIT,
    REST_END,
    N_REST
};

/* A visitor has no account: those statements find nothing. */
static size_t next_rest(struct erasure *e, struct arena *a, struct db_call *calls)
{
    fill_audit(e, a);
    calls[REST_LOCK] = (struct db_call){SQL_TEAM_LOCK, e->args, 1};
    calls[REST_MAILS] = (struct db_call){SQL_ERASE_MAILS, e->more + 3, 2};
    calls[REST_SITE] = (struct db_call){SQL_ERASE_SITE, e->more + 3, 2};
    calls[REST_BUDGETS] = (struct db_call){SQL_ERASE_BUDGETS, e->more + 3, 2};
    calls[REST_USER] = (struct db_call){SQL_ERASE_USER, e->more + 3, 2};
    calls[REST_AUDIT] = audit_call(&e->audit, a);
    calls[REST_END] = (struct db_call){SQL_ERASURE_END, e->args, 2};
    return N_REST;
}

size_t erasure_next(struct erasure *e, struct arena *a, struct db_call *calls)
{
    e->at_us = clock_wall_us();

    /* args: the erasure's own row. more: $1 team … of its steps; from 3 on: whom, and how many. */
    const struct db_arg note[] = {team_of(e), db_uuid(id_str(&e->id)), db_json(copy_counts(e, a)),
                                  db_time(e->at_us)};
    const struct db_arg whom[] = {team_of(e), subject_of(e),
                                  db_int((int64_t)config()->retention.rows)};

    memcpy(e->args, note, sizeof(note));
    e->more[0] = team_of(e);
    memcpy(e->more + 3, whom, sizeof(whom));
    calls[0] = (struct db_call){SQL_ERASURE_NOTE, e->args, COUNT(note)};
    switch (e->stage) {
    case ERASE_TEXT:
        return next_text(calls, e->more + 3);
    case ERASE_INDEX:
        return next_index(e, calls);
    case ERASE_TRAIL:
        return next_trail(calls, e->more + 3);
    case ERASE_REST:
        return next_rest(e, a, calls);
    case ERASE_DONE:
        break;
    }
    return 0;
}

void erasure_note(struct erasure *e, const struct db_result *results)
{
    switch (e->stage) {
    case ERASE_TEXT:
        e->counts[ERASED_DELIVERIES] +=
            results[TEXT_DELIVERIES].n_changed + results[TEXT_CHAT_DELIVERIES].n_changed;
        e->counts[ERASED_MESSAGES] += results[TEXT_MESSAGES].n_changed;
        e->counts[ERASED_CHATS] += results[TEXT_CHATS].n_changed;
        if (results[TEXT_MESSAGES].n_changed == 0 && results[TEXT_CHATS].n_changed == 0)
            e->stage = e->is_sqlite              ? ERASE_INDEX
                       : e->kind == ERASURE_USER ? ERASE_TRAIL
                                                 : ERASE_REST;
        return;
    case ERASE_INDEX:
        if (results[INDEX_IS_OPEN].n_changed == 0)
            e->stage = e->kind == ERASURE_USER ? ERASE_TRAIL : ERASE_REST;
        return;
    case ERASE_TRAIL:
        e->counts[ERASED_AUDIT_ROWS] +=
            results[TRAIL_ACTOR].n_changed + results[TRAIL_SUBJECT].n_changed;
        if (results[TRAIL_ACTOR].n_changed == 0 && results[TRAIL_SUBJECT].n_changed == 0)
            e->stage = ERASE_REST;
        return;
    case ERASE_REST:
        e->counts[ERASED_MAILS] += results[REST_MAILS].n_changed;
        e->counts[ERASED_BUDGETS] += results[REST_BUDGETS].n_changed;
        e->counts[ERASED_ACCOUNTS] += results[REST_USER].n_changed;
        e->stage = ERASE_DONE;
        return;
    case ERASE_DONE:
        return;
    }
}

/* ---- the report ---- */

void erasure_write(struct json *j, const struct erasure *e)
{
    json_begin_object(j);
    json_pair_str(j, "id", id_str(&e->id));
    json_pair_str(j, "kind", kinds[e->kind]);
    json_key(j, "erased");
    write_counts(j, e);
    json_key(j, "kept");
    json_begin_array(j);
    for (size_t i = 0; i < COUNT(kept); i++) {
        if (!(kept[i].kinds & OF(e->kind)))
            continue;
        json_begin_object(j);
        json_pair_str(j, "what", str_from(kept[i].what));
        json_pair_str(j, "why", str_from(kept[i].why));
        json_end_object(j);
    }
    json_end_array(j);
    json_pair_time(j, "at", e->at_us);
    json_end_object(j);
}
