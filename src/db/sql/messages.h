/* Statements over messages. See db/sql.h for what a row says. Messages are numbered by seq in their chat. */

/* The latest messages of a chat that say something, newest first: as many as its agent's config.context_messages says, and a
 * few that a reply made anew leaves out. */
STATEMENT(TURN_LOAD_MESSAGES, SQL_READ, NULL,
          "SELECT m.role, m.content, m.created_at FROM messages m"
          " WHERE m.chat_id = (SELECT c.id FROM chats c WHERE c.team_id = $1 AND c.owner_id = $2 AND c.id = $3)"
          " AND m.content <> ''"
          " ORDER BY m.seq DESC LIMIT (SELECT least(greatest(coalesce((a.config->>'context_messages')::int, 20), 1), 200) + 4"
          "  FROM chats o LEFT JOIN agents a ON a.id = o.agent_id WHERE o.id = $3)",
          "SELECT m.role, m.content, m.created_at FROM messages m"
          " WHERE m.chat_id = (SELECT c.id FROM chats c WHERE c.team_id = $1 AND c.owner_id = $2 AND c.id = $3)"
          " AND m.content <> ''"
          " ORDER BY m.seq DESC LIMIT coalesce((SELECT"
          "  min(max(coalesce(json_extract(a.config, '$.context_messages'), 20), 1), 200) + 4"
          "  FROM chats o LEFT JOIN agents a ON a.id = o.agent_id WHERE o.id = $3), 0)")
/* One message: $1 team, $2 chat, $3 id, $4 role, $5 content, $6 time. is_indexed 2: nobody searches in sessions, so their
 * words stay out of the index. */
STATEMENT(MESSAGE_ADD, SQL_WRITE, NULL,
          "INSERT INTO messages (id, team_id, chat_id, seq, role, content, status, created_at)"
          " SELECT $3::uuid, c.team_id, c.id, (SELECT coalesce(max(m.seq), 0) + 1 FROM messages m WHERE m.chat_id = c.id),"
          " $4::text, $5::text, 'complete', $6::timestamptz FROM chats c WHERE c.team_id = $1::uuid AND c.id = $2::uuid",
          "INSERT INTO messages (id, team_id, chat_id, seq, role, content, status, created_at, is_indexed)"
          " SELECT $3, c.team_id, c.id, (SELECT coalesce(max(m.seq), 0) + 1 FROM messages m WHERE m.chat_id = c.id),"
          " $4, $5, 'complete', $6, CASE WHEN c.user_id IS NULL THEN 2 ELSE 0 END FROM chats c"
          " WHERE c.team_id = $1 AND c.id = $2")
/* The user's message, the place of its reply, and the chat comes to the top of the list. $1 team, $2 chat, $3 the message or
 * NULL (an answer anew), $4 its content, $5 the reply, $6 time, $7 NULL or the reply's id that the idempotency row must
 * name, $8 owner and $9 key of that row, $10 the node that writes the reply. Twice with these ids is once. Nothing is added while
 * another living node writes a reply in the chat (TURN_WHERE). Answers or changes a row where the reply is stored. */
