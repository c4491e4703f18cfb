-- What was used, by the day (its midnight, UTC), by whom, and by whom it was answered. An owner is a user, a session of
-- someone without an account, or an API key. Rows outlive owners and agents: they are the team's account.
CREATE TABLE usage_days (
    team_id           uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    day               timestamptz NOT NULL,
    owner_id          uuid NOT NULL,
    agent_id          uuid NOT NULL,
    provider          text NOT NULL,
    model             text NOT NULL, -- '' : it did not say
    messages          bigint NOT NULL,
    prompt_tokens     bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    total_tokens      bigint NOT NULL,
    estimated_tokens  bigint NOT NULL, -- of total_tokens, those that the provider did not tell
    PRIMARY KEY (team_id, day, owner_id, agent_id, provider, model)
);

-- down
DROP TABLE usage_days;
