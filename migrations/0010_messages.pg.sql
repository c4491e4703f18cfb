-- What a message costs to store. A long text is compressed when it is written: lz4 takes a fraction of pglz's time (a server
-- may be built without it). The words of a text, a millisecond's work, are put into the index in the background and before
-- a search, as with SQLite: what waits for that is not is_indexed. No search used the index on titles, as it looks at
-- titles or messages, of one owner; and each touch of a chat wrote to it.
DO $$
BEGIN
    ALTER TABLE messages ALTER COLUMN content SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;
ALTER TABLE messages ADD COLUMN is_indexed boolean NOT NULL DEFAULT true;
ALTER TABLE messages ALTER COLUMN is_indexed SET DEFAULT false;
UPDATE messages SET is_indexed = false WHERE status = 'streaming';
DROP INDEX messages_streaming;
CREATE INDEX messages_to_index ON messages (id) WHERE NOT is_indexed;
DROP INDEX messages_content;
CREATE INDEX messages_content ON messages USING gin (aerie_words(content)) WHERE is_indexed;
DROP INDEX chats_title;

-- down
CREATE INDEX chats_title ON chats USING gin (aerie_words(title));
DROP INDEX messages_content;
CREATE INDEX messages_content ON messages USING gin (aerie_words(content));
DROP INDEX messages_to_index;
CREATE INDEX messages_streaming ON messages (id) WHERE status = 'streaming';
ALTER TABLE messages DROP COLUMN is_indexed;
ALTER TABLE messages ALTER COLUMN content SET COMPRESSION default;
