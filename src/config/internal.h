/* What only this room shares: the way of one setting from its source into the struct. */
#ifndef AERIE_CONFIG_INTERNAL_H
#define AERIE_CONFIG_INTERNAL_H

#include "config/config.h"

/* In the order they are read; a later one wins. */
enum config_source { SOURCE_DEFAULT, SOURCE_JSON, SOURCE_DOTENV, SOURCE_ENVIRONMENT };

/* What config.json knows about a value; the other sources only have text. */
enum setting_kind { SETTING_TEXT, SETTING_NUMBER, SETTING_BOOL, SETTING_LIST, SETTING_OTHER };

/* One name with its value, as a source has it. Lives in the arena of the configuration. */
struct setting {
    enum config_source source;
    const char *file; /* NULL for the environment */
    unsigned line;    /* 0: not known */
    struct str name;  /* in the environment's form: SERVER__PORT */
    struct str shown; /* as it was written there: server.port */
    enum setting_kind kind;
    struct str text;          /* numbers and booleans too */
    struct config_list items; /* SETTING_LIST */
};

/* A key's present holder: a setting of an earlier source, or of a lesser name, does not replace it.
 */
struct holder {
    enum config_source source;
    unsigned rank; /* 0: the key's own name, then the aliases */
};

struct loader {
    struct config *config;
    struct arena *arena;    /* the configuration's */
    struct holder *holders; /* one a key */
    uint64_t foreign_seen;  /* bits: a foreign name is answered once */
};

/* load.c: takes a setting whose name is known; ERR_INVALID with file, line and what was expected.
 */
struct error loader_set(struct loader *l, const struct setting *s) MUST_CHECK;
/* Whether some key, or another program we know of, bears this name. */
bool loader_knows(struct str name);
/* Whether the name begins like the keys of a section: LIMITS__. */
bool loader_knows_section(struct str name);
struct error loader_unknown(struct loader *l, const struct setting *s);
/* "file:line: " and the sentence, ERR_INVALID. */
struct error loader_fail(struct loader *l, const char *file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Reads a whole file. *text has ptr NULL when it is missing and may be. */
struct error loader_read_file(struct loader *l, const char *path, bool may_be_missing,
                              struct str *text) MUST_CHECK;

/* json_file.c, env_file.c */
struct error load_json(struct loader *l, const char *path, bool may_be_missing) MUST_CHECK;
struct error load_dotenv(struct loader *l, const char *path, bool may_be_missing) MUST_CHECK;
struct error load_environment(struct loader *l, char **env) MUST_CHECK;

/* foreign.c: names of the programs that people come from. Those that mean one of our keys are
 * aliases in the table of keys; these do not. */
bool foreign_is_known(struct str name);
struct error foreign_take(struct loader *l, const struct setting *s) MUST_CHECK;

/* keys.c: "server.port" gives SERVER__PORT. False when out is too small. */
#define ENV_NAME_BYTES 96
bool key_env_name(struct str name, char out[ENV_NAME_BYTES], struct str *env_name);

/* formats.c */
extern const struct config_format format_auto_or_off, format_base_url, format_cidr,
    format_database_url, format_email, format_environment, format_follow_parent, format_header,
    format_host, format_inside, format_level, format_listen, format_listen_plain, format_log,
    format_mode, format_origin, format_origin_or_none, format_path, format_proxy, format_share,
    format_smtp_url, format_starttls, format_switch, format_synchronous, format_title,
    format_tls_version, format_token, format_wait;

/* email.c: what follows from the keys that are set. ERR_INVALID with a sentence. */
struct error config_settle_email(struct config *c) MUST_CHECK;
/* tracing.c: likewise. */
struct error config_settle_tracing(struct config *c) MUST_CHECK;

/* print.c: a key's value at member, as people may see it. */
void print_value(const struct config_key *key, const void *member, struct buf *out);

#endif
