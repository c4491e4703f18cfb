/* The server on this machine, and the agents it asks. */
#include "doctor.h"

#include "base/json.h"
#include "config/here.h"
#include "sign_in.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEALTH_MS    5000
#define TEST_MS      180000
#define JSON_DEPTH   32
#define AGENTS_LIMIT 200

enum team_column { TEAM_ID, TEAM_NAME, TEAM_SLUG, TEAM_SETTINGS, TEAM_IS_ACTIVE };
enum agent_column { AGENT_ID, AGENT_NAME = 3, AGENT_PROVIDER = 5 };

bool doctor_is_aerie(const struct remote_call *health, char version[32])
{
    struct arena arena = {0};
    yyjson_val *root = NULL;
    struct str found;
    bool ok = health->code == CURLE_OK && health->status == 200 &&
              !is_error(json_read(&arena, buf_str(&health->body_read), JSON_DEPTH, &root)) &&
              str_eq(json_text(json_member(root, "status")), STR("healthy"));

    found = json_text(ok ? json_member(root, "version") : NULL);
    snprintf(version, 32, "%.*s", STR_ARG(found));
    arena_free(&arena);
    return ok && found.len > 0;
}

static void judge_ready(struct doctor *d, struct remote *r)
{
    struct remote_call call = {
        .method = "GET", .path = "/health/ready", .timeout_ms = HEALTH_MS};
    struct buf told = {0};

    remote_run(r, &call);
    if (call.code == CURLE_OK && call.status == 200) {
        d->is_server_well = true;
    } else {
        remote_explain(r, &call, &told);
        doctor_say(d, MARK_PROBLEM, "server", "See its log: the database does not answer it.",
                   "it runs, but is not ready: %.*s", STR_ARG(buf_str(&told)));
    }
    buf_deinit(&told);
    remote_call_deinit(&call);
}

static void judge_health(struct doctor *d, struct remote *r)
{
    struct remote_call call = {.method = "GET", .path = "/health", .timeout_ms = HEALTH_MS};
    char version[32];

    remote_run(r, &call);
    if (call.status == 0 || call.code != CURLE_OK) {
        doctor_say(d, MARK_WARNING, "server",
                   "Start it: `systemctl start aerie`, or `aerie serve`. If it does run, it listens "
                   "elsewhere: server.host and server.port are read from here, too.",
                   "nothing answers at %s: it is not running, or on another port", r->base.data);
    } else if (!doctor_is_aerie(&call, version)) {
        doctor_say(d, MARK_PROBLEM, "server", "Give one of them another port (server.port).",
                   "what answers at %s is no Aerie", r->base.data);
    } else {
        if (strcmp(version, AERIE_VERSION) != 0)
            doctor_say(d, MARK_WARNING, "server", "Restart it: `systemctl restart aerie`.",
                       "%s answers at %s, this program is %s", version, r->base.data, AERIE_VERSION);
        else
            doctor_say(d, MARK_OK, "server", NULL, "answers at %s, version %s", r->base.data, version);
        judge_ready(d, r);
    }
    remote_call_deinit(&call);
}

void doctor_check_server(struct doctor *d)
{
    struct remote here;
    struct buf url = {0};

    config_url_here(&url);
    if (str_ends_with(buf_str(&url), STR(":0"))) {
        doctor_say(d, MARK_WARNING, "server", "Set server.port, so that it can be found.",
                   "server.port is 0: it listens on any port that is free");
        buf_deinit(&url);
        return;
    }
    /* A certificate is for its name, and not for the address that the server has here. */
    if (str_starts_with(buf_str(&url), STR("https://"))) {
        doctor_say(d, MARK_OK, "server", NULL,
                   "speaks TLS itself: --url with its name looks at it as clients do");
        buf_deinit(&url);
        return;
    }
    if (!is_error(remote_open(&here, buf_str(&url), STR_NONE))) {
        judge_health(d, &here);
        remote_close(&here);
    }
    buf_deinit(&url);
}

/* ---- agents ---- */

