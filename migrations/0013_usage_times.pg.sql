-- Beside the tokens, how it went: answers that failed, and how long people waited for the first words.
ALTER TABLE usage_days
    ADD COLUMN errors         bigint NOT NULL DEFAULT 0, -- of messages
    ADD COLUMN first_tokens   bigint NOT NULL DEFAULT 0, -- messages whose answer began
    ADD COLUMN first_token_ms bigint NOT NULL DEFAULT 0; -- of them all, from the message to the first words

-- down
ALTER TABLE usage_days DROP COLUMN errors, DROP COLUMN first_tokens, DROP COLUMN first_token_ms;
