/* The caller's own team. */
#include "team.h"

#include "answer.h"
#include "base/clock.h"
#include "config/config.h"
#include "doc.h"
#include "team_audit.h"
#include "team_door.h"
#include "upstream/upstream.h"

#include <stddef.h>

#define SETTINGS_BYTES  16384
#define MOST_USERS      1000000000
#define MOST_DIMENSIONS 16384
#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))

static const struct input_field team_fields[] = {
    {"name", INPUT_LINE, false, false, 1, 200, offsetof(struct team, name), NULL},
    {"slug", INPUT_LINE, false, false, 1, 63, offsetof(struct team, slug), NULL},
    {"settings", INPUT_OBJECT, false, false, 0, SETTINGS_BYTES, offsetof(struct team, settings),
     NULL},
    {"is_active", INPUT_BOOL, false, false, 0, 0, offsetof(struct team, is_active), NULL},
    {"retention_days", INPUT_INT, false, true, 1, TEAM_MOST_DAYS,
     offsetof(struct team, retention_days), NULL},
};

static void load_team(struct flow *f)
{
    struct request *req = request_of(f);
    struct team *s = req->state;

    db_query(&s->query, f, &req->arena, SQL_TEAM_GET, DB_ARGS(team_arg(req)));
}

static const struct schema team_schema = {
    "Team",
    .members = MEMBERS(
        {"id", DOC_ID}, {"name", DOC_TEXT}, {"slug", DOC_TEXT},
        {"settings", DOC_OBJECT,
         .about = "Of these, Aerie reads default_agent_id, embeddings, max_users, "
                  "open_registration and require_verified_email"},
        {"is_active", DOC_BOOL}, {"created_at", DOC_TIME}, {"updated_at", DOC_TIME},
        {"retention_days", DOC_INT | DOC_NULL,
         .about =
             "Chats in which nothing happened for so long are deleted; null: as the server says"},
        {"retention_days_max", DOC_INT | DOC_NULL,
         .about = "What the server says, for a team that does not, and at most; null: for ever"}),
};

static void answer_team(struct flow *f)
{
    struct request *req = request_of(f);
    struct team *s = req->state;
    const struct db_result *r = s->query.result;
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (r->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Team not found"));
        return;
    }
    json_begin_object(&j);
    json_pair_str(&j, "id", db_get_text(r, 0, TEAM_ID));
    json_pair_str(&j, "name", db_get_text(r, 0, TEAM_NAME));
    json_pair_str(&j, "slug", db_get_text(r, 0, TEAM_SLUG));
    json_pair_raw(&j, "settings", db_get_text(r, 0, TEAM_SETTINGS));
    json_pair_bool(&j, "is_active", db_get_bool(r, 0, TEAM_IS_ACTIVE));
    json_pair_time(&j, "created_at", db_get_int(r, 0, TEAM_CREATED_AT));
    json_pair_time(&j, "updated_at", db_get_int(r, 0, TEAM_UPDATED_AT));
    json_pair_int_or_null(&j, "retention_days", db_get_int(r, 0, TEAM_RETENTION_DAYS),
                          db_is_null(r, 0, TEAM_RETENTION_DAYS));
    json_pair_int_or_null(&j, "retention_days_max", (int64_t)config()->retention.days,
                          config()->retention.days == 0);
    json_end_object(&j);
    answer_json(req, 200, &body);
}

const struct step team_get_steps[] = {
    STEP(team_door_admin_read), /* 401, 403 */
    STEP(load_team),
    STEP(answer_team),
    STEP_END,
};

const struct route_doc team_get_doc = {TAG_TEAM, ANSWERS({200, &team_schema}), DOC_ERRORS(404)};

/* Whom those ask who do not say. */
static void read_default_agent(struct request *req, yyjson_val *value)
{
    struct team *s = req->state;

    if (value && !yyjson_is_null(value) && !id_parse(json_text(value), &s->default_agent))
        input_wrong(req, "settings.default_agent_id", "must be the id of an agent of this team");
}

/* Who makes the embeddings of the team's documents. */
static void check_embeddings(struct request *req, yyjson_val *own)
{
    yyjson_val *url = json_member(own, "base_url"), *model = json_member(own, "model");
    yyjson_val *dimensions = json_member(own, "dimensions");

    if (!own || yyjson_is_null(own))
        return;
    if (!yyjson_is_obj(own))
        input_wrong(req, "settings.embeddings", "must be an object");
    if (url && (!yyjson_is_str(url) || is_error(egress_check_url(json_text(url)))))
        input_wrong(req, "settings.embeddings.base_url",
                    "must be an http or https URL that may be called");
    if (model && (json_text(model).len == 0 || str_has_control(json_text(model))))
        input_wrong(req, "settings.embeddings.model", "must be a model's name");
    if (dimensions && (!yyjson_is_uint(dimensions) || yyjson_get_uint(dimensions) == 0 ||
                       yyjson_get_uint(dimensions) > MOST_DIMENSIONS))
        input_wrong(req, "settings.embeddings.dimensions", "must be between 1 and 16384");
}

