/* aerie webhook: who is told of what happens in a team. */
#include "webhook/webhook.h"
#include "api/webhooks.h"
#include "base/clock.h"
#include "command.h"
#include "config/config.h"
#include "config/here.h"
#include "provision.h"
#include "sign_in.h"
#include "terminal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAGE_ROWS    1000
#define REPLAY_ROWS  1000 /* as SQL_WEBHOOK_REPLAY_ALL says */
#define URL_BYTES    2048
#define TEST_MS      180000
#define JSON_DEPTH   8
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What the operator said. */
struct wish {
    const char *team, *id, *url, *events, *status, *delivery;
    bool with_text, as_json;
};

/* The same, read; and what is done runs in. */
struct deed {
    const struct wish *wish;
    struct db *db;
    struct arena arena;
    struct id team_id, id; /* id: "" for the verbs that take none */
};

static struct db_arg team_of(const struct deed *d)
{
    return db_uuid(id_str(&d->team_id));
}

static struct db_arg id_of(const struct deed *d)
{
    return db_uuid(id_str(&d->id));
}

/* ---- list ---- */

static void write_line(struct buf *line, const struct db_result *r, size_t row)
{
    struct str events = db_get_text(r, row, WEBHOOK_EVENTS);

    events = events.len > 2 ? (struct str){events.ptr + 1, events.len - 2} : events;
    buf_printf(line, "%.*s  %-3s  %" PRId64 " waiting  %" PRId64 " dead  ",
               STR_ARG(db_get_text(r, row, WEBHOOK_ID)),
               db_get_bool(r, row, WEBHOOK_IS_ACTIVE) ? "on" : "off",
               db_get_int(r, row, WEBHOOK_PENDING), db_get_int(r, row, WEBHOOK_DEAD));
    terminal_append_harmless(line, db_get_text(r, row, WEBHOOK_URL));
    buf_printf(line, "  %.*s", STR_ARG(events));
}

static int list(struct deed *d)
{
    struct db_result r;
    struct error err =
        db_run(d->db, &d->arena, SQL_WEBHOOK_LIST, DB_ARGS(team_of(d), db_null()), &r);
    int exit = is_error(err) ? command_fail(err) : COMMAND_OK;

    for (size_t row = 0; exit == COMMAND_OK && row < r.n_rows; row++) {
        struct buf line = {0};
        struct json j = {.buf = &line};

        if (d->wish->as_json)
            webhook_write(&j, &r, row, STR_NONE);
        else
            write_line(&line, &r, row);
        exit = command_print(&line);
    }
    return exit;
}

/* ---- add ---- */

/* "message.completed,chat.created"; 0: that is none. */
static unsigned read_types(const char *text)
{
    struct str rest = str_from(text), name;
    enum webhook_type type;
    unsigned types = 0;

    while (str_next(&rest, ',', &name)) {
        if (!webhook_type_find(str_trim(name), &type))
            return 0;
        types |= 1u << type;
    }
    return types;
}

/* As POST /api/webhooks does: what the guard lets no call reach is refused here, too. */
static struct error check_url(const char *url)
{
    struct error err = upstream_open();

    if (is_error(err))
        return err;
    err = strlen(url) > URL_BYTES ? ERROR(ERR_INVALID, 0, "--url is too long")
                                  : egress_check_url(str_from(url));
    upstream_close();
    return err;
}

enum added { ADD_LOCK, ADD_ROW, ADD_READ, ADD_AUDIT, N_ADD };

static struct error add_row(struct deed *d, struct str events, const struct webhook_secret *secret,
                            struct db_result *results)
{
    int64_t now_us = clock_wall_us();
    struct audit audit = provision_audit("webhook.create", &d->team_id, &d->id, now_us);
    const struct db_arg args[] = {team_of(d),
                                  id_of(d),
                                  db_text(str_from(d->wish->url)),
                                  db_text(secret->sealed),
                                  db_text(events),
                                  db_bool(d->wish->with_text),
                                  db_bool(true),
                                  db_time(now_us),
                                  db_int((int64_t)config()->webhooks.per_team)};

    audit_field(&audit, "url");
    audit_values(&audit, "events", STR_NONE, str_from(d->wish->events));
    if (d->wish->with_text)
        audit_values(&audit, "include_text", STR_NONE, audit_bool(true));

    const struct db_call calls[N_ADD] = {
        [ADD_LOCK] = {SQL_TEAM_LOCK, args, 1},
        [ADD_ROW] = {SQL_WEBHOOK_ADD, args, COUNT(args)},
        [ADD_READ] = {SQL_WEBHOOK_LIST, args, 2},
        [ADD_AUDIT] = audit_call(&audit, &d->arena),
    };

