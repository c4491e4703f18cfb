/* aerie user: accounts, made and changed by the operator. */
#include "account/outbox.h"
#include "account/password.h"
#include "account/revocation.h"
#include "api/input.h"
#include "base/clock.h"
#include "command.h"
#include "provision.h"
#include "secret_input.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define EMAIL_BYTES 256
#define PAGE_ROWS   1000
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))

enum user_column { USER_ID, USER_TEAM_ID, USER_EMAIL, USER_FULL_NAME, USER_ROLE, USER_IS_ACTIVE };

struct user_options {
    const char *email, *team, *name, *role;
    bool from_stdin, is_generated, as_json;
    char lower_email[EMAIL_BYTES];
    struct id team_id;
};

static enum password_source source_of(const struct user_options *o)
{
    if (o->from_stdin)
        return PASSWORD_STDIN;
    return o->is_generated ? PASSWORD_GENERATED : PASSWORD_ASKED;
}

static bool is_role(const char *role)
{
    return strcmp(role, "user") == 0 || strcmp(role, "admin") == 0;
}

/* ---- create ---- */

static int print_created(const struct user_options *o, const struct id *id, const char *password)
{
    struct buf line = {0};
    struct json j = {.buf = &line};

    if (o->as_json) {
        json_begin_object(&j);
        json_pair_str(&j, "id", id_str(id));
        json_pair_str(&j, "team_id", id_str(&o->team_id));
        json_pair_str(&j, "email", str_from(o->lower_email));
        json_pair_str(&j, "role", str_from(o->role));
        if (o->is_generated)
            json_pair_str(&j, "password", str_from(password));
        json_end_object(&j);
    } else {
        buf_append_str(&line, id_str(id));
        if (o->is_generated)
            fprintf(stderr, "password, shown this once: %s\n", password);
    }
    return command_print(&line);
}

static int user_create(struct db *db, struct user_options *o)
{
    char password[PASSWORD_MAX_BYTES];
    struct new_user user = {.team_id = o->team_id,
                            .email = str_from(o->lower_email),
                            .full_name = o->name ? str_from(o->name) : STR_NONE,
                            .role = str_from(o->role)};
    struct id id;
    bool is_new;
    struct error err = secret_input_read(source_of(o), password);
    int exit;

    if (!is_error(err) && o->name &&
        (!utf8_is_valid(user.full_name) || str_has_control(user.full_name)))
        err = ERROR(ERR_INVALID, 0, "--name must be text without control characters");
    if (!is_error(err)) {
        user.password = str_from(password);
        err = provision_user(db, &user, &id, &is_new);
    }
    if (!is_error(err) && !is_new)
        err = ERROR(ERR_CONFLICT, 0, "there is a user of this address already");
    exit = is_error(err) ? command_fail(err) : print_created(o, &id, password);
    explicit_bzero(password, sizeof(password));
    return exit;
}

/* ---- list ---- */

static int print_user(const struct db_result *r, size_t row, bool as_json)
{
    struct buf line = {0};
    struct json j = {.buf = &line};

    if (as_json) {
        json_begin_object(&j);
        json_pair_str(&j, "id", db_get_text(r, row, USER_ID));
        json_pair_str(&j, "team_id", db_get_text(r, row, USER_TEAM_ID));
        json_pair_str(&j, "email", db_get_text(r, row, USER_EMAIL));
        json_pair_str_or_null(&j, "full_name", db_get_text(r, row, USER_FULL_NAME));
        json_pair_str(&j, "role", db_get_text(r, row, USER_ROLE));
        json_pair_bool(&j, "is_active", db_get_bool(r, row, USER_IS_ACTIVE));
        json_end_object(&j);
    } else {
        buf_printf(&line, "%.*s  %-5.*s  %-8s  %.*s", STR_ARG(db_get_text(r, row, USER_ID)),
                   STR_ARG(db_get_text(r, row, USER_ROLE)),
                   db_get_bool(r, row, USER_IS_ACTIVE) ? "active" : "disabled",
                   STR_ARG(db_get_text(r, row, USER_EMAIL)));
    }
    return command_print(&line);
}

