-- How many replies of a team each node may have at once, of limits.streams_per_team. It goes with the node.
CREATE UNLOGGED TABLE team_streams (
    team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    node_id uuid NOT NULL REFERENCES nodes ON DELETE CASCADE,
    n       bigint NOT NULL,
    seq     bigint NOT NULL, -- of the node's last word
    PRIMARY KEY (team_id, node_id)
);
CREATE INDEX team_streams_node ON team_streams (node_id);

-- down
DROP TABLE team_streams;
