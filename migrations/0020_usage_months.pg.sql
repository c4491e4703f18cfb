-- What was used, a partition a month: an old month goes as a whole, and whoever asks for some days reads their months only.
-- usage_days_rest has the days of months without a partition, so that no count ever waits for one.
LOCK TABLE teams IN SHARE ROW EXCLUSIVE MODE; -- as the partitions' references to it want: first, and for as long as it takes
ALTER TABLE usage_days RENAME TO usage_days_rest;
ALTER TABLE usage_days_rest RENAME CONSTRAINT usage_days_pkey TO usage_days_rest_pkey;
CREATE TABLE usage_days (
    LIKE usage_days_rest INCLUDING DEFAULTS,
    PRIMARY KEY (team_id, day, owner_id, agent_id, provider, model),
    FOREIGN KEY (team_id) REFERENCES teams ON DELETE CASCADE
) PARTITION BY RANGE (day);
ALTER TABLE usage_days ATTACH PARTITION usage_days_rest DEFAULT;

-- Does one of the things that are to be done at that time, and tells whether it did: a partition for this month or the next, or
-- for one that usage_days_rest has days of (which move), or the end of one that was over before then (NULL: none ends). Servers
-- call it until nothing is left to do. Of several one works; what someone else holds for long, a backup, is tried again later.
CREATE FUNCTION usage_tend(at timestamptz, before timestamptz) RETURNS boolean
LANGUAGE plpgsql SET timezone = 'UTC' SET lock_timeout = '300ms' AS $$
DECLARE
    month timestamptz;
    part  text;
BEGIN
    LOCK TABLE usage_days IN SHARE UPDATE EXCLUSIVE MODE;
    SELECT min(m) INTO month FROM (SELECT date_trunc('month', at) AS m
        UNION ALL SELECT date_trunc('month', at) + interval '1 month'
        UNION ALL SELECT date_trunc('month', day) FROM usage_days_rest
            WHERE day >= coalesce(before, '1970-01-01') AND day < '10000-01-01') wanted
        WHERE to_regclass('usage_days_' || to_char(m, 'YYYYMM')) IS NULL;
    IF month IS NOT NULL THEN
        part := 'usage_days_' || to_char(month, 'YYYYMM');
        LOCK TABLE teams IN SHARE ROW EXCLUSIVE MODE; -- the reference wants it: before usage_days, as who deletes a team does
        LOCK TABLE usage_days IN ACCESS EXCLUSIVE MODE; -- whoever counts or reads now waits, and finds the new partition
        EXECUTE format('CREATE TABLE %I (LIKE usage_days INCLUDING DEFAULTS INCLUDING INDEXES)', part);
        LOCK TABLE usage_days_rest IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('WITH moved AS (DELETE FROM usage_days_rest WHERE day >= %L AND day < %L RETURNING *)'
            ' INSERT INTO %I SELECT * FROM moved', month, month + interval '1 month', part);
        EXECUTE format('ALTER TABLE usage_days ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            part, month, month + interval '1 month');
        RETURN true;
    END IF;
    SELECT min(c.relname) INTO part FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'usage_days'::regclass AND c.relname ~ '^usage_days_\d{6}$'
        AND c.relname < 'usage_days_' || to_char(before, 'YYYYMM');
    IF part IS NOT NULL THEN
        EXECUTE format('DROP TABLE %I', part);
        RETURN true;
    END IF;
    RETURN false;
END
$$;
DO $$ BEGIN WHILE usage_tend(now(), NULL) LOOP END LOOP; END $$;

-- down
CREATE TABLE usage_days_whole (
    LIKE usage_days INCLUDING DEFAULTS,
    PRIMARY KEY (team_id, day, owner_id, agent_id, provider, model),
    FOREIGN KEY (team_id) REFERENCES teams ON DELETE CASCADE
);
INSERT INTO usage_days_whole SELECT * FROM usage_days;
DROP TABLE usage_days;
DROP FUNCTION usage_tend;
ALTER TABLE usage_days_whole RENAME TO usage_days;
ALTER TABLE usage_days RENAME CONSTRAINT usage_days_whole_pkey TO usage_days_pkey;
ALTER TABLE usage_days RENAME CONSTRAINT usage_days_whole_team_id_fkey TO usage_days_team_id_fkey;