static int user_list(struct db *db, struct user_options *o)
{
    int64_t offset = 0;
    int exit = COMMAND_OK;
    size_t n_rows = PAGE_ROWS;

    while (exit == COMMAND_OK && n_rows == PAGE_ROWS) {
        struct arena arena = {0};
        struct db_result r;
        struct error err =
            db_run(db, &arena, SQL_USER_LIST,
                   DB_ARGS(db_uuid(id_str(&o->team_id)), db_int(PAGE_ROWS), db_int(offset)), &r);

        n_rows = is_error(err) ? 0 : r.n_rows;
        if (is_error(err))
            exit = command_fail(err);
        for (size_t row = 0; exit == COMMAND_OK && row < n_rows; row++)
            exit = print_user(&r, row, o->as_json);
        offset += PAGE_ROWS;
        arena_free(&arena);
    }
    return exit;
}

/* ---- change ---- */

/* role NULL, is_active db_null(): stays. The user's access tokens die with the change; of one who
 * is disabled the refresh tokens too, and what was mailed to set a password. */
static int change(struct db *db, struct user_options *o, struct db_arg role,
                  struct db_arg is_active)
{
    struct db_result results[DB_BATCH_MAX] = {0};
    struct arena arena = {0};
    struct id id = {{0}};
    struct error err = provision_find_user(db, &o->team_id, str_from(o->lower_email), &id);
    int64_t now_us = clock_wall_us();
    struct audit audit = provision_audit("user.update", &o->team_id, &id, now_us);
    struct db_arg team = db_uuid(id_str(&o->team_id)), user = db_uuid(id_str(&id));
    const struct db_arg update[] = {team,           user,      role,           is_active,
                                    db_bool(false), db_null(), db_time(now_us)};
    const struct db_arg revoke[] = {team, user, db_time(now_us),
                                    db_time(revocation_expiry(now_us))};

    if (role.type == DB_TEXT)
        audit_values(&audit, "role", STR_NONE, role.text);
    if (is_active.type == DB_BOOL)
        audit_values(&audit, "is_active", STR_NONE, audit_bool(is_active.number != 0));
    const struct db_call calls[] = {
        {SQL_TEAM_LOCK, update, 1}, /* the other admins are counted by one at a time */
        {SQL_USER_UPDATE, update, COUNT(update)},
        audit_call(&audit, &arena),
        {SQL_REVOKED_ADD_USER_CHANGED, revoke, COUNT(revoke)},
        {SQL_REFRESH_DROP_DISABLED, revoke, 2},
        {SQL_REFRESH_DROP_DISABLED, revoke, 2},
        {SQL_MAIL_TOKEN_DROP_DISABLED, revoke, 2},
    };

    if (!is_error(err))
        err = db_run_batch(db, &arena, calls, COUNT(calls), results);
    if (!is_error(err) && results[1].n_rows == 0)
        err = ERROR(ERR_CONFLICT, 0, "this is the team's last active admin");
    if (!is_error(err))
        err = provision_revoke(db, REVOKED_USER, &o->team_id, &id);
    arena_free(&arena);
    return is_error(err) ? command_fail(err) : COMMAND_OK;
}

static int user_role(struct db *db, struct user_options *o)
{
    return change(db, o, db_text(str_from(o->role)), db_null());
}

static int user_enable(struct db *db, struct user_options *o)
{
    return change(db, o, db_null(), db_bool(true));
}

static int user_disable(struct db *db, struct user_options *o)
{
    return change(db, o, db_null(), db_bool(false));
}

