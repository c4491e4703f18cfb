/* Statements over budgets, budget_spend and budget_leases. See db/sql.h for what a row says.
 * A portion is what is asked for, or what there is, unless that is less than the least that is of use; then it is nothing.
 * What a node asks for, frees or settles comes as $2, a JSON array of {n, scope, subject, period, start (seconds), lease,
 * requests, tokens, micros, ...}: all that a turn is counted in, in one statement. Every statement takes the rows of
 * budget_spend before those of budget_leases, so that no two wait for each other. */
#define BUDGET_ROWS                                                                                                        \
    " json_to_recordset($2::json) AS v (n int, scope text, subject uuid, period text, start bigint, lease uuid,"           \
    " requests bigint, tokens bigint, micros bigint, max_requests bigint, max_tokens bigint, max_micros bigint,"           \
    " least_requests bigint, least_tokens bigint, least_micros bigint,"                                                    \
    " freed_requests bigint, freed_tokens bigint, freed_micros bigint, was_cut boolean)"
#define BUDGET_IS(b)                                                                                                       \
    b ".team_id = $1::uuid AND " b ".scope = v.scope AND " b ".subject_id = v.subject AND " b ".period = v.period AND " b \
      ".period_start = to_timestamp(v.start)"
#define BUDGET_GETS(column, leased, name)                                                                                  \
    "CASE WHEN v.max_" name " - b." column " - b." leased " >= v.least_" name " THEN greatest(0, least(v." name ", v.max_" \
    name " - b." column " - b." leased ")) ELSE 0 END"
#define BUDGET_V(name) "json_extract(v.value, '$." name "')"
#define BUDGET_IS_LITE(b)                                                                                                  \
    b ".team_id = $1 AND " b ".scope = " BUDGET_V("scope") " AND " b ".subject_id = " BUDGET_V("subject") " AND " b      \
      ".period = " BUDGET_V("period") " AND " b ".period_start = " BUDGET_V("start") " * 1000000"
#define BUDGET_GETS_LITE(b, column, leased, name)                                                                          \
    "CASE WHEN " BUDGET_V("max_" name) " - " b "." column " - " b "." leased " >= " BUDGET_V("least_" name)                \
    " THEN max(0, min(" BUDGET_V(name) ", " BUDGET_V("max_" name) " - " b "." column " - " b "." leased ")) ELSE 0 END"
/* A reply that is stored already has been settled, so that twice is once. */
#define BUDGET_IS_DUE(reply) "NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = " reply " AND m.status <> 'streaming')"
#define BUDGET_SAME(b, l)                                                                                                  \
    b ".team_id = " l ".team_id AND " b ".scope = " l ".scope AND " b ".subject_id = " l ".subject_id AND " b ".period = " \
      l ".period AND " b ".period_start = " l ".period_start"

/* Every team's, as the servers keep them in mind; $1 the most rows. */
STATEMENT(BUDGET_ALL, SQL_SLOW, "every server knows the budgets of all teams",
          "SELECT team_id, scope, subject_id, period, requests, tokens, money_micros FROM budgets"
          " ORDER BY team_id, scope, subject_id, period LIMIT $1::bigint",
          "SELECT team_id, scope, subject_id, period, requests, tokens, money_micros FROM budgets"
          " ORDER BY team_id, scope, subject_id, period LIMIT $1")
/* The same of one team. */
STATEMENT(BUDGET_RULES, SQL_READ, NULL,
          "SELECT team_id, scope, subject_id, period, requests, tokens, money_micros FROM budgets WHERE team_id = $1"
          " ORDER BY scope, subject_id, period",
          NULL)
