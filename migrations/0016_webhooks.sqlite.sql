-- Webhooks: whom a team wants told of what, and what is to be told. A delivery is put in the transaction of its fact.
CREATE TABLE webhooks (
    id              TEXT NOT NULL PRIMARY KEY,
    team_id         TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    url             TEXT NOT NULL,
    secret          TEXT NOT NULL, -- sealed
    previous_secret TEXT,          -- sealed; signs as well until
    previous_until  INTEGER,
    events          TEXT NOT NULL, -- ",chat.created,message.completed,"
    include_text    INTEGER NOT NULL,
    is_active       INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL, -- also tells servers that something has changed
    last_success_at INTEGER,          -- to ten seconds
    last_failure_at INTEGER,
    last_failure    TEXT
) STRICT;
CREATE INDEX webhooks_team ON webhooks (team_id, created_at);

CREATE TABLE webhook_deliveries (
    id           TEXT NOT NULL PRIMARY KEY, -- the same over all tries
    team_id      TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    webhook_id   TEXT NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event_id     TEXT NOT NULL,
    type         TEXT NOT NULL,
    payload      TEXT NOT NULL, -- the event's data, without the text of messages
    status       TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'dead')),
    tries        INTEGER NOT NULL,
    next_at      INTEGER NOT NULL, -- not before; while it is being sent, when another may try
    last_status  INTEGER,
    last_error   TEXT,
    created_at   INTEGER NOT NULL,
    delivered_at INTEGER,
    UNIQUE (webhook_id, event_id) -- a transaction that is done again tells once
) STRICT;
CREATE INDEX webhook_deliveries_team ON webhook_deliveries (team_id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at, team_id, created_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (webhook_id, status, created_at);
CREATE INDEX webhook_deliveries_age ON webhook_deliveries (created_at) WHERE status <> 'pending';

-- How often an agent's last answers failed one after the other, of teams that want to be told.
CREATE TABLE agent_failures (
    agent_id TEXT NOT NULL PRIMARY KEY REFERENCES agents ON DELETE CASCADE,
    team_id  TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    failures INTEGER NOT NULL,
    is_told  INTEGER NOT NULL,
    told_at  INTEGER -- when it was told last that it fails
) STRICT;
CREATE INDEX agent_failures_team ON agent_failures (team_id);

-- down
DROP TABLE agent_failures;
DROP TABLE webhook_deliveries;
DROP TABLE webhooks;