/* At the moment of the change, not at that of the question: typing and hashing take their time. */
static struct error save_password(struct db *db, const struct id *team_id, const struct id *id,
                                  const char *hash)
{
    struct db_result results[DB_BATCH_MAX] = {0};
    struct arena arena = {0};
    int64_t now_us = clock_wall_us();
    struct audit audit = provision_audit("user.password", team_id, id, now_us);
    struct db_arg team = db_uuid(id_str(team_id)), user = db_uuid(id_str(id));
    const struct db_arg password[] = {team, user, db_text(str_from(hash)), db_null(),
                                      db_time(now_us)};
    const struct db_arg revoke[] = {team, user, db_time(now_us),
                                    db_time(revocation_expiry(now_us))};
    const struct db_arg links[] = {team, user, db_text(mail_kind_name(MAIL_RESET))};
    const struct db_call calls[] = {
        {SQL_USER_SET_PASSWORD, password, COUNT(password)},
        audit_call(&audit, &arena),
        {SQL_REVOKED_ADD_USER_CHANGED, revoke, COUNT(revoke)},
        {SQL_REFRESH_DROP_CHANGED, revoke, 3},
        {SQL_REFRESH_DROP_CHANGED, revoke, 3},
        {SQL_MAIL_TOKEN_DROP_USER, links, COUNT(links)},
    };
    struct error err = db_run_batch(db, &arena, calls, COUNT(calls), results);

    if (!is_error(err) && results[0].n_changed == 0)
        err = ERROR(ERR_NOT_FOUND, 0, "the user was deleted just now");
    if (!is_error(err))
        err = provision_revoke(db, REVOKED_USER, team_id, id);
    arena_free(&arena);
    return err;
}

static int user_password(struct db *db, struct user_options *o)
{
    char password[PASSWORD_MAX_BYTES], hash[PASSWORD_HASH_BYTES];
    struct id id;
    struct error err = provision_find_user(db, &o->team_id, str_from(o->lower_email), &id);

    if (!is_error(err))
        err = secret_input_read(source_of(o), password);
    if (!is_error(err) && !password_hash_blocking(str_from(password), hash))
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!is_error(err))
        err = save_password(db, &o->team_id, &id, hash);
    if (!is_error(err) && o->is_generated)
        puts(password);
    explicit_bzero(password, sizeof(password));
    return is_error(err) ? command_fail(err) : COMMAND_OK;
}

/* ---- the verbs ---- */

static const struct user_verb {
    const char *name;
    bool needs_email, needs_role;
    int (*run)(struct db *db, struct user_options *o);
} verbs[] = {
    {"create", true, true, user_create},      {"disable", true, false, user_disable},
    {"enable", true, false, user_enable},     {"list", false, false, user_list},
    {"password", true, false, user_password}, {"role", true, true, user_role},
};

static const struct user_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* False: said on stderr what is wrong. */
static bool settle_email(struct user_options *o)
{
    size_t len = strlen(o->email);

    for (size_t i = 0; i <= len && i < EMAIL_BYTES; i++)
        o->lower_email[i] = (char)tolower((unsigned char)o->email[i]);
    if (len < EMAIL_BYTES && utf8_is_valid(str_from(o->email)) &&
        input_is_email(str_from(o->lower_email)))
        return true;
    fprintf(stderr, "aerie: --email must be an e-mail address\n");
    return false;
}

int command_user(int argc, char **argv)
{
    const struct user_verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;
    struct user_options o = {0};
    const struct command_option options[] = {
        {"--email", &o.email, NULL},
        {"--team", &o.team, NULL},
        {"--name", &o.name, NULL},
        {"--role", &o.role, NULL},
        {"--password-stdin", NULL, &o.from_stdin},
        {"--generate", NULL, &o.is_generated},
        {"--json", NULL, &o.as_json},
    };
    struct error err;
    struct db *db;
    int exit;

    if (!verb ||
        !command_read_options(argc, argv, 2, options, sizeof(options) / sizeof(options[0])))
        return command_usage(argv[0]);
    if (verb->run == user_create && !o.role)
        o.role = "user";
    if (!command_require("--team", o.team) ||
        (verb->needs_email && (!command_require("--email", o.email) || !settle_email(&o))) ||
        (verb->needs_role && !command_require("--role", o.role)))
        return command_usage(argv[0]);
    if (verb->needs_role && !is_role(o.role)) {
        fprintf(stderr, "aerie: --role must be user or admin\n");
        return command_usage(argv[0]);
    }
    err = command_open_db(&db);
    if (is_error(err))
        return command_fail(err);
    err = provision_find_team(db, str_from(o.team), &o.team_id);
    exit = is_error(err) ? command_fail(err) : verb->run(db, &o);
    db_close(db);
    return exit;
}
