-- Chats of people without an account: who may read a widget's session, and from which page it was begun. A key may
-- name the pages that it is for.
ALTER TABLE chats ADD COLUMN visitor_hash text, -- of the visitor's token, SHA-256 in hex; NULL: no widget's
                  ADD COLUMN origin text;       -- NULL: begun by a program
CREATE INDEX chats_sessions ON chats (updated_at) WHERE user_id IS NULL;
ALTER TABLE api_keys ADD COLUMN allowed_origins jsonb NOT NULL DEFAULT '[]';

-- down
ALTER TABLE api_keys DROP COLUMN allowed_origins;
DROP INDEX chats_sessions;
ALTER TABLE chats DROP COLUMN origin, DROP COLUMN visitor_hash;
