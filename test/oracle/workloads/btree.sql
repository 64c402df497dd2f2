-- Reaches every record type of resource manager Btree, and their variants. Keys of 2600 bytes, stored
-- as they are, make pages of three items and so trees of several levels from few rows.

-- Index builds: pages come as images.
CREATE TABLE built (a int, b text) WITH (autovacuum_enabled = off);
INSERT INTO built SELECT i, 'row ' || i % 100 FROM generate_series(1, 3000) i;
CREATE INDEX built_a ON built (a);
CREATE INDEX built_b ON built (b);
CREATE INDEX built_fill ON built (b, a) WITH (fillfactor = 50);
REINDEX INDEX CONCURRENTLY built_b;
REINDEX TABLE built;

-- The first root, splits at the right end, at the left end and anywhere; a root above them.
CREATE TABLE plain (up int, down int, mixed int, nothing int) WITH (autovacuum_enabled = off);
CREATE UNIQUE INDEX plain_up ON plain (up);
CREATE INDEX plain_down ON plain (down);
CREATE INDEX plain_mixed ON plain (mixed) WITH (deduplicate_items = off);
CREATE INDEX plain_nothing ON plain (nothing);
INSERT INTO plain SELECT i, -i, i * 7919 % 2003, NULL FROM generate_series(1, 1300) i;

-- Suffix truncation: high keys with fewer columns, and with the row's TID when all are equal.
CREATE TABLE columns (a int, b text, c int, d text) WITH (autovacuum_enabled = off);
CREATE INDEX columns_abc ON columns (a, b, c);
CREATE UNIQUE INDEX columns_include ON columns (c) INCLUDE (d, b);
CREATE INDEX columns_b ON columns (b DESC NULLS FIRST, d);
INSERT INTO columns SELECT i / 500, CASE WHEN i % 11 <> 0 THEN repeat('k', i % 40) END, i * 617 % 1201, repeat('d', i % 97) FROM generate_series(1, 1200) i;

-- Several levels, inner pages split on either side by new items that go left or right.
CREATE TABLE wide (id int, k text) WITH (autovacuum_enabled = off);
ALTER TABLE wide ALTER k SET STORAGE PLAIN;
CREATE INDEX wide_k ON wide (k);
INSERT INTO wide SELECT i, lpad(i::text, 2600, 'x') FROM generate_series(1000, 1100) i;
INSERT INTO wide SELECT i, lpad((999 - i)::text, 2600, 'x') FROM generate_series(1, 100) i;
INSERT INTO wide SELECT i, lpad((2000 + i * 37 % 199)::text, 1100, 'x') FROM generate_series(1, 190) i;

-- Page deletion: single leaf pages, then inner pages with all below them, then the tree becomes a
-- stem: the fast root is below the root.
DELETE FROM wide WHERE id BETWEEN 1010 AND 1012 OR id BETWEEN 1050 AND 1056;
VACUUM (INDEX_CLEANUP ON) wide;
DELETE FROM wide WHERE k BETWEEN lpad('2020', 1100, 'x') AND lpad('1060', 2600, 'x');
VACUUM (INDEX_CLEANUP ON) wide;
DELETE FROM wide WHERE k < lpad('1095', 2600, 'x');
VACUUM (INDEX_CLEANUP ON) wide;
VACUUM (INDEX_CLEANUP ON) wide;

-- Deleted pages are used anew; the fast root is split, which makes it the page above.
INSERT INTO wide SELECT i, lpad((3000 + i)::text, 2600, 'x') FROM generate_series(1, 30) i;
INSERT INTO wide SELECT i, lpad((2990 - i)::text, 2600, 'x') FROM generate_series(1, 60) i;
DELETE FROM wide;
VACUUM (INDEX_CLEANUP ON) wide;
INSERT INTO wide SELECT i, lpad((5000 + i * 13 % 53)::text, 2600, 'x') FROM generate_series(1, 50) i;

-- Deletion among narrow keys: leaf pages between others, with right siblings under another parent.
CREATE TABLE ranges (a int, pad text) WITH (autovacuum_enabled = off, fillfactor = 100);
CREATE INDEX ranges_a ON ranges (a, pad);
INSERT INTO ranges SELECT i, repeat('p', 300) FROM generate_series(1, 2500) i;
DELETE FROM ranges WHERE a % 200 > 60;
VACUUM (INDEX_CLEANUP ON) ranges;
INSERT INTO ranges SELECT i * 31 % 2503, repeat('p', 300) FROM generate_series(1, 300) i;
DELETE FROM ranges WHERE a < 2200;
VACUUM (INDEX_CLEANUP ON) ranges;
INSERT INTO ranges SELECT i, repeat('q', 300) FROM generate_series(1, 300) i;

-- Deduplication, in order and in passes over pages that have posting lists already.
CREATE TABLE dups (k int, t text) WITH (autovacuum_enabled = off, fillfactor = 100);
CREATE INDEX dups_k ON dups (k);
CREATE INDEX dups_t ON dups (t);
INSERT INTO dups SELECT i % 7, repeat('t', i % 5) FROM generate_series(1, 2500) i;
INSERT INTO dups SELECT i % 13, NULL FROM generate_series(1, 1000) i;

