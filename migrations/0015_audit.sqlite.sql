-- Who changed what in a team, and from where. Rows outlive whom and what they name. details is a list of what changed:
-- [{"field": "role", "from": "user", "to": "admin"}, {"field": "webhook_token"}], with values of harmless fields only.
CREATE TABLE audit_log (
    team_id      TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    id           TEXT NOT NULL,
    actor        TEXT NOT NULL CHECK (actor IN ('anyone', 'key', 'operator', 'user')),
    actor_id     TEXT, -- the user; NULL: none
    action       TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id   TEXT,
    address      TEXT, -- the client's; NULL: the operator, on the machine
    details      TEXT NOT NULL,
    PRIMARY KEY (team_id, created_at, id)
) STRICT, WITHOUT ROWID;

-- down
DROP TABLE audit_log;
