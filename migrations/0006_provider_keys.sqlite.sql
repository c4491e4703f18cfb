-- Keys of model providers that a team's agents share.
CREATE TABLE provider_keys (
    id         TEXT NOT NULL PRIMARY KEY,
    team_id    TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    provider   TEXT NOT NULL,
    slot       INTEGER NOT NULL CHECK (slot BETWEEN 1 AND 9), -- so many a team and provider may have
    name       TEXT,
    sealed_key TEXT NOT NULL,
    hint       TEXT NOT NULL, -- its last characters
    created_by TEXT REFERENCES users ON DELETE SET NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (team_id, provider, slot)
) STRICT;
CREATE INDEX provider_keys_creator ON provider_keys (created_by);

-- down
DROP TABLE provider_keys;
