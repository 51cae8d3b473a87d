-- What is wrong at a gateway though it serves, as it said last.
ALTER TABLE node_status ADD COLUMN problem TEXT;
