/* aerie key: API keys. */
#include "account/api_key.h"
#include "base/clock.h"
#include "base/id.h"
#include "command.h"

#include <stdio.h>
#include <string.h>

static struct error add_key(struct db *db, struct str agent, struct str name,
                            const struct api_key *key, const struct id *id)
{
    struct arena arena = {0};
    struct id agent_id;
    struct db_result r;
    struct error err;

    if (!id_parse(agent, &agent_id))
        return ERROR(ERR_INVALID, 0, "--agent must be an agent's id");
    if (!utf8_is_valid(name) || str_has_control(name))
        return ERROR(ERR_INVALID, 0, "--name must be text without control characters");
    err = db_run(db, &arena, SQL_AGENT_FIND_TEAM, DB_ARGS(db_uuid(id_str(&agent_id))), &r);
    if (!is_error(err) && r.n_rows == 0)
        err = ERROR(ERR_NOT_FOUND, 0, "there is no agent of this id");
    if (!is_error(err)) {
        struct str team = db_get_text(&r, 0, 0);

        err = db_run(db, &arena, SQL_KEY_ADD,
                     DB_ARGS(db_uuid(team), db_uuid(id_str(&agent_id)), db_uuid(id_str(id)),
                             db_text(name), db_text(str_from(key->prefix)),
                             db_text(str_from(key->hash)), db_json(STR("[\"chat\"]")), db_null(),
                             db_null(), db_time(clock_wall_us())),
                     &r);
    }
    if (!is_error(err) && r.n_changed == 0)
        err = ERROR(ERR_CONFLICT, 0, "the key could not be stored, try again");
    arena_free(&arena);
    return err;
}

static int print_key(const struct api_key *key, const struct id *id, bool as_json)
{
    struct buf line = {0};
    struct json j = {.buf = &line};

    if (as_json) {
        json_begin_object(&j);
        json_pair_str(&j, "id", id_str(id));
        json_pair_str(&j, "api_key", str_from(key->text));
        json_pair_str(&j, "prefix", str_from(key->prefix));
        json_end_object(&j);
    } else {
        fprintf(stderr, "key %s, shown this once:\n", id->text);
        buf_append_str(&line, str_from(key->text));
    }
    return command_print(&line);
}

int command_key(int argc, char **argv)
{
    const char *agent = NULL, *name = NULL;
    bool as_json = false;
    const struct command_option options[] = {
        {"--agent", &agent, NULL}, {"--name", &name, NULL}, {"--json", NULL, &as_json}};
    struct id id = id_v7();
    struct api_key key;
    struct error err;
    struct db *db;

    if (argc < 2 || strcmp(argv[1], "create") != 0 ||
        !command_read_options(argc, argv, 2, options, sizeof(options) / sizeof(options[0])) ||
        !command_require("--agent", agent))
        return command_usage(argv[0]);
    err = command_open_db(&db);
    if (is_error(err))
        return command_fail(err);
    api_key_new(&key);
    err = add_key(db, str_from(agent), name ? str_from(name) : STR_NONE, &key, &id);
    db_close(db);
    return is_error(err) ? command_fail(err) : print_key(&key, &id, as_json);
}
