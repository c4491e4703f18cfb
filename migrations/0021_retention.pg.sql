-- How many days a team keeps chats in which nothing happens any more; NULL: as the server says (retention.days).
ALTER TABLE teams ADD COLUMN retention_days bigint CHECK (retention_days BETWEEN 1 AND 36500);
CREATE INDEX chats_age ON chats (team_id, updated_at);

-- Users and visitors who are being erased, in portions: a row is there until the last one, so that a server that ends in
-- the middle is no excuse. counts is what has gone until now.
CREATE TABLE erasures (
    id         uuid PRIMARY KEY,
    team_id    uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    kind       text NOT NULL CHECK (kind IN ('delete', 'user', 'visitor')),
    subject_id uuid NOT NULL,
    actor      text NOT NULL, -- these three are for the audit trail
    actor_id   uuid,
    address    text,
    counts     jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    touched_at timestamptz NOT NULL, -- by the last portion
    UNIQUE (team_id, subject_id)
);
CREATE INDEX erasures_touched ON erasures (touched_at);

-- What somebody did stays in the trail, though nobody says any more who it was.
ALTER TABLE audit_log DROP CONSTRAINT audit_log_actor_check,
    ADD CONSTRAINT audit_log_actor_check CHECK (actor IN ('anyone', 'erased', 'key', 'operator', 'user'));
CREATE INDEX audit_log_actor ON audit_log (team_id, actor_id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_log_subject ON audit_log (team_id, subject_id);

-- 'erased': the turns of this owner end, wherever they run.
ALTER TABLE revoked_tokens DROP CONSTRAINT revoked_tokens_kind_check,
    ADD CONSTRAINT revoked_tokens_kind_check CHECK (kind IN ('token', 'family', 'user', 'team', 'key', 'erased'));

-- down
DELETE FROM revoked_tokens WHERE kind = 'erased';
ALTER TABLE revoked_tokens DROP CONSTRAINT revoked_tokens_kind_check,
    ADD CONSTRAINT revoked_tokens_kind_check CHECK (kind IN ('token', 'family', 'user', 'team', 'key'));
DROP INDEX audit_log_subject, audit_log_actor;
UPDATE audit_log SET actor = 'anyone' WHERE actor = 'erased';
ALTER TABLE audit_log DROP CONSTRAINT audit_log_actor_check,
    ADD CONSTRAINT audit_log_actor_check CHECK (actor IN ('anyone', 'key', 'operator', 'user'));
DROP TABLE erasures;
DROP INDEX chats_age;
ALTER TABLE teams DROP COLUMN retention_days;
