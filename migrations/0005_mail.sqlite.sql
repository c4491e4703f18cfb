-- Mail: who has confirmed an address, the tokens that mails carry, and what waits to be sent.
ALTER TABLE users ADD COLUMN email_verified_at INTEGER;

CREATE TABLE mail_tokens (
    token_hash TEXT NOT NULL PRIMARY KEY,
    team_id    TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    user_id    TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('verify', 'reset')),
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX mail_tokens_user ON mail_tokens (user_id);
CREATE INDEX mail_tokens_age ON mail_tokens (expires_at);

-- What was asked for. Whom it concerns is looked up, and the token made, when it is sent: so asking costs the same
-- whether the account exists or not, and no token lies here.
CREATE TABLE mails (
    id         TEXT NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('verify', 'reset')),
    email      TEXT NOT NULL,
    team_id    TEXT, -- as it was asked for; NULL: every team that knows the address
    n_tries    INTEGER NOT NULL DEFAULT 0,
    due_at     INTEGER NOT NULL, -- not before; while it is being sent, when another may try
    expires_at INTEGER NOT NULL  -- the row may go
) STRICT;
CREATE INDEX mails_due ON mails (due_at);
CREATE INDEX mails_age ON mails (expires_at);

-- down
DROP TABLE mails;
DROP TABLE mail_tokens;
ALTER TABLE users DROP COLUMN email_verified_at;