-- Rows in the middle of the heap go, from parts of posting lists and whole ones; new rows take their
-- TIDs, inside posting lists, until pages split there.
DELETE FROM dups WHERE k = 3 OR ctid::text LIKE '%,_0)' OR ctid::text LIKE '%,__5)';
VACUUM (INDEX_CLEANUP ON) dups;
INSERT INTO dups SELECT i % 7, repeat('t', i % 5) FROM generate_series(1, 1000) i;
DELETE FROM dups WHERE ctid::text LIKE '%,%3)' OR ctid::text LIKE '%,%7)';
VACUUM (INDEX_CLEANUP ON) dups;
INSERT INTO dups SELECT i % 5, repeat('t', i % 3) FROM generate_series(1, 1200) i;

-- One key: splits go by TID.
CREATE TABLE one (k text, n int) WITH (autovacuum_enabled = off, fillfactor = 100);
CREATE INDEX one_k ON one (k);
INSERT INTO one SELECT 'the only key', i FROM generate_series(1, 2600) i;
DELETE FROM one WHERE n % 3 = 0;
VACUUM (INDEX_CLEANUP ON) one;
INSERT INTO one SELECT 'the only key', i FROM generate_series(1, 1500) i;

-- Full pages of posting lists, each with its TIDs on either side of one that is free: a page is split
-- by a row that goes into a posting list, on either side of where it is split.
CREATE TABLE packed WITH (autovacuum_enabled = off, fillfactor = 100) AS SELECT i % 600 AS n, i / 600 AS part FROM generate_series(0, 2399) i;
DELETE FROM packed WHERE part = 1;
VACUUM packed;
CREATE INDEX packed_n ON packed (lpad(n::text, 480, 'x')) WITH (fillfactor = 100);
ALTER INDEX packed_n SET (deduplicate_items = off);
INSERT INTO packed SELECT i * 37 % 600, 4 FROM generate_series(1, 250) i;

-- The same with one key, where pages are split near their ends, at times right behind that posting
-- list. No deduplication makes room before.
CREATE TABLE packed_one WITH (autovacuum_enabled = off, fillfactor = 100) AS SELECT i AS n FROM generate_series(1, 3600) i;
DELETE FROM packed_one WHERE n % 4 = 2;
VACUUM packed_one;
CREATE INDEX packed_one_n ON packed_one (lpad('', 370, 'x'), lpad('', 370, 'y')) WITH (fillfactor = 100);
ALTER INDEX packed_one_n SET (deduplicate_items = off);
INSERT INTO packed_one SELECT 0 FROM generate_series(1, 800) i;

-- Inserting makes room by itself: tuples known to be dead (found by scans), with others of their heap
-- blocks.
CREATE TABLE killed (a int, k int) WITH (autovacuum_enabled = off);
CREATE INDEX killed_a ON killed (a);
CREATE INDEX killed_k ON killed (k);
INSERT INTO killed SELECT i, i % 20 FROM generate_series(1, 1000) i;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
DELETE FROM killed WHERE a % 3 = 0 OR k IN (5, 6);
SELECT count(*) FROM killed WHERE a > 0;
SELECT count(*) FROM killed WHERE k >= 0;
INSERT INTO killed SELECT i, i % 20 FROM generate_series(1, 1000) i;
DELETE FROM killed WHERE k BETWEEN 8 AND 12;
SELECT count(*) FROM killed WHERE a > 0;
SELECT count(*) FROM killed WHERE k >= 0;
INSERT INTO killed SELECT i, 5 + i % 9 FROM generate_series(1, 800) i;
RESET enable_seqscan;
RESET enable_bitmapscan;

-- Versions of one row: deletion from the bottom up, in unique indexes and among duplicates, also
-- while another session still sees some of the versions.
CREATE TABLE versions (id int PRIMARY KEY, k int, v int, label text) WITH (autovacuum_enabled = off, fillfactor = 70);
CREATE INDEX versions_k ON versions (k);
CREATE INDEX versions_v ON versions (v);
CREATE INDEX versions_label ON versions (label, id);
INSERT INTO versions SELECT i, i % 10, 0, repeat('l', i % 30) FROM generate_series(1, 200) i;
DO $$ BEGIN FOR i IN 1..6 LOOP UPDATE versions SET v = v + 1; COMMIT; END LOOP; END $$;
-- session 2:
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM versions;
-- session 1:
DO $$ BEGIN FOR i IN 1..5 LOOP UPDATE versions SET v = v + i % 3 WHERE id % 4 <> 0; COMMIT; END LOOP; END $$;
-- session 2:
COMMIT;
-- session 1:
DO $$ BEGIN FOR i IN 1..6 LOOP UPDATE versions SET v = v - 1 WHERE id % 3 <> 0; COMMIT; END LOOP; END $$;
VACUUM (INDEX_CLEANUP ON) versions;
REINDEX INDEX CONCURRENTLY versions_label;

-- Rows of a transaction that was rolled back, and what comes after their VACUUM; indexes and tables go.
BEGIN;
INSERT INTO plain SELECT i, -i, i * 7919 % 2003, 1 FROM generate_series(1301, 1700) i;
ROLLBACK;
VACUUM (INDEX_CLEANUP ON) plain;
INSERT INTO plain SELECT i, -i, i * 7919 % 2003, 1 FROM generate_series(1301, 1700) i;
DROP INDEX plain_mixed;
TRUNCATE built;
INSERT INTO built SELECT i, 'again' FROM generate_series(1, 10) i;
