-- Nothing: in one file a month is no faster to read or to delete than its rows are by their key.

-- down
