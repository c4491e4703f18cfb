/* aerie team: the operator's view of the tenants. */
#include "api/team.h"
#include "account/revocation.h"
#include "base/clock.h"
#include "command.h"
#include "provision.h"

#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct team_options {
    const char *name, *slug, *days;
    bool as_json;
};

static int team_create(struct db *db, const struct team_options *o)
{
    struct str slug = str_from(o->slug);
    struct buf line = {0};
    struct json j = {.buf = &line};
    struct id id;
    bool is_new = false;
    struct error err;

    if (!utf8_is_valid(str_from(o->name)) || str_has_control(str_from(o->name)))
        err = ERROR(ERR_INVALID, 0, "--name must be text without control characters");
    else if (!input_is_slug(slug))
        err = ERROR(ERR_INVALID, 0, "--slug must be small letters, digits and single hyphens");
    else
        err = provision_team(db, str_from(o->name), slug, &id, &is_new);
    if (!is_error(err) && !is_new)
        err = ERROR(ERR_CONFLICT, 0, "there is a team of this slug already");
    if (is_error(err))
        return command_fail(err);
    if (o->as_json) {
        json_begin_object(&j);
        json_pair_str(&j, "id", id_str(&id));
        json_pair_str(&j, "name", str_from(o->name));
        json_pair_str(&j, "slug", slug);
        json_end_object(&j);
    } else {
        buf_append_str(&line, id_str(&id));
    }
    return command_print(&line);
}

static int print_team(const struct db_result *r, size_t row, bool as_json)
{
    struct buf line = {0};
    struct json j = {.buf = &line};

    if (as_json) {
        json_begin_object(&j);
        json_pair_str(&j, "id", db_get_text(r, row, TEAM_ID));
        json_pair_str(&j, "name", db_get_text(r, row, TEAM_NAME));
        json_pair_str(&j, "slug", db_get_text(r, row, TEAM_SLUG));
        json_pair_raw(&j, "settings", db_get_text(r, row, TEAM_SETTINGS));
        json_pair_bool(&j, "is_active", db_get_bool(r, row, TEAM_IS_ACTIVE));
        json_pair_time(&j, "created_at", db_get_int(r, row, TEAM_CREATED_AT));
        json_pair_int_or_null(&j, "retention_days", db_get_int(r, row, TEAM_RETENTION_DAYS),
                              db_is_null(r, row, TEAM_RETENTION_DAYS));
        json_end_object(&j);
    } else {
        buf_printf(&line, "%.*s  %-8s  %-20.*s  %.*s", STR_ARG(db_get_text(r, row, TEAM_ID)),
                   db_get_bool(r, row, TEAM_IS_ACTIVE) ? "active" : "disabled",
                   STR_ARG(db_get_text(r, row, TEAM_SLUG)),
                   STR_ARG(db_get_text(r, row, TEAM_NAME)));
    }
    return command_print(&line);
}

static int team_list(struct db *db, const struct team_options *o)
{
    struct arena arena = {0};
    struct db_result r;
    struct error err = db_run(db, &arena, SQL_TEAM_LIST, NULL, 0, &r);
    int exit = is_error(err) ? command_fail(err) : COMMAND_OK;

    for (size_t row = 0; exit == COMMAND_OK && row < r.n_rows; row++)
        exit = print_team(&r, row, o->as_json);
    arena_free(&arena);
    return exit;
}

/* The tokens of a disabled team die with it. */
static int team_switch(struct db *db, const struct team_options *o, bool is_active)
{
    struct db_result results[DB_BATCH_MAX] = {0};
    struct arena arena = {0};
    struct id id = {{0}};
    struct error err = provision_find_team(db, str_from(o->slug), &id);
    int64_t now_us = clock_wall_us();
    struct audit audit = provision_audit("team.update", &id, &id, now_us);
    struct db_arg team = db_uuid(id_str(&id));
    const struct db_arg update[] = {team, db_bool(is_active), db_time(now_us)};
    const struct db_arg revoke[] = {team, db_text(revoked_kind_name(REVOKED_TEAM)), team,
                                    db_time(now_us), db_time(revocation_expiry(now_us))};

    audit_values(&audit, "is_active", STR_NONE, audit_bool(is_active));
    const struct db_call calls[] = {
        {SQL_TEAM_SET_ACTIVE, update, COUNT(update)},
        audit_call(&audit, &arena),
        {SQL_REVOKED_ADD, revoke, COUNT(revoke)},
    };

    if (!is_error(err))
        err = db_run_batch(db, &arena, calls, is_active ? 2 : COUNT(calls), results);
    if (!is_error(err) && !is_active)
        err = provision_revoke(db, REVOKED_TEAM, &id, &id);
    arena_free(&arena);
    return is_error(err) ? command_fail(err) : COMMAND_OK;
}

/* What the operator says for one team; retention.days holds for all. */
static int team_retention(struct db *db, const struct team_options *o)
{
    bool is_server = strcmp(o->days, "server") == 0;
    int64_t now_us = clock_wall_us(), days = 0;
    struct arena arena = {0};
    struct db_result r;
    struct id id;
    struct audit audit;
    struct error err = provision_find_team(db, str_from(o->slug), &id);

    if (!is_server && (!str_to_i64(str_from(o->days), &days) || days < 1 || days > TEAM_MOST_DAYS))
        err = ERROR(ERR_INVALID, 0, "--days must be between 1 and 36500, or the word server");
    if (!is_error(err)) {
        audit = provision_audit("team.update", &id, &id, now_us);
        audit_values(&audit, "retention_days", STR_NONE, is_server ? STR_NONE : str_from(o->days));
        err = provision_change(
            db, &arena, &audit, SQL_TEAM_SET_RETENTION,
            DB_ARGS(db_uuid(id_str(&id)), is_server ? db_null() : db_int(days), db_time(now_us)),
            &r);
    }
    arena_free(&arena);
    return is_error(err) ? command_fail(err) : COMMAND_OK;
}

int command_team(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    struct team_options o = {0};
    const struct command_option options[] = {{"--name", &o.name, NULL},
                                             {"--slug", &o.slug, NULL},
                                             {"--days", &o.days, NULL},
                                             {"--json", NULL, &o.as_json}};
    bool creates = strcmp(verb, "create") == 0, lists = strcmp(verb, "list") == 0;
    bool enables = strcmp(verb, "enable") == 0, disables = strcmp(verb, "disable") == 0;
    bool retains = strcmp(verb, "retention") == 0;
    struct error err;
    struct db *db;
    int exit;

    if ((!creates && !lists && !enables && !disables && !retains) ||
        !command_read_options(argc, argv, 2, options, sizeof(options) / sizeof(options[0])) ||
        (creates && !command_require("--name", o.name)) ||
        (retains && !command_require("--days", o.days)) ||
        (!lists && !command_require("--slug", o.slug)))
        return command_usage(argv[0]);
    err = command_open_db(&db);
    if (is_error(err))
        return command_fail(err);
    if (creates)
        exit = team_create(db, &o);
    else if (retains)
        exit = team_retention(db, &o);
    else
        exit = lists ? team_list(db, &o) : team_switch(db, &o, enables);
    db_close(db);
    return exit;
}
