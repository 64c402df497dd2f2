-- Reaches every record type of hash indexes but ADD_OVFL_PAGE with a new bitmap page, which takes
-- more than 32768 overflow pages.
SET enable_seqscan = off;
SET enable_bitmapscan = off;

-- Builds: of an empty table, of a full one with long chains, with the fewest and the most buckets.
CREATE TABLE grown (k int, v int) WITH (autovacuum_enabled = off);
CREATE INDEX grown_k ON grown USING hash (k) WITH (fillfactor = 10);
CREATE TABLE built AS SELECT g % 700 AS k, g AS v FROM generate_series(1, 3000) g;
CREATE INDEX built_k ON built USING hash (k);
CREATE INDEX built_v ON built USING hash (v) WITH (fillfactor = 10);
CREATE INDEX built_some ON built USING hash (k) WHERE v > 2900;
CREATE INDEX built_text ON built USING hash ((k::text)) WITH (fillfactor = 100);

-- More than 1024 buckets: from there on a group of splitpoints has four phases.
INSERT INTO grown SELECT g, g FROM generate_series(1, 41000) g;
CHECKPOINT;
INSERT INTO grown SELECT g, g FROM generate_series(41001, 42000) g;
DELETE FROM grown WHERE v % 3 <> 0;
VACUUM grown;

-- Chains of one bucket: grow, lose a share of each page, all, or the last pages, are squeezed.
CREATE TABLE chained (k int, v int) WITH (autovacuum_enabled = off);
CREATE INDEX chained_k ON chained USING hash (k);
INSERT INTO chained SELECT 7, g FROM generate_series(1, 2500) g;
DELETE FROM chained WHERE v % 5 < 2;
VACUUM chained;
INSERT INTO chained SELECT 7, g FROM generate_series(2501, 5000) g;
DELETE FROM chained WHERE v % 100 < 97;
VACUUM chained;
INSERT INTO chained SELECT 7, g FROM generate_series(5001, 8000) g;
DELETE FROM chained WHERE v > 6500;
VACUUM chained;
INSERT INTO chained SELECT 7, g FROM generate_series(8001, 10000) g;
DELETE FROM chained WHERE v BETWEEN 5600 AND 9300;
VACUUM chained;
CHECKPOINT;
DELETE FROM chained WHERE v % 2 = 0;
VACUUM chained;
DELETE FROM chained;
VACUUM chained;

-- Pages freed by one bucket are used by others, which then split while they have chains.
INSERT INTO chained SELECT g % 20, g FROM generate_series(1, 6000) g;
CHECKPOINT;
INSERT INTO chained SELECT g % 3, g FROM generate_series(1, 1500) g;
DELETE FROM chained WHERE k % 4 = 1 OR v % 7 = 0;
VACUUM chained;
INSERT INTO chained SELECT g % 30, g FROM generate_series(1, 3000) g;

-- Tuples found dead by scans go when an insert finds the page full: of a primary bucket page and of
-- overflow pages.
CREATE TABLE killed (k int, v int) WITH (autovacuum_enabled = off);
CREATE INDEX killed_k ON killed USING hash (k);
INSERT INTO killed SELECT 3, g FROM generate_series(1, 1221) g;
DELETE FROM killed WHERE v % 4 = 0;
SELECT count(*) FROM killed WHERE k = 3;
INSERT INTO killed SELECT 3, g FROM generate_series(2001, 2200) g;
DELETE FROM killed WHERE v IN (5, 6, 405);
SELECT count(*) FROM killed WHERE k = 3;
INSERT INTO killed SELECT 3, g FROM generate_series(2201, 2300) g;
CHECKPOINT;
DELETE FROM killed WHERE v % 4 = 1;
SELECT count(*) FROM killed WHERE k = 3;
INSERT INTO killed SELECT 3, g FROM generate_series(2301, 2700) g;
DELETE FROM killed WHERE v % 4 = 2;
SELECT count(*) FROM killed WHERE k = 3;
VACUUM killed;

-- A scan that stands on a page keeps inserts from clearing it.
DELETE FROM killed WHERE v % 4 = 3 AND v < 1200;
SELECT count(*) FROM killed WHERE k = 3;
-- session 2:
SET enable_seqscan = off;
SET enable_bitmapscan = off;
BEGIN;
DECLARE stands CURSOR FOR SELECT v FROM killed WHERE k = 3;
FETCH 1 FROM stands;
-- session 1:
INSERT INTO killed SELECT 3, g FROM generate_series(2701, 3300) g;
-- session 2:
COMMIT;
-- session 1:
INSERT INTO killed SELECT 3, g FROM generate_series(3301, 3400) g;
INSERT INTO killed SELECT g, g FROM generate_series(1, 1500) g;

-- Init forks, and what becomes of them.
CREATE UNLOGGED TABLE forked (k int, v int);
CREATE INDEX forked_k ON forked USING hash (k);
INSERT INTO forked SELECT g % 50, g FROM generate_series(1, 1000) g;
ALTER TABLE forked SET LOGGED;
INSERT INTO forked SELECT g % 50, g FROM generate_series(1, 500) g;
ALTER TABLE forked SET UNLOGGED;
ALTER TABLE forked SET LOGGED;

-- Rolled back, rebuilt, cut off.
BEGIN;
INSERT INTO grown SELECT g, g FROM generate_series(1, 500) g;
ROLLBACK;
VACUUM grown;
REINDEX INDEX chained_k;
TRUNCATE built;
INSERT INTO built SELECT g % 10, g FROM generate_series(1, 1000) g;
BEGIN;
TRUNCATE killed;
INSERT INTO killed SELECT g % 10, g FROM generate_series(1, 1000) g;
COMMIT;
VACUUM FULL killed;