/* The settings that Aerie itself obeys must be of their type; others are the team's own. */
static void check_settings(struct request *req, struct str text)
{
    yyjson_val *root = NULL, *max_users, *open, *verified;
    struct error err = json_read(&req->arena, text, 64, &root);

    if (is_error(err)) {
        flow_fail(&req->flow, err);
        return;
    }
    max_users = json_member(root, "max_users");
    open = json_member(root, "open_registration");
    verified = json_member(root, "require_verified_email");
    if (max_users && !yyjson_is_null(max_users) &&
        (!yyjson_is_uint(max_users) || yyjson_get_uint(max_users) > MOST_USERS))
        input_wrong(req, "settings.max_users", "must be a whole number");
    if (open && !yyjson_is_null(open) && !yyjson_is_bool(open))
        input_wrong(req, "settings.open_registration", "must be true or false");
    if (verified && !yyjson_is_null(verified) && !yyjson_is_bool(verified))
        input_wrong(req, "settings.require_verified_email", "must be true or false");
    read_default_agent(req, json_member(root, "default_agent_id"));
    check_embeddings(req, json_member(root, "embeddings"));
}

/* The operator's word is the most; later, too, should he say less. */
static void check_retention(struct request *req, int64_t days)
{
    struct str rule;

    if (config()->retention.days == 0 || (uint64_t)days <= config()->retention.days)
        return;
    rule = arena_printf(&req->arena, "must be at most %llu, as this server keeps nothing longer",
                        (unsigned long long)config()->retention.days);
    input_wrong(req, "retention_days", rule.ptr ? rule.ptr : "is more than this server keeps");
}

static void read_team(struct flow *f)
{
    struct request *req = request_of(f);
    struct team *s = req->state;

    if (!input_read(req, team_fields, COUNT(team_fields), s))
        return;
    if (s->slug.is_given && !input_is_slug(s->slug.text))
        input_wrong(req, "slug", "must be small letters, digits and single hyphens");
    if (s->settings.is_given)
        check_settings(req, s->settings.text);
    if (input_is_set(&s->retention_days))
        check_retention(req, s->retention_days.number);
    if (request_has_field_errors(req))
        flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
    else if (s->is_active.is_given && !s->is_active.number)
        flow_fail(f, ERROR(ERR_CONFLICT, 0,
                           "A team cannot lock itself out: only the operator can disable it"));
}

static void load_old(struct flow *f)
{
    struct request *req = request_of(f);
    struct team *s = req->state;

    db_query(&s->old, f, &req->arena, SQL_TEAM_GET, DB_ARGS(team_arg(req)));
    if (s->default_agent.text[0] != '\0')
        db_query(&s->agent, f, &req->arena, SQL_AGENT_EXISTS,
                 DB_ARGS(team_arg(req), db_uuid(id_str(&s->default_agent))));
}

static void require_default_agent(struct flow *f)
{
    struct request *req = request_of(f);
    struct team *s = req->state;

    if (s->default_agent.text[0] == '\0' || s->agent.result->n_rows > 0)
        return;
    input_wrong(req, "settings.default_agent_id", "must be the id of an agent of this team");
    flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
}

static void save_team(struct flow *f)
{
    struct request *req = request_of(f);
    struct team *s = req->state;
    int64_t now_us = clock_wall_us();
    struct audit audit = team_audit(req, s, s->old.result, now_us);
    const struct db_arg update[] = {
        team_arg(req),
        db_text(s->name.text),
        db_text(s->slug.text),
        db_json(s->settings.text),
        db_time(now_us),
        db_bool(s->retention_days.is_given),
        input_is_set(&s->retention_days) ? db_int(s->retention_days.number) : db_null()};
    const struct db_call calls[] = {{SQL_TEAM_UPDATE, update, COUNT(update)},
                                    audit_call(&audit, &req->arena)};

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void require_saved(struct flow *f)
{
    struct team *s = request_of(f)->state;

    if (s->query.result->n_rows > 0)
        return;
    flow_fail(f, str_eq(s->slug.text, STR("default"))
                     ? ERROR(ERR_CONFLICT, 0, "Only the operator gives a team this slug")
                     : ERROR(ERR_CONFLICT, 0, "Another team has this slug"));
}

const struct step team_update_steps[] = {
    STEP(read_team),                                /* 422, 409 */
    STEP(load_old),    STEP(require_default_agent), /* 422 */
    STEP(save_team),   STEP(require_saved),         /* 409 */
    STEP(answer_team), STEP_END,
};

const struct route_doc team_update_doc = {
    TAG_TEAM,
    ANSWERS({200, &team_schema}),
    DOC_ERRORS(409),
    DOC_BODY(team_fields),
    .example = "{\"settings\": {\"open_registration\": true, \"max_users\": 500}}",
};