    return db_run_batch(d->db, &d->arena, calls, N_ADD, results);
}

static int print_added(const struct deed *d, const struct db_result *row, struct str secret)
{
    struct buf line = {0};
    struct json j = {.buf = &line};

    if (d->wish->as_json) {
        webhook_write(&j, row, 0, secret);
    } else {
        fprintf(stderr, "webhook %s; its secret, shown this once:\n", d->id.text);
        buf_append_str(&line, secret);
    }
    return command_print(&line);
}

static int add(struct deed *d)
{
    unsigned types = read_types(d->wish->events);
    struct db_result results[N_ADD];
    struct webhook_secret secret;
    struct str events;
    struct error err;

    if (types == 0)
        return command_fail(
            ERROR(ERR_INVALID, 0, "--events must be, with commas, some of " WEBHOOK_TYPES));
    err = check_url(d->wish->url);
    if (is_error(err))
        return command_fail(err);
    d->id = id_v7();
    secret = webhook_secret_new(&d->arena, id_str(&d->id));
    events = webhook_types_text(&d->arena, types);
    if (!secret.sealed.ptr || !events.ptr)
        return command_fail(ERROR(ERR_NO_MEMORY, 0, NULL));
    err = add_row(d, events, &secret, results);
    if (!is_error(err) && results[ADD_ROW].n_changed == 0)
        err = ERROR(ERR_CONFLICT, 0, "the team has as many webhooks as it may have");
    return is_error(err) ? command_fail(err) : print_added(d, &results[ADD_READ], secret.text);
}

/* ---- pause, resume, delete ---- */

static struct error change(struct deed *d, bool is_active)
{
    int64_t now_us = clock_wall_us();
    struct audit audit = provision_audit("webhook.update", &d->team_id, &d->id, now_us);
    const struct db_arg update[] = {team_of(d), id_of(d),           db_null(),      db_null(),
                                    db_null(),  db_bool(is_active), db_time(now_us)};
    const struct db_arg end[] = {update[0], update[1],
                                 db_text(STR("The webhook was switched off."))};
    struct db_result results[3];
    struct error err;

    audit_values(&audit, "is_active", STR_NONE, audit_bool(is_active));

    const struct db_call calls[] = {{SQL_WEBHOOK_UPDATE, update, COUNT(update)},
                                    {SQL_WEBHOOK_END_PENDING, end, COUNT(end)},
                                    audit_call(&audit, &d->arena)};

    err = db_run_batch(d->db, &d->arena, calls, COUNT(calls), results);
    if (!is_error(err) && results[0].n_changed == 0)
        err = ERROR(ERR_NOT_FOUND, 0, "the team has no such webhook");
    return err;
}

static int pause_one(struct deed *d)
{
    struct error err = change(d, false);

    return is_error(err) ? command_fail(err) : COMMAND_OK;
}

static int resume(struct deed *d)
{
    struct error err = change(d, true);

    return is_error(err) ? command_fail(err) : COMMAND_OK;
}

static int delete_one(struct deed *d)
{
    struct audit audit = provision_audit("webhook.delete", &d->team_id, &d->id, clock_wall_us());
    struct db_result r;
    struct error err = provision_remove(d->db, &d->arena, &audit, SQL_WEBHOOK_DELETE,
                                        DB_ARGS(team_of(d), id_of(d)), &r);

    if (!is_error(err) && r.n_changed == 0)
        err = ERROR(ERR_NOT_FOUND, 0, "the team has no such webhook");
    return is_error(err) ? command_fail(err) : COMMAND_OK;
}

/* ---- deliveries ---- */

static struct error check_exists(struct deed *d)
{
    struct db_result r;
    struct error err =
        db_run(d->db, &d->arena, SQL_WEBHOOK_EXISTS, DB_ARGS(team_of(d), id_of(d)), &r);

    if (!is_error(err) && r.n_rows == 0)
        err = ERROR(ERR_NOT_FOUND, 0, "the team has no such webhook");
    return err;
}

/* "2026-…  ID  dead  8 tries  500  message.completed  The receiver answered with an error." */
static void write_delivery(struct buf *line, const struct db_result *r, size_t row)
{
    char time[CLOCK_TEXT_BYTES];
    int64_t tries = db_get_int(r, row, DELIVERY_TRIES);

    buf_printf(line, "%.*s  %.*s  %-9.*s  %" PRId64 " %s  ",
               STR_ARG(clock_format(db_get_int(r, row, DELIVERY_CREATED_AT), time)),
               STR_ARG(db_get_text(r, row, DELIVERY_ID)),
               STR_ARG(db_get_text(r, row, DELIVERY_STATUS)), tries, tries == 1 ? "try" : "tries");
    if (db_is_null(r, row, DELIVERY_LAST_STATUS))
        buf_append_str(line, STR("-"));
    else
        buf_printf(line, "%" PRId64, db_get_int(r, row, DELIVERY_LAST_STATUS));
    buf_printf(line, "  %.*s  %.*s", STR_ARG(db_get_text(r, row, DELIVERY_TYPE)),
               STR_ARG(db_get_text(r, row, DELIVERY_LAST_ERROR)));
}

