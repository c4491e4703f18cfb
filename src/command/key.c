/* aerie key: API keys. */
#include "account/api_key.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/rfc3339.h"
#include "command.h"
#include "provision.h"

#include <stdio.h>
#include <string.h>

/* What the operator said. */
struct wish {
    const char *agent, *name, *scope, *expires;
};

/* "chat,documents" as the JSON that is stored. */
static struct error read_scopes(const char *text, struct buf *out)
{
    struct str rest = str_from(text ? text : "chat"), word;
    struct json j = {.buf = out};

    json_begin_array(&j);
    while (str_next(&rest, ',', &word)) {
        if (!api_key_is_scope(str_trim(word)))
            return ERROR(ERR_INVALID, 0,
                         "--scope must be " API_KEY_SCOPES ", or several with commas");
        json_str(&j, str_trim(word));
    }
    json_end_array(&j);
    return out->failed ? ERROR(ERR_NO_MEMORY, 0, NULL) : NO_ERROR;
}

static struct error read_expiry(const char *text, int64_t *us)
{
    *us = INT64_MIN;
    if (text && (!rfc3339_parse(str_from(text), us) || *us <= clock_wall_us()))
        return ERROR(ERR_INVALID, 0,
                     "--expires must be a time to come, such as 2030-01-31T12:00:00Z");
    return NO_ERROR;
}

static struct error add_key(struct db *db, const struct wish *wish, struct str scopes,
                            int64_t expires_us, const struct api_key *key, const struct id *id)
{
    struct str name = wish->name ? str_from(wish->name) : STR_NONE;
    struct arena arena = {0};
    int64_t now_us = clock_wall_us();
    struct id agent_id, team;
    struct audit audit;
    struct db_result r;
    struct error err;

    if (!id_parse(str_from(wish->agent), &agent_id))
        return ERROR(ERR_INVALID, 0, "--agent must be an agent's id");
    if (!utf8_is_valid(name) || str_has_control(name))
        return ERROR(ERR_INVALID, 0, "--name must be text without control characters");
    err = db_run(db, &arena, SQL_AGENT_FIND_TEAM, DB_ARGS(db_uuid(id_str(&agent_id))), &r);
    if (!is_error(err) && (r.n_rows == 0 || !id_parse(db_get_text(&r, 0, 0), &team)))
        err = ERROR(ERR_NOT_FOUND, 0, "there is no agent of this id");
    if (!is_error(err)) {
        audit = provision_audit("api_key.create", &team, id, now_us);
        audit_values(&audit, "agent_id", STR_NONE, id_str(&agent_id));
        if (name.ptr)
            audit_values(&audit, "name", STR_NONE, name);
        audit_values(&audit, "scopes", STR_NONE, scopes);
        err = provision_change(db, &arena, &audit, SQL_KEY_ADD,
                               DB_ARGS(db_uuid(id_str(&team)), db_uuid(id_str(&agent_id)),
                                       db_uuid(id_str(id)), db_text(name),
                                       db_text(str_from(key->prefix)), db_text(str_from(key->hash)),
                                       db_json(scopes), db_time(expires_us), db_null(),
                                       db_time(now_us), db_json(STR("[]"))),
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
    struct wish wish = {0};
    bool as_json = false;
    const struct command_option options[] = {{"--agent", &wish.agent, NULL},
                                             {"--expires", &wish.expires, NULL},
                                             {"--json", NULL, &as_json},
                                             {"--name", &wish.name, NULL},
                                             {"--scope", &wish.scope, NULL}};
    struct buf scopes = {0};
    int64_t expires_us;
    struct id id = id_v7();
    struct api_key key;
    struct error err;
    struct db *db;

    if (argc < 2 || strcmp(argv[1], "create") != 0 ||
        !command_read_options(argc, argv, 2, options, sizeof(options) / sizeof(options[0])) ||
        !command_require("--agent", wish.agent))
        return command_usage(argv[0]);
    err = read_scopes(wish.scope, &scopes);
    if (!is_error(err))
        err = read_expiry(wish.expires, &expires_us);
    if (!is_error(err))
        err = command_open_db(&db);
    if (!is_error(err)) {
        api_key_new(&key);
        err = add_key(db, &wish, buf_str(&scopes), expires_us, &key, &id);
        db_close(db);
    }
    buf_deinit(&scopes);
    return is_error(err) ? command_fail(err) : print_key(&key, &id, as_json);
}
