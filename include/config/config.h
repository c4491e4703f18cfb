/* What the operator chose: read from config.json, .env and the environment (later wins) at start
 * and at SIGHUP, and never written afterwards. docs/configuration.md is made from the same table.
 */
#ifndef AERIE_CONFIG_CONFIG_H
#define AERIE_CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cidr.h"
#include "base/error.h"

enum config_type { CONFIG_TEXT, CONFIG_UINT, CONFIG_BOOL, CONFIG_LIST };

/* When a change that SIGHUP brings counts: at once, or from the next start. */
enum config_effect { CONFIG_LIVE, CONFIG_RESTART };

/* A comma-separated list, or an array in config.json. */
struct config_list {
    struct str *items;
    size_t n;
};

/* A provider of models, as far as the operator has to do with it. */
struct config_service {
    struct config_list api_key; /* for agents and teams that have none of their own */
    struct str base_url;        /* "" : the provider's */
};

struct config_ai_services {
    struct config_service anthropic, gemini, groq, openai, openrouter;
};

/* PostgreSQL's tools, for `aerie backup` and `aerie restore`. */
struct config_backup {
    struct str pg_dump, pg_restore; /* programs */
    struct str url;                 /* the database's, past a pooler; "" : database.url */
};

struct config_server {
    struct config_list listen; /* "host:port", "tls://host:port", "unix:/path", "systemd"; none:
                                  host and port */
    struct str host;           /* an address to listen on */
    uint64_t port;             /* 0: any free one, printed at start */
    uint64_t workers;          /* loops; 0: the cores */
    uint64_t drain_seconds;    /* how long SIGTERM waits for streams */
    uint64_t upgrade_drain_seconds; /* how long the old process of an upgrade does */
    uint64_t upgrade_start_seconds; /* how long the new one may take to start */
    struct str unix_mode; /* of the files of unix:, octal digits */
    struct str public_url; /* where people find this server, without a slash at its end; "" : host
                              and port */
};

struct config_log {
    struct str directory, file; /* both "" : stderr */
    struct str level, format, access;
    uint64_t retention_days, buffer_bytes;
};

struct config_database {
    struct str url;                /* "" : sqlite under data_dir */
    uint64_t connect_ms;           /* longest until a connection to PostgreSQL is ready */
    uint64_t wait_ms;              /* longest wait for a place in the queue and a connection */
    uint64_t statement_ms;         /* longest run of one statement */
    uint64_t queue;                /* waiting operations a loop, past it 503 */
    uint64_t queue_per_team;       /* of a team, before one of the database's queues; past it 429 */
    bool prepared_statements;      /* false behind a transaction pooler */
    uint64_t sqlite_readers;       /* reader threads */
    struct str sqlite_synchronous; /* FULL | NORMAL */
};

struct config_security {
    struct str secret;          /* SECRET_KEY */
    struct str previous_secret; /* still accepted for tokens: rotation */
    uint64_t access_seconds;
    uint64_t refresh_seconds;
    uint64_t refresh_grace_seconds;
    uint64_t bcrypt_rounds;
    uint64_t bcrypt_threads;
    uint64_t bcrypt_queue;
};

struct config_limits {
    uint64_t request_line_bytes, head_bytes, header_lines, body_bytes, upload_bytes;
    uint64_t head_seconds, body_min_bytes_per_second, idle_seconds, write_seconds;
    uint64_t pipeline_bytes, output_bytes, output_total_bytes;
    uint64_t json_depth, message_chars;
    uint64_t login_per_minute, login_per_account, register_per_minute, wrong_keys_per_minute;
    uint64_t mail_per_minute, mail_per_account;
    uint64_t messages_per_minute, visitor_messages_per_minute, agent_messages_per_minute;
    uint64_t reply_tokens, tokens_per_day;
    uint64_t visitor_sessions_per_minute, agent_sessions_per_minute;
    uint64_t connections, connections_per_address, streams_per_team, streams;
    uint64_t remembered_keys, remembered_tokens; /* of API keys and access tokens that were good */
    uint64_t websocket_message_bytes, websocket_ping_seconds, websocket_pong_seconds;
};

struct config_upstream {
    uint64_t connect_seconds, first_byte_seconds, idle_seconds, total_seconds;
    uint64_t event_bytes, reply_bytes;
    uint64_t error_wait_ms;    /* how long an n8n stream may stay open after its error object */
    uint64_t idle_connections; /* kept a loop */
    uint64_t dns_cache_seconds;
    uint64_t retries; /* waits before a model provider is asked again */
    uint64_t backoff_ms, backoff_max_ms;
    uint64_t slots;                           /* calls at once; 0: no limit */
    uint64_t slot_queue, slot_queue_per_team; /* turns that may wait for one */
    uint64_t slot_wait_seconds;
    struct str ca_file; /* "" : the system's */
};

