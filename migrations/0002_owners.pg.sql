-- A chat belongs to its owner: a user, or itself, when it is a session of someone without an account. Whoever knows
-- such a session's id may write to it.
ALTER TABLE chats ADD COLUMN owner_id uuid;
UPDATE chats SET owner_id = user_id;
ALTER TABLE chats ALTER COLUMN owner_id SET NOT NULL,
                  ALTER COLUMN user_id DROP NOT NULL,
                  ADD CHECK (owner_id = coalesce(user_id, id));
DROP INDEX chats_user;
CREATE INDEX chats_owner ON chats (team_id, owner_id, updated_at DESC, id);
CREATE INDEX chats_user ON chats (user_id);

ALTER TABLE idempotency DROP CONSTRAINT idempotency_user_id_fkey;
ALTER TABLE idempotency RENAME COLUMN user_id TO owner_id;

-- down
DELETE FROM chats WHERE user_id IS NULL;
ALTER TABLE idempotency RENAME COLUMN owner_id TO user_id;
ALTER TABLE idempotency ADD CONSTRAINT idempotency_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;
DROP INDEX chats_user;
DROP INDEX chats_owner;
ALTER TABLE chats DROP COLUMN owner_id, ALTER COLUMN user_id SET NOT NULL;
CREATE INDEX chats_user ON chats (team_id, user_id, updated_at DESC, id);
