-- The WordPress sites that registered themselves: each is a team of its own.
CREATE TABLE sites (
    team_id     TEXT NOT NULL PRIMARY KEY REFERENCES teams ON DELETE CASCADE,
    url         TEXT NOT NULL,        -- as the site gave it, without slashes at its end
    site        TEXT NOT NULL UNIQUE, -- the same in lower case
    admin_email TEXT NOT NULL UNIQUE, -- lower case
    created_at  INTEGER NOT NULL
) STRICT;

-- down
DROP TABLE sites;