static int deliveries(struct deed *d)
{
    struct str status = d->wish->status ? str_from(d->wish->status) : STR_NONE;
    struct str words = STR(DELIVERY_STATUSES), word;
    bool is_one = !status.ptr;
    struct error err = check_exists(d);
    struct db_result r = {0};
    int exit;

    while (!is_one && str_next(&words, '|', &word))
        is_one = str_eq(word, status);
    if (!is_error(err) && !is_one)
        err = ERROR(ERR_INVALID, 0, "--status must be pending, delivered or dead");
    if (!is_error(err))
        err = db_run(d->db, &d->arena, SQL_WEBHOOK_DELIVERY_LIST,
                     DB_ARGS(team_of(d), id_of(d), db_text(status), db_int(PAGE_ROWS), db_int(0)),
                     &r);
    exit = is_error(err) ? command_fail(err) : COMMAND_OK;
    for (size_t row = 0; exit == COMMAND_OK && row < r.n_rows; row++) {
        struct buf line = {0};
        struct json j = {.buf = &line};

        if (d->wish->as_json)
            delivery_write(&j, &r, row);
        else
            write_delivery(&line, &r, row);
        exit = command_print(&line);
    }
    return exit;
}

/* ---- replay ---- */

static struct error replay_one(struct deed *d, int64_t *n)
{
    struct id delivery;
    struct db_result results[2];
    struct error err;

    if (!id_parse(str_from(d->wish->delivery), &delivery))
        return ERROR(ERR_INVALID, 0, "--delivery must be a delivery's id");

    const struct db_arg args[] = {team_of(d), id_of(d), db_uuid(id_str(&delivery)),
                                  db_time(clock_wall_us())};
    const struct db_call calls[] = {{SQL_WEBHOOK_REPLAY, args, COUNT(args)},
                                    {SQL_WEBHOOK_DELIVERY_GET, args, 3}};

    err = db_run_batch(d->db, &d->arena, calls, COUNT(calls), results);
    if (is_error(err))
        return err;
    *n = results[0].n_changed;
    if (*n == 0 && results[1].n_rows == 0)
        return ERROR(ERR_NOT_FOUND, 0, "the webhook has no such delivery");
    if (*n == 0)
        return ERROR(ERR_CONFLICT, 0,
                     str_eq(db_get_text(&results[1], 0, DELIVERY_STATUS), STR("dead"))
                         ? WEBHOOK_IS_OFF
                         : DELIVERY_IS_NOT_DEAD);
    return NO_ERROR;
}

/* A portion at a time, so that no statement is long. What dies meanwhile is not waited for. */
static struct error replay_all(struct deed *d, int64_t *n)
{
    const struct db_arg args[] = {team_of(d), id_of(d), db_time(clock_wall_us())};
    const struct db_arg left[] = {args[0], args[1], db_text(STR("dead"))};
    const struct db_call calls[] = {{SQL_WEBHOOK_REPLAY_ALL, args, COUNT(args)},
                                    {SQL_WEBHOOK_DELIVERY_COUNT, left, COUNT(left)}};
    struct db_result results[2];
    struct error err = check_exists(d);
    int64_t portion = REPLAY_ROWS, n_left = 0;

    while (!is_error(err) && portion == REPLAY_ROWS) {
        err = db_run_batch(d->db, &d->arena, calls, COUNT(calls), results);
        portion = is_error(err) ? 0 : (int64_t)results[0].n_changed;
        n_left = is_error(err) ? 0 : db_get_int(&results[1], 0, 0);
        *n += portion;
    }
    if (!is_error(err) && *n == 0 && n_left > 0)
        err = ERROR(ERR_CONFLICT, 0, WEBHOOK_IS_OFF);
    return err;
}

static int replay(struct deed *d)
{
    int64_t n = 0;
    struct error err = d->wish->delivery ? replay_one(d, &n) : replay_all(d, &n);

    if (is_error(err))
        return command_fail(err);
    fprintf(stderr, "aerie: %" PRId64 " due again\n", n);
    return COMMAND_OK;
}

/* ---- test ---- */

