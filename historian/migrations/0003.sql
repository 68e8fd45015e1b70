-- Batches are rebuilt from their events: those of a kind are found without reading all the others.
CREATE INDEX event_kind ON event (kind, id);