/* Mail, and the server that takes it: the operator's own choice, so it may be inside. */
struct config_email {
    struct str url; /* "smtp://host:port" or "smtps://host:port"; "" : no mail */
    struct str user, password;
    struct str from, from_name; /* name "" : api_title */
    struct str starttls;        /* required | optional */
    struct str ca_file;         /* "" : the system's */
    uint64_t timeout_seconds;   /* of one mail, from the connection to the server's word */
    uint64_t connections;       /* mails under way at once */
    uint64_t outbox;            /* mails that may wait */
    uint64_t tries, retry_seconds;
    uint64_t verify_seconds, reset_seconds; /* life of a mailed link */
};

/* GET /metrics. */
struct config_metrics {
    struct config_list allow; /* CIDRs that may read it */
    struct str listen;        /* "host:port", "unix:/path", "" : where clients are */
    struct str token;         /* who has it may read it, too; "" : nobody */
};

/* Spans, and the collector that they are sent to: the operator's own choice, so it may be inside. */
#define TRACING_HEADERS_MAX 4
struct config_tracing {
    struct str endpoint;        /* "" : none are made */
    struct config_list headers; /* "Name: value", at most TRACING_HEADERS_MAX */
    struct str service;
    struct str sample;        /* a share, in decimals */
    struct str follow_parent; /* never | proxies | always */
    uint64_t queue, batch, flush_ms;
    uint64_t timeout_seconds, retry_seconds, drain_ms;
};

/* What nodes that share one PostgreSQL know of each other. */
struct config_nodes {
    struct str listen, address; /* "" : a socket in data_dir; listen */
    uint64_t dead_seconds;
    uint64_t mirror_linger_ms; /* after its last reader */
};

struct config_egress {
    struct config_list allow; /* CIDRs and host names inside that may be reached */
};

struct config_documents {
    uint64_t per_team, chunks; /* documents a team, chunks a document */
    uint64_t chunk_chars, chunk_overlap;
    uint64_t text_bytes;                                            /* of what is in a document */
    uint64_t threads, queue;                                        /* that cut */
    struct str pdftotext;                                           /* the program */
    uint64_t reader_processes, reader_seconds, reader_memory_bytes; /* of PDFs and HTML */
    uint64_t search_seconds;
    struct str pgvector; /* auto | off */
};

struct config_embeddings {
    struct str base_url; /* "" : no provider */
    struct str api_key, model;
    uint64_t dimensions; /* 0: the model's own */
    uint64_t batch;      /* chunks a request */
    uint64_t answer_bytes, timeout_seconds, tries;
};

/* What teams, users, keys and agents may use. */
struct config_budgets {
    struct str currency;                    /* of the money */
    struct str prices;                      /* the file of the price table; "" : none */
    uint64_t idle_seconds, lease_seconds;   /* of what a node has leased */
    uint64_t per_team;
};

/* Chats of people without an account. */
struct config_sessions {
    uint64_t keep_days; /* idle ones go after it; 0: they stay */
};

/* Chats that are past their time; and what is deleted at once, of these or of a user. */
struct config_retention {
    uint64_t days; /* the most that a team keeps them, and what it keeps that does not say; 0: as it says, or for ever */
    uint64_t rows; /* of a transaction */
};

/* Who changed what. */
struct config_audit {
    uint64_t keep_days; /* rows go after it; 0: they stay */
};

/* The teams' accounts of what was used. */
struct config_usage {
    uint64_t keep_days; /* days go after it; 0: they stay */
};

/* Where server.listen has a tls:// address. */
struct config_tls {
    struct config_list certificate, key; /* files; the first pair is for whom no other fits */
    struct str min_version;              /* 1.2 | 1.3 */
    struct str ciphers;                  /* of TLS 1.2, in OpenSSL's words */
    uint64_t handshake_seconds;
};

struct config_turn {
    uint64_t checkpoint_ms, checkpoint_bytes;
    uint64_t journal_bytes, journal_buffer_bytes, journal_file_bytes; /* of a loop's journal */
    uint64_t store_ms;
    uint64_t keep_ms;        /* an ended turn's log stays for late readers */
    uint64_t keep_bytes;     /* ended logs a loop, oldest go first */
    uint64_t save_seconds;   /* how long the end of a turn waits for the database */
    uint64_t settle_seconds; /* how long it is tried again after that */
    uint64_t heartbeat_seconds;
};

/* The call back to a WordPress site that registers itself. */
struct config_callback {
    uint64_t at_once, retry_attempts, retry_delay_seconds, timeout_seconds;
};

/* The first agent of such a site. */
struct config_sites {
    struct str provider, webhook_url, model;
};

