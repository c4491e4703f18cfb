-- Who changed what in a team, and from where. Rows outlive whom and what they name. details is a list of what changed:
-- [{"field": "role", "from": "user", "to": "admin"}, {"field": "webhook_token"}], with values of harmless fields only.
CREATE TABLE audit_log (
    team_id      uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    created_at   timestamptz NOT NULL,
    id           uuid NOT NULL,
    actor        text NOT NULL CHECK (actor IN ('anyone', 'key', 'operator', 'user')),
    actor_id     uuid, -- the user; NULL: none
    action       text NOT NULL,
    subject_kind text NOT NULL,
    subject_id   uuid,
    address      text, -- the client's; NULL: the operator, on the machine
    details      jsonb NOT NULL,
    PRIMARY KEY (team_id, created_at, id)
);

-- down
DROP TABLE audit_log;
