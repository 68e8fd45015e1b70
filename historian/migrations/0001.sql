-- One wide table a reactor ("row R1") is made when its first row comes; see historian/schema.py.
PRAGMA application_id = 1717924461;  -- "ferm": a file that is not ours is refused

-- A cursor of the forwarder belongs to one store; a store made anew starts again at seq 1.
CREATE TABLE identity (id TEXT NOT NULL);
INSERT INTO identity VALUES (lower(hex(randomblob(16))));

CREATE TABLE reactor (
  name TEXT PRIMARY KEY,
  rolled INTEGER NOT NULL DEFAULT 0  -- rollups hold every row up to this seq
) WITHOUT ROWID;

CREATE TABLE tag (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,         -- R1.do.sp
  reactor TEXT NOT NULL,             -- R1
  suffix TEXT NOT NULL,              -- do.sp
  col TEXT NOT NULL,                 -- column of the reactor's table
  place INTEGER NOT NULL,            -- index of its digit in the quality text
  unit TEXT NOT NULL,                -- UCUM code
  low REAL NOT NULL,
  high REAL NOT NULL
);
CREATE INDEX tag_reactor ON tag (reactor, place);

-- One row a tag and minute of plant time, so that a trend of days reads thousands, not millions.
CREATE TABLE rollup (
  tag INTEGER NOT NULL,
  minute INTEGER NOT NULL,           -- s since 1970 / 60
  n INTEGER NOT NULL,                -- values in it; a minute without one has no row
  low REAL NOT NULL,
  high REAL NOT NULL,
  mean REAL NOT NULL,
  PRIMARY KEY (tag, minute)
) WITHOUT ROWID;

CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  time REAL NOT NULL,
  source TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  text TEXT NOT NULL,
  data TEXT NOT NULL                 -- JSON
);
CREATE INDEX event_time ON event (time);

-- What the controller needs to start again; the newest value only.
CREATE TABLE state (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL                -- JSON
) WITHOUT ROWID;