STATEMENT(TURN_ADD, SQL_WRITE, NULL,
          "WITH last AS (SELECT m.seq, m.status, m.node_id FROM messages m WHERE m.chat_id = $2::uuid ORDER BY m.seq DESC LIMIT 1),"
          " chat AS (UPDATE chats SET updated_at = $6::timestamptz WHERE team_id = $1::uuid AND id = $2::uuid"
          " AND ($7::uuid IS NULL OR EXISTS (SELECT 1 FROM idempotency i WHERE i.team_id = $1::uuid"
          "  AND i.owner_id = $8::uuid AND i.key = $9::text AND i.reply_id = $7::uuid))"
          " AND NOT EXISTS (SELECT 1 FROM last JOIN nodes n ON n.id = last.node_id"
          "  WHERE last.status = 'streaming' AND last.node_id <> $10::uuid) RETURNING id, team_id),"
          " added AS (INSERT INTO messages (id, team_id, chat_id, seq, role, content, status, created_at, node_id)"
          " SELECT v.id, chat.team_id, chat.id, v.n + coalesce((SELECT last.seq FROM last), 0),"
          " v.role, v.content, v.status, $6::timestamptz, v.node_id"
          " FROM chat, (VALUES ($3::uuid, 1, 'user', $4::text, 'complete', NULL::uuid),"
          "  ($5::uuid, 2, 'assistant', '', 'streaming', $10::uuid))"
          "  v (id, n, role, content, status, node_id) WHERE v.id IS NOT NULL ON CONFLICT (id) DO NOTHING RETURNING id)"
          " SELECT 1 WHERE EXISTS (SELECT 1 FROM added WHERE id = $5::uuid)"
          " OR EXISTS (SELECT 1 FROM messages m WHERE m.team_id = $1::uuid AND m.id = $5::uuid)",
          /* OR IGNORE: without an id or a chat there is a NULL. With a SELECT, SQLite would copy each row into a table of
           * its own. */
          "INSERT OR IGNORE INTO messages (id, team_id, chat_id, seq, role, content, status, created_at, is_indexed)"
          " VALUES ($3, $1, (SELECT c.id FROM chats c WHERE c.team_id = $1 AND c.id = $2"
          "  AND ($7 IS NULL OR EXISTS (SELECT 1 FROM idempotency i WHERE i.team_id = $1"
          "   AND i.owner_id = $8 AND i.key = $9 AND i.reply_id = $7))"
          "  AND NOT EXISTS (SELECT 1 FROM messages l INDEXED BY messages_streaming CROSS JOIN nodes n ON n.id = l.node_id"
          "   WHERE l.chat_id = $2 AND l.status = 'streaming' AND l.node_id <> $10)),"
          " (SELECT coalesce(max(m.seq), 0) + 1 FROM messages m WHERE m.chat_id = $2), 'user', $4, 'complete', $6,"
          " (SELECT CASE WHEN c.user_id IS NULL THEN 2 ELSE 0 END FROM chats c WHERE c.id = $2));"
          "INSERT OR IGNORE INTO messages (id, team_id, chat_id, seq, role, content, status, created_at, is_indexed, node_id)"
          " VALUES ($5, $1, (SELECT c.id FROM chats c WHERE c.team_id = $1 AND c.id = $2"
          "  AND ($7 IS NULL OR EXISTS (SELECT 1 FROM idempotency i WHERE i.team_id = $1"
          "   AND i.owner_id = $8 AND i.key = $9 AND i.reply_id = $7))"
          "  AND NOT EXISTS (SELECT 1 FROM messages l INDEXED BY messages_streaming CROSS JOIN nodes n ON n.id = l.node_id"
          "   WHERE l.chat_id = $2 AND l.status = 'streaming' AND l.node_id <> $10)),"
          " (SELECT coalesce(max(m.seq), 0) + 1 FROM messages m WHERE m.chat_id = $2), 'assistant', '', 'streaming', $6,"
          " (SELECT CASE WHEN c.user_id IS NULL THEN 2 ELSE 0 END FROM chats c WHERE c.id = $2), $10);"
          "UPDATE chats SET updated_at = $6 WHERE team_id = $1 AND id = $2"
          " AND EXISTS (SELECT 1 FROM messages m WHERE m.team_id = $1 AND m.id = $5)")
/* Who writes a reply in the chat: $1 team, $2 owner, $3 chat. The reply's id, its node's, where that node is reached (NULL:
 * nowhere), does it live, and since when is the reply written? No row: no turn runs. */
STATEMENT(TURN_WHERE, SQL_READ, NULL,
          "SELECT m.id, m.node_id, n.address, n.id IS NOT NULL, m.created_at FROM chats c JOIN messages m ON m.chat_id = c.id"
          " LEFT JOIN nodes n ON n.id = m.node_id"
          " WHERE c.team_id = $1 AND c.owner_id = $2 AND c.id = $3 AND m.status = 'streaming'"
          " AND m.seq = (SELECT max(l.seq) FROM messages l WHERE l.chat_id = $3)",
          NULL)
STATEMENT(MESSAGE_GET, SQL_READ, NULL,
          "SELECT m.chat_id, m.id, m.role, m.content, m.status, m.created_at, m.model, m.usage, m.metadata"
          " FROM messages m JOIN chats c ON c.id = m.chat_id"
          " WHERE c.team_id = $1 AND c.owner_id = $2 AND m.id = $3",
          NULL)