/* $1 team, $2 and $3 when the day and the month began. The columns are enum budget_column's in api/budgets.h. */
STATEMENT(BUDGET_LIST, SQL_READ, NULL,
          "SELECT b.id, b.scope, b.subject_id, b.period, b.requests, b.tokens, b.money_micros, b.created_at, b.updated_at,"
          " CASE b.scope WHEN 'team' THEN (SELECT t.name FROM teams t WHERE t.id = b.team_id)"
          "  WHEN 'user' THEN (SELECT u.email FROM users u WHERE u.team_id = b.team_id AND u.id = b.subject_id)"
          "  WHEN 'key' THEN (SELECT coalesce(k.name, k.prefix) FROM api_keys k WHERE k.team_id = b.team_id"
          "   AND k.id = b.subject_id)"
          "  ELSE (SELECT a.name FROM agents a WHERE a.team_id = b.team_id AND a.id = b.subject_id) END,"
          " coalesce(s.requests, 0), coalesce(s.tokens, 0), coalesce(s.money_micros, 0), coalesce(s.leased_requests, 0),"
          " coalesce(s.leased_tokens, 0), coalesce(s.leased_micros, 0), s.warned_at, s.spent_at"
          " FROM budgets b LEFT JOIN budget_spend s ON s.team_id = b.team_id AND s.scope = b.scope"
          " AND s.subject_id = b.subject_id AND s.period = b.period"
          " AND s.period_start = CASE b.period WHEN 'day' THEN $2::timestamptz ELSE $3::timestamptz END"
          " WHERE b.team_id = $1::uuid ORDER BY b.scope, b.created_at, b.id",
          "SELECT b.id, b.scope, b.subject_id, b.period, b.requests, b.tokens, b.money_micros, b.created_at, b.updated_at,"
          " CASE b.scope WHEN 'team' THEN (SELECT t.name FROM teams t WHERE t.id = b.team_id)"
          "  WHEN 'user' THEN (SELECT u.email FROM users u WHERE u.team_id = b.team_id AND u.id = b.subject_id)"
          "  WHEN 'key' THEN (SELECT coalesce(k.name, k.prefix) FROM api_keys k WHERE k.team_id = b.team_id"
          "   AND k.id = b.subject_id)"
          "  ELSE (SELECT a.name FROM agents a WHERE a.team_id = b.team_id AND a.id = b.subject_id) END,"
          " coalesce(s.requests, 0), coalesce(s.tokens, 0), coalesce(s.money_micros, 0), coalesce(s.leased_requests, 0),"
          " coalesce(s.leased_tokens, 0), coalesce(s.leased_micros, 0), s.warned_at, s.spent_at"
          " FROM budgets b LEFT JOIN budget_spend s ON s.team_id = b.team_id AND s.scope = b.scope"
          " AND s.subject_id = b.subject_id AND s.period = b.period"
          " AND s.period_start = CASE b.period WHEN 'day' THEN $2 ELSE $3 END"
          " WHERE b.team_id = $1 ORDER BY b.scope, b.created_at, b.id")
/* $1 team, $2 id, $3 scope, $4 subject, $5 period, $6 requests, $7 tokens, $8 money, $9 now, $10 the most of a team. No row
 * changed: the team has no such subject, or as many budgets. */
