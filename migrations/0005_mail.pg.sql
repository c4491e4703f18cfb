-- Mail: who has confirmed an address, the tokens that mails carry, and what waits to be sent.
ALTER TABLE users ADD COLUMN email_verified_at timestamptz;

CREATE TABLE mail_tokens (
    token_hash text PRIMARY KEY,
    team_id    uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    kind       text NOT NULL CHECK (kind IN ('verify', 'reset')),
    expires_at timestamptz NOT NULL
);
CREATE INDEX mail_tokens_user ON mail_tokens (user_id);
CREATE INDEX mail_tokens_age ON mail_tokens (expires_at);

-- What was asked for. Whom it concerns is looked up, and the token made, when it is sent: so asking costs the same
-- whether the account exists or not, and no token lies here.
CREATE TABLE mails (
    id         uuid PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('verify', 'reset')),
    email      text NOT NULL,
    team_id    uuid, -- as it was asked for; NULL: every team that knows the address
    n_tries    integer NOT NULL DEFAULT 0,
    due_at     timestamptz NOT NULL, -- not before; while it is being sent, when another may try
    expires_at timestamptz NOT NULL  -- the row may go
);
CREATE INDEX mails_due ON mails (due_at);
CREATE INDEX mails_age ON mails (expires_at);

-- down
DROP TABLE mails, mail_tokens;
ALTER TABLE users DROP COLUMN email_verified_at;
