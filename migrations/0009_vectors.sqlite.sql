-- Nothing: only PostgreSQL compares embeddings itself.

-- down
