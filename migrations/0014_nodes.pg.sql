-- What nodes, the serving processes that share this database, know of each other: who is there, and who runs a turn.
CREATE TABLE nodes (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,        -- its host and process, for people
    address     text,                 -- where other nodes reach it; NULL: nowhere
    version     text NOT NULL,
    started_at  timestamptz NOT NULL, -- by its own clock
    seen_at     timestamptz NOT NULL, -- by this database's: written each second
    is_draining boolean NOT NULL,
    clock_ms    bigint NOT NULL DEFAULT 0 -- how far its clock was ahead of this database's when it was last seen
) WITH (fillfactor = 50);

ALTER TABLE messages ADD COLUMN node_id uuid;  -- who writes this reply; NULL: nobody is to
ALTER TABLE documents ADD COLUMN node_id uuid; -- who makes its embeddings

-- Nodes keep some of these rows in memory. They listen on the channel "aerie" for "<table> <team>": look again.
CREATE FUNCTION aerie_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('aerie', TG_TABLE_NAME || ' ' || (to_jsonb(OLD) ->> TG_ARGV[0]));
    ELSE
        PERFORM pg_notify('aerie', TG_TABLE_NAME || ' ' || (to_jsonb(NEW) ->> TG_ARGV[0]));
    END IF;
    RETURN NULL;
END
$$;
-- Not of what is written by the way: when a key was last used, when a user last signed in.
CREATE TRIGGER aerie_notify AFTER INSERT ON revoked_tokens FOR EACH ROW EXECUTE FUNCTION aerie_notify('team_id');
CREATE TRIGGER aerie_notify AFTER INSERT OR DELETE OR UPDATE ON agents FOR EACH ROW EXECUTE FUNCTION aerie_notify('team_id');
CREATE TRIGGER aerie_notify AFTER INSERT OR DELETE OR UPDATE ON provider_keys
    FOR EACH ROW EXECUTE FUNCTION aerie_notify('team_id');
CREATE TRIGGER aerie_notify AFTER DELETE OR UPDATE OF agent_id, key_hash, scopes, expires_at, revoked_at, allowed_origins ON api_keys
    FOR EACH ROW EXECUTE FUNCTION aerie_notify('team_id');
CREATE TRIGGER aerie_notify AFTER DELETE OR UPDATE OF role, is_active, password_hash ON users
    FOR EACH ROW EXECUTE FUNCTION aerie_notify('team_id');
CREATE TRIGGER aerie_notify AFTER INSERT OR DELETE OR UPDATE ON teams FOR EACH ROW EXECUTE FUNCTION aerie_notify('id');

-- down
DROP TRIGGER aerie_notify ON teams;
DROP TRIGGER aerie_notify ON users;
DROP TRIGGER aerie_notify ON api_keys;
DROP TRIGGER aerie_notify ON provider_keys;
DROP TRIGGER aerie_notify ON agents;
DROP TRIGGER aerie_notify ON revoked_tokens;
DROP FUNCTION aerie_notify;
ALTER TABLE documents DROP COLUMN node_id;
ALTER TABLE messages DROP COLUMN node_id;
DROP TABLE nodes;
