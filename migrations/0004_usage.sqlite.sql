-- What was used, by the day (its midnight, UTC), by whom, and by whom it was answered. An owner is a user, a session of
-- someone without an account, or an API key. Rows outlive owners and agents: they are the team's account.
CREATE TABLE usage_days (
    team_id           TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    day               INTEGER NOT NULL,
    owner_id          TEXT NOT NULL,
    agent_id          TEXT NOT NULL,
    provider          TEXT NOT NULL,
    model             TEXT NOT NULL, -- '' : it did not say
    messages          INTEGER NOT NULL,
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    total_tokens      INTEGER NOT NULL,
    estimated_tokens  INTEGER NOT NULL, -- of total_tokens, those that the provider did not tell
    PRIMARY KEY (team_id, day, owner_id, agent_id, provider, model)
) STRICT, WITHOUT ROWID;

-- down
DROP TABLE usage_days;
