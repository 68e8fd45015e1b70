-- What is put in here and taken out again leaves free pages in the file: the store's own reserve for
-- the day on which the disk is full (historian/reserve.py). The table is empty but for that moment.
CREATE TABLE spare (pages BLOB NOT NULL);
