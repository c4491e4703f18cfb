-- A message's chat is of its team and goes with it: looking up the team for each row as well was an eighth of what storing
-- a message costs.
ALTER TABLE messages DROP CONSTRAINT messages_team_id_fkey;

-- down
ALTER TABLE messages ADD FOREIGN KEY (team_id) REFERENCES teams ON DELETE CASCADE;
