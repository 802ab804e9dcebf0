-- Version 3 of a person's file: buckets, standing rules, blackouts, the last use of a grant.

ALTER TABLE segment ADD COLUMN cut INTEGER NOT NULL DEFAULT 0; -- 1: some of its readings are in no bucket yet
UPDATE segment SET cut = 1 WHERE ledger = 0;                   -- written before there were buckets

ALTER TABLE grant_ ADD COLUMN last_used INTEGER;               -- to the day; NULL: never read
ALTER TABLE grant_ ADD COLUMN rule BLOB;                       -- vault.store.rules.RuleAnswer, where a rule said yes

CREATE TABLE rules (                      -- every version there was: answers by rule are checked against theirs
  version INTEGER PRIMARY KEY,
  signed  BLOB NOT NULL,                  -- the owner's signed statement
  made    INTEGER NOT NULL
) STRICT;

CREATE TABLE blackout (                   -- when nothing is sealed to any grant; seconds of event time, half-open
  id    BLOB PRIMARY KEY,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  kinds TEXT NOT NULL,                    -- JSON list of kinds; empty: all
  made  INTEGER NOT NULL,
  ended INTEGER                           -- taken back before it was over
) STRICT;

DROP INDEX chunk_by_seq;
CREATE INDEX chunk_by_seq ON chunk (resolution, last_seq, first_seq, segment, number);
