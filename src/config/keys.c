/* The table of keys, in alphabetical order. A row says all there is to say; the sample files and
 * docs/configuration.md are made from it. */
#include "internal.h"

#define AT(member) offsetof(struct config, member)
#define MANY       UINT64_C(1000000)
#define BYTES      UINT64_C(1073741824) /* the most that a limit in bytes may say */
#define A_DAY      UINT64_C(86400)
#define A_YEAR     (365 * A_DAY)
#define AN_HOUR_MS UINT64_C(3600000)

/* Rows of one type each, so that the table below reads in columns. */
#define TEXT(name, alias, member, value, format, help)                                             \
    {                                                                                              \
        name, alias, CONFIG_TEXT, AT(member), value, 0, 0, format, false, "", help                 \
    }
#define SECRET(name, alias, member, help)                                                          \
    {                                                                                              \
        name, alias, CONFIG_TEXT, AT(member), "", 0, 0, NULL, true, "", help                       \
    }
/* With the numbered names too: NAME_1, NAME_2, ... */
#define SECRETS(name, alias, member, help)                                                         \
    {                                                                                              \
        name, alias, CONFIG_LIST, AT(member), "", 0, 0, NULL, true, "", help                       \
    }
#define LIST(name, alias, member, format, help)                                                    \
    {                                                                                              \
        name, alias, CONFIG_LIST, AT(member), "", 0, 0, format, false, "", help                    \
    }
#define BOOL(name, alias, member, value, help)                                                     \
    {                                                                                              \
        name, alias, CONFIG_BOOL, AT(member), value, 0, 0, NULL, false, "", help                   \
    }
#define UINT(name, alias, member, value, min, max, unit, help)                                     \
    {                                                                                              \
        name, alias, CONFIG_UINT, AT(member), value, min, max, NULL, false, unit, help             \
    }