/* The latest $5 messages before message $4 (NULL: before the end), oldest first. */
STATEMENT(MESSAGE_PAGE, SQL_READ, NULL,
          "SELECT p.chat_id, p.id, p.role, p.content, p.status, p.created_at, p.model, p.usage, p.metadata"
          " FROM (SELECT m.* FROM messages m JOIN chats c ON c.id = m.chat_id"
          "  WHERE c.team_id = $1 AND c.owner_id = $2 AND c.id = $3"
          "  AND (m.seq < (SELECT b.seq FROM messages b WHERE b.chat_id = $3 AND b.id = $4) OR $4 IS NULL)"
          "  ORDER BY m.seq DESC LIMIT $5) p ORDER BY p.seq",
          NULL)
/* For an export: what comes after seq $4, oldest first. */
STATEMENT(MESSAGE_AFTER, SQL_SLOW, NULL,
          "SELECT m.chat_id, m.id, m.role, m.content, m.status, m.created_at, m.model, m.usage, m.metadata, m.seq"
          " FROM messages m JOIN chats c ON c.id = m.chat_id"
          " WHERE c.team_id = $1 AND c.owner_id = $2 AND c.id = $3 AND m.seq > $4 ORDER BY m.seq LIMIT $5",
          NULL)
/* Partial replies, $1: a JSON array of {id, team_id, content}. Only what is longer than what is there: a running turn's, and,
 * at start, what a journal has; another server may have marked that already. SQLite has one server, and what it indexed
 * stays as it is. */
STATEMENT(REPLIES_CHECKPOINT, SQL_WRITE, "replies of any team, each named with its own",
          "UPDATE messages m SET content = v.content"
          " FROM json_to_recordset($1::json) AS v (id uuid, team_id uuid, content text)"
          " WHERE m.id = v.id AND m.team_id = v.team_id AND m.status IN ('streaming', 'interrupted')"
          " AND octet_length(m.content) < octet_length(v.content)",
          "UPDATE messages SET content = v.content FROM (SELECT json_extract(value, '$.id') AS id,"
          " json_extract(value, '$.team_id') AS team_id, json_extract(value, '$.content') AS content FROM json_each($1)) v"
          " WHERE messages.id = v.id AND messages.team_id = v.team_id AND messages.status = 'streaming'"
          " AND length(messages.content) < length(v.content)")
STATEMENT(REPLY_SAVE, SQL_WRITE, NULL,
          "UPDATE messages SET content = $3, status = $4, model = $5, usage = $6, metadata = $7"
          " WHERE team_id = $1 AND id = $2",
          NULL)
/* A regenerated reply $4 takes the place of those after the last user's message. */
STATEMENT(REPLY_REPLACE, SQL_WRITE, NULL,
          "DELETE FROM messages WHERE team_id = $1 AND chat_id = $2 AND role = 'assistant' AND id <> $3"
          " AND seq > (SELECT max(u.seq) FROM messages u WHERE u.chat_id = $2 AND u.role = 'user')",
          NULL)
/* Is the reply still written? */
STATEMENT(REPLY_LOOK, SQL_READ, NULL,
          "SELECT content, status, model, usage, metadata FROM messages WHERE team_id = $1 AND id = $2", NULL)
STATEMENT(REPLY_DROP, SQL_WRITE, NULL, "DELETE FROM messages WHERE team_id = $1 AND id = $2", NULL)
/* Replies that are cut: nobody will end them. The statement that marks them as interrupted also tells webhooks, as
 * WEBHOOK_EVENT_ADD does (the event's id is the reply's: twice is once), and counts what of them is stored, as USAGE_ADD and
 * BUDGET_SETTLE do, which find them marked and leave them alone. Tokens are estimated, the prompt's from the agent's
 * instructions and the messages before, and prices are not known here. Nor is it who answered in the place of the chat's agent. */
#define REPLIES_TOLD "INSERT INTO webhook_deliveries (id, team_id, webhook_id, event_id, type, payload, status, tries, next_at, created_at)"
#define REPLIES_WANTED " JOIN chats c ON c.id = m.chat_id JOIN webhooks w ON w.team_id = m.team_id AND w.is_active"        \
    " AND w.events LIKE '%,message.completed,%'"