STATEMENT(BUDGET_PUT, SQL_WRITE, NULL,
          "INSERT INTO budgets (id, team_id, scope, subject_id, period, requests, tokens, money_micros, created_at,"
          " updated_at) SELECT $2::uuid, $1::uuid, $3::text, $4::uuid, $5::text, $6::bigint, $7::bigint, $8::bigint,"
          " $9::timestamptz, $9::timestamptz WHERE (($3::text = 'team' AND $4::uuid = $1::uuid)"
          " OR ($3::text = 'user' AND EXISTS (SELECT 1 FROM users u WHERE u.team_id = $1::uuid AND u.id = $4::uuid))"
          " OR ($3::text = 'key' AND EXISTS (SELECT 1 FROM api_keys k WHERE k.team_id = $1::uuid AND k.id = $4::uuid))"
          " OR ($3::text = 'agent' AND EXISTS (SELECT 1 FROM agents a WHERE a.team_id = $1::uuid AND a.id = $4::uuid)))"
          " AND ((SELECT count(*) FROM budgets c WHERE c.team_id = $1::uuid) < $10::bigint"
          "  OR EXISTS (SELECT 1 FROM budgets e WHERE e.team_id = $1::uuid AND e.scope = $3::text"
          "   AND e.subject_id = $4::uuid AND e.period = $5::text))"
          " ON CONFLICT (team_id, scope, subject_id, period) DO UPDATE SET requests = excluded.requests,"
          " tokens = excluded.tokens, money_micros = excluded.money_micros, updated_at = excluded.updated_at",
          "INSERT INTO budgets (id, team_id, scope, subject_id, period, requests, tokens, money_micros, created_at,"
          " updated_at) SELECT $2, $1, $3, $4, $5, $6, $7, $8, $9, $9 WHERE (($3 = 'team' AND $4 = $1)"
          " OR ($3 = 'user' AND EXISTS (SELECT 1 FROM users u WHERE u.team_id = $1 AND u.id = $4))"
          " OR ($3 = 'key' AND EXISTS (SELECT 1 FROM api_keys k WHERE k.team_id = $1 AND k.id = $4))"
          " OR ($3 = 'agent' AND EXISTS (SELECT 1 FROM agents a WHERE a.team_id = $1 AND a.id = $4)))"
          " AND ((SELECT count(*) FROM budgets c WHERE c.team_id = $1) < $10"
          "  OR EXISTS (SELECT 1 FROM budgets e WHERE e.team_id = $1 AND e.scope = $3 AND e.subject_id = $4"
          "   AND e.period = $5))"
          " ON CONFLICT (team_id, scope, subject_id, period) DO UPDATE SET requests = excluded.requests,"
          " tokens = excluded.tokens, money_micros = excluded.money_micros, updated_at = excluded.updated_at")
STATEMENT(BUDGET_DELETE, SQL_WRITE, NULL, "DELETE FROM budgets WHERE team_id = $1 AND id = $2", NULL)

/* A period's rows, where there are none yet: what usage_days tells of it counts. */
STATEMENT(BUDGET_BEGIN, SQL_WRITE, NULL,
          "INSERT INTO budget_spend (team_id, scope, subject_id, period, period_start, requests, tokens, money_micros,"
          " leased_requests, leased_tokens, leased_micros, was_cut)"
          " SELECT $1::uuid, v.scope, v.subject, v.period, to_timestamp(v.start),"
          " coalesce((SELECT CAST(sum(u.messages) AS bigint) FROM usage_days u WHERE u.team_id = $1::uuid"
          "  AND u.day >= to_timestamp(v.start) AND (v.scope = 'team' OR (v.scope = 'agent' AND u.agent_id = v.subject)"
          "  OR (v.scope IN ('user', 'key', 'owner') AND u.owner_id = v.subject))), 0),"
          " coalesce((SELECT CAST(sum(u.total_tokens) AS bigint) FROM usage_days u WHERE u.team_id = $1::uuid"
          "  AND u.day >= to_timestamp(v.start) AND (v.scope = 'team' OR (v.scope = 'agent' AND u.agent_id = v.subject)"
          "  OR (v.scope IN ('user', 'key', 'owner') AND u.owner_id = v.subject))), 0), 0, 0, 0, 0, false"
          " FROM" BUDGET_ROWS " WHERE NOT EXISTS (SELECT 1 FROM budget_spend b WHERE " BUDGET_IS("b") ")"
          " ON CONFLICT DO NOTHING",
          "INSERT OR IGNORE INTO budget_spend (team_id, scope, subject_id, period, period_start, requests, tokens,"
          " money_micros, leased_requests, leased_tokens, leased_micros, was_cut)"
          " SELECT $1, " BUDGET_V("scope") ", " BUDGET_V("subject") ", " BUDGET_V("period") ", " BUDGET_V("start") " * 1000000,"
          " coalesce((SELECT sum(u.messages) FROM usage_days u WHERE u.team_id = $1"
          "  AND u.day >= " BUDGET_V("start") " * 1000000 AND (" BUDGET_V("scope") " = 'team'"
          "  OR (" BUDGET_V("scope") " = 'agent' AND u.agent_id = " BUDGET_V("subject") ")"
          "  OR (" BUDGET_V("scope") " IN ('user', 'key', 'owner') AND u.owner_id = " BUDGET_V("subject") "))), 0),"
          " coalesce((SELECT sum(u.total_tokens) FROM usage_days u WHERE u.team_id = $1"
          "  AND u.day >= " BUDGET_V("start") " * 1000000 AND (" BUDGET_V("scope") " = 'team'"
          "  OR (" BUDGET_V("scope") " = 'agent' AND u.agent_id = " BUDGET_V("subject") ")"
          "  OR (" BUDGET_V("scope") " IN ('user', 'key', 'owner') AND u.owner_id = " BUDGET_V("subject") "))), 0),"
          " 0, 0, 0, 0, 0 FROM json_each($2) v"
          " WHERE NOT EXISTS (SELECT 1 FROM budget_spend b WHERE " BUDGET_IS_LITE("b") ")")
