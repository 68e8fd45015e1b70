-- The worst quality of a minute: 0 BAD, 1 UNCERTAIN, 2 GOOD; NULL in minutes of an older program. A
-- minute in which a tag was BAD all the time has a row now, with n = 0 and no meaning in the rest.
ALTER TABLE rollup ADD COLUMN worst INTEGER;

-- One row a tag and hour, so that a trend of months reads thousands too.
CREATE TABLE rollup_hour (
  tag INTEGER NOT NULL,
  hour INTEGER NOT NULL,             -- s since 1970 / 3600
  n INTEGER NOT NULL,
  low REAL NOT NULL,
  high REAL NOT NULL,
  mean REAL NOT NULL,
  worst INTEGER,
  PRIMARY KEY (tag, hour)
) WITHOUT ROWID;
INSERT INTO rollup_hour
  SELECT tag, minute / 60, sum(n), min(low), max(high), sum(mean * n) / sum(n), NULL
  FROM rollup GROUP BY tag, minute / 60;

-- The hour whose rollups are not made yet: that of the newest row when its minutes were rolled.
ALTER TABLE reactor ADD COLUMN hour INTEGER NOT NULL DEFAULT -1;
UPDATE reactor SET hour = coalesce(
  (SELECT max(minute) / 60 FROM rollup JOIN tag ON tag.id = rollup.tag WHERE reactor = reactor.name), -1);
