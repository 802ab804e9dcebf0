-- The intake journal: one row a commit, for all vaults; emptied into the persons' files.

CREATE TABLE journal (id BLOB PRIMARY KEY) STRICT;  -- one row: which journal this is

CREATE TABLE intake (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  deltas BLOB NOT NULL                    -- list of vault.store.intake.Delta
) STRICT;
