-- The first schema: teams, who belongs to them, whom they ask, what was said.

-- The words of a text, whatever the database's locale: letters and digits, folded. Search compares these.
CREATE FUNCTION aerie_words(content text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN to_tsvector('simple', regexp_replace(lower(left(content, 250000) COLLATE "und-x-icu"),
                                                '[^[:alnum:]]+' COLLATE "und-x-icu", ' ', 'g'));
CREATE FUNCTION aerie_query(words text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN plainto_tsquery('simple', regexp_replace(lower(words COLLATE "und-x-icu"),
                                                    '[^[:alnum:]]+' COLLATE "und-x-icu", ' ', 'g'));

CREATE TABLE teams (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    slug       text NOT NULL UNIQUE,
    settings   jsonb NOT NULL DEFAULT '{}',
    is_active  boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE users (
    id            uuid PRIMARY KEY,
    team_id       uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    email         text NOT NULL, -- lower case
    password_hash text NOT NULL,
    full_name     text,
    role          text NOT NULL CHECK (role IN ('user', 'admin')),
    avatar        text,
    preferences   jsonb NOT NULL DEFAULT '{}',
    is_active     boolean NOT NULL DEFAULT true,
    last_login_at timestamptz,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    UNIQUE (team_id, email)
);
CREATE INDEX users_email ON users (email);

CREATE TABLE agents (
    id              uuid PRIMARY KEY,
    team_id         uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    created_by      uuid REFERENCES users ON DELETE SET NULL,
    name            text NOT NULL,
    description     text,
    provider        text NOT NULL,
    webhook_url     text,
    webhook_token   text, -- sealed
    model           text,
    system_prompt   text,
    avatar          text,
    config          jsonb NOT NULL DEFAULT '{}',
    allowed_origins jsonb NOT NULL DEFAULT '[]',
    is_active       boolean NOT NULL DEFAULT true,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);
CREATE INDEX agents_team ON agents (team_id, created_at);
CREATE INDEX agents_creator ON agents (created_by);

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    team_id      uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    agent_id     uuid NOT NULL REFERENCES agents ON DELETE CASCADE,
    name         text,
    prefix       text NOT NULL UNIQUE,
    key_hash     text NOT NULL,
    scopes       jsonb NOT NULL DEFAULT '["chat"]',
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    created_by   uuid REFERENCES users ON DELETE SET NULL,
    created_at   timestamptz NOT NULL
);
CREATE INDEX api_keys_agent ON api_keys (team_id, agent_id, created_at);

CREATE TABLE chats (
    id          uuid PRIMARY KEY,
    team_id     uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    user_id     uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    agent_id    uuid REFERENCES agents ON DELETE SET NULL,
    title       text NOT NULL DEFAULT '',
    metadata    jsonb NOT NULL DEFAULT '{}',
    is_archived boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
CREATE INDEX chats_user ON chats (team_id, user_id, updated_at DESC, id);
CREATE INDEX chats_agent ON chats (agent_id);
CREATE INDEX chats_title ON chats USING gin (aerie_words(title));

CREATE TABLE messages (
    id         uuid PRIMARY KEY,
    team_id    uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    chat_id    uuid NOT NULL REFERENCES chats ON DELETE CASCADE,
    seq        bigint NOT NULL,
    role       text NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
    content    text NOT NULL,
    status     text NOT NULL
               CHECK (status IN ('streaming', 'complete', 'stopped', 'interrupted', 'error')),
    model      text,
    usage      jsonb,
    metadata   jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    UNIQUE (chat_id, seq)
);
CREATE INDEX messages_streaming ON messages (id) WHERE status = 'streaming';
CREATE INDEX messages_content ON messages USING gin (aerie_words(content));

-- A client's Idempotency-Key and the messages that it made.
CREATE TABLE idempotency (
    team_id         uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    user_id         uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    key             text NOT NULL,
    chat_id         uuid NOT NULL REFERENCES chats ON DELETE CASCADE,
    body_hash       text NOT NULL,
    user_message_id uuid NOT NULL,
    reply_id        uuid NOT NULL,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (team_id, user_id, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
CREATE INDEX idempotency_chat ON idempotency (chat_id);

CREATE TABLE refresh_tokens (
    id         uuid PRIMARY KEY,
    team_id    uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    family     uuid NOT NULL,
    token_hash text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    spent_at   timestamptz
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (team_id, family);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_age ON refresh_tokens (expires_at);

-- What no longer counts though its signature does: one token (jti), a login's family, or all that a user or
-- team held before a moment. Loaded at start and polled.
CREATE TABLE revoked_tokens (
    pos        bigserial PRIMARY KEY,
    team_id    uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    kind       text NOT NULL CHECK (kind IN ('token', 'family', 'user', 'team', 'key')),
    subject    uuid NOT NULL,
    before     timestamptz NOT NULL, -- tokens issued before this moment
    expires_at timestamptz NOT NULL  -- the row may go: nothing it refuses is still valid
);
CREATE INDEX revoked_tokens_age ON revoked_tokens (expires_at);

-- down
DROP TABLE revoked_tokens, refresh_tokens, idempotency, messages, chats, api_keys, agents, users, teams;
DROP FUNCTION aerie_words, aerie_query;
