/* aerie erase: a user or a visitor goes, beside running servers or without any. */
#include "account/erasure.h"
#include "command.h"
#include "progress.h"
#include "provision.h"

#include <stdio.h>

struct erase_options {
    const char *team, *user, *visitor;
    bool as_json;
};

static struct error find_user(struct db *db, const struct id *team, const char *name,
                              struct id *out)
{
    struct arena arena = {0};
    struct db_result r;
    struct error err;

    if (id_parse(str_from(name), out)) {
        err = db_run(db, &arena, SQL_USER_GET, DB_ARGS(db_uuid(id_str(team)), db_uuid(id_str(out))),
                     &r);
        if (!is_error(err) && r.n_rows == 0)
            err = ERROR(ERR_NOT_FOUND, 0, "there is no user of this id in this team");
    } else {
        err = provision_find_user(db, team, arena_lower(&arena, str_from(name)), out);
    }
    arena_free(&arena);
    return err;
}

static struct error find(struct db *db, const struct erase_options *o, struct erasure *e)
{
    struct error err = provision_find_team(db, str_from(o->team), &e->team_id);

    e->kind = o->user ? ERASURE_USER : ERASURE_VISITOR;
    if (!is_error(err) && o->user)
        err = find_user(db, &e->team_id, o->user, &e->subject_id);
    else if (!is_error(err) && !id_parse(str_from(o->visitor), &e->subject_id))
        err = ERROR(ERR_INVALID, 0, "--visitor must be a session's id");
    return err;
}

static struct error begin(struct db *db, struct erasure *e)
{
    struct db_result results[DB_BATCH_MAX] = {0};
    struct db_call calls[DB_BATCH_MAX];
    struct arena arena = {0};
    struct error err = db_run_batch(db, &arena, calls, erasure_begin(e, calls), results);

    if (!is_error(err))
        err = erasure_note_begin(e, results);
    if (!is_error(err) && e->kind != ERASURE_VISITOR)
        err = provision_revoke(db, REVOKED_USER, &e->team_id, &e->subject_id);
    if (!is_error(err))
        err = provision_revoke(db, REVOKED_ERASED, &e->team_id, &e->subject_id);
    arena_free(&arena);
    return err;
}

/* One transaction; *is_done: there was none left. */
static struct error go_on(struct db *db, struct erasure *e, bool *is_done)
{
    struct db_result results[DB_BATCH_MAX] = {0};
    struct db_call calls[DB_BATCH_MAX];
    struct arena arena = {0};
    size_t n = erasure_next(e, &arena, calls);
    struct error err = NO_ERROR;

    *is_done = n == 0;
    if (n > 0)
        err = db_run_batch(db, &arena, calls, n, results);
    if (n > 0 && !is_error(err))
        erasure_note(e, results);
    arena_free(&arena);
    return err;
}

static struct error erase(struct db *db, struct erasure *e)
{
    struct progress progress = {.what = "erase", .unit = "messages deleted"};
    bool is_done = false;
    struct error err = begin(db, e);

    while (!is_error(err) && !is_done) {
        err = go_on(db, e, &is_done);
        progress_tell(&progress, (uint64_t)e->counts[ERASED_MESSAGES]);
    }
    progress_end(&progress);
    return err;
}

static int print_report(const struct erasure *e, bool as_json)
{
    struct buf line = {0};
    struct json j = {.buf = &line};

    if (as_json) {
        erasure_write(&j, e);
        return command_print(&line);
    }
    for (int c = 0; c < N_ERASURE_COUNTS; c++)
        buf_printf(&line, "%-12s %lld\n", erasure_count_name((enum erasure_count)c),
                   (long long)e->counts[c]);
    buf_printf(&line, "%-12s %s", "erasure", e->id.text);
    return command_print(&line);
}

int command_erase(int argc, char **argv)
{
    struct erase_options o = {0};
    const struct command_option options[] = {{"--team", &o.team, NULL},
                                             {"--user", &o.user, NULL},
                                             {"--visitor", &o.visitor, NULL},
                                             {"--json", NULL, &o.as_json}};
    struct erasure e = {.actor = AUDIT_OPERATOR};
    struct error err;
    struct db *db;
    int exit;

    if (!command_read_options(argc, argv, 1, options, sizeof(options) / sizeof(options[0])) ||
        !command_require("--team", o.team) || (!o.visitor && !command_require("--user", o.user)))
        return command_usage(argv[0]);
    if (o.user && o.visitor) {
        fprintf(stderr, "aerie: --user and --visitor are two erasures: one at a time\n");
        return command_usage(argv[0]);
    }
    err = command_open_db(&db);
    if (is_error(err))
        return command_fail(err);
    e.is_sqlite = db_is_sqlite(db);
    err = find(db, &o, &e);
    if (!is_error(err))
        err = erase(db, &e);
    exit = is_error(err) ? command_fail(err) : print_report(&e, o.as_json);
    db_close(db);
    return exit;
}
