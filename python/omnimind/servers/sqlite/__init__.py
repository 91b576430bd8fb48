"""SQLite databases: reading proven to be reading, writes apart from it, each database found by its name."""
