-- The audit trail: each AUDIT event is a link of a hash chain (historian/audit.py). The chain begins
-- here: a random start, and the newest event of that moment; audit events before it are not in it.
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY,           -- 0, 1, 2, ... without a hole
  event INTEGER NOT NULL,            -- id of the event; of link 0 the newest one before the chain
  hash TEXT NOT NULL                 -- SHA-256, hex
);
INSERT INTO audit
  SELECT 0, coalesce((SELECT max(id) FROM event), 0), lower(hex(randomblob(32)));

-- What has happened is never changed: a slip is refused here, malice is found by the chain.
CREATE TRIGGER event_stays BEFORE UPDATE ON event
  BEGIN SELECT raise(ABORT, 'events are append-only'); END;
CREATE TRIGGER event_remains BEFORE DELETE ON event
  BEGIN SELECT raise(ABORT, 'events are append-only'); END;
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
  BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_remains BEFORE DELETE ON audit
  BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;
