/* Makes teams, users and agents, once. */
#include "provision.h"

#include "account/password.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "command.h"

struct audit provision_audit(const char *action, const struct id *team, const struct id *subject,
                             int64_t now_us)
{
    return (struct audit){.action = action,
                          .team_id = *team,
                          .subject_id = *subject,
                          .actor = AUDIT_OPERATOR,
                          .now_us = now_us};
}

struct error provision_change(struct db *db, struct arena *arena, struct audit *audit, enum sql sql,
                              const struct db_arg *args, size_t n_args, struct db_result *out)
{
    const struct db_call calls[] = {{sql, args, n_args}, audit_call(audit, arena)};
    struct db_result results[2];
    struct error err = db_run_batch(db, arena, calls, 2, results);

    *out = results[0];
    return err;
}

struct error provision_remove(struct db *db, struct arena *arena, struct audit *audit, enum sql sql,
                              const struct db_arg *args, size_t n_args, struct db_result *out)
{
    const struct db_call calls[] = {audit_call(audit, arena), {sql, args, n_args}};
    struct db_result results[2];
    struct error err = db_run_batch(db, arena, calls, 2, results);

    *out = results[1];
    return err;
}

struct error provision_revoke(struct db *db, enum revoked_kind kind, const struct id *team,
                              const struct id *subject)
{
    struct arena arena = {0};
    int64_t now_us = clock_wall_us();
    struct db_result r;
    struct error err = db_run(db, &arena, SQL_REVOKED_ADD,
                              DB_ARGS(db_uuid(id_str(team)), db_text(revoked_kind_name(kind)),
                                      db_uuid(id_str(subject)), db_time(now_us),
                                      db_time(revocation_expiry(now_us))),
                              &r);

    arena_free(&arena);
    return err;
}

struct error provision_find_team(struct db *db, struct str slug, struct id *out)
{
    struct arena arena = {0};
    struct db_result r;
    struct error err = db_run(db, &arena, SQL_TEAM_FIND_SLUG, DB_ARGS(db_text(slug)), &r);

    if (!is_error(err) && (r.n_rows == 0 || !id_parse(db_get_text(&r, 0, 0), out)))
        err = ERROR(ERR_NOT_FOUND, 0, "there is no team of this slug");
    arena_free(&arena);
    return err;
}

struct error provision_find_user(struct db *db, const struct id *team, struct str email,
                                 struct id *out)
{
    struct arena arena = {0};
    struct db_result r;
    struct error err =
        db_run(db, &arena, SQL_USER_FIND_EMAIL, DB_ARGS(db_uuid(id_str(team)), db_text(email)), &r);

    if (!is_error(err) && (r.n_rows == 0 || !id_parse(db_get_text(&r, 0, 0), out)))
        err = ERROR(ERR_NOT_FOUND, 0, "there is no user of this address in this team");
    arena_free(&arena);
    return err;
}

struct error provision_team(struct db *db, struct str name, struct str slug, struct id *out,
                            bool *is_new)
{
    struct arena arena = {0};
    struct id id = id_v4();
    int64_t now_us = clock_wall_us();
    struct audit audit = provision_audit("team.create", &id, &id, now_us);
    struct db_result r;
    struct error err;

    audit_values(&audit, "name", STR_NONE, name);
    err = provision_change(db, &arena, &audit, SQL_TEAM_ADD,
                           DB_ARGS(db_uuid(id_str(&id)), db_text(name), db_text(slug),
                                   db_json(STR("{}")), db_time(now_us)),
                           &r);
    *is_new = !is_error(err) && r.n_changed > 0;
    *out = id;
    if (!is_error(err) && !*is_new)
        err = provision_find_team(db, slug, out);
    arena_free(&arena);
    return err;
}

struct error provision_user(struct db *db, const struct new_user *in, struct id *out, bool *is_new)
{
    struct arena arena = {0};
    char hash[PASSWORD_HASH_BYTES];
    struct id id = id_v7();
    int64_t now_us = clock_wall_us();
    struct audit audit = provision_audit("user.create", &in->team_id, &id, now_us);
    struct db_result r;
    struct error err = provision_find_user(db, &in->team_id, in->email, out);

    *is_new = false;
    if (err.status != ERR_NOT_FOUND)
        return err;
    if (!password_hash_blocking(in->password, hash))
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    audit_values(&audit, "role", STR_NONE, in->role);
    err = provision_change(db, &arena, &audit, SQL_USER_ADD,
                           DB_ARGS(db_uuid(id_str(&in->team_id)), db_uuid(id_str(&id)),
                                   db_text(in->email), db_text(str_from(hash)),
                                   db_text(in->full_name), db_text(in->role), db_time(now_us)),
                           &r);
    *is_new = !is_error(err) && r.n_changed > 0;
    *out = id;
    if (!is_error(err) && !*is_new)
        err = provision_find_user(db, &in->team_id, in->email, out);
    arena_free(&arena);
    return err;
}

struct error provision_agent(struct db *db, const struct new_agent *in, struct id *out,
                             bool *is_new)
{
    struct arena arena = {0};
    struct id id = id_v7();
    int64_t now_us = clock_wall_us();
    struct audit audit = provision_audit("agent.create", &in->team_id, &id, now_us);
    struct db_result r;
    struct error err = db_run(db, &arena, SQL_AGENT_FIND_NAME,
                              DB_ARGS(db_uuid(id_str(&in->team_id)), db_text(in->name)), &r);

    *is_new = !is_error(err) && r.n_rows == 0;
    if (!is_error(err) && !*is_new && !id_parse(db_get_text(&r, 0, 0), out))
        err = ERROR(ERR_INTERNAL, 0, NULL);
    if (*is_new) {
        *out = id;
        audit_values(&audit, "name", STR_NONE, in->name);
        audit_values(&audit, "provider", STR_NONE, in->provider);
        err = provision_change(db, &arena, &audit, SQL_AGENT_ADD,
                               DB_ARGS(db_uuid(id_str(&in->team_id)), db_uuid(id_str(&id)),
                                       db_uuid(id_str(&in->created_by)), db_text(in->name),
                                       db_text(in->description), db_text(in->provider),
                                       db_text(in->webhook_url), db_null(), db_null(),
                                       db_text(in->system_prompt), db_json(STR("{}")),
                                       db_json(STR("[]")), db_bool(true), db_time(now_us)),
                               &r);
    }
    arena_free(&arena);
    return err;
}

void provision_generate_password(char out[GENERATED_PASSWORD_BYTES])
{
    /* 32 characters that nobody mistakes for each other: five bits of each random byte */
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    unsigned char bytes[GENERATED_PASSWORD_BYTES - 1];

    crypto_random(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        out[i] = letters[bytes[i] & 31];
    out[sizeof(bytes)] = 0;
}

struct error command_ensure_default_team(struct db *db)
{
    struct arena arena = {0};
    struct db_result r;
    struct id id;
    bool is_new;
    struct error err = db_run(db, &arena, SQL_TEAM_ANY, NULL, 0, &r);

    if (!is_error(err) && r.n_rows == 0)
        err = provision_team(db, STR("Default"), STR("default"), &id, &is_new);
    arena_free(&arena);
    return err;
}
