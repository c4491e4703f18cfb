/* Statements over rates: buckets of limits that several nodes share. See db/sql.h for what a row says. PostgreSQL's alone: on
 * SQLite no two nodes serve. */

/* Takes a portion out of a bucket. $1 whose, $2 what one take costs in µs, $3 the limit, $4 the most that is wanted, $5 how full
 * the asker's own bucket is, in µs. Answers how many it got, and how full the bucket is then. By the database's clock. */
STATEMENT(RATE_LEASE, SQL_WRITE, "whose it is, is hashed into the key",
          "WITH asked AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now)"
          " INSERT INTO rates AS r (key, empty_at, granted)"
          " SELECT $1::bytea, a.now + $5::bigint + g.n * $2::bigint, g.n FROM asked a,"
          "  LATERAL (SELECT greatest(0, least($4::bigint, $3::bigint - ($5::bigint + $2::bigint - 1) / $2::bigint)) AS n) g"
          " ON CONFLICT (key) DO UPDATE SET (empty_at, granted) = (SELECT b.at + g.n * $2::bigint, g.n FROM"
          "  (SELECT t.now, greatest(r.empty_at, t.now) AS at FROM"
          "   (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) t) b,"
          "  LATERAL (SELECT greatest(0, least($4::bigint, $3::bigint - (b.at - b.now + $2::bigint - 1) / $2::bigint)) AS n) g)"
          " RETURNING granted, empty_at - (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
          "SELECT 0, 0")
STATEMENT(RATES_FORGET, SQL_WRITE, "housekeeping: buckets that have been empty for a while, of everyone",
          "DELETE FROM rates WHERE empty_at < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 60000000",
          "SELECT 1")