/* The running server calls the receiver: what it may reach counts, and not what this shell may. */
static int say_test(const struct deed *d, struct str answer, yyjson_val *root)
{
    yyjson_val *error = json_member(root, "error");
    bool was_taken = yyjson_get_bool(json_member(root, "ok"));
    struct buf line = {0};

    if (d->wish->as_json) {
        terminal_append_harmless_json(&line, answer);
    } else if (was_taken) {
        buf_printf(&line, "taken: %" PRId64 " after %" PRId64 " ms",
                   yyjson_get_sint(json_member(root, "http_status")),
                   yyjson_get_sint(json_member(root, "total_ms")));
    } else {
        fprintf(stderr, "aerie: %.*s %.*s\n", STR_ARG(json_text(json_member(error, "message"))),
                STR_ARG(json_text(json_member(error, "hint"))));
        return COMMAND_FAILED;
    }
    if (command_print(&line) != COMMAND_OK)
        return COMMAND_FAILED;
    return was_taken ? COMMAND_OK : COMMAND_FAILED;
}

static int call_server(struct deed *d, struct remote *here)
{
    struct str path = arena_printf(&d->arena, "/api/webhooks/%s/test", d->id.text);
    struct remote_call call = {
        .method = "POST", .path = path.ptr, .body = STR("{}"), .timeout_ms = TEST_MS};
    struct buf told = {0};
    yyjson_val *root = NULL;
    int exit = COMMAND_FAILED;

    if (!path.ptr)
        return command_fail(ERROR(ERR_NO_MEMORY, 0, NULL));
    remote_run(here, &call);
    if (call.code == CURLE_OK && call.status == 200 &&
        !is_error(json_read(&d->arena, buf_str(&call.body_read), JSON_DEPTH, &root))) {
        exit = say_test(d, buf_str(&call.body_read), root);
    } else {
        remote_explain(here, &call, &told);
        fprintf(stderr, "aerie: %.*s\n", STR_ARG(buf_str(&told)));
    }
    buf_deinit(&told);
    remote_call_deinit(&call);
    return exit;
}

static int test(struct deed *d)
{
    struct error err = check_exists(d);
    struct buf url = {0};
    struct remote here;
    int exit;

    if (is_error(err))
        return command_fail(err);
    config_url_here(&url);
    err = url.failed ? ERROR(ERR_NO_MEMORY, 0, NULL) : remote_open(&here, buf_str(&url), STR_NONE);
    buf_deinit(&url);
    if (is_error(err))
        return command_fail(err);
    exit = sign_in_as_admin(&here, d->db, id_str(&d->team_id))
               ? call_server(d, &here)
               : command_fail(ERROR(ERR_NOT_FOUND, 0,
                                    "the team has no active admin in whose name the server could "
                                    "be asked"));
    remote_close(&here);
    return exit;
}

/* ---- the verbs ---- */

static const struct verb {
    const char *name;
    bool takes_id;
    int (*run)(struct deed *d);
} verbs[] = {
    {"add", false, add},      {"delete", true, delete_one}, {"deliveries", true, deliveries},
    {"list", false, list},    {"pause", true, pause_one},   {"replay", true, replay},
    {"resume", true, resume}, {"test", true, test},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < COUNT(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int run(const struct verb *verb, const struct wish *wish)
{
    struct deed d = {.wish = wish};
    struct error err = NO_ERROR;
    int exit;

    if (verb->takes_id && !id_parse(str_from(wish->id), &d.id))
        return command_fail(ERROR(ERR_INVALID, 0, "--id must be a webhook's id"));
    err = command_open_db(&d.db);
    if (is_error(err))
        return command_fail(err);
    err = provision_find_team(d.db, str_from(wish->team), &d.team_id);
    exit = is_error(err) ? command_fail(err) : verb->run(&d);
    db_close(d.db);
    arena_free(&d.arena);
    return exit;
}

int command_webhook(int argc, char **argv)
{
    const struct verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;
    struct wish wish = {0};
    const struct command_option options[] = {{"--delivery", &wish.delivery, NULL},
                                             {"--events", &wish.events, NULL},
                                             {"--id", &wish.id, NULL},
                                             {"--include-text", NULL, &wish.with_text},
                                             {"--json", NULL, &wish.as_json},
                                             {"--status", &wish.status, NULL},
                                             {"--team", &wish.team, NULL},
                                             {"--url", &wish.url, NULL}};

    if (!verb || !command_read_options(argc, argv, 2, options, COUNT(options)) ||
        !command_require("--team", wish.team) ||
        (verb->takes_id && !command_require("--id", wish.id)) ||
        (verb->run == add &&
         (!command_require("--url", wish.url) || !command_require("--events", wish.events))))
        return command_usage(argv[0]);
    return run(verb, &wish);
}
