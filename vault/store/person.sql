-- One person's file.  Times are milliseconds since the epoch, ids are 16 bytes, states are MessagePack
-- of policies.grant.  Names, series and readings are sealed; see vault/FORMAT.md for every blob.

CREATE TABLE vault (                      -- one row
  id                BLOB PRIMARY KEY,
  hpke_public       BLOB NOT NULL,        -- X-Wing, 1216 bytes
  verify_key        BLOB NOT NULL,        -- Ed25519, 32 bytes
  wrapped           BLOB NOT NULL,        -- vault.person.WrappedRoot
  login_verifier    BLOB NOT NULL,
  recovery_verifier BLOB NOT NULL,
  generation        INTEGER NOT NULL,     -- raised by every narrowing; the live file has the same
  intake            BLOB NOT NULL,        -- which intake journal was moved here last,
  moved             INTEGER NOT NULL,     -- and up to which of its rows
  next_seq          INTEGER NOT NULL,     -- sequence number of the next reading
  ledger_number     INTEGER NOT NULL,     -- the ledger's head
  ledger_hash       BLOB NOT NULL,
  created           INTEGER NOT NULL
) STRICT;

CREATE TABLE client (                     -- installations that may speak for the owner
  id         BLOB PRIMARY KEY,
  verify_key BLOB NOT NULL,
  name       TEXT NOT NULL,
  statement  BLOB NOT NULL,               -- the signed enrolment
  enrolled   INTEGER NOT NULL,
  ended      INTEGER
) STRICT;

CREATE TABLE device (
  id          BLOB PRIMARY KEY,
  name        BLOB NOT NULL,              -- sealed to the owner
  verifier    BLOB NOT NULL,              -- HKDF of the password
  created     INTEGER NOT NULL,
  ended       INTEGER,
  last_seen   INTEGER,
  readings    INTEGER NOT NULL DEFAULT 0,
  quarantined INTEGER NOT NULL DEFAULT 0, -- payloads kept whole
  dropped     INTEGER NOT NULL DEFAULT 0  -- values out of their kind's range
) STRICT;

CREATE TABLE touchpoint (                 -- lets one brand ask, nothing more
  id      BLOB PRIMARY KEY,
  brand   BLOB NOT NULL,
  created INTEGER NOT NULL,
  ended   INTEGER
) STRICT;

CREATE TABLE grant_ (                     -- a request, and the grant it becomes
  id              BLOB PRIMARY KEY,
  brand           BLOB NOT NULL,
  touchpoint      BLOB NOT NULL,
  public          BLOB NOT NULL,          -- X-Wing key that lanes are sealed to
  wrapped_seed    BLOB NOT NULL,          -- empty once the grant has ended
  state           BLOB NOT NULL,          -- policies.grant.GrantState
  ask             BLOB NOT NULL,          -- canonical JSON, the brand's words
  binding_message TEXT NOT NULL,
  asked           INTEGER NOT NULL,
  expires         INTEGER NOT NULL,       -- until when the token can be picked up, if it is given
  statement       BLOB,                   -- the owner's signed statement
  picked_up       INTEGER,                -- first time the token was handed out
  used            INTEGER,                -- first time it was used
  overdue         INTEGER                 -- total uptime (ms) when access_until was first seen to be past
) STRICT;

CREATE TABLE grant_box (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  grant_   BLOB NOT NULL REFERENCES grant_ (id),
  segments BLOB NOT NULL,                 -- sorted segment ids, joined
  box      BLOB NOT NULL
) STRICT;
CREATE INDEX grant_box_by_grant ON grant_box (grant_, id);

CREATE TABLE segment (
  id        BLOB PRIMARY KEY,
  day       INTEGER NOT NULL,             -- days since the epoch, UTC
  header    BLOB NOT NULL,
  owner_box BLOB NOT NULL,
  ledger    INTEGER NOT NULL,             -- 1: holds ledger entries, 0: readings
  open      INTEGER NOT NULL              -- 1 until it was closed and its chunks merged
) STRICT;
CREATE INDEX segment_by_day ON segment (ledger, day);

CREATE TABLE lane (
  segment BLOB NOT NULL,
  number  INTEGER NOT NULL,
  device  BLOB NOT NULL,
  name    BLOB NOT NULL,                  -- sealed: device, channel, kind, part
  PRIMARY KEY (segment, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE chunk (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  segment    BLOB NOT NULL,
  number     INTEGER NOT NULL,            -- the lane
  resolution TEXT NOT NULL,
  first_seq  INTEGER NOT NULL,
  last_seq   INTEGER NOT NULL,
  count      INTEGER NOT NULL,
  body       BLOB NOT NULL
) STRICT;
CREATE INDEX chunk_by_lane ON chunk (segment, number, first_seq);
CREATE INDEX chunk_by_seq ON chunk (last_seq, first_seq, segment, number);

CREATE TABLE ledger (
  number  INTEGER PRIMARY KEY,
  segment BLOB NOT NULL,
  sealed  BLOB NOT NULL
) STRICT;

CREATE TABLE recent (                     -- digests of what was acknowledged, to recognise a redelivery
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  device  BLOB NOT NULL,
  client  BLOB NOT NULL,                  -- keyed hash of the MQTT client id
  count   INTEGER NOT NULL,
  digests BLOB NOT NULL                   -- count x (packet id uint16 || digest 8 bytes), oldest first
) STRICT;
CREATE INDEX recent_by_client ON recent (device, client, id);
