-- Webhooks: whom a team wants told of what, and what is to be told. A delivery is put in the transaction of its fact.
CREATE TABLE webhooks (
    id              uuid PRIMARY KEY,
    team_id         uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    url             text NOT NULL,
    secret          text NOT NULL, -- sealed
    previous_secret text,          -- sealed; signs as well until
    previous_until  timestamptz,
    events          text NOT NULL, -- ",chat.created,message.completed,"
    include_text    boolean NOT NULL,
    is_active       boolean NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL, -- also tells servers that something has changed
    last_success_at timestamptz,          -- to ten seconds
    last_failure_at timestamptz,
    last_failure    text
);
CREATE INDEX webhooks_team ON webhooks (team_id, created_at);

CREATE TABLE webhook_deliveries (
    id           uuid PRIMARY KEY, -- the same over all tries
    team_id      uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    webhook_id   uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event_id     uuid NOT NULL,
    type         text NOT NULL,
    payload      json NOT NULL, -- the event's data, without the text of messages
    status       text NOT NULL CHECK (status IN ('pending', 'delivered', 'dead')),
    tries        integer NOT NULL,
    next_at      timestamptz NOT NULL, -- not before; while it is being sent, when another may try
    last_status  integer,
    last_error   text,
    created_at   timestamptz NOT NULL,
    delivered_at timestamptz,
    UNIQUE (webhook_id, event_id) -- a transaction that is done again tells once
);
CREATE INDEX webhook_deliveries_team ON webhook_deliveries (team_id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at, team_id, created_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (webhook_id, status, created_at);
CREATE INDEX webhook_deliveries_age ON webhook_deliveries (created_at) WHERE status <> 'pending';

-- How often an agent's last answers failed one after the other, of teams that want to be told.
CREATE TABLE agent_failures (
    agent_id uuid PRIMARY KEY REFERENCES agents ON DELETE CASCADE,
    team_id  uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    failures integer NOT NULL,
    is_told  boolean NOT NULL,
    told_at  timestamptz -- when it was told last that it fails
);
CREATE INDEX agent_failures_team ON agent_failures (team_id);

-- down
DROP TABLE agent_failures, webhook_deliveries, webhooks;