/* What each row will get of what it asks for: n, requests, tokens, money; then the tokens that are spoken for before that.
 * Goes before BUDGET_LEASE in one transaction. */
STATEMENT(BUDGET_PORTION, SQL_WRITE, NULL,
          "SELECT v.n, " BUDGET_GETS("requests", "leased_requests", "requests") ", "
          BUDGET_GETS("tokens", "leased_tokens", "tokens") ", " BUDGET_GETS("money_micros", "leased_micros", "micros")
          ", b.tokens + b.leased_tokens FROM" BUDGET_ROWS " JOIN budget_spend b ON " BUDGET_IS("b")
          " ORDER BY v.n FOR UPDATE OF b",
          "SELECT " BUDGET_V("n") ", " BUDGET_GETS_LITE("b", "requests", "leased_requests", "requests") ", "
          BUDGET_GETS_LITE("b", "tokens", "leased_tokens", "tokens") ", "
          BUDGET_GETS_LITE("b", "money_micros", "leased_micros", "micros")
          ", b.tokens + b.leased_tokens FROM json_each($2) v JOIN budget_spend b ON " BUDGET_IS_LITE("b") " ORDER BY 1")
/* $3 node, $4 for how many ms, $5 until when that is, for SQLite. */
STATEMENT(BUDGET_LEASE, SQL_WRITE, NULL,
          "WITH p AS (SELECT v.lease, b.scope, b.subject_id, b.period, b.period_start, "
          BUDGET_GETS("requests", "leased_requests", "requests") " AS requests, "
          BUDGET_GETS("tokens", "leased_tokens", "tokens") " AS tokens, "
          BUDGET_GETS("money_micros", "leased_micros", "micros") " AS micros FROM" BUDGET_ROWS
          " JOIN budget_spend b ON " BUDGET_IS("b") "),"
          " leased AS (INSERT INTO budget_leases (id, node_id, team_id, scope, subject_id, period, period_start, requests,"
          " tokens, money_micros, leased_until) SELECT p.lease, $3::uuid, $1::uuid, p.scope, p.subject_id, p.period,"
          " p.period_start, p.requests, p.tokens, p.micros, now() + $4::bigint * interval '1 millisecond' FROM p"
          " ON CONFLICT (id) DO UPDATE SET requests = budget_leases.requests + excluded.requests,"
          " tokens = budget_leases.tokens + excluded.tokens,"
          " money_micros = budget_leases.money_micros + excluded.money_micros, leased_until = excluded.leased_until)"
          " UPDATE budget_spend b SET leased_requests = b.leased_requests + p.requests,"
          " leased_tokens = b.leased_tokens + p.tokens, leased_micros = b.leased_micros + p.micros FROM p"
          " WHERE b.team_id = $1::uuid AND b.scope = p.scope AND b.subject_id = p.subject_id AND b.period = p.period"
          " AND b.period_start = p.period_start",
          "INSERT INTO budget_leases (id, node_id, team_id, scope, subject_id, period, period_start, requests, tokens,"
          " money_micros, leased_until) SELECT " BUDGET_V("lease") ", $3, $1, b.scope, b.subject_id, b.period, b.period_start, "
          BUDGET_GETS_LITE("b", "requests", "leased_requests", "requests") ", "
          BUDGET_GETS_LITE("b", "tokens", "leased_tokens", "tokens") ", "
          BUDGET_GETS_LITE("b", "money_micros", "leased_micros", "micros")
          ", $5 FROM json_each($2) v JOIN budget_spend b ON " BUDGET_IS_LITE("b") " WHERE true"
          " ON CONFLICT (id) DO UPDATE SET requests = requests + excluded.requests, tokens = tokens + excluded.tokens,"
          " money_micros = money_micros + excluded.money_micros, leased_until = excluded.leased_until;"
          "UPDATE budget_spend SET leased_requests = leased_requests + "
          BUDGET_GETS_LITE("budget_spend", "requests", "leased_requests", "requests") ", leased_tokens = leased_tokens + "
          BUDGET_GETS_LITE("budget_spend", "tokens", "leased_tokens", "tokens") ", leased_micros = leased_micros + "
          BUDGET_GETS_LITE("budget_spend", "money_micros", "leased_micros", "micros")
          " FROM json_each($2) v WHERE " BUDGET_IS_LITE("budget_spend"))
