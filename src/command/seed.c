/* aerie seed: a team to look around in. Run again, it adds only what is missing. */
#include "base/clock.h"
#include "command.h"
#include "provision.h"

#include <stdio.h>

static const struct seed_user {
    const char *email, *name, *role;
} users[] = {
    {"admin@demo.example", "Ada Admin", "admin"},
    {"user@demo.example", "Uma User", "user"},
};

static const struct seed_agent {
    const char *name, *description, *provider, *url, *prompt;
} agents[] = {
    {"Echo", "Says what you say, without any network", "echo", NULL, NULL},
    {"Support", "An n8n workflow on this machine", "n8n", "http://127.0.0.1:5678/webhook/support",
     "You are a helpful support assistant."},
};

static const struct seed_chat {
    const char *title, *question, *answer;
} chats[] = {
    {"First steps", "What can I do here?", "Ask me anything: I say it back to you."},
    {"A second chat", "Do you keep what I write?", "Yes: the server keeps every message."},
};

static struct str text_or_none(const char *text)
{
    return text ? str_from(text) : STR_NONE;
}

static struct error add_user(struct db *db, const struct id *team, const struct seed_user *u,
                             struct id *out, bool *is_new)
{
    char password[GENERATED_PASSWORD_BYTES];
    struct error err;

    provision_generate_password(password);
    err = provision_user(db,
                         &(const struct new_user){.team_id = *team,
                                                  .email = str_from(u->email),
                                                  .full_name = str_from(u->name),
                                                  .role = str_from(u->role),
                                                  .password = str_from(password)},
                         out, is_new);
    if (!is_error(err) && *is_new)
        printf("%s: %s password: %s (shown this once)\n", u->role, u->email, password);
    return err;
}

static struct error add_agent(struct db *db, const struct id *team, const struct id *creator,
                              const struct seed_agent *a, struct id *out)
{
    bool is_new;
    struct error err =
        provision_agent(db,
                        &(const struct new_agent){.team_id = *team,
                                                  .created_by = *creator,
                                                  .name = str_from(a->name),
                                                  .description = str_from(a->description),
                                                  .provider = str_from(a->provider),
                                                  .webhook_url = text_or_none(a->url),
                                                  .system_prompt = text_or_none(a->prompt)},
                        out, &is_new);

    if (!is_error(err) && is_new)
        printf("agent: %s (%s)\n", a->name, out->text);
    return err;
}

static struct error add_message(struct db *db, struct arena *arena, const struct id *team,
                                const struct id *chat, struct str role, const char *content)
{
    struct id id = id_v7();
    struct db_result r;

    return db_run(db, arena, SQL_MESSAGE_ADD,
                  DB_ARGS(db_uuid(id_str(team)), db_uuid(id_str(chat)), db_uuid(id_str(&id)),
                          db_text(role), db_text(str_from(content)), db_time(clock_wall_us())),
                  &r);
}

static struct error add_chat(struct db *db, const struct id *team, const struct id *user,
                             const struct id *agent, const struct seed_chat *c)
{
    struct arena arena = {0};
    struct id id = id_v7();
    struct db_result r;
    struct error err =
        db_run(db, &arena, SQL_CHAT_ADD,
               DB_ARGS(db_uuid(id_str(team)), db_uuid(id_str(user)), db_uuid(id_str(&id)),
                       db_uuid(id_str(agent)), db_text(str_from(c->title)), db_json(STR("{}")),
                       db_time(clock_wall_us())),
               &r);

    if (!is_error(err))
        err = add_message(db, &arena, team, &id, STR("user"), c->question);
    if (!is_error(err))
        err = add_message(db, &arena, team, &id, STR("assistant"), c->answer);
    arena_free(&arena);
    return err;
}

static struct error seed(struct db *db)
{
    struct id team, user = {0}, admin = {0}, agent = {0}, other;
    bool is_new = false;
    struct error err = provision_team(db, STR("Demo"), STR("demo"), &team, &is_new);

    if (!is_error(err) && is_new)
        printf("team: demo (%s)\n", team.text);
    if (!is_error(err))
        err = add_user(db, &team, &users[0], &admin, &is_new);
    if (!is_error(err))
        err = add_user(db, &team, &users[1], &user, &is_new);
    for (size_t i = 0; !is_error(err) && i < sizeof(agents) / sizeof(agents[0]); i++)
        err = add_agent(db, &team, &admin, &agents[i], i == 0 ? &agent : &other);
    /* The chats come with their user: one that was deleted stays away. */
    for (size_t i = 0; !is_error(err) && is_new && i < sizeof(chats) / sizeof(chats[0]); i++)
        err = add_chat(db, &team, &user, &agent, &chats[i]);
    return err;
}

int command_seed(int argc, char **argv)
{
    struct db *db;
    struct error err;

    if (!command_read_options(argc, argv, 1, NULL, 0))
        return command_usage(argv[0]);
    err = command_open_db(&db);
    if (is_error(err))
        return command_fail(err);
    err = seed(db);
    db_close(db);
    return is_error(err) ? command_fail(err) : COMMAND_OK;
}
