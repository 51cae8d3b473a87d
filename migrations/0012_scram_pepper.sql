-- What gateways make the salts of from which SCRAM tells nobody who is unknown: it is the same for all of them, and stays.
INSERT INTO catalog_meta (name, blob_value) VALUES ('scram_pepper', randomblob(32));
