-- What a message costs to store. A long text is compressed when it is written: lz4 takes a fraction of pglz's time (a server
-- may be built without it). The place of a reply to come has no words, and none are looked for in it. No search used
-- the index on titles, as it looks at titles or messages, of one owner; and each touch of a chat wrote to it.
DO $$
BEGIN
    ALTER TABLE messages ALTER COLUMN content SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;
DROP INDEX messages_content;
CREATE INDEX messages_content ON messages USING gin (aerie_words(content)) WHERE content <> '';
DROP INDEX chats_title;

-- down
CREATE INDEX chats_title ON chats USING gin (aerie_words(title));
DROP INDEX messages_content;
CREATE INDEX messages_content ON messages USING gin (aerie_words(content));
ALTER TABLE messages ALTER COLUMN content SET COMPRESSION default;
