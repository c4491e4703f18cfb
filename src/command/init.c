/* aerie init: from an empty database to someone who can log in and an agent that answers. Run
 * again, it makes only what is missing, and says nothing when all is there. */
#include "command.h"
#include "provision.h"

#include <stdio.h>

static const struct str admin_email = STR("admin@example.com");

static struct error make_admin(struct db *db, const struct id *team, struct id *admin)
{
    char password[GENERATED_PASSWORD_BYTES];
    struct arena arena = {0};
    struct db_result r;
    bool is_new = false;
    struct error err;

    /* Whoever renamed the first admin, or made another one, needs none of ours. */
    err = db_run(db, &arena, SQL_USER_FIND_ADMIN, DB_ARGS(db_uuid(id_str(team))), &r);
    if (is_error(err) || (r.n_rows > 0 && id_parse(db_get_text(&r, 0, 0), admin))) {
        arena_free(&arena);
        return err;
    }
    arena_free(&arena);
    provision_generate_password(password);
    err = provision_user(db,
                         &(const struct new_user){.team_id = *team,
                                                  .email = admin_email,
                                                  .full_name = STR("Administrator"),
                                                  .role = STR("admin"),
                                                  .password = str_from(password)},
                         admin, &is_new);
    if (!is_error(err) && is_new)
        printf("admin: %.*s\npassword: %s (shown this once)\n", STR_ARG(admin_email), password);
    return err;
}

/* Only into a team without agents: one that was deleted stays away. */
static struct error make_echo(struct db *db, const struct id *team, const struct id *admin)
{
    struct arena arena = {0};
    struct db_result r;
    struct id agent;
    bool is_new = false;
    struct error err =
        db_run(db, &arena, SQL_AGENT_COUNT, DB_ARGS(db_uuid(id_str(team)), db_bool(true)), &r);

    if (!is_error(err) && db_get_int(&r, 0, 0) == 0) {
        err = provision_agent(
            db,
            &(const struct new_agent){.team_id = *team,
                                      .created_by = *admin,
                                      .name = STR("Echo"),
                                      .description = STR("Says what you say, without any network"),
                                      .provider = STR("echo")},
            &agent, &is_new);
        if (!is_error(err) && is_new)
            printf("agent: Echo (%s)\n", agent.text);
    }
    arena_free(&arena);
    return err;
}

static struct error make_all(struct db *db)
{
    struct arena arena = {0};
    struct db_result r;
    struct id team, admin;
    struct error err = command_ensure_default_team(db);

    if (!is_error(err))
        err = db_run(db, &arena, SQL_TEAM_DEFAULT, NULL, 0, &r);
    /* Several teams and none called default: an operator's own order, that needs no first one. */
    if (!is_error(err) && r.n_rows > 0 && id_parse(db_get_text(&r, 0, 0), &team)) {
        err = make_admin(db, &team, &admin);
        if (!is_error(err))
            err = make_echo(db, &team, &admin);
    }
    arena_free(&arena);
    return err;
}

int command_init(int argc, char **argv)
{
    struct db *db;
    struct error err;

    if (!command_read_options(argc, argv, 1, NULL, 0))
        return command_usage(argv[0]);
    err = command_open_db(&db);
    if (is_error(err))
        return command_fail(err);
    err = make_all(db);
    db_close(db);
    return is_error(err) ? command_fail(err) : COMMAND_OK;
}