static void say_answer(struct doctor *d, struct str agent, struct str provider, yyjson_val *root)
{
    yyjson_val *err = json_member(root, "error");
    struct str hint = json_text(json_member(err, "hint"));
    char remedy[512];

    if (yyjson_get_bool(json_member(root, "ok"))) {
        doctor_say(d, MARK_OK, "agent", NULL,
                   "%.*s (%.*s) answers; its first word came after %" PRId64 " ms", STR_ARG(agent),
                   STR_ARG(provider), yyjson_get_sint(json_member(root, "first_token_ms")));
        return;
    }
    snprintf(remedy, sizeof(remedy), "%.*s", STR_ARG(hint));
    doctor_say(d, MARK_PROBLEM, "agent", hint.len > 0 ? remedy : NULL, "%.*s (%.*s): %.*s (%.*s)",
               STR_ARG(agent), STR_ARG(provider), STR_ARG(json_text(json_member(err, "message"))),
               STR_ARG(json_text(json_member(err, "code"))));
}

static void ask_agent(struct doctor *d, struct remote *here, struct str id, struct str name,
                      struct str provider)
{
    struct arena arena = {0};
    struct str path = arena_printf(&arena, "/api/agents/%.*s/test", STR_ARG(id));
    struct remote_call call = {
        .method = "POST", .path = path.ptr, .body = STR("{}"), .timeout_ms = TEST_MS};
    struct buf told = {0};
    yyjson_val *root;

    if (!path.ptr)
        return;
    remote_run(here, &call);
    if (call.code == CURLE_OK && call.status == 200 &&
        !is_error(json_read(&arena, buf_str(&call.body_read), JSON_DEPTH, &root))) {
        say_answer(d, name, provider, root);
    } else {
        remote_explain(here, &call, &told);
        doctor_say(d, MARK_WARNING, "agent", call.status == 429 ? "Ask again later." : NULL,
                   "%.*s could not be asked: %.*s", STR_ARG(name), STR_ARG(buf_str(&told)));
    }
    buf_deinit(&told);
    remote_call_deinit(&call);
    arena_free(&arena);
}

static unsigned ask_team(struct doctor *d, struct remote *here, struct str team, struct str slug)
{
    struct arena arena = {0};
    struct db_result r;
    struct error err = db_run(d->db, &arena, SQL_AGENT_LIST,
                              DB_ARGS(db_uuid(team), db_bool(false), db_int(AGENTS_LIMIT), db_int(0)),
                              &r);
    unsigned n = 0;

    if (!is_error(err) && r.n_rows > 0 && !sign_in_as_admin(here, d->db, team)) {
        doctor_say(d, MARK_WARNING, "agents", "Make one: `aerie user create --role admin`.",
                   "team %.*s has no active admin in whose name its agents could be asked",
                   STR_ARG(slug));
    } else if (!is_error(err)) {
        for (; n < r.n_rows; n++)
            ask_agent(d, here, db_get_text(&r, n, AGENT_ID), db_get_text(&r, n, AGENT_NAME),
                      db_get_text(&r, n, AGENT_PROVIDER));
    }
    arena_free(&arena);
    return n;
}

/* The one that the server made, where none is configured. */
static bool has_secret(struct doctor *d)
{
    char path[4096];

    if (config()->security.secret.len > 0)
        return true;
    snprintf(path, sizeof(path), "%.*s/secret", STR_ARG(config()->data_dir));
    return access(path, R_OK) == 0 && !is_error(config_settle_secret(d->settings));
}

void doctor_check_agents(struct doctor *d)
{
    struct arena arena = {0};
    struct remote here;
    struct db_result teams;
    struct buf url = {0};
    unsigned n = 0;

    if (!d->db || !d->is_server_well || !has_secret(d)) {
        doctor_say(d, MARK_PROBLEM, "agents", "Put right what stands above, and ask again.",
                   "were not asked: that takes the running server, its database and its secret");
        return;
    }
    config_url_here(&url);
    if (is_error(db_run(d->db, &arena, SQL_TEAM_LIST, NULL, 0, &teams)) ||
        is_error(remote_open(&here, buf_str(&url), STR_NONE))) {
        doctor_say(d, MARK_PROBLEM, "agents", NULL, "could not be listed");
    } else {
        for (size_t i = 0; i < teams.n_rows; i++)
            if (db_get_bool(&teams, i, TEAM_IS_ACTIVE))
                n += ask_team(d, &here, db_get_text(&teams, i, TEAM_ID),
                              db_get_text(&teams, i, TEAM_SLUG));
        if (n == 0)
            doctor_say(d, MARK_WARNING, "agents", "An admin makes one in the console.",
                       "there is no active one");
        remote_close(&here);
    }
    buf_deinit(&url);
    arena_free(&arena);
}
