-- Keys of model providers that a team's agents share.
CREATE TABLE provider_keys (
    id         uuid PRIMARY KEY,
    team_id    uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    provider   text NOT NULL,
    slot       smallint NOT NULL CHECK (slot BETWEEN 1 AND 9), -- so many a team and provider may have
    name       text,
    sealed_key text NOT NULL,
    hint       text NOT NULL, -- its last characters
    created_by uuid REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (team_id, provider, slot)
);
CREATE INDEX provider_keys_creator ON provider_keys (created_by);

-- down
DROP TABLE provider_keys;
