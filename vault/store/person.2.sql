-- Version 2 of a person's file: what a device means, ownership, and more counts.

ALTER TABLE device ADD COLUMN wrapped_notes BLOB; -- the device's notes key under its password; NULL: has none
ALTER TABLE device ADD COLUMN settings BLOB;      -- what the owner set for it, sealed under its notes key
ALTER TABLE device ADD COLUMN learned BLOB;       -- what it declared itself, sealed under its notes key
ALTER TABLE device ADD COLUMN paused INTEGER;     -- since when nothing of it is taken; NULL: not paused
ALTER TABLE device ADD COLUMN released BLOB;      -- the owner's signed statement that it left their hands
ALTER TABLE device ADD COLUMN duplicates INTEGER NOT NULL DEFAULT 0; -- readings it had sent before
ALTER TABLE device ADD COLUMN gaps INTEGER NOT NULL DEFAULT 0;       -- messages it numbered and we never had
ALTER TABLE device ADD COLUMN foreign_ INTEGER NOT NULL DEFAULT 0;   -- readings of sensors that are not the owner's
ALTER TABLE device ADD COLUMN blobs INTEGER NOT NULL DEFAULT 0;      -- images and the like, kept whole

CREATE TABLE resent (                     -- digests of readings, to recognise those that come again
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  device  BLOB NOT NULL,
  day     INTEGER NOT NULL,               -- of event time, since the epoch; -1: of a clock nobody believed
  digests BLOB NOT NULL                   -- 8 bytes each, oldest first
) STRICT;
CREATE INDEX resent_by_day ON resent (device, day, id);