/* What a turn did cost (requests, tokens, micros), out of the node's leases (freed_...). $3 the reply, or NULL. Goes before
 * REPLY_SAVE in one transaction. */
STATEMENT(BUDGET_SETTLE, SQL_WRITE, NULL,
          "WITH v AS (SELECT * FROM" BUDGET_ROWS " WHERE " BUDGET_IS_DUE("$3::uuid") "),"
          " locked AS MATERIALIZED (SELECT v.lease, v.freed_requests, v.freed_tokens, v.freed_micros FROM v"
          "  JOIN budget_spend b ON " BUDGET_IS("b") " ORDER BY v.n FOR UPDATE OF b),"
          " old AS MATERIALIZED (SELECT l.id, least(l.requests, k.freed_requests) AS requests,"
          "  least(l.tokens, k.freed_tokens) AS tokens, least(l.money_micros, k.freed_micros) AS micros"
          "  FROM locked k JOIN budget_leases l ON l.team_id = $1::uuid AND l.id = k.lease FOR UPDATE OF l),"
          " lowered AS (UPDATE budget_leases l SET requests = l.requests - old.requests, tokens = l.tokens - old.tokens,"
          "  money_micros = l.money_micros - old.micros FROM old WHERE l.id = old.id)"
          " UPDATE budget_spend b SET requests = b.requests + v.requests, tokens = b.tokens + v.tokens,"
          " money_micros = b.money_micros + v.micros, was_cut = b.was_cut OR v.was_cut,"
          " leased_requests = b.leased_requests - coalesce(old.requests, 0),"
          " leased_tokens = b.leased_tokens - coalesce(old.tokens, 0),"
          " leased_micros = b.leased_micros - coalesce(old.micros, 0)"
          " FROM v LEFT JOIN old ON old.id = v.lease WHERE " BUDGET_IS("b"),
          "UPDATE budget_spend SET requests = requests + " BUDGET_V("requests") ", tokens = tokens + " BUDGET_V("tokens")
          ", money_micros = money_micros + " BUDGET_V("micros") ", was_cut = was_cut OR " BUDGET_V("was_cut")
          ", leased_requests = leased_requests - coalesce((SELECT min(l.requests, " BUDGET_V("freed_requests")
          ") FROM budget_leases l WHERE l.id = " BUDGET_V("lease") "), 0)"
          ", leased_tokens = leased_tokens - coalesce((SELECT min(l.tokens, " BUDGET_V("freed_tokens")
          ") FROM budget_leases l WHERE l.id = " BUDGET_V("lease") "), 0)"
          ", leased_micros = leased_micros - coalesce((SELECT min(l.money_micros, " BUDGET_V("freed_micros")
          ") FROM budget_leases l WHERE l.id = " BUDGET_V("lease") "), 0)"
          " FROM json_each($2) v WHERE " BUDGET_IS_LITE("budget_spend") " AND " BUDGET_IS_DUE("$3") ";"
          "UPDATE budget_leases SET requests = requests - min(requests, " BUDGET_V("freed_requests")
          "), tokens = tokens - min(tokens, " BUDGET_V("freed_tokens") "), money_micros = money_micros - min(money_micros, "
          BUDGET_V("freed_micros") ") FROM json_each($2) v WHERE budget_leases.team_id = $1 AND budget_leases.id = "
          BUDGET_V("lease") " AND " BUDGET_IS_DUE("$3"))