#define REPLIES_COUNTED "INSERT INTO usage_days (team_id, day, owner_id, agent_id, provider, model, messages, prompt_tokens," \
    " completion_tokens, total_tokens, estimated_tokens, errors)"
#define REPLIES_COUNTED_TOO                                                                                                \
    " ON CONFLICT (team_id, day, owner_id, agent_id, provider, model) DO UPDATE SET"                                       \
    " messages = usage_days.messages + excluded.messages,"                                                                 \
    " prompt_tokens = usage_days.prompt_tokens + excluded.prompt_tokens,"                                                  \
    " completion_tokens = usage_days.completion_tokens + excluded.completion_tokens,"                                      \
    " total_tokens = usage_days.total_tokens + excluded.total_tokens,"                                                     \
    " estimated_tokens = usage_days.estimated_tokens + excluded.estimated_tokens,"                                         \
    " errors = usage_days.errors + excluded.errors"
/* Tokens, by four characters each; of a reply that has no text, none. context: the agent's context_messages or NULL. */
#define REPLIES_PROMPT(context)                                                                                            \
    "CASE WHEN m.content = '' THEN 0 ELSE (coalesce(length(a.system_prompt), 0) + (SELECT coalesce(sum(length(x.content)), 0)" \
    " FROM messages x WHERE x.chat_id = m.chat_id AND x.seq < m.seq AND x.seq >= m.seq - coalesce(" context ", 20)) + 3) / 4 END"
#define REPLIES_REPLY "(length(m.content) + 3) / 4"
/* Of budget_spend b: is the reply of u counted in it? */
#define REPLIES_SPENT(u)                                                                                                   \
    "b.team_id = " u ".team_id AND b.period_start = CASE b.period WHEN 'day' THEN " u ".day ELSE " u ".month END"          \
    " AND b.subject_id = CASE b.scope WHEN 'team' THEN " u ".team_id WHEN 'agent' THEN " u ".agent_id ELSE " u ".owner_id END"
/* PostgreSQL's: at most $2 of them. Of several nodes each locks others, and none waits for who holds one: see REPLIES_OF_NOBODY. */
#define REPLIES_NOBODYS                                                                                                    \
    "NOT m.is_indexed AND m.status = 'streaming' AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.id = m.node_id)"
#define REPLIES_CUT                                                                                                        \
    " cut AS MATERIALIZED (SELECT m.id, m.team_id, m.chat_id, m.seq, m.content, m.created_at FROM messages m"              \
    "  WHERE " REPLIES_NOBODYS " ORDER BY m.id LIMIT $2::bigint FOR UPDATE OF m SKIP LOCKED),"                             \
    " told AS (" REPLIES_TOLD " SELECT gen_random_uuid(), w.team_id, w.id, m.id, 'message.completed',"                     \
    "  json_build_object('chat_id', m.chat_id, 'message_id', m.id, 'agent_id', c.agent_id, 'status', 'interrupted',"       \
    "   'model', NULL, 'usage', NULL), 'pending', 0, $1::timestamptz, $1::timestamptz"                                     \
    "  FROM cut m" REPLIES_WANTED " ON CONFLICT (webhook_id, event_id) DO NOTHING),"                                       \
    " used AS MATERIALIZED (SELECT m.team_id, c.owner_id, a.id AS agent_id, a.provider,"                                   \
    "  date_trunc('day', m.created_at, 'UTC') AS day, date_trunc('month', m.created_at, 'UTC') AS month, "                 \
    REPLIES_PROMPT("(a.config->>'context_messages')::int") " AS prompt, " REPLIES_REPLY " AS reply"                        \
    "  FROM cut m JOIN chats c ON c.id = m.chat_id JOIN agents a ON a.id = c.agent_id),"                                   \
    " counted AS (" REPLIES_COUNTED " SELECT u.team_id, u.day, u.owner_id, u.agent_id, u.provider, '', count(*),"          \
    "  sum(u.prompt), sum(u.reply), sum(u.prompt + u.reply), sum(u.prompt + u.reply), count(*) FROM used u"                \
    "  GROUP BY u.team_id, u.day, u.owner_id, u.agent_id, u.provider ORDER BY 1, 2, 3, 4, 5"                               \
    REPLIES_COUNTED_TOO " RETURNING 1),"                                                                                   \
    " locked AS MATERIALIZED (SELECT b.team_id, b.scope, b.subject_id, b.period, b.period_start FROM budget_spend b"       \
    "  WHERE (SELECT count(*) FROM counted) > 0 AND EXISTS (SELECT 1 FROM used u WHERE " REPLIES_SPENT("u") ")"            \
    "  ORDER BY b.team_id, b.scope, b.subject_id, b.period FOR UPDATE OF b),"                                              \
    " spent AS (UPDATE budget_spend b SET requests = b.requests + s.requests, tokens = b.tokens + s.tokens FROM (SELECT"   \
    "  b.team_id, b.scope, b.subject_id, b.period, b.period_start, count(*) AS requests, sum(u.prompt + u.reply) AS tokens" \
    "  FROM locked b JOIN used u ON " REPLIES_SPENT("u")                                                                   \
    "  GROUP BY b.team_id, b.scope, b.subject_id, b.period, b.period_start) s WHERE " BUDGET_SAME("b", "s") ")"
