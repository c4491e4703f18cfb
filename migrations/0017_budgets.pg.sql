-- What a team, a user, an API key or an agent may use in a day or a month. What is NULL is not limited.
CREATE TABLE budgets (
    id           uuid PRIMARY KEY,
    team_id      uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    scope        text NOT NULL CHECK (scope IN ('team', 'user', 'key', 'agent')),
    subject_id   uuid NOT NULL,
    period       text NOT NULL CHECK (period IN ('day', 'month')),
    requests     bigint CHECK (requests >= 0),
    tokens       bigint CHECK (tokens >= 0),
    money_micros bigint CHECK (money_micros >= 0),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    UNIQUE (team_id, scope, subject_id, period)
);

-- What was spent in a period, and what the nodes have leased of it. Scope 'owner' is limits.tokens_per_day's: a user, or a
-- session of someone without an account.
CREATE TABLE budget_spend (
    team_id         uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    scope           text NOT NULL,
    subject_id      uuid NOT NULL,
    period          text NOT NULL,
    period_start    timestamptz NOT NULL, -- midnight, UTC
    requests        bigint NOT NULL,
    tokens          bigint NOT NULL,
    money_micros    bigint NOT NULL,
    leased_requests bigint NOT NULL,
    leased_tokens   bigint NOT NULL,
    leased_micros   bigint NOT NULL,
    was_cut         boolean NOT NULL, -- a reply ended because nothing was left
    warned_at       timestamptz,
    spent_at        timestamptz,
    PRIMARY KEY (team_id, scope, subject_id, period, period_start)
);
CREATE INDEX budget_spend_period ON budget_spend (period_start);

-- Of that, what each node has. A node renews its leases; one that died loses them at leased_until.
CREATE TABLE budget_leases (
    id           uuid PRIMARY KEY,
    node_id      uuid NOT NULL,
    team_id      uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    scope        text NOT NULL,
    subject_id   uuid NOT NULL,
    period       text NOT NULL,
    period_start timestamptz NOT NULL,
    requests     bigint NOT NULL,
    tokens       bigint NOT NULL,
    money_micros bigint NOT NULL,
    leased_until timestamptz NOT NULL
);
CREATE INDEX budget_leases_node ON budget_leases (node_id);
CREATE INDEX budget_leases_until ON budget_leases (leased_until);

-- down
DROP TABLE budget_leases;
DROP TABLE budget_spend;
DROP TABLE budgets;
