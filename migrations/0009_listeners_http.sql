-- What is said of HTTP listeners alone: the load balancers that tell the client's address.
ALTER TABLE listeners ADD COLUMN http TEXT CHECK (http IS NULL OR json_valid(http));