#define REPLIES_CUT_LITE(m)                                                                                                \
    m ".status = 'streaming' AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.id = " m ".node_id)"
#define REPLIES_USED_LITE                                                                                                  \
    "(SELECT m.team_id, c.owner_id, a.id AS agent_id, a.provider, m.created_at - m.created_at % 86400000000 AS day,"       \
    " CAST(strftime('%s', m.created_at / 1000000, 'unixepoch', 'start of month') AS INTEGER) * 1000000 AS month, "         \
    REPLIES_PROMPT("json_extract(a.config, '$.context_messages')") " AS prompt, " REPLIES_REPLY " AS reply"                \
    " FROM messages m JOIN chats c ON c.id = m.chat_id JOIN agents a ON a.id = c.agent_id WHERE " REPLIES_CUT_LITE("m") ")"
/* At start, when a node has died, and now and then: what no living node writes any more. $1 now; on PostgreSQL at most $2, and
 * again while it were so many: a statement is to be done long before its time is over. */
STATEMENT(REPLIES_INTERRUPTED, SQL_WRITE, "what an earlier process left running, in every team",
          "WITH" REPLIES_CUT " UPDATE messages m SET status = 'interrupted' FROM cut WHERE m.id = cut.id",
          REPLIES_TOLD " SELECT " SQLITE_NEW_ID ", w.team_id, w.id, m.id, 'message.completed',"
          " json_object('chat_id', m.chat_id, 'message_id', m.id, 'agent_id', c.agent_id, 'status', 'interrupted',"
          "  'model', NULL, 'usage', NULL), 'pending', 0, $1, $1 FROM messages m" REPLIES_WANTED
          " WHERE " REPLIES_CUT_LITE("m") " ON CONFLICT (webhook_id, event_id) DO NOTHING;"
          REPLIES_COUNTED " SELECT u.team_id, u.day, u.owner_id, u.agent_id, u.provider, '', count(*), sum(u.prompt),"
          " sum(u.reply), sum(u.prompt + u.reply), sum(u.prompt + u.reply), count(*) FROM " REPLIES_USED_LITE " u WHERE true"
          " GROUP BY u.team_id, u.day, u.owner_id, u.agent_id, u.provider" REPLIES_COUNTED_TOO ";"
          "UPDATE budget_spend SET requests = budget_spend.requests + s.requests, tokens = budget_spend.tokens + s.tokens FROM (SELECT"
          " b.team_id, b.scope, b.subject_id, b.period, b.period_start, count(*) AS requests, sum(u.prompt + u.reply) AS tokens"
          " FROM " REPLIES_USED_LITE " u JOIN budget_spend b ON " REPLIES_SPENT("u")
          " GROUP BY b.team_id, b.scope, b.subject_id, b.period, b.period_start) s WHERE " BUDGET_SAME("budget_spend", "s") ";"
          "UPDATE messages SET status = 'interrupted' WHERE " REPLIES_CUT_LITE("messages"))
/* PostgreSQL's: is there one left, because somebody held its row? */
STATEMENT(REPLIES_OF_NOBODY, SQL_READ, "the replies of dead nodes, in every team",
          "SELECT EXISTS (SELECT 1 FROM messages m WHERE " REPLIES_NOBODYS ")", "SELECT 0")