/* $1: a JSON array of leases that are not used any more, or NULL; $2 a node that ends, or NULL; $3 now, for SQLite. */
STATEMENT(BUDGET_RETURN, SQL_WRITE, "leases of any team, by what they are or whose",
          "WITH gone AS MATERIALIZED (SELECT l.* FROM budget_leases l WHERE l.leased_until < now() OR l.node_id = $2::uuid"
          "  OR l.id IN (SELECT CAST(x AS uuid) FROM json_array_elements_text($1::json) x)),"
          " locked AS MATERIALIZED (SELECT 1 FROM budget_spend b WHERE EXISTS (SELECT 1 FROM gone l WHERE "
          BUDGET_SAME("b", "l") ") ORDER BY b.team_id, b.scope, b.subject_id, b.period FOR UPDATE OF b),"
          " dead AS (DELETE FROM budget_leases l USING gone g WHERE l.id = g.id AND (SELECT count(*) FROM locked) >= 0"
          "  AND (l.leased_until < now() OR l.node_id = $2::uuid"
          "   OR l.id IN (SELECT CAST(x AS uuid) FROM json_array_elements_text($1::json) x)) RETURNING l.*)"
          " UPDATE budget_spend b SET leased_requests = b.leased_requests - l.requests,"
          " leased_tokens = b.leased_tokens - l.tokens, leased_micros = b.leased_micros - l.micros"
          " FROM (SELECT team_id, scope, subject_id, period, period_start, CAST(sum(requests) AS bigint) AS requests,"
          "  CAST(sum(tokens) AS bigint) AS tokens, CAST(sum(money_micros) AS bigint) AS micros FROM dead"
          "  GROUP BY team_id, scope, subject_id, period, period_start) l WHERE " BUDGET_SAME("b", "l"),
          "UPDATE budget_spend SET leased_requests = leased_requests - l.requests,"
          " leased_tokens = leased_tokens - l.tokens, leased_micros = leased_micros - l.micros"
          " FROM (SELECT team_id, scope, subject_id, period, period_start, sum(requests) AS requests,"
          "  sum(tokens) AS tokens, sum(money_micros) AS micros FROM budget_leases WHERE leased_until < $3 OR node_id = $2"
          "  OR id IN (SELECT value FROM json_each($1)) GROUP BY team_id, scope, subject_id, period, period_start) l WHERE "
          BUDGET_SAME("budget_spend", "l") ";"
          "DELETE FROM budget_leases WHERE leased_until < $3 OR node_id = $2 OR id IN (SELECT value FROM json_each($1))")
/* $1 node, $2 for how many ms, $3 until when that is, for SQLite. */
STATEMENT(BUDGET_RENEW, SQL_WRITE, "a node's leases, whosever they are",
          "UPDATE budget_leases SET leased_until = now() + $2::bigint * interval '1 millisecond' WHERE node_id = $1::uuid",
          "UPDATE budget_leases SET leased_until = $3 WHERE node_id = $1")

