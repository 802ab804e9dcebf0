-- What the node knows beside the persons' files.

CREATE TABLE brand (
  id       BLOB PRIMARY KEY,
  name     TEXT NOT NULL,
  site     TEXT NOT NULL,
  verifier BLOB NOT NULL,                 -- SHA-256 of the client secret, which has 256 bits
  created  INTEGER NOT NULL,
  ended    INTEGER
) STRICT;

CREATE TABLE located (                    -- which vault a device, grant or touchpoint belongs to
  id    BLOB PRIMARY KEY,
  vault BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE invite (
  verifier BLOB PRIMARY KEY,              -- SHA-256 of the code
  expires  INTEGER NOT NULL,
  used     INTEGER
) STRICT;

CREATE TABLE secret (                     -- of the node itself
  name  TEXT PRIMARY KEY,                 -- "decoy": unknown vaults get salts that never change
  value BLOB NOT NULL
) STRICT;
