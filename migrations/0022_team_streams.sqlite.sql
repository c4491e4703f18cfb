-- Nothing: no two nodes serve one SQLite file for long.

-- down
