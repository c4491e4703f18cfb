/* The table of commands: what each is for, takes, and ends with. Sorted by name. */
#include "command.h"

#include "base/nearest.h"

#include <string.h>

const char *const command_group_names[N_GROUPS] = {
    [GROUP_SERVER] = "The server",
    [GROUP_DATA] = "Teams, people and keys",
    [GROUP_MOVE] = "Backups and moving",
    [GROUP_USE] = "Trying it, and finding what is wrong",
    [GROUP_TELL] = "What it is",
};

#define JSON_OPTION {"--json", "print one JSON object a line"}
#define DONE_OR_NOT {"0", "done"}, {"1", "it failed; stderr says why"}, {"2", "wrong usage"}

static const struct command table[] = {
    {
        "audit",
        GROUP_DATA,
        NEEDS_SECRET,
        "tell who changed what in a team",
        "audit --team SLUG [--json]",
        "Newest first: when, who, what, from where, and which fields. Rows are kept for "
        "audit.keep_days.",
        COMMAND_WORDS({"--team SLUG", "in which team"}, JSON_OPTION),
        COMMAND_WORDS({"aerie audit --team default --json | head -n 20", "the latest"}),
        COMMAND_WORDS(DONE_OR_NOT),
        command_audit,
    },
    {
        "backup",
        GROUP_MOVE,
        NEEDS_CONFIG,
        "copy the database into a file, while the server runs",
        "backup FILE [--with-secret] [--json]",
        "SQLite is copied as it was at the beginning, and the copy is checked; PostgreSQL by its own "
        "pg_dump. FILE.json beside it has the digest and the rows of each table, which are printed. FILE "
        "must not be there yet, and appears when it is whole.",
        COMMAND_WORDS({"--with-secret", "put the secret that the server made into FILE.secret"},
                      JSON_OPTION),
        COMMAND_WORDS({"aerie backup /backup/aerie-$(date +%F)", "one a day"}),
        COMMAND_WORDS(DONE_OR_NOT),
        command_backup,
    },
    {
        "budget",
        GROUP_DATA,
        NEEDS_SECRET,
        "set, list and remove budgets",
        "budget set --team SLUG --scope SCOPE [--subject ID] --period PERIOD [--requests N] [--tokens N] [--money AMOUNT]\n"
        "budget list --team SLUG [--json]\n"
        "budget remove --team SLUG --scope SCOPE [--subject ID] --period PERIOD",
        "What is not named in `set` is not limited. A running server obeys within a second.",
        COMMAND_WORDS({"--team SLUG", "whose team"}, {"--scope SCOPE", "team, user, key or agent"},
                      {"--subject ID", "the user, key or agent"},
                      {"--period PERIOD", "day or month, in UTC"},
                      {"--requests N", "messages to agents"},
                      {"--tokens N", "of prompts and replies"},
                      {"--money AMOUNT", "such as 12.50, by budgets.prices"}, JSON_OPTION),
        COMMAND_WORDS({"aerie budget set --team shop --scope team --period month --money 50",
                       "the team's money for a month"}),
        COMMAND_WORDS(DONE_OR_NOT),
        command_budget,
    },
    {
        "chat",
        GROUP_USE,
        NEEDS_CONFIG,
        "talk to an agent from the terminal",
        "chat [--url URL] [--agent NAME|ID] [CREDENTIALS] [--json] [MESSAGE]",
        "With MESSAGE, or with text on stdin, it sends one message and ends with the reply. Without, "
        "it asks for messages until Ctrl-D.\n"
        "Ctrl-C stops the reply that is coming, a second one leaves. A lost connection is taken up "
        "again where it broke.\n"
        "Who you are is asked for (e-mail address and password), unless CREDENTIALS say it. Secrets "
        "are never words of the command line, which other people on the machine can read.",
        COMMAND_WORDS(
            {"--url URL", "the server; without it the one of this configuration, on this machine"},
            {"--agent NAME|ID", "whom to ask; without it the team's first active agent"},
            {"--email E", "sign in with this address; the password is asked for"},
            {"--password-stdin", "the first line of stdin is the password"},
            {"--token-stdin", "the first line of stdin is an access token or an API key (eck_...)"},
            {"--key-file FILE", "the first line of FILE is an access token or an API key"},
            {"--json", "print each event as it comes, a JSON object a line"},
            {"AERIE_TOKEN", "in the environment: an access token or an API key; the options win"}),
        COMMAND_WORDS({"aerie chat", "sign in, and talk"},
                      {"aerie chat --agent Support 'Where is my parcel?'", "one question"},
                      {"git diff | aerie chat --agent Reviewer --key-file ~/.aerie-key",
                       "what stdin has is the message"},
                      {"aerie chat --url https://chat.example.com --json Hello",
                       "the events, for programs"}),
        COMMAND_WORDS({"0", "the reply is whole"},
                      {"1", "no reply, or not all of it; stderr says why"},
                      {"2", "wrong usage"},
                      {"3", "the server does not take the credentials"},
                      {"130", "stopped with Ctrl-C"}),
        command_chat,
    },
    {
        "config",
        GROUP_SERVER,
        NEEDS_CONFIG,
        "print what is in force, or the table of keys",
        "config [--json | --markdown]",
        "Secrets are masked.",
        COMMAND_WORDS({"--json", "one JSON object"},
                      {"--markdown", "all keys there are, as the table of docs/configuration.md"}),
        COMMAND_WORDS({"aerie config | grep -v '^#'", "what is in force"}),
        COMMAND_WORDS(DONE_OR_NOT),
        command_config,
    },
    {
        "doctor",
        GROUP_USE,
        NEEDS_NOTHING,
        "find what is wrong, and say what to do",
        "doctor [--url URL] [--long] [--agents] [--json]",
        "Looks at the configuration, the database, the disk, limits, memory, clock, certificates, mail "
        "and the running server; with --url also at what stands between people and the server. It "
        "changes nothing.\n"
        "Each line begins with ok, warning or problem; below a warning or a problem stands what to "
        "do.",
        COMMAND_WORDS(
            {"--url URL", "the address that people use: finds proxies that hold streams back, hide "
                          "addresses, break WebSockets or refuse uploads, and certificates that end"},
            {"--long", "with --url: also stay silent as long as a slow agent may (about 20 s)"},
            {"--agents", "ask every active agent a short question through the running server; this "
                         "costs what a message costs"},
            JSON_OPTION),
        COMMAND_WORDS({"aerie doctor", "this machine"},
                      {"aerie doctor --url https://chat.example.com --long", "and the way in"},
                      {"aerie doctor --agents", "and those who answer"}),
        COMMAND_WORDS({"0", "all is well, or there are warnings only"},
                      {"1", "there is a problem"},
                      {"2", "wrong usage"}),
        command_doctor,
    },
    {
        "erase",
        GROUP_DATA,
        NEEDS_SECRET,
        "erase a user or a visitor, with a report of what went",
        "erase --team SLUG --user EMAIL [--json]\n"
        "erase --team SLUG --visitor SESSION [--json]",
        "The account with its chats, logins, budgets and mails, and its name in the audit trail; of a "
        "visitor, the session. Running replies of theirs end within a second, on every server. It works in "
        "portions: broken off, it is gone on with by a running server, or by the same command. The last "
        "active admin of a team stays. What is kept, and why, is in the report.",
        COMMAND_WORDS({"--team SLUG", "in which team"}, {"--user EMAIL", "whose account, by address or id"},
                      {"--visitor SESSION", "the session's id, which the visitor's browser has"}, JSON_OPTION),
        COMMAND_WORDS({"aerie erase --team default --user mia@example.com --json", "and keep the report"}),
        COMMAND_WORDS(DONE_OR_NOT),
        command_erase,
    },
    {
        "export",
        GROUP_MOVE,
        NEEDS_SECRET,
        "write one team into a file",
        "export FILE --team SLUG [--with-passwords] [--with-secrets --passphrase-file FILE] [--json]",
        "All of the team, as it is at one moment, while the server runs: users, agents, API keys (as hashes), "
        "chats, messages, documents, usage, settings, what was changed. An object of JSON a line; the last "
        "line has the digest of all others and the rows of each table, which are printed.\n"
        "Logins are not in it, nor mails and webhooks' deliveries that wait.",
        COMMAND_WORDS({"--team SLUG", "which team"},
                      {"--with-passwords", "with the hashes of passwords"},
                      {"--with-secrets", "with tokens of agents, keys of providers and webhooks, sealed anew "
                                         "under a passphrase"},
                      {"--passphrase-file FILE", "the first line of FILE is the passphrase, of 12 characters "
                                                 "at least"},
                      JSON_OPTION),
        COMMAND_WORDS({"aerie export shop.jsonl --team shop --with-passwords", "a team that moves out"}),
        COMMAND_WORDS(DONE_OR_NOT),
        command_export,
    },
    {
        "import",
        GROUP_MOVE,
        NEEDS_SECRET,
        "make a team from such a file",
        "import FILE [--as SLUG] [--passphrase-file FILE] [--json]",
        "Into either database, while the server runs or not. The file is looked through first; then all of it "
        "comes in one transaction, or nothing. Ids stay as they are, so a team cannot be imported where it is "
        "already. Import only files of people whom you trust.",
        COMMAND_WORDS({"--as SLUG", "another slug than the one in the file"},
                      {"--passphrase-file FILE", "the passphrase, where the file has secrets"}, JSON_OPTION),
        COMMAND_WORDS({"aerie import shop.jsonl", "a team that moves in"}),
        COMMAND_WORDS(DONE_OR_NOT),
        command_import,
    },
    {
        "init",
        GROUP_DATA,
        NEEDS_SECRET,
        "make a first team, its admin and an echo agent",
        "init",
        "Makes what is missing, and prints the admin's password, once. Run again it changes nothing.",
        NULL,
        NULL,
        COMMAND_WORDS(DONE_OR_NOT),
        command_init,
    },
    {
        "key",
        GROUP_DATA,
        NEEDS_SECRET,
        "make an API key",
        "key create --agent ID [--name NAME] [--scope LIST] [--expires TIME] [--json]",
        "The key is shown this once.",
        COMMAND_WORDS({"--agent ID", "the agent that it opens"},
                      {"--name NAME", "for people"},
                      {"--scope LIST", "chat, documents, admin:read, with commas; chat without it"},
                      {"--expires TIME", "such as 2030-01-31T12:00:00Z; never without it"},
                      JSON_OPTION),
        COMMAND_WORDS({"aerie key create --agent 01a1fa9f-... --name shop >key.txt",
                       "a key for a shop's program"}),
        COMMAND_WORDS(DONE_OR_NOT),
        command_key,
    },
    {
        "migrate",
        GROUP_SERVER,
        NEEDS_SECRET,
        "bring the schema up to date, or back",
        "migrate up\nmigrate down\nmigrate status [--json]",
        "The server does `up` by itself when it starts. `down` takes the last step back, and with it "
        "what that step's tables held.",
        COMMAND_WORDS(JSON_OPTION),
        NULL,
        COMMAND_WORDS(DONE_OR_NOT),
        command_migrate,
    },
    {
        "migrate-to",
        GROUP_MOVE,
        NEEDS_CONFIG,
        "move the SQLite database to PostgreSQL",
        "migrate-to URL [--json]",
        "URL is that of an empty database, as in postgresql://aerie@db.internal/aerie; a password may be "
        "left out of it and be in PGPASSWORD or ~/.pgpass. The server must not run.\n"
        "It is one transaction: what is cut off has moved nothing, and can be begun again. Before its end "
        "every row is read back and compared; then each table is printed with its rows here and there, "
        "and the first digits of a sum over what they hold.",
        COMMAND_WORDS(JSON_OPTION),
        COMMAND_WORDS({"aerie migrate-to postgresql://aerie@db.internal/aerie", "all of it"}),
        COMMAND_WORDS(DONE_OR_NOT),
        command_migrate_to,
    },
    {
        "node",
        GROUP_SERVER,
        NEEDS_SECRET,
        "list the servers that share the database",
        "node list [--json]",
        "One that was `silent` for nodes.dead_seconds is taken for dead by another, and leaves the list. On "
        "SQLite a server that was killed leaves it at the next start.",
        COMMAND_WORDS(JSON_OPTION),
        NULL,
        COMMAND_WORDS(DONE_OR_NOT),
        command_node,
    },
    {
        "openapi",
        GROUP_TELL,
        NEEDS_CONFIG,
        "print openapi.json",
        "openapi",
        NULL,
        NULL,
        NULL,
        COMMAND_WORDS(DONE_OR_NOT),
        command_openapi,
    },
    {
        "read-html",
        GROUP_SERVER,
        NEEDS_NOTHING,
        NULL,
        "read-html <PAGE",
        NULL,
        NULL,
        NULL,
        NULL,
        command_read_html,
    },
    {
        "restore",
        GROUP_MOVE,
        NEEDS_CONFIG,
        "make a backup the database",
        "restore FILE [--replace [--yes]] [--with-secret] [--json]",
        "Into an empty place, while no server runs on it. The digest and the rows of each table are "
        "compared with FILE.json; an older schema is brought up to date. Until all that is done, SQLite's "
        "old file stays; PostgreSQL is emptied first.",
        COMMAND_WORDS({"--replace", "what the database holds now is deleted; asks first"},
                      {"--yes", "do not ask"},
                      {"--with-secret", "put FILE.secret back into data_dir"}, JSON_OPTION),
        COMMAND_WORDS({"aerie restore /backup/aerie-2026-01-31 --with-secret", "on a new machine"}),
        COMMAND_WORDS(DONE_OR_NOT),
        command_restore,
    },
    {
        "seed",
        GROUP_DATA,
        NEEDS_SECRET,
        "make a team for demonstrations",
        "seed",
        "A team with users, agents and chats; their passwords are printed, once. Run again it adds "
        "what is missing.",
        NULL,
        NULL,
        COMMAND_WORDS(DONE_OR_NOT),
        command_seed,
    },
    {
        "serve",
        GROUP_SERVER,
        NEEDS_SECRET,
        "run the server; what happens without a command",
        "serve",
        "SIGTERM and SIGINT end it when the streams have ended, at most after server.drain_seconds; a "
        "second one ends it at once. SIGHUP reads the configuration again. SIGUSR2 is `aerie upgrade`.",
        NULL,
        COMMAND_WORDS({"aerie --config /etc/aerie/config.json serve", "as a service does"}),
        COMMAND_WORDS({"0", "ended as it was told"},
                      {"1", "it could not start, or not go on; stderr says why"},
                      {"2", "wrong usage"}),
        command_serve,
    },
    {
        "team",
        GROUP_DATA,
        NEEDS_SECRET,
        "make, list and switch teams",
        "team create --name NAME --slug SLUG [--json]\n"
        "team list [--json]\n"
        "team enable|disable --slug SLUG\n"
        "team retention --slug SLUG --days N|server",
        "`create` prints the new team's id. A running server obeys `disable` within a second. Chats of a "
        "team in which nothing happened for its `retention` are deleted within the hour; it is at most "
        "retention.days.",
        COMMAND_WORDS({"--name NAME", "for people"},
                      {"--slug SLUG", "small letters, digits and single hyphens; no other team's"},
                      {"--days N|server", "how long chats are kept; server: as retention.days says"},
                      JSON_OPTION),
        COMMAND_WORDS({"aerie team create --name 'The Shop' --slug shop", "a team"}),
        COMMAND_WORDS(DONE_OR_NOT),
        command_team,
    },
    {
        "upgrade",
        GROUP_SERVER,
        NEEDS_CONFIG,
        "let a new process take the running server over, without a cut",
        "upgrade",
        "The running server starts its program anew, as it is now on the disk, with the same "
        "arguments, and leaves it its sockets. When the new one serves, the old one takes no more "
        "clients, and ends when its streams have, at most after server.upgrade_drain_seconds. When "
        "the new one does not come up, the old one goes on. SIGUSR2 to the server does the same.\n"
        "The server is found by aerie.pid in data_dir.",
        NULL,
        COMMAND_WORDS({"cd /etc/aerie && runuser -u aerie -- aerie upgrade",
                       "after the program, or a key that needs a restart, was changed"}),
        COMMAND_WORDS({"0", "the new process serves"},
                      {"1", "the old one goes on; stderr says why"},
                      {"2", "wrong usage"}, {"3", "no server runs on this data_dir"}),
        command_upgrade,
    },
    {
        "user",
        GROUP_DATA,
        NEEDS_SECRET,
        "make, list and change users",
        "user create --email E --team SLUG [--name NAME] [--role user|admin] [PASSWORD] [--json]\n"
        "user list --team SLUG [--json]\n"
        "user role --email E --team SLUG --role user|admin\n"
        "user password --email E --team SLUG [PASSWORD]\n"
        "user enable|disable --email E --team SLUG",
        "A new password, and `disable`, put the user out of a running server within a second. The last "
        "active admin of a team stays.",
        COMMAND_WORDS({"--email E", "whom"}, {"--team SLUG", "in which team"},
                      {"--name NAME", "for people"}, {"--role user|admin", "user without it"},
                      {"--password-stdin", "PASSWORD: the first line of stdin; without an option it "
                                           "is asked for, twice"},
                      {"--generate", "PASSWORD: make one, and print it"}, JSON_OPTION),
        COMMAND_WORDS({"aerie user create --email me@example.com --team default --role admin",
                       "an admin; the password is asked for"}),
        COMMAND_WORDS(DONE_OR_NOT),
        command_user,
    },
    {
        "version",
        GROUP_TELL,
        NEEDS_NOTHING,
        "print the version",
        "version [-v]",
        NULL,
        COMMAND_WORDS({"-v", "and those of the libraries"}),
        NULL,
        COMMAND_WORDS(DONE_OR_NOT),
        command_version,
    },
    {
        "webhook",
        GROUP_DATA,
        NEEDS_SECRET,
        "tell URLs what happens in a team",
        "webhook list --team SLUG [--json]\n"
        "webhook add --team SLUG --url URL --events LIST [--include-text] [--json]\n"
        "webhook pause|resume|delete --team SLUG --id ID\n"
        "webhook test --team SLUG --id ID [--json]\n"
        "webhook deliveries --team SLUG --id ID [--status STATUS] [--json]\n"
        "webhook replay --team SLUG --id ID [--delivery ID]",
        "`add` shows the secret that calls are signed with, this once. `pause` gives up what waits. "
        "`deliveries` tells the newest thousand. `replay` makes those that were given up due again, all "
        "of them without --delivery. `test` lets the running server call the URL now, in the name of the "
        "team's first admin. A running server obeys within a second.",
        COMMAND_WORDS({"--team SLUG", "whose team"}, {"--id ID", "which webhook, as `list` names it"},
                      {"--url URL", "where to; inner addresses need egress.allow"},
                      {"--events LIST", "with commas: agent.failing, agent.recovered, budget.spent, "
                                        "budget.warning, chat.created, message.completed"},
                      {"--include-text", "message.completed brings the reply's text"},
                      {"--status STATUS", "pending, delivered or dead"},
                      {"--delivery ID", "this one only"}, JSON_OPTION),
        COMMAND_WORDS({"aerie webhook add --team shop --url https://hooks.example/aerie --events "
                       "agent.failing,budget.warning >secret.txt",
                       "a call when something goes wrong"},
                      {"aerie webhook replay --team shop --id 01a1fa9f-...",
                       "all that was given up while the receiver was down"}),
        COMMAND_WORDS({"0", "done"}, {"1", "it failed, or a test was not taken; stderr says why"},
                      {"2", "wrong usage"}),
        command_webhook,
    },
};

const struct command *commands(size_t *n)
{
    *n = sizeof(table) / sizeof(table[0]);
    return table;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

const char *command_nearest(const char *name)
{
    struct nearest nearest = {.asked = str_from(name)};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].summary)
            (void)nearest_offer(&nearest, str_from(table[i].name));
    return nearest.name.ptr;
}
