-- The index had ids the other way round than lists ask for them, so each page was sorted; with is_archived in it chats are
-- counted without looking at them.
DROP INDEX chats_owner;
CREATE INDEX chats_owner ON chats (team_id, owner_id, updated_at DESC, id DESC, is_archived);

-- down
DROP INDEX chats_owner;
CREATE INDEX chats_owner ON chats (team_id, owner_id, updated_at DESC, id);
