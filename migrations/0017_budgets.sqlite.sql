-- What a team, a user, an API key or an agent may use in a day or a month. What is NULL is not limited.
CREATE TABLE budgets (
    id           TEXT PRIMARY KEY,
    team_id      TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    scope        TEXT NOT NULL CHECK (scope IN ('team', 'user', 'key', 'agent')),
    subject_id   TEXT NOT NULL,
    period       TEXT NOT NULL CHECK (period IN ('day', 'month')),
    requests     INTEGER CHECK (requests >= 0),
    tokens       INTEGER CHECK (tokens >= 0),
    money_micros INTEGER CHECK (money_micros >= 0),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (team_id, scope, subject_id, period)
) STRICT;

-- What was spent in a period, and what the nodes have leased of it. Scope 'owner' is limits.tokens_per_day's: a user, or a
-- session of someone without an account.
CREATE TABLE budget_spend (
    team_id         TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    scope           TEXT NOT NULL,
    subject_id      TEXT NOT NULL,
    period          TEXT NOT NULL,
    period_start    INTEGER NOT NULL, -- midnight, UTC
    requests        INTEGER NOT NULL,
    tokens          INTEGER NOT NULL,
    money_micros    INTEGER NOT NULL,
    leased_requests INTEGER NOT NULL,
    leased_tokens   INTEGER NOT NULL,
    leased_micros   INTEGER NOT NULL,
    was_cut         INTEGER NOT NULL, -- a reply ended because nothing was left
    warned_at       INTEGER,
    spent_at        INTEGER,
    PRIMARY KEY (team_id, scope, subject_id, period, period_start)
) STRICT, WITHOUT ROWID;
CREATE INDEX budget_spend_period ON budget_spend (period_start);

-- Of that, what each node has. A node renews its leases; one that died loses them at leased_until.
CREATE TABLE budget_leases (
    id           TEXT PRIMARY KEY,
    node_id      TEXT NOT NULL,
    team_id      TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    scope        TEXT NOT NULL,
    subject_id   TEXT NOT NULL,
    period       TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    requests     INTEGER NOT NULL,
    tokens       INTEGER NOT NULL,
    money_micros INTEGER NOT NULL,
    leased_until INTEGER NOT NULL
) STRICT;
CREATE INDEX budget_leases_node ON budget_leases (node_id);
CREATE INDEX budget_leases_until ON budget_leases (leased_until);

-- down
DROP TABLE budget_leases;
DROP TABLE budget_spend;
DROP TABLE budgets;