/* clang-format off */
static const struct config_key keys[] = {
    SECRETS("ai_services.anthropic_api_key", "ANTHROPIC_API_KEY", ai_services.anthropic.api_key,
            "Keys for Anthropic, of agents and teams that have none; also numbered: ..._KEY_1, ..._KEY_2"),
    TEXT("ai_services.anthropic_base_url", NULL, ai_services.anthropic.base_url, "", &format_base_url,
         "Where Anthropic is asked; empty: https://api.anthropic.com/v1"),
    SECRETS("ai_services.gemini_api_key", "GEMINI_API_KEY", ai_services.gemini.api_key,
            "Keys for Gemini, likewise"),
    TEXT("ai_services.gemini_base_url", NULL, ai_services.gemini.base_url, "", &format_base_url,
         "Where Gemini is asked; empty: https://generativelanguage.googleapis.com/v1beta"),
    SECRETS("ai_services.groq_api_key", "GROQ_API_KEY", ai_services.groq.api_key,
            "Keys for Groq, likewise"),
    TEXT("ai_services.groq_base_url", NULL, ai_services.groq.base_url, "", &format_base_url,
         "Where Groq is asked; empty: https://api.groq.com/openai/v1"),
    SECRETS("ai_services.openai_api_key", "OPENAI_API_KEY", ai_services.openai.api_key,
            "Keys for OpenAI, likewise"),
    TEXT("ai_services.openai_base_url", NULL, ai_services.openai.base_url, "", &format_base_url,
         "Where OpenAI is asked; empty: https://api.openai.com/v1"),
    SECRETS("ai_services.openrouter_api_key", "AI_SERVICES__OPEN_ROUTER_API_KEY,OPENROUTER_API_KEY",
            ai_services.openrouter.api_key, "Keys for OpenRouter, likewise"),
    TEXT("ai_services.openrouter_base_url", NULL, ai_services.openrouter.base_url, "", &format_base_url,
         "Where OpenRouter is asked; empty: https://openrouter.ai/api/v1"),
    LIST("allowed_origins", NULL, allowed_origins, &format_origin,
         "Origins whose pages may call the API with a browser"),
    TEXT("api_title", "API__TITLE", api_title, "Aerie", &format_title,
         "What the server calls itself in its health answer and its documentation"),
    UINT("callback.at_once", NULL, callback.at_once, "64", 1, 10000, "sites",
         "WordPress sites that may register at the same time; past it 503"),
    UINT("callback.retry_attempts", NULL, callback.retry_attempts, "3", 1, 10, "calls",
         "How often a WordPress site that registers is called back in all, when it fails or cannot be reached"),
    UINT("callback.retry_delay_seconds", NULL, callback.retry_delay_seconds, "3", 0, 60, "seconds",
         "Pause between these calls"),
    UINT("callback.timeout_seconds", NULL, callback.timeout_seconds, "10", 1, 60, "seconds",
         "Longest wait for the answer to such a call"),
    TEXT("data_dir", NULL, data_dir, "data", &format_path,
         "Directory for the SQLite database and a secret that was made here"),
    BOOL("database.prepared_statements", NULL, database.prepared_statements, "true",
         "false behind a transaction pooler such as PgBouncer"),
    UINT("database.queue", NULL, database.queue, "4096", 1, MANY, "operations",
         "Operations that may wait for the database on each loop; past it 503"),
    UINT("database.sqlite_readers", NULL, database.sqlite_readers, "2", 1, 64, "threads",
         "Threads that read from SQLite, beside the one that writes"),
    TEXT("database.sqlite_synchronous", NULL, database.sqlite_synchronous, "FULL", &format_synchronous,
         "NORMAL is faster, and may lose the last commits when the machine loses power"),
    UINT("database.statement_ms", NULL, database.statement_ms, "5000", 1, AN_HOUR_MS, "milliseconds",
         "Longest run of one statement"),
    TEXT("database.url", "DATABASE_URL", database.url, "", &format_database_url,
         "sqlite:///relative, sqlite:////absolute or postgresql://user:password@host/name; empty: SQLite in data_dir"),
    UINT("database.wait_ms", NULL, database.wait_ms, "2000", 1, AN_HOUR_MS, "milliseconds",
         "Longest wait for a place in the queue and a connection"),
    UINT("documents.chunk_chars", NULL, documents.chunk_chars, "1200", 100, 100000, "characters",
         "Documents are cut into pieces of about this length"),
    UINT("documents.chunk_overlap", NULL, documents.chunk_overlap, "150", 0, 10000, "characters",
         "What a piece repeats of the one before it; at most half a piece"),
    UINT("documents.chunks", NULL, documents.chunks, "4000", 1, 100000, "pieces",
         "Most pieces of one document; past it 413"),
    UINT("documents.pdf_memory_bytes", NULL, documents.pdf_memory_bytes, "536870912", 67108864, UINT64_C(68719476736),
         "bytes", "Memory that the reading of one PDF may take"),
    UINT("documents.pdf_processes", NULL, documents.pdf_processes, "4", 1, 256, "processes",
         "PDFs that may be read at once; past it 503"),
    UINT("documents.pdf_seconds", NULL, documents.pdf_seconds, "20", 1, 3600, "seconds",
         "Longest reading of one PDF"),
    TEXT("documents.pdftotext", NULL, documents.pdftotext, "pdftotext", &format_path,
         "The program that reads PDFs: poppler's, by its path or looked up in PATH"),
    UINT("documents.per_team", NULL, documents.per_team, "10000", 1, MANY, "documents",
         "Most documents of one team; past it 409"),
    TEXT("documents.pgvector", NULL, documents.pgvector, "auto", &format_auto_or_off,
         "auto: PostgreSQL compares embeddings where it has the extension vector; off: the server does"),
    UINT("documents.queue", NULL, documents.queue, "64", 1, MANY, "documents",
         "Documents that may wait to be read; past it 503"),
    UINT("documents.search_seconds", NULL, documents.search_seconds, "10", 1, 3600, "seconds",
         "Longest search in documents; a reply then goes on without"),
    UINT("documents.text_bytes", NULL, documents.text_bytes, "4194304", 1, BYTES, "bytes",
         "Longest text of a document; past it 413"),
    UINT("documents.threads", NULL, documents.threads, "1", 1, 64, "threads",
         "Threads that read documents"),
    LIST("egress.allow", NULL, egress.allow, &format_inside,
         "Inner networks (CIDR) and host names that calls to agents, and to sites that register, may reach all the same"),
    TEXT("email.ca_file", NULL, email.ca_file, "", NULL,
         "Certificates to trust in the mail server; empty: the system's"),
    UINT("email.connections", NULL, email.connections, "2", 1, 64, "mails",
         "Mails under way at once"),
    TEXT("email.from", "EMAIL__GMAIL_FROM_EMAIL", email.from, "", &format_email,
         "Address that mails come from"),
    TEXT("email.from_name", NULL, email.from_name, "", NULL,
         "Name that mails come from; empty: api_title"),
    UINT("email.outbox", NULL, email.outbox, "10000", 1, MANY, "mails",
         "Mails that may wait to be sent; past it 503"),
    SECRET("email.password", "EMAIL__GMAIL_APP_PASSWORD", email.password,
           "Password at the mail server; empty: no login there"),
    UINT("email.reset_seconds", NULL, email.reset_seconds, "3600", 1, A_DAY, "seconds",
         "Life of a mailed link that resets a password"),
    UINT("email.retry_seconds", NULL, email.retry_seconds, "10", 1, 3600, "seconds",
         "Pause after a mail's first failed try; each further one is three times as long, at most 15 minutes"),
    TEXT("email.starttls", NULL, email.starttls, "required", &format_starttls,
         "For smtp://: required refuses a server without TLS, optional sends in clear to one"),
    UINT("email.timeout_seconds", NULL, email.timeout_seconds, "30", 1, 3600, "seconds",
         "Longest a mail may take, from the connection to the server's word"),
    UINT("email.tries", NULL, email.tries, "8", 1, 100, "tries",
         "Tries before a mail is given up"),
    TEXT("email.url", NULL, email.url, "", &format_smtp_url,
         "smtp://host (port 587) or smtps://host (port 465); empty: Gmail's when email.from and email.password are set, "
         "else no mail"),
    TEXT("email.user", NULL, email.user, "", NULL,
         "User at the mail server; empty: email.from, when there is a password"),
    UINT("email.verify_seconds", NULL, email.verify_seconds, "86400", 1, 30 * A_DAY, "seconds",
         "Life of a mailed link that confirms an address"),
    UINT("embeddings.answer_bytes", NULL, embeddings.answer_bytes, "8388608", 1024, BYTES, "bytes",
         "Longest answer of the embedding provider"),
    SECRET("embeddings.api_key", NULL, embeddings.api_key, "Key for the embedding provider"),
    TEXT("embeddings.base_url", NULL, embeddings.base_url, "", &format_base_url,
         "Embedding provider, such as https://api.openai.com/v1; empty: documents are searched by words"),
    UINT("embeddings.batch", NULL, embeddings.batch, "64", 1, 2048, "pieces",
         "Pieces of a document that go into one request"),
    UINT("embeddings.dimensions", NULL, embeddings.dimensions, "0", 0, 16384, "numbers",
         "Length of an embedding, asked of the provider; 0: the model's own"),
    TEXT("embeddings.model", NULL, embeddings.model, "text-embedding-3-small", &format_title,
         "Model that makes embeddings"),
    UINT("embeddings.timeout_seconds", NULL, embeddings.timeout_seconds, "30", 1, A_DAY, "seconds",
         "Longest wait for the embedding provider"),
    UINT("embeddings.tries", NULL, embeddings.tries, "4", 1, 20, "tries",
         "Requests for the same embeddings when the provider is overloaded (429, 5xx)"),
    TEXT("environment", NULL, environment, "development", &format_environment,
         "production insists on a strong secret and marks cookies Secure"),
    UINT("limits.agent_messages_per_minute", NULL, limits.agent_messages_per_minute, "600", 0, MANY, "messages",
         "Messages a minute to one agent from all visitors and API keys"),
    UINT("limits.agent_sessions_per_minute", NULL, limits.agent_sessions_per_minute, "300", 0, MANY, "sessions",
         "Sessions a minute that visitors and API keys begin with one agent"),
    UINT("limits.body_bytes", NULL, limits.body_bytes, "1048576", 1, BYTES, "bytes",
         "Longest request body"),
    UINT("limits.body_min_bytes_per_second", NULL, limits.body_min_bytes_per_second, "1024", 0, BYTES,
         "bytes per second", "A body that comes slower than this after head_seconds is cut off"),
    UINT("limits.connections", NULL, limits.connections, "18000", 0, MANY, "connections",
         "Open client connections in all; past it accepting pauses"),
    UINT("limits.connections_per_address", NULL, limits.connections_per_address, "0", 0, MANY, "connections",
         "Open client connections from one address (IPv6: one /64)"),
    UINT("limits.head_bytes", NULL, limits.head_bytes, "16384", 64, BYTES, "bytes",
         "Longest request head, all headers together"),
    UINT("limits.head_seconds", NULL, limits.head_seconds, "10", 1, A_DAY, "seconds",
         "A request head must have come within this time"),
    UINT("limits.header_lines", NULL, limits.header_lines, "100", 1, 10000, "lines",
         "Most header lines of a request"),
    UINT("limits.idle_seconds", NULL, limits.idle_seconds, "75", 1, A_DAY, "seconds",
         "An idle connection is kept this long"),
    UINT("limits.json_depth", NULL, limits.json_depth, "64", 1, 1024, "levels",
         "Deepest nesting of JSON from clients"),
    UINT("limits.login_per_account", NULL, limits.login_per_account, "10", 0, MANY, "tries",
         "Login tries in 15 minutes for one account"),
    UINT("limits.login_per_minute", NULL, limits.login_per_minute, "5", 0, MANY, "tries",
         "Login tries a minute from one address"),
    UINT("limits.mail_per_account", NULL, limits.mail_per_account, "3", 0, MANY, "mails",
         "Mails in 15 minutes that may be asked for one e-mail address"),
    UINT("limits.mail_per_minute", NULL, limits.mail_per_minute, "5", 0, MANY, "calls",
         "Calls a minute from one address that ask for mail or bring a mailed token"),
    UINT("limits.message_chars", NULL, limits.message_chars, "32000", 1, 10 * MANY, "characters",
         "Longest message from a user"),
    UINT("limits.messages_per_minute", NULL, limits.messages_per_minute, "60", 0, MANY, "messages",
         "Messages a minute from one user"),
    UINT("limits.output_bytes", NULL, limits.output_bytes, "65536", 1024, BYTES, "bytes",
         "What a connection may hold for a client that reads slowly"),
    UINT("limits.pipeline_bytes", NULL, limits.pipeline_bytes, "16384", 1, BYTES, "bytes",
         "What a client may send ahead while a reply streams; past it the connection is closed"),
    UINT("limits.register_per_minute", NULL, limits.register_per_minute, "5", 0, MANY, "registrations",
         "Registrations a minute from one address"),
    UINT("limits.reply_tokens", NULL, limits.reply_tokens, "500", 0, MANY, "tokens",
         "What a reply is expected to cost: so much, and the prompt, must be left of tokens_per_day"),
    UINT("limits.request_line_bytes", NULL, limits.request_line_bytes, "8192", 64, BYTES, "bytes",
         "Longest request line"),
    UINT("limits.streams", NULL, limits.streams, "10000", 0, MANY, "streams",
         "Replies that may stream at once in all"),
    UINT("limits.streams_per_team", NULL, limits.streams_per_team, "0", 0, MANY, "streams",
         "Replies that may stream at once for one team"),
    UINT("limits.tokens_per_day", NULL, limits.tokens_per_day, "0", 0, UINT64_C(1000000000000), "tokens",
         "Tokens of prompts and replies that one user may use from midnight to midnight, UTC"),
    UINT("limits.upload_bytes", NULL, limits.upload_bytes, "2097152", 1, BYTES, "bytes",
         "Largest uploaded file; the form around it comes on top"),
    UINT("limits.visitor_messages_per_minute", NULL, limits.visitor_messages_per_minute, "20", 0, MANY, "messages",
         "Messages a minute in one visitor's session, and from all visitors at one address (IPv6: one /64)"),
    UINT("limits.visitor_sessions_per_minute", NULL, limits.visitor_sessions_per_minute, "10", 0, MANY, "sessions",
         "Sessions a minute that visitors begin at one address (IPv6: one /64)"),
    UINT("limits.websocket_message_bytes", NULL, limits.websocket_message_bytes, "65536", 125, BYTES, "bytes",
         "Longest WebSocket message; past it the socket is closed with 1009"),
    UINT("limits.websocket_ping_seconds", NULL, limits.websocket_ping_seconds, "30", 1, A_DAY, "seconds",
         "A WebSocket from which nothing came for this long gets a ping"),
    UINT("limits.websocket_pong_seconds", NULL, limits.websocket_pong_seconds, "10", 1, A_DAY, "seconds",
         "How long the answer to a ping may take; past it the socket is closed"),
    UINT("limits.write_seconds", NULL, limits.write_seconds, "30", 1, A_DAY, "seconds",
         "A client that takes no byte for this long is cut off"),
    UINT("limits.wrong_keys_per_minute", NULL, limits.wrong_keys_per_minute, "30", 0, MANY, "keys",
         "Wrong API keys a minute from one address; past it no key from there is looked up"),
    TEXT("log.level", "LOGGING__LEVEL,LOG_LEVEL", log.level, "info", &format_level,
         "error, warn, info, debug or trace"),
    UINT("security.access_seconds", "SECURITY__JWT_EXPIRES_IN,ACCESS_TOKEN_EXPIRE_MINUTES*60",
         security.access_seconds, "1800", 1, A_YEAR, "seconds", "Life of an access token"),
    UINT("security.bcrypt_queue", NULL, security.bcrypt_queue, "64", 1, MANY, "passwords",
         "Passwords that may wait to be hashed; past it 503"),
    UINT("security.bcrypt_rounds", NULL, security.bcrypt_rounds, "12", 4, 16, "rounds",
         "Cost of a password hash, as a power of two"),
    UINT("security.bcrypt_threads", NULL, security.bcrypt_threads, "2", 1, 64, "threads",
         "Threads that hash passwords; one for two cores leaves room for the rest"),
    SECRET("security.previous_secret", NULL, security.previous_secret,
           "The secret before this one: what it signed is still accepted while secrets rotate"),
    UINT("security.refresh_grace_seconds", NULL, security.refresh_grace_seconds, "30", 0, A_DAY, "seconds",
         "A spent refresh token still gives the same successor for this long (two tabs)"),
    UINT("security.refresh_seconds", NULL, security.refresh_seconds, "604800", 1, A_YEAR, "seconds",
         "Life of a refresh token"),
    SECRET("security.secret", "SECRET_KEY,JWT_SECRET_KEY,SECURITY__JWT_SECRET", security.secret,
           "Signs tokens and encrypts stored keys; at least 32 bytes in production; made in data_dir elsewhere"),
    UINT("server.drain_seconds", NULL, server.drain_seconds, "30", 0, 3600, "seconds",
         "How long SIGTERM waits for running streams"),
    TEXT("server.host", NULL, server.host, "127.0.0.1", &format_host,
         "Address to listen on; 0.0.0.0 or :: for all"),
    UINT("server.port", "PORT", server.port, "8000", 0, 65535, "",
         "Port to listen on; 0: any free one, printed at start"),
    TEXT("server.public_url", NULL, server.public_url, "", &format_origin_or_none,
         "Where people find this server, for links in mails: https://chat.example.com; empty: host and port"),
    UINT("server.workers", NULL, server.workers, "0", 0, 256, "threads",
         "Event loops; 0: one for each core"),
    UINT("sessions.keep_days", NULL, sessions.keep_days, "30", 0, 36500, "days",
         "Sessions of visitors and API keys that were idle this long are deleted; 0 keeps them"),
    TEXT("sites.model", NULL, sites.model, "", NULL,
         "Model of the first agent of a WordPress site that registers"),
    TEXT("sites.provider", NULL, sites.provider, "echo", NULL,
         "Provider of that agent"),
    TEXT("sites.webhook_url", NULL, sites.webhook_url, "", NULL,
         "Webhook or base URL of that agent, where its provider needs one"),
    LIST("trusted_proxies", NULL, trusted_proxies, &format_cidr,
         "Addresses (CIDR) of proxies whose X-Forwarded-For is believed"),
    UINT("turn.checkpoint_bytes", NULL, turn.checkpoint_bytes, "4096", 1, BYTES, "bytes",
         "A running reply is saved whenever it grew by this much"),
    UINT("turn.checkpoint_ms", NULL, turn.checkpoint_ms, "1000", 1, AN_HOUR_MS, "milliseconds",
         "A running reply is saved at least this often"),
    UINT("turn.heartbeat_seconds", NULL, turn.heartbeat_seconds, "15", 1, 3600, "seconds",
         "A silent stream gets a comment this often"),
    UINT("turn.keep_bytes", NULL, turn.keep_bytes, "33554432", 0, BYTES, "bytes",
         "Memory for ended replies on each loop; the oldest go first"),
    UINT("turn.keep_ms", NULL, turn.keep_ms, "60000", 0, AN_HOUR_MS, "milliseconds",
         "An ended reply can be followed this long"),
    UINT("turn.save_seconds", NULL, turn.save_seconds, "5", 1, 3600, "seconds",
         "How long the end of a reply waits for the database"),
    UINT("upstream.backoff_max_ms", NULL, upstream.backoff_max_ms, "10000", 0, AN_HOUR_MS, "milliseconds",
         "Longest wait between two tries; a provider that asks for a longer one gives an error that tells it"),
    UINT("upstream.backoff_ms", NULL, upstream.backoff_ms, "500", 0, AN_HOUR_MS, "milliseconds",
         "Most of the first wait before a model provider is tried again; each further one doubles it"),
    TEXT("upstream.ca_file", NULL, upstream.ca_file, "", NULL,
         "Certificates to trust in calls to agents; empty: the system's"),
    UINT("upstream.connect_seconds", NULL, upstream.connect_seconds, "5", 1, 3600, "seconds",
         "Longest wait for a connection to an agent"),
    UINT("upstream.dns_cache_seconds", NULL, upstream.dns_cache_seconds, "30", 0, A_DAY, "seconds",
         "How long an agent's address is remembered"),
    UINT("upstream.error_wait_ms", NULL, upstream.error_wait_ms, "2000", 0, AN_HOUR_MS, "milliseconds",
         "How long an n8n stream may stay open after its error object"),
    UINT("upstream.event_bytes", NULL, upstream.event_bytes, "262144", 64, BYTES, "bytes",
         "Longest event or line from an agent"),
    UINT("upstream.first_byte_seconds", NULL, upstream.first_byte_seconds, "120", 1, A_DAY, "seconds",
         "Longest wait for the first byte of an answer"),
    UINT("upstream.idle_connections", NULL, upstream.idle_connections, "64", 0, 10000, "connections",
         "Idle connections to agents that each loop keeps, on plain HTTP and on TLS each"),
    UINT("upstream.idle_seconds", NULL, upstream.idle_seconds, "120", 1, A_DAY, "seconds",
         "Longest silence in the middle of an answer"),
    UINT("upstream.reply_bytes", NULL, upstream.reply_bytes, "1048576", 1, BYTES, "bytes",
         "Longest reply of an agent; what came until then is kept"),
    UINT("upstream.retries", NULL, upstream.retries, "2", 0, 10, "waits",
         "How often a model provider is tried again after a wait, before its first token; another key costs no wait"),
    UINT("upstream.total_seconds", NULL, upstream.total_seconds, "600", 1, A_DAY, "seconds",
         "Longest answer from beginning to end"),
};
/* clang-format on */

const struct config_key *config_keys(size_t *n)
{
    *n = sizeof(keys) / sizeof(keys[0]);
    return keys;
}

bool key_env_name(struct str name, char out[ENV_NAME_BYTES], struct str *env_name)
{
    size_t len = 0;

    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (len + 2 > ENV_NAME_BYTES)
            return false;
        if (c == '.')
            out[len++] = '_';
        out[len++] = c == '.' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
    }
    *env_name = (struct str){out, len};
    return true;
}
