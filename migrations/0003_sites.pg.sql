-- The WordPress sites that registered themselves: each is a team of its own.
CREATE TABLE sites (
    team_id     uuid PRIMARY KEY REFERENCES teams ON DELETE CASCADE,
    url         text NOT NULL,        -- as the site gave it, without slashes at its end
    site        text NOT NULL UNIQUE, -- the same in lower case
    admin_email text NOT NULL UNIQUE, -- lower case
    created_at  timestamptz NOT NULL
);

-- down
DROP TABLE sites;
