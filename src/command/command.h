/* The command line: one row a command. Data goes to stdout, one JSON object a line with --json;
 * messages to stderr. */
#ifndef AERIE_SRC_COMMAND_COMMAND_H
#define AERIE_SRC_COMMAND_COMMAND_H

#include "base/json.h"
#include "db/db.h"

/* What a command's process ends with. */
enum command_exit {
    COMMAND_OK = 0,
    COMMAND_FAILED = 1,
    COMMAND_USAGE = 2,
    COMMAND_NO_SERVER = 3 /* that it could be done to */
};

/* What is there before run() is called. */
enum command_needs {
    NEEDS_NOTHING,
    NEEDS_CONFIG,
    NEEDS_SECRET, /* and the configuration, and a log */
};

enum command_group { GROUP_SERVER, GROUP_DATA, GROUP_MOVE, GROUP_USE, GROUP_TELL, N_GROUPS };
extern const char *const command_group_names[N_GROUPS];

/* An option with what it takes, a line to type, an exit status: and what it means. */
struct command_words {
    const char *words, *about;
};
#define COMMAND_WORDS(...)                                                                         \
    (const struct command_words[])                                                                 \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

/* All that is said of a command is said here: its help, docs/command-line.md, and which options it
 * may read. */
struct command {
    const char *name;
    enum command_group group;
    enum command_needs needs;
    const char *summary; /* NULL: not for people */
    const char *usage;   /* one line each way, without "aerie" */
    const char *about;   /* paragraphs, a line each; or NULL */
    const struct command_words *options, *examples, *exits; /* ended by NULL; or NULL */
    /* argv[0] is the command's name. */
    int (*run)(int argc, char **argv);
};
const struct command *commands(size_t *n);
const struct command *command_find(const char *name); /* NULL: there is none */
const char *command_nearest(const char *name); /* the one a mistyped name is most like, or NULL */

int command_audit(int argc, char **argv);
int command_backup(int argc, char **argv);
int command_budget(int argc, char **argv);
int command_chat(int argc, char **argv);
int command_config(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_erase(int argc, char **argv);
int command_export(int argc, char **argv);
int command_import(int argc, char **argv);
int command_init(int argc, char **argv);
int command_key(int argc, char **argv);
int command_migrate(int argc, char **argv);
int command_migrate_to(int argc, char **argv);
int command_node(int argc, char **argv);
int command_openapi(int argc, char **argv);
int command_read_html(int argc, char **argv);
int command_restore(int argc, char **argv);
int command_seed(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_team(int argc, char **argv);
int command_upgrade(int argc, char **argv);
int command_user(int argc, char **argv);
int command_version(int argc, char **argv);
int command_webhook(int argc, char **argv);

/* ---- options ---- */
/* "--name VALUE" or "--name=VALUE" when value is there, "--name" when flag is. name NULL: a word that
 * is no option; after "--" all are. */
struct command_option {
    const char *name;
    const char **value;
    bool *flag;
};
/* Reads argv[from …]; argv[0] is the command, whose row of the table names each option. False: said
 * on stderr what is wrong. */
bool command_read_options(int argc, char **argv, int from, const struct command_option *options,
                          size_t n) MUST_CHECK;
/* False: said on stderr that the option is missing. */
bool command_require(const char *option, const char *value) MUST_CHECK;

/* ---- saying ---- */
/* Says on stderr how the command is used; COMMAND_USAGE. */
int command_usage(const char *name);
/* Says what failed; COMMAND_FAILED. */
int command_fail(struct error err);
/* Prints a line of data and empties the buffer; COMMAND_OK, or COMMAND_FAILED when memory or stdout
 * failed. */
int command_print(struct buf *line);

/* The file that --config names, or NULL. */
extern const char *command_config_path;

/* ---- the database ---- */
/* Opens it and brings the schema up to date. */
struct error command_open_db(struct db **out) MUST_CHECK;
/* Makes the team "default" when there is no team at all, so that people can register. */
struct error command_ensure_default_team(struct db *db) MUST_CHECK;

#endif