/* What teams are told of by calls to a URL of theirs. */
struct config_webhooks {
    uint64_t agent_failures;            /* in a row, until an agent is told to fail; 0: never */
    uint64_t answer_bytes;              /* of a receiver's answer */
    uint64_t at_once, at_once_per_team; /* tries under way */
    uint64_t keep_days, keep_dead_days;
    uint64_t pending_per_team, per_team; /* deliveries that may wait; webhooks */
    uint64_t rotation_seconds;           /* the secret before signs as well */
    uint64_t timeout_seconds;
    struct config_list waits; /* in seconds, before the second try and each further one */
};

/* Where config.json and .env are looked for: the working directory, unless --config FILE names the
 * first. */
struct config_sources {
    const char *json_path; /* NULL: config.json, may be missing */
    const char *env_path;  /* NULL: .env, may be missing */
    char **environ;        /* NULL: none */
};

/* What follows from the keys of tracing. */
struct config_trace_rules {
    uint64_t sampled_below; /* tracing.sample, of 2^56 */
    bool follows_proxies, follows_all;
};

/* The blocks of a list, read. */
struct config_networks {
    struct cidr *blocks;
    size_t n;
};

struct config {
    struct str environment; /* development | production */
    struct str data_dir;
    struct config_ai_services ai_services;
    struct config_list allowed_origins;
    struct config_list trusted_proxies;
    struct str api_title;
    struct config_server server;
    struct config_log log;
    struct config_database database;
    struct config_security security;
    struct config_limits limits;
    struct config_upstream upstream;
    struct config_egress egress;
    struct config_email email;
    struct config_documents documents;
    struct config_embeddings embeddings;
    struct config_budgets budgets;
    struct config_retention retention;
    struct config_sessions sessions;
    struct config_tls tls;
    struct config_tracing tracing;
    struct config_turn turn;
    struct config_usage usage;
    struct config_audit audit;
    struct config_metrics metrics;
    struct config_nodes nodes;
    struct config_backup backup;
    struct config_callback callback;
    struct config_sites sites;
    struct config_webhooks webhooks;
    struct arena arena;                      /* what the texts and lists live in */
    struct config_networks trusted_networks; /* trusted_proxies */
    struct config_networks egress_networks;  /* what in egress.allow is no host name */
    struct config_trace_rules trace_rules;
    struct config_sources sources; /* where it was read */
};

/* What a text, or an item of a list, must look like. */
struct config_format {
    const char *expected; /* "an IP address or localhost" */
    /* Puts the value in its normal form, from the arena when it differs. False: not accepted. */
    bool (*accept)(struct arena *a, struct str value, struct str *out);
};

/* One row a key. */
struct config_key {
    const char *name; /* "limits.body_bytes"; the environment's form is LIMITS__BODY_BYTES */
    enum config_effect effect;
    /* Other names, comma-separated, as in the environment; or NULL. "NAME*60" is in minutes when
     * the key is in seconds. Within one source the key's own name wins, then the names in their
     * order. */
    const char *alias;
    enum config_type type;
    size_t offset;
    const char *default_value;
    uint64_t min, max; /* CONFIG_UINT */
    /* CONFIG_TEXT and CONFIG_LIST; NULL: any text without control characters. */
    const struct config_format *format;
    bool is_secret;   /* such a list may also come one by one: NAME_1, NAME_2, ... up to NAME_99 */
    const char *unit; /* "seconds", "bytes", … or "" */
    const char *help; /* one line */
};
const struct config_key *config_keys(size_t *n);

/* On failure the detail says file, line, key and what was expected; it lives in *out, so
 * config_free() comes after it was shown. Names that other programs use are answered in the log. */
struct error config_load(const struct config_sources *sources, struct config *out) MUST_CHECK;
void config_free(struct config *c);
/* Can mail be sent? */
bool config_has_mail(void);
/* Makes the secret in data_dir when there is none (not in production), and data_dir with it; checks
 * it. The detail lives in *c. */
struct error config_settle_secret(struct config *c) MUST_CHECK;
/* What is wrong with a secret ("is shorter than 32 bytes"), or NULL. */
const char *config_secret_weakness(struct str secret);
/* Fills the two networks from their lists, in c's arena; config_load() does. */
struct error config_settle_networks(struct config *c) MUST_CHECK;
/* All keys with their values, secrets masked: for people, or one JSON object. */
void config_print(const struct config *c, bool as_json, struct buf *out);
/* A database's address, its password masked. */
void config_print_url(struct buf *out, struct str url);
/* docs/configuration.md's table. */
void config_print_markdown(struct buf *out);

/* The one in force. Set before any loop starts; later config_reload() may put another in its place
 * at any moment: whoever needs two values that fit together, or one value twice, asks once. What it
 * gave stays readable until config_close(). */
void config_set(const struct config *c);
const struct config *config(void);
/* Reads the same sources again, on the main thread. The log names each key that changed, secrets
 * masked. Those that need a restart keep their value. On failure nothing changes; the detail lives
 * until the next call. */
struct error config_reload(void) MUST_CHECK;
/* Frees what config_reload() made. After all threads that read it. */
void config_close(void);
bool config_is_production(void);

#endif