/* Of whom nobody was told yet that four fifths are spent, or all; $1 and $2 when the day and the month began. */
STATEMENT(BUDGET_DUE, SQL_READ, "webhooks of every team, each named in its row",
          "SELECT b.team_id, b.id, b.scope, b.subject_id, b.period, s.period_start, b.requests, b.tokens, b.money_micros,"
          " s.requests, s.tokens, s.money_micros, s.warned_at IS NULL, s.spent_at IS NULL AND coalesce(s.was_cut"
          "  OR s.requests >= b.requests OR s.tokens >= b.tokens OR s.money_micros >= b.money_micros, false)"
          " FROM budgets b JOIN budget_spend s ON s.team_id = b.team_id AND s.scope = b.scope"
          " AND s.subject_id = b.subject_id AND s.period = b.period"
          " AND s.period_start = CASE b.period WHEN 'day' THEN $1::timestamptz ELSE $2::timestamptz END"
          " WHERE (s.warned_at IS NULL AND (s.was_cut OR s.requests * 5 >= b.requests * 4 OR s.tokens * 5 >= b.tokens * 4"
          "  OR s.money_micros * 5 >= b.money_micros * 4))"
          " OR (s.spent_at IS NULL AND (s.was_cut OR s.requests >= b.requests OR s.tokens >= b.tokens"
          "  OR s.money_micros >= b.money_micros)) LIMIT 50",
          "SELECT b.team_id, b.id, b.scope, b.subject_id, b.period, s.period_start, b.requests, b.tokens, b.money_micros,"
          " s.requests, s.tokens, s.money_micros, s.warned_at IS NULL, s.spent_at IS NULL AND coalesce(s.was_cut"
          "  OR s.requests >= b.requests OR s.tokens >= b.tokens OR s.money_micros >= b.money_micros, 0)"
          " FROM budgets b JOIN budget_spend s ON s.team_id = b.team_id AND s.scope = b.scope"
          " AND s.subject_id = b.subject_id AND s.period = b.period"
          " AND s.period_start = CASE b.period WHEN 'day' THEN $1 ELSE $2 END"
          " WHERE (s.warned_at IS NULL AND (s.was_cut OR s.requests * 5 >= b.requests * 4 OR s.tokens * 5 >= b.tokens * 4"
          "  OR s.money_micros * 5 >= b.money_micros * 4))"
          " OR (s.spent_at IS NULL AND (s.was_cut OR s.requests >= b.requests OR s.tokens >= b.tokens"
          "  OR s.money_micros >= b.money_micros)) LIMIT 50")
/* $1 team, $2 scope, $3 subject, $4 period, $5 its start, $6 now, $7 that all is spent. Goes with the webhook's event in one
 * transaction; who finds it told changes no row. */
STATEMENT(BUDGET_TOLD, SQL_WRITE, NULL,
          "UPDATE budget_spend SET warned_at = CASE WHEN $7::boolean THEN warned_at ELSE $6::timestamptz END,"
          " spent_at = CASE WHEN $7::boolean THEN $6::timestamptz ELSE spent_at END WHERE team_id = $1 AND scope = $2"
          " AND subject_id = $3 AND period = $4 AND period_start = $5"
          " AND CASE WHEN $7::boolean THEN spent_at ELSE warned_at END IS NULL",
          "UPDATE budget_spend SET warned_at = CASE WHEN $7 THEN warned_at ELSE $6 END,"
          " spent_at = CASE WHEN $7 THEN $6 ELSE spent_at END WHERE team_id = $1 AND scope = $2"
          " AND subject_id = $3 AND period = $4 AND period_start = $5"
          " AND CASE WHEN $7 THEN spent_at ELSE warned_at END IS NULL")
STATEMENT(BUDGET_FORGET, SQL_WRITE, "housekeeping: periods of every team that are older than usage.keep_days",
          "DELETE FROM budget_spend WHERE ctid = ANY (ARRAY(SELECT s.ctid FROM budget_spend s"
          " WHERE s.period_start < $1 LIMIT 500))",
          "DELETE FROM budget_spend WHERE (team_id, scope, subject_id, period, period_start) IN"
          " (SELECT team_id, scope, subject_id, period, period_start FROM budget_spend WHERE period_start < $1 LIMIT 500)")
