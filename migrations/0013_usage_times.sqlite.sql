-- Beside the tokens, how it went: answers that failed, and how long people waited for the first words.
ALTER TABLE usage_days ADD COLUMN errors INTEGER NOT NULL DEFAULT 0; -- of messages
ALTER TABLE usage_days ADD COLUMN first_tokens INTEGER NOT NULL DEFAULT 0; -- messages whose answer began
ALTER TABLE usage_days ADD COLUMN first_token_ms INTEGER NOT NULL DEFAULT 0; -- of them all, from the message to the first words

-- down
ALTER TABLE usage_days DROP COLUMN errors;
ALTER TABLE usage_days DROP COLUMN first_tokens;
ALTER TABLE usage_days DROP COLUMN first_token_ms;
